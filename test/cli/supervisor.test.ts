/** The supervisor with real processes and real signals; small scripts stand where containerd, server and agent would. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { isAlive, nameProcess } from "#cli/processes.ts";
import { readState, runningState, type SupervisorState } from "#cli/supervisor.ts";
import { until } from "../support/until.ts";

const program = new URL("supervised.ts", import.meta.url).pathname;
const steady = 'touch "$0"; exec sleep 600';

class Supervised {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  text = "";
  constructor(home: string, scripts: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.process = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, home, ...scripts], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.process.stdout?.on("data", (data: Buffer) => (this.text += data.toString()));
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
  }
  async says(wanted: RegExp): Promise<void> {
    await until(`${wanted}`, () => wanted.test(this.text), { seen: () => this.text });
  }
}

async function newHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "gantry-supervisor-"));
  t.after(async () => {
    // Whatever a failed test left: by number and start time.
    const state = readState(home);
    for (const each of state ? [state.supervisor, ...Object.values(state.children).map(({ process: child }) => child)] : [])
      if (each && isAlive(each)) process.kill(each.pid, "SIGKILL");
    await rm(home, { recursive: true, force: true });
  });
  return home;
}

const child = (home: string, name: string) => (readState(home) as SupervisorState).children[name]!;

test("parts start in order, what is killed starts again, SIGTERM stops all in the opposite order", async (t) => {
  const home = await newHome(t);
  const order = (name: string) =>
    `trap 'echo stop ${name} >>${home}/order; exit 0' TERM; echo start ${name} >>${home}/order; touch "$0"; while :; do sleep 0.05; done`;
  const supervised = new Supervised(home, [`one=${order("one")}`, `two=${order("two")}`]);
  await supervised.says(/READY/);
  assert.equal(runningState(home)?.phase, "running");
  const first = child(home, "two").process!;
  process.kill(first.pid, "SIGKILL");
  await supervised.says(/two was ended by SIGKILL, starting it again at once/);
  const anew = () => child(home, "two").ready && child(home, "two").process?.pid !== first.pid;
  await until("another, and ready", anew, { seen: () => JSON.stringify(readState(home)) });
  // What says that it is ready is there from its first start: its own word is that it has come so far.
  const words = async () => (await readFile(join(home, "order"), "utf8")).trim().split("\n");
  await until("its word", async () => (await words()).length >= 3);
  assert.equal(child(home, "two").restarts, 1);
  assert.match(child(home, "two").lastEnd?.reason ?? "", /SIGKILL/);
  assert.equal(child(home, "one").restarts, 0);
  supervised.process.kill("SIGTERM");
  assert.equal(await supervised.ended, 0);
  assert.equal(readState(home)?.phase, "stopped");
  assert.deepEqual(await words(), ["start one", "start two", "start two", "stop two", "stop one"]);
});

test("one supervisor for a home: a second one is told so and touches nothing", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, [`one=${steady}`]);
  await supervised.says(/READY/);
  const { process: one } = child(home, "one");
  const second = new Supervised(home, [`one=${steady}`]);
  assert.equal(await second.ended, 1);
  assert.match(second.text, /FAILED another supervisor runs on/);
  assert.ok(isAlive(one!));
  assert.equal(runningState(home)?.supervisor.pid, supervised.process.pid);
  supervised.process.kill("SIGTERM");
  await supervised.ended;
});

test("a supervisor killed with SIGKILL: the next one ends what it left, by number and start time, and starts anew", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, [`one=${steady}`, `two=${steady}`]);
  await supervised.says(/READY/);
  const left = ["one", "two"].map((name) => child(home, name).process!);
  supervised.process.kill("SIGKILL");
  await supervised.ended;
  assert.ok(left.every(isAlive), "they run on");
  assert.equal(runningState(home), undefined);
  const next = new Supervised(home, [`one=${steady}`, `two=${steady}`]);
  await next.says(/READY/);
  assert.match(next.text, /ending the two that a killed supervisor left behind \(pid \d+\)\nending the one/);
  assert.ok(!left.some(isAlive));
  next.process.kill("SIGTERM");
  await next.ended;
});

test("a process that got a dead child's number is left alone", async (t) => {
  const home = await newHome(t);
  const innocent = spawn("sleep", ["600"], { stdio: "ignore" });
  t.after(() => innocent.kill("SIGKILL"));
  const dead = { pid: innocent.pid!, started: "1" };
  const state = { supervisor: dead, phase: "running", children: { one: { process: dead, ready: true, restarts: 0 } } };
  await writeFile(join(home, "supervisor.json"), JSON.stringify(state));
  const supervised = new Supervised(home, [`one=${steady}`]);
  await supervised.says(/READY/);
  assert.ok(isAlive(nameProcess(innocent.pid!)));
  assert.doesNotMatch(supervised.text, /left behind/);
  supervised.process.kill("SIGTERM");
  await supervised.ended;
});

test("a part that dies again and again: the start fails with its exit code and last words, the others are stopped", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, [`one=${steady}`, "two=echo the disk is made of cheese >&2; exit 3"]);
  await supervised.says(/one is ready/);
  const { process: one } = child(home, "one");
  assert.equal(await supervised.ended, 1);
  assert.match(supervised.text, /FAILED two ended with exit code 3\n\s+the disk is made of cheese/);
  assert.match(readState(home)?.failure ?? "", /cheese/);
  assert.equal(readState(home)?.phase, "failed");
  assert.ok(!isAlive(one!));
});

test("a part that is never ready: the start fails and says what it was waiting for", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, ["one=echo hm; exec sleep 600"], { SUPERVISED_READY_MS: "5000" });
  assert.equal(await supervised.ended, 1);
  assert.match(supervised.text, /FAILED one was not ready within 5 s: one has not made its file\n\s+hm/);
});

test("SIGTERM while a part is still starting stops at once", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, [`one=${steady}`, "two=exec sleep 600"]);
  await supervised.says(/starting two/);
  await until("its process", () => child(home, "two").process !== undefined, { seen: () => supervised.text });
  const began = Date.now();
  supervised.process.kill("SIGTERM");
  assert.equal(await supervised.ended, 0);
  // A minute is what it may take to be ready, and half of one to end.
  assert.ok(Date.now() - began < 2000);
});

test("a part that does not mind SIGTERM is killed after its grace", async (t) => {
  const home = await newHome(t);
  const supervised = new Supervised(home, [`one=trap '' TERM; touch "$0"; while :; do sleep 0.05; done`], { SUPERVISED_GRACE_MS: "1000" });
  await supervised.says(/READY/);
  const { process: one } = child(home, "one");
  supervised.process.kill("SIGTERM");
  assert.equal(await supervised.ended, 0);
  assert.ok(!isAlive(one!));
});
