import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { jsonMessage, messageTypes } from "#agent-protocol/exec/message.ts";
import { ExecChannel } from "./channel.ts";

/** A client and a server that says nothing by itself. */
async function opened(t: TestContext, resume: () => Promise<string | undefined>) {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  const http = createServer();
  const server = new WebSocketServer({ server: http });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const peers: WebSocket[] = [];
  const tokens: string[] = [];
  server.on("connection", (peer) => {
    peers.push(peer);
    peer.once("message", (data) => tokens.push((JSON.parse((data as Buffer).toString()) as { TokenValue: string }).TokenValue));
  });
  t.after(() => {
    for (const peer of peers) peer.terminate();
    server.close();
    http.close();
  });
  const channel = new ExecChannel({
    opened: { sessionId: "s", streamUrl: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/`, tokenValue: "first" },
    terminal: false,
    resume,
    ready() {},
    output: () => true,
    roomAgain() {},
  });
  channel.ended.catch(() => {});
  const token = async (which: number): Promise<string> => {
    while (tokens.length <= which) await new Promise((resolve) => setTimeout(resolve, 2));
    return tokens[which]!;
  };
  return { channel, peers, token };
}
const closed = (output: string) => jsonMessage(messageTypes.closed, { Output: output }, { now: 1, id: crypto.randomUUID() });

test("after an hour a connection that breaks is made again as after a second", { timeout: 120_000 }, async (t) => {
  let asked = 0;
  const { channel, peers, token } = await opened(t, async () => {
    if (asked++ === 0) throw new Error("the server is being started");
    return "second";
  });
  assert.equal(await token(0), "first");
  t.mock.timers.setTime(Date.now() + 3_600_000);
  peers[0]!.terminate();
  assert.equal(await token(1), "second");
  peers[1]!.send(closed("over"));
  assert.deepEqual(await channel.ended, { exitCode: undefined, output: "over" });
});

test("a server that is away is waited for a minute", { timeout: 120_000 }, async (t) => {
  const { channel, peers, token } = await opened(t, async () => {
    t.mock.timers.setTime(Date.now() + 20_000);
    throw new Error("nobody there");
  });
  await token(0);
  peers[0]!.terminate();
  await assert.rejects(channel.ended, /nobody there/);
});

test("a session that has ended nobody knows how is no success", { timeout: 120_000 }, async (t) => {
  const { channel, peers, token } = await opened(t, async () => undefined);
  await token(0);
  peers[0]!.terminate();
  assert.deepEqual(await channel.ended, { exitCode: undefined, output: "The session ended while the connection was broken." });
});
