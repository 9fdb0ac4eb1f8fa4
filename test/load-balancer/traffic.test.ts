/** What HAProxy has carried: every request once, over reloads, targets that come and go, and a driver that starts again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Traffic } from "#load-balancer/traffic.ts";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";
import { load } from "./load.ts";
import { bench, forward, get, groupOf, patientCheck, pause, single, web, type Bench } from "./support.ts";

/** Adds up what is reported. */
function sums(made: Bench) {
  const total = { requests: 0, answers: {} as Record<string, number>, own: {} as Record<string, number>, times: [] as [number, number][] };
  let last: Traffic | undefined;
  const add = (to: Record<string, number>, counts: Readonly<Record<string, number>>) => {
    for (const [name, count] of Object.entries(counts)) to[name] = (to[name] ?? 0) + count;
  };
  return {
    ...total,
    total,
    last: () => last!,
    async read() {
      last = await made.balancers.traffic();
      for (const group of last.targetGroups) {
        total.requests += group.requests;
        add(total.answers, group.answers);
        total.times.push(...group.times.map(([seconds, count]): [number, number] => [seconds, count]));
      }
      for (const balancer of last.loadBalancers) add(total.own, balancer.answers);
      return total;
    },
  };
}

const percentile = (times: readonly (readonly [number, number])[], p: number) => {
  const sorted = times.toSorted(([a], [b]) => a - b);
  const all = sorted.reduce((sum, [, count]) => sum + count, 0);
  let seen = 0;
  return sorted.find(([, count]) => (seen += count) >= (all * p) / 100)?.[0] ?? Number.NaN;
};

test("answers are counted by who gave them, times as the targets took them", async () => {
  await using one = await web("one", (incoming, response) => {
    const [, what = ""] = (incoming.url ?? "").split("/");
    if (what === "close") return void incoming.socket.destroy();
    if (what === "hang") return;
    response.statusCode = Number(what) || 200;
    if (what === "slow") setTimeout(() => response.end("slow"), 250);
    else response.end("one");
  });
  // Of two threads that write a line in the same moment, one drops its own.
  await using made = bench({ threads: 1 });
  const port = await freePort();
  const dead = await freePort();
  const checked = { healthCheck: { disabled: true } } as const;
  const path = (id: string, priority: number, text: string, ...groups: string[]) =>
    ({ id, priority, conditions: [{ field: "path-pattern", values: [text] }], action: forward(...groups) }) as const;
  const rules = [
    path("dead", 1, "/dead", "dead"),
    path("empty", 2, "/empty", "empty"),
    { ...path("gone", 3, "/gone"), action: { type: "redirect", statusCode: 302, path: "/" } } as const,
    { ...path("fixed", 4, "/fixed"), action: { type: "fixed-response", statusCode: 404 } } as const,
  ];
  const groups = [groupOf("g", [one], checked), groupOf("dead", [{ port: dead }], checked), groupOf("empty", [], checked)];
  await made.balancers.apply(single(port, groups, { rules }, { idleTimeout: 5 }));
  const said = sums(made);
  const waited: [number, number][] = [];
  const ask = async (path: string) => {
    const began = performance.now();
    const answer = await get(port, path);
    waited.push([(performance.now() - began) / 1000, 1]);
    return answer;
  };
  for (let i = 0; i < 20; i++) assert.equal((await ask("/")).status, 200);
  for (let i = 0; i < 4; i++) await ask("/slow");
  for (const [what, status, times] of [
    ["304", 304, 3],
    ["404", 404, 2],
    ["500", 500, 5],
    ["503", 503, 2],
    ["gone", 302, 3],
    ["fixed", 404, 4],
    ["close", 502, 2],
    ["dead", 502, 1],
    ["empty", 503, 3],
    ["hang", 504, 1],
  ] as const)
    for (let i = 0; i < times; i++) assert.equal((await (/^\d/.test(what) ? ask(`/${what}`) : get(port, `/${what}`))).status, status, what);
  await until("the line of the last one", async () => (await said.read()).own["504"]);
  const { total } = said;
  assert.deepEqual(total.answers, { "2XX": 24, "3XX": 3, "4XX": 2, "5XX": 7 });
  assert.deepEqual(total.own, { "3XX": 3, "4XX": 4, "5XX": 7, 502: 3, 503: 3, 504: 1 });
  // Without those for which there was no target, and those that the load balancer answered by a rule.
  assert.equal(total.requests, 24 + 3 + 2 + 7 + 2 + 1 + 1);
  assert.equal(
    total.times.reduce((sum, [, count]) => sum + count, 0),
    36,
  );
  // Never longer than who asked waited for it, however busy the machine is; and as long as the slow target took.
  assert.equal(waited.length, 36);
  for (const p of [50, 90, 99]) {
    const [here, there] = [percentile(waited, p), percentile(total.times, p)];
    assert.ok(there <= here + 0.002, `${there} of ${here} s`);
  }
  assert.ok(percentile(total.times, 99) > 0.24, `${percentile(total.times, 99)}`);
  assert.deepEqual((await made.balancers.traffic()).targetGroups, [], "and nothing of it twice");
});

test("reloads, a target that leaves, a driver that starts again: every request is counted once", async () => {
  await using one = await web("one", (_, response) => setTimeout(() => response.end("one"), 20));
  await using two = await web("two");
  await using made = bench();
  const port = await freePort();
  const snapshot = (timeout: number, ...webs: { readonly port: number }[]) =>
    single(port, [groupOf("g", webs, { healthCheck: patientCheck })], {}, { idleTimeout: timeout });
  await made.balancers.apply(snapshot(60, one, two));
  await made.state(one.port, "healthy");
  await made.state(two.port, "healthy");
  let said = sums(made);
  const running = load(port, { clients: 8, everyMs: 1 });
  for (let i = 1; i <= 4; i++) {
    await pause(150);
    await made.balancers.apply(snapshot(60 + i, one, two));
    if (i % 2) await said.read();
  }
  await made.balancers.apply(snapshot(64, one));
  const reloaded = running.sent();
  await until("it has drained", () => !made.balancers.health().some((each) => each.port === two.port));
  await made.balancers.apply(snapshot(64, one, two));
  await made.state(two.port, "healthy");
  await pause(200);
  await made.balancers.close();
  await pause(200);
  const before = said.total;
  made.again();
  said = sums(made);
  await made.balancers.apply(snapshot(64, one, two));
  await until("more requests after the reloads than in their time", () => running.sent() > 3 * reloaded);
  const { failures } = await running.stop();
  assert.deepEqual(failures, []);
  const sent = running.sent();
  // Kept connections hold an old process; what it carries is in each report.
  await until(`of ${sent}`, async () => before.requests + (await said.read()).requests >= sent, { ms: 30_000 }).catch(() => {});
  await pause(1200);
  await said.read();
  assert.equal(before.requests + said.total.requests, sent);
  assert.equal((before.answers["2XX"] ?? 0) + (said.total.answers["2XX"] ?? 0), sent);
  assert.deepEqual([before.own, said.total.own], [{}, {}]);
  const all = [...before.times, ...said.total.times];
  const timed = all.reduce((sum, [, count]) => sum + count, 0);
  // HAProxy forgets the times of what it carries from the last look before a reload until it ends, and here were six reloads in two seconds.
  assert.ok(timed <= sent && timed > 0.5 * sent, `${timed} of ${sent}`);
  await until("old processes have ended", () => made.balancers.pids().length === 1);
});

test("a network load balancer's flows and bytes", async () => {
  await using one = await web("one", (_, response) => response.end("x".repeat(10_000)));
  await using made = bench();
  const port = await freePort();
  const group = groupOf("g", [one], { protocol: "TCP", healthCheck: { disabled: true } });
  await made.balancers.apply(single(port, [group], { protocol: "TCP" }, { kind: "network" }));
  for (let i = 0; i < 7; i++) await get(port);
  const sum = { flows: 0, bytes: 0, tcp: 0 };
  // A flow's bytes are counted while it runs and when it ends.
  await until("the bytes of all flows", async () => {
    for (const { newConnections, bytes, protocols } of (await made.balancers.traffic()).loadBalancers) {
      sum.flows += newConnections;
      sum.bytes += bytes;
      sum.tcp += protocols?.["TCP"]?.newConnections ?? 0;
    }
    return sum.bytes > 70_000 && sum.flows >= 7 && sum.tcp >= 7;
  });
  await pause(50);
  assert.deepEqual([sum.flows, sum.tcp], [7, 7]);
  assert.ok(sum.bytes < 80_000, `${sum.bytes}`);
});
