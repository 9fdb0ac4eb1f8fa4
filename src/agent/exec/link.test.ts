import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { openLink } from "./link.ts";

/** A server that takes connections in, and a link to it; time stands, the network does not. */
async function linked(t: TestContext) {
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const peers: WebSocket[] = [];
  server.on("connection", (peer) => peers.push(peer));
  const clock = new FakeClock();
  const seen = { broken: 0, lost: undefined as string | undefined };
  let away = false;
  const link = openLink({
    target: async () => {
      if (away) throw new Error("there is no server");
      return { url: new URL(`ws://127.0.0.1:${(http.address() as AddressInfo).port}/`), headers: {} };
    },
    message() {},
    drained() {},
    broken: () => void seen.broken++,
    lost: (reason) => void (seen.lost = reason),
    clock,
    random: seededRandom(1),
    log: silentLogger,
  });
  t.after(async () => {
    link.close();
    for (const peer of peers) peer.terminate();
    server.close();
    http.close();
  });
  const until = async (what: () => boolean) => {
    for (const end = Date.now() + 60_000; !what();) {
      assert.ok(Date.now() < end);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await until(() => link.send(Buffer.from("x")));
  return { clock, seen, link, peers, until, leave: () => (away = true) };
}

/** Beyond the minute of patience, in steps that leave the pings their answers. */
async function idle({ clock, peers }: { clock: FakeClock; peers: WebSocket[] }) {
  for (let step = 0; step < 12; step++) {
    const answered = new Promise<void>((resolve) => void peers[0]!.once("ping", () => resolve()));
    await clock.advance(29_000);
    await clock.advance(1_500);
    await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 50))]);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("a session that was silent for long is not given up because its connection breaks", async (t) => {
  const { clock, seen, link, peers, until } = await linked(t);
  await idle({ clock, peers });
  assert.deepEqual(seen, { broken: 0, lost: undefined });
  peers[0]!.terminate();
  await until(() => seen.broken === 1);
  assert.equal(seen.lost, undefined);
  await clock.advance(500);
  await until(() => link.send(Buffer.from("y")));
  assert.equal(peers.length, 2);
});

test("a server that does not come back is waited for a minute", async (t) => {
  const { clock, seen, peers, until, leave } = await linked(t);
  leave();
  peers[0]!.terminate();
  await until(() => seen.broken === 1);
  await clock.advance(58_000);
  assert.equal(seen.lost, undefined);
  await clock.advance(5_000);
  assert.match(seen.lost ?? "", /there is no server/);
});
