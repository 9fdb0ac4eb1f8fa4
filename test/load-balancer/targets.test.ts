/** Targets come, fail, recover and go; no request is lost by it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";
import { load } from "./load.ts";
import { bench, get, groupOf, pause, quickCheck, single, web } from "./support.ts";

test("initial, healthy after one passed check, unhealthy by threshold and matcher, healthy again; AWS's reasons", async () => {
  await using one = await web("one");
  await using two = await web("two");
  await using made = bench();
  const port = await freePort();
  // No check is over before it is to be.
  one.health = two.health = 0;
  const group = groupOf("g", [one, two], { healthCheck: { ...quickCheck, unhealthyThreshold: 6, matcher: "200,205-299" } });
  await made.balancers.apply(single(port, [group]));
  assert.deepEqual(
    made.balancers.health().map(({ state, reason }) => [state, reason]),
    [
      ["initial", "Elb.InitialHealthChecking"],
      ["initial", "Elb.InitialHealthChecking"],
    ],
  );
  assert.equal((await get(port)).status, 503, "nobody is healthy yet, and nobody has failed yet");
  one.answer(500);
  two.answer(200);
  await made.state(two.port, "healthy");
  for (let i = 0; i < 10; i++) assert.equal((await get(port)).body, "two");
  const failed = await made.state(one.port, "unhealthy");
  assert.deepEqual([failed.reason, failed.description], ["Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]"]);
  one.health = 204;
  const checked = one.checks;
  await until("three checks of 204", () => one.checks > checked + 3);
  assert.equal((await made.state(one.port, "unhealthy")).state, "unhealthy", "204 is not among 200,205-299");
  one.health = 206;
  await made.state(one.port, "healthy");
  const before = two.checks;
  two.health = 299;
  await until("three more checks", () => two.checks > before + 3);
  assert.equal((await made.state(two.port, "healthy")).state, "healthy");
  await two.close();
  const gone = await made.state(two.port, "unhealthy");
  assert.equal(gone.reason, "Target.FailedHealthChecks");
  assert.deepEqual(
    made.events.filter((each) => each.port === two.port).map(({ state }) => state),
    ["initial", "healthy", "unhealthy"],
  );
});

test("a check that is not answered in time is Target.Timeout", async () => {
  await using slow = await web("slow");
  slow.server.prependListener("request", (incoming, response) => {
    if (incoming.url === "/never") response.writeHead = () => response;
  });
  slow.server.removeAllListeners("request");
  slow.server.on("request", () => {});
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [slow], { healthCheck: { ...quickCheck, path: "/never", timeout: 0.1 } })]));
  assert.equal((await made.state(slow.port, "unhealthy")).reason, "Target.Timeout");
});

test("fails open: when every target is unhealthy all of them get requests, and only then", async () => {
  await using one = await web("one");
  await using two = await web("two");
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one, two])]));
  await made.state(one.port, "healthy");
  await made.state(two.port, "healthy");
  one.health = 500;
  await made.state(one.port, "unhealthy");
  for (let i = 0; i < 10; i++) assert.equal((await get(port)).body, "two");
  two.health = 500;
  await made.state(two.port, "unhealthy");
  const bodies = new Set<string>();
  for (let i = 0; i < 10; i++) bodies.add((await get(port)).body);
  assert.deepEqual([...bodies].toSorted(), ["one", "two"]);
  one.health = 200;
  await made.state(one.port, "healthy");
  for (let i = 0; i < 10; i++) assert.equal((await get(port)).body, "one");
});

test("a deregistered target gets no new request, ends what it has, and is gone after that", async () => {
  let release: (() => void) | undefined;
  await using one = await web("one", (incoming, response) => {
    if (incoming.url === "/slow") release = () => response.end("late");
    else response.end("one");
  });
  await using two = await web("two");
  await using made = bench();
  const port = await freePort();
  const apply = (webs: readonly { port: number }[]) =>
    made.balancers.apply(single(port, [groupOf("g", webs, { deregistrationDelay: 20 })]));
  await apply([one]);
  await made.state(one.port, "healthy");
  const slow = get(port, "/slow");
  await until("the slow request has arrived", () => release);
  await apply([one, two]);
  await made.state(two.port, "healthy");
  const running = load(port);
  await pause(100);
  await apply([two]);
  const draining = await made.state(one.port, "draining");
  assert.equal(draining.reason, "Target.DeregistrationInProgress");
  // What had been passed on is read by now.
  await pause(200);
  const seen = one.requests.length;
  await pause(1000);
  assert.equal(one.requests.length, seen);
  assert.ok(made.balancers.health().some((each) => each.port === one.port && each.state === "draining"));
  release?.();
  assert.equal((await slow).body, "late");
  // Before the twenty seconds are over.
  const gone = () => made.events.some((each) => each.port === one.port && each.reason === "Target.NotRegistered");
  await until("it is gone", gone, { ms: 15_000 });
  assert.ok(!made.balancers.health().some((each) => each.port === one.port));
  // And back again, as a target of the same address.
  await apply([one, two]);
  await made.state(one.port, "healthy");
  await until("answers enough", () => running.count("two") > 50);
  const { failures } = await running.stop();
  assert.deepEqual(failures, []);
  assert.equal(made.balancers.pids().length, 1, "no reload");
});

test("what still runs when the deregistration delay is over is ended; a target that comes back while it drains serves on", async () => {
  const waiting: (() => void)[] = [];
  await using one = await web("one", (incoming, response) =>
    incoming.url === "/slow" ? waiting.push(() => response.end()) : response.end("one"),
  );
  await using made = bench();
  const port = await freePort();
  const apply = (webs: readonly { port: number }[], deregistrationDelay = 60) =>
    made.balancers.apply(single(port, [groupOf("g", webs, { deregistrationDelay })]));
  await apply([one]);
  await made.state(one.port, "healthy");
  const slow = get(port, "/slow").then(
    ({ status }) => status,
    (error: Error) => error.message,
  );
  await until("arrived", () => waiting.length > 0);
  await apply([]);
  await made.state(one.port, "draining");
  assert.equal((await get(port)).status, 503);
  await apply([one]);
  await made.state(one.port, "healthy");
  assert.equal((await get(port)).body, "one");
  await apply([one], 1);
  await apply([], 1);
  const started = Date.now();
  assert.notEqual(await slow, 200);
  assert.ok(Date.now() - started < 3000);
});

test("a target killed with SIGKILL: out within its thresholds, and nothing but what it had in hand is lost", async () => {
  const script = `
    const server = require("node:http").createServer((request, response) => response.end(request.url === "/health" ? "" : "victim"));
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const victim = { port: Number(line.toString()) };
    await using two = await web("two");
    await using made = bench();
    const port = await freePort();
    await made.balancers.apply(single(port, [groupOf("g", [victim, two])]));
    await made.state(victim.port, "healthy");
    await made.state(two.port, "healthy");
    const running = load(port, { clients: 4 });
    await until("the victim's answers", () => running.count("victim") > 10);
    child.kill("SIGKILL");
    const killed = Date.now();
    await made.state(victim.port, "unhealthy");
    const took = Date.now() - killed;
    await pause(300);
    const { failures } = await running.stop();
    assert.ok(took < 3 * 500 + 400, `three failed checks, half a second apart: ${took} ms`);
    assert.ok(failures.length <= 4, `at most the four in flight: ${failures.join(", ")}`);
  } finally {
    child.kill("SIGKILL");
  }
});

test("sticky cookies: the load balancer's own, and by the application's", async () => {
  await using one = await web("one", (_, response) => response.setHeader("set-cookie", "SESSION=x").end("one"));
  await using two = await web("two", (_, response) => response.setHeader("set-cookie", "SESSION=x").end("two"));
  await using made = bench();
  const port = await freePort();
  const ask = async (cookie?: string) => get(port, "/", { headers: cookie ? { cookie } : {} });
  const cookieOf = (headers: { "set-cookie"?: string[] }, name: string) =>
    headers["set-cookie"]?.find((each) => each.startsWith(`${name}=`))?.split(";")[0];
  await made.balancers.apply(single(port, [groupOf("g", [one, two], { stickiness: { type: "lb_cookie", seconds: 600 } })]));
  await made.state(one.port, "healthy");
  await made.state(two.port, "healthy");
  const first = await ask();
  assert.match(first.headers["set-cookie"]?.find((each) => each.startsWith("AWSALB=")) ?? "", /^AWSALB=t[0-9a-f]+; Expires=.*; Path=\/$/);
  assert.match(cookieOf(first.headers, "AWSALBCORS") ?? "", /^AWSALBCORS=t/);
  const own = cookieOf(first.headers, "AWSALB");
  for (let i = 0; i < 10; i++) assert.equal((await ask(own)).body, first.body);
  const [holder, other] = first.body === "one" ? [one, two] : [two, one];
  holder.health = 500;
  await made.state(holder.port, "unhealthy");
  assert.equal((await ask(own)).body, other.name, "an unhealthy target loses its clients");
  holder.health = 200;
  await made.balancers.apply(
    single(port, [groupOf("g", [one, two], { stickiness: { type: "app_cookie", cookieName: "SESSION", seconds: 600 } })]),
  );
  await made.state(holder.port, "healthy");
  const begun = await ask();
  const pair = `SESSION=x; ${cookieOf(begun.headers, "AWSALBAPP-0")}`;
  for (let i = 0; i < 10; i++) assert.equal((await ask(pair)).body, begun.body);
  const alone = new Set<string>();
  for (let i = 0; i < 10; i++) alone.add((await ask(cookieOf(begun.headers, "AWSALBAPP-0"))).body);
  assert.equal(alone.size, 2, "without the application's cookie it sticks no more");
});

test("slow start: a new target's share grows; least outstanding requests spares the slow one", async () => {
  await using old = await web("old");
  await using fresh = await web("fresh");
  await using made = bench();
  const port = await freePort();
  // Shorter than AWS allows, so that the first target is through with its own.
  const more = { slowStart: 6, algorithm: "round_robin" } as const;
  await made.balancers.apply(single(port, [groupOf("g", [old], more)]));
  await made.state(old.port, "healthy");
  await pause(6600);
  await made.balancers.apply(single(port, [groupOf("g", [old, fresh], more)]));
  await until("its first check", () => fresh.checks > 0, { every: 1 });
  const began = performance.now();
  await made.state(fresh.port, "healthy");
  const asked = { old: 0, fresh: 0 };
  // As many as are answered in the first third of its time, on a busy machine fewer.
  for (let i = 0; i < 60; i++) {
    const { body } = await get(port);
    if (performance.now() - began < 2000) asked[body as "old" | "fresh"]++;
  }
  assert.ok(3 * asked.fresh <= asked.old + asked.fresh, `far fewer than half: ${JSON.stringify(asked)}`);
  const late: (() => void)[] = [];
  await using slow = await web("slow", (_, response) => late.push(() => response.end("slow")));
  await made.balancers.apply(single(port, [groupOf("h", [old, slow], { algorithm: "least_outstanding_requests" })]));
  await made.state(slow.port, "healthy");
  await made.state(old.port, "healthy");
  const running = load(port, { clients: 4, everyMs: 1 });
  // It answers nothing: were they asked in turn, all four clients would soon wait for it.
  await until("the other's answers", () => running.count("old") > 100);
  assert.ok(late.length <= 3, `${late.length}`);
  const stopped = running.stop();
  const release = setInterval(() => late.splice(0).forEach((answer) => answer()), 20);
  await stopped;
  clearInterval(release);
});

test("a group that no listener uses is unused, and its targets are not checked", async () => {
  await using one = await web("one");
  await using idle = await web("idle");
  await using made = bench();
  const port = await freePort();
  await made.balancers.apply(single(port, [groupOf("g", [one]), groupOf("idle", [idle])]));
  await made.state(one.port, "healthy");
  assert.deepEqual(
    made.balancers.health().find((each) => each.port === idle.port),
    {
      targetGroupId: "idle",
      address: "127.0.0.1",
      port: idle.port,
      state: "unused",
      reason: "Target.NotInUse",
      description: "Target group is not configured to receive traffic from the load balancer",
    },
  );
  assert.equal(idle.checks, 0);
});
