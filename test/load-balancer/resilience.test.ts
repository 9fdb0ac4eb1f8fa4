/** Reloads, crashes and restarts: of HAProxy, of the driver; and what is left at the end. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { test } from "node:test";
import { SnapshotRefused } from "#load-balancer/load-balancers.ts";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";
import { load } from "./load.ts";
import { bench, forward, get, groupOf, patientCheck, pause, single, web } from "./support.ts";

test("reloads under load lose no request and keep the targets' health", async () => {
  await using one = await web("one", (_, response) => setTimeout(() => response.end("one"), 10));
  await using two = await web("two");
  await using made = bench();
  const port = await freePort();
  const other = await freePort();
  const snapshot = (timeout: number) => {
    const base = single(port, [groupOf("g", [one, two], { healthCheck: patientCheck })], {}, { idleTimeout: timeout });
    const extra = { id: `extra-${timeout}`, port: other, protocol: "HTTP", defaultAction: forward("g") } as const;
    return timeout % 2
      ? base
      : { ...base, loadBalancers: base.loadBalancers.map((each) => ({ ...each, listeners: [...each.listeners, extra] })) };
  };
  await made.balancers.apply(snapshot(60));
  await made.state(one.port, "healthy");
  await made.state(two.port, "healthy");
  const [first] = made.balancers.pids();
  const running = load(port, { clients: 16, everyMs: 1 });
  for (let i = 1; i <= 8; i++) {
    await pause(200);
    await made.balancers.apply(snapshot(60 + i));
    if (i % 2 === 0) assert.equal((await get(other)).status, 200);
  }
  await pause(200);
  await until("five hundred requests", () => running.sent() > 500);
  const { failures } = await running.stop();
  assert.deepEqual(failures, [], `of ${running.sent()}`);
  assert.ok(!made.balancers.pids().slice(0, 1).includes(first!), "it was another process");
  assert.deepEqual(
    made.events.filter(({ port: each }) => each === one.port).map(({ state }) => state),
    ["initial", "healthy"],
  );
});

test("HAProxy killed with SIGKILL: back at once, configuration and health whole", async () => {
  await using one = await web("one");
  await using bad = await web("bad");
  bad.health = 500;
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [])]));
  // Told by the runtime API only: no configuration file holds them.
  await made.balancers.apply(single(port, [groupOf("g", [one, bad])]));
  await made.state(one.port, "healthy");
  await made.state(bad.port, "unhealthy");
  const [pid] = made.balancers.pids();
  process.kill(pid!, "SIGKILL");
  const killed = Date.now();
  const answers = () =>
    get(port).then(
      ({ status }) => status === 200,
      () => false,
    );
  await until("it answers", answers, { every: 5 });
  const took = Date.now() - killed;
  // Two seconds, we say; a busy machine needs them to start a process.
  assert.ok(took < 2000, `${took} ms`);
  for (let i = 0; i < 20; i++) assert.equal((await get(port)).body, "one", "the unhealthy target stays out");
  assert.notEqual(made.balancers.pids()[0], pid);
  bad.health = 200;
  await made.state(bad.port, "healthy");
});

test("the driver's restart: HAProxy serves on meanwhile, is taken over without a lost request, its targets' health known", async () => {
  await using one = await web("one");
  await using bad = await web("bad");
  bad.health = 500;
  await using made = bench();
  const port = await freePort();
  const snapshot = single(port, [groupOf("g", [one, bad])]);
  await made.balancers.apply(snapshot);
  await made.state(one.port, "healthy");
  await made.state(bad.port, "unhealthy");
  await made.balancers.close();
  const running = load(port, { clients: 4 });
  await pause(200);
  const count = made.events.length;
  await made.again().apply(snapshot);
  assert.deepEqual(
    made.balancers.health().map(({ state }) => state),
    ["healthy", "unhealthy"],
  );
  await pause(300);
  const { failures, bodies } = await running.stop();
  assert.deepEqual(failures, []);
  assert.deepEqual([...bodies.keys()], ["one"]);
  assert.ok(made.events.slice(count).every(({ state }) => state === "healthy" || state === "unhealthy"));
  bad.health = 200;
  await made.state(bad.port, "healthy");
});

test("an address in use is HAProxy's own word, what was there serves on, and the new configuration comes when the address is free", async () => {
  await using one = await web("one");
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one])]));
  await made.state(one.port, "healthy");
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
  const { port: taken } = blocker.address() as { port: number };
  const base = single(port, [groupOf("g", [one])]);
  const extra = { id: "extra", port: taken, protocol: "HTTP", defaultAction: forward("g") } as const;
  const both = { ...base, loadBalancers: base.loadBalancers.map((each) => ({ ...each, listeners: [...each.listeners, extra] })) };
  await assert.rejects(made.balancers.apply(both), new RegExp(`HAProxy did not start.*${taken}`, "s"));
  assert.equal((await get(port)).body, "one");
  await new Promise<void>((resolve) => blocker.close(() => resolve()));
  await until("tried again by itself", () =>
    get(taken).then(
      ({ body }) => body === "one",
      () => false,
    ),
  );
});

test("two Gantries side by side on addresses of their own, port 80; torn down, nothing is left", async () => {
  await using one = await web("one");
  await using two = await web("two");
  const first = bench();
  const second = bench();
  const third = bench();
  try {
    const at = (address: string, webs: typeof one) => single(80, [groupOf("g", [webs])], {}, { addresses: [address] });
    await first.balancers.apply(at("198.19.77.1", one));
    await second.balancers.apply(at("198.19.77.2", two));
    await first.state(one.port, "healthy");
    await second.state(two.port, "healthy");
    assert.equal((await get(80, "/", { address: "198.19.77.1" })).body, "one");
    assert.equal((await get(80, "/", { address: "198.19.77.2" })).body, "two");
    await first.balancers.apply({ loadBalancers: [], targetGroups: [] });
    assert.equal(first.balancers.pids().length, 0);
    const pids = second.balancers.pids();
    // A driver that has never applied anything cleans up too.
    await second.balancers.close();
    await second.again().tearDown();
    await until("its processes have ended", () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  } finally {
    for (const each of [first, second, third]) await each[Symbol.asyncDispose]();
  }
  const links = execFileSync("ip", ["-o", "addr"], { encoding: "utf8" });
  assert.ok(!links.includes("198.19.77."), links);
  for (const each of [first, second, third]) assert.ok(!existsSync(each.directory));
});

test("what cannot be served is refused whole, in plain words", async () => {
  await using made = bench();
  const refused = (change: Parameters<typeof single>[2], balancer: Parameters<typeof single>[3] = {}) =>
    made.balancers.apply(single(1, [groupOf("g", [])], change, balancer)).then(
      () => assert.fail("it was taken"),
      (error: unknown) => {
        assert.ok(error instanceof SnapshotRefused);
        return error.message;
      },
    );
  assert.match(await refused({ protocol: "UDP" }, { kind: "network" }), /HAProxy carries no UDP/);
  assert.match(await refused({ protocol: "HTTPS" }), /needs a certificate/);
  assert.match(await refused({ defaultAction: forward("other") }), /target group other is not in the snapshot/);
  assert.match(
    await refused({
      rules: [{ id: "r", priority: 1, conditions: [{ field: "path-pattern", values: ["/a\n  bind :1"] }], action: forward("g") }],
    }),
    /cannot be matched/,
  );
  assert.equal(made.balancers.pids().length, 0);
});
