import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupProcesses } from "#agent/cgroups/cgroups.ts";
import { type ContainerSpec, RuntimeError, type Image } from "#agent/runtime.ts";
import { findRunsc, RunscMissing } from "#agent/sandbox/runsc.ts";
import { loopsOf } from "#agent/storage/mounts.ts";
import { createTaskStorage } from "#agent/storage/storage.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { eventually, until } from "../support/until.ts";
import { type Machine, patienceMs } from "./support/machine.ts";
import { mountsBelow } from "./support/mounts.ts";
import { nothingLeft, openSandboxMachine, SandboxTask } from "./support/sandbox.ts";

/** Whatever is killed, what runs in sandboxes is found again, and what does not run is removed whole. */
let machine: Machine;
let busybox: Image;
let close: () => Promise<void>;

before(async () => {
  ({ machine, busybox, close } = await openSandboxMachine());
});

afterEach(() => nothingLeft(machine));

after(() => close());

const task = async () => {
  const made = new SandboxTask(machine);
  await made.open();
  return made;
};

test("the agent killed: sandboxes run on, and another finds what ended meanwhile", async () => {
  const one = await task();
  const specs: ContainerSpec[] = [];
  for (const script of ["exit 5", "sleep 0.3; exit 6", "sleep 100"]) specs.push(await one.spec(busybox, script));
  const program = `
    import { createContainerdRuntime } from "#agent/containerd/runtime.ts";
    import { systemClock } from "#platform/clock.ts";
    import { silentLogger } from "#platform/log.ts";
    const { specs, options } = JSON.parse(process.env.INPUT);
    const runtime = await createContainerdRuntime({ ...options, clock: systemClock, log: silentLogger });
    for (const spec of specs) { await runtime.create(spec); await runtime.start(spec.id); runtime.wait(spec.id); }
    process.kill(process.pid, "SIGKILL");`;
  const { clock: _, log: __, ...options } = machine.options;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: join(import.meta.dirname, "../.."),
    env: { ...process.env, INPUT: JSON.stringify({ specs, options }) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  await eventually("two have ended", async () => {
    const states = new Map((await machine.runtime.list()).map(({ id, state }) => [id, state]));
    assert.deepEqual(
      [one.sandbox, ...specs.map(({ id }) => id)].map((id) => states.get(id)),
      ["running", "stopped", "stopped", "running"],
    );
  });
  const exits = [await machine.runtime.wait(specs[0]!.id), await machine.runtime.wait(specs[1]!.id)];
  assert.deepEqual(
    exits.map(({ exitCode }) => exitCode),
    [5, 6],
  );
  assert.equal((await machine.runtime.exec(specs[2]!.id, { args: ["echo", "on"], timeoutMs: patienceMs })).output, "on\n");
  // Asked for again, it is the same sandbox.
  const before = (await machine.runtime.list()).find(({ id }) => id === one.sandbox)?.pid;
  await one.openSandbox();
  assert.equal((await machine.runtime.list()).find(({ id }) => id === one.sandbox)?.pid, before);
  await one.close(specs);
});

test("the agent killed between a sandbox's creation and its start", async () => {
  const one = await task();
  await machine.runtime.remove(one.sandbox);
  const program = `
    import { connectContainerd } from "#agent/containerd/client.ts";
    import { createContainerdRuntime } from "#agent/containerd/runtime.ts";
    import { systemClock } from "#platform/clock.ts";
    import { silentLogger } from "#platform/log.ts";
    const { spec, options } = JSON.parse(process.env.INPUT);
    const runtime = await createContainerdRuntime({ ...options, clock: systemClock, log: silentLogger });
    void runtime.openSandbox(spec).catch(() => {});
    const client = connectContainerd({ socket: options.socket, namespace: options.namespace, snapshotter: "overlayfs" });
    for (;;) {
      const found = await client.tasks.get({ containerId: spec.id }).catch(() => undefined);
      if (found) process.kill(process.pid, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }`;
  const { clock: _, log: __, ...options } = machine.options;
  const spec = {
    id: one.sandbox,
    labels: {},
    hostname: "task",
    cgroupParent: one.cgroupParent,
    network: { namespace: `/run/netns/${one.namespace}` },
    group: one.name,
    runtime: { name: "runsc" },
  };
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: join(import.meta.dirname, "../.."),
    env: { ...process.env, INPUT: JSON.stringify({ spec, options }) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await once(child, "exit");
  // Less than an agent needs to come back; containerd takes back what was being made.
  await delay(500);
  await one.openSandbox();
  assert.equal((await one.run(busybox, "exit 8")).exitCode, 8);
  await one.close();
});

test("containerd killed: a wait goes on when it is back, and gives what happened meanwhile", async () => {
  const one = await task();
  const ends = await one.start(busybox, "sleep 0.5; exit 11");
  const stays = await one.start(busybox, "sleep 100");
  const waiting = machine.runtime.wait(ends.id);
  await machine.restartContainerd("SIGKILL", 700);
  assert.equal((await waiting).exitCode, 11);
  assert.equal((await machine.runtime.exec(stays.id, { args: ["echo", "on"], timeoutMs: patienceMs })).output, "on\n");
  await one.close([ends, stays]);
});

test("a shim killed: the waits end, and sandbox, file servers and keepers go with their removal", async () => {
  const one = await task();
  const specs = [await one.start(busybox, "sleep 100"), await one.start(busybox, "sleep 100")];
  const waiting = specs.map(({ id }) => machine.runtime.wait(id, AbortSignal.timeout(patienceMs)));
  const [shim] = await machine.shims();
  process.kill(shim!, "SIGKILL");
  for (const exit of await Promise.all(waiting)) assert.ok([137, 255].includes(exit.exitCode), `${exit.exitCode}`);
  await one.close(specs);
});

test("a sandbox that cannot start leaves nothing, and says why", async () => {
  const one = await task();
  await machine.runtime.remove(one.sandbox);
  const open = machine.runtime.openSandbox({
    id: one.sandbox,
    labels: {},
    hostname: "task",
    cgroupParent: one.cgroupParent,
    network: { namespace: "/run/netns/there-is-none" },
    group: one.name,
    runtime: { name: "runsc" },
  });
  await assert.rejects(open, (error: Error) => {
    assert.ok(error instanceof RuntimeError && error.code === "CannotCreate", String(error));
    assert.match(error.message, /sandbox: .*there-is-none.*no such file/);
    return true;
  });
  assert.deepEqual(await cgroupProcesses(one.cgroupParent), []);
  assert.deepEqual(await machine.runtime.list(), []);
  await one.openSandbox();
  await one.close();
});

test("gVisor is looked for, and its absence explained", async () => {
  await assert.rejects(findRunsc(undefined, "/nowhere", []), (error: Error) => {
    assert.ok(error instanceof RunscMissing);
    assert.match(error.message, /apt-get install runsc.*GANTRY_FARGATE_RUNTIME=runc/);
    return true;
  });
  const found = await findRunsc();
  assert.match(found.path, /\/runsc$/);
  assert.ok(["ptrace", "systrap"].includes(found.platform));
  assert.equal((await findRunsc("kvm")).platform, "kvm");
});

test("disks of tasks: found again after a crash, removed when nobody knows them, none left by a tear-down", async () => {
  const { home } = machine;
  const program = `
    import { createTaskStorage } from "#agent/storage/storage.ts";
    import { systemClock } from "#platform/clock.ts";
    import { silentLogger } from "#platform/log.ts";
    const storage = createTaskStorage({ home: process.env.AT, clock: systemClock, log: silentLogger });
    await Promise.all(["kept", "lost"].map((task) => storage.ensure(task, 2)));
    storage.ensure("half", 2).catch(() => {});
    setTimeout(() => process.kill(process.pid, "SIGKILL"), 15);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    cwd: join(import.meta.dirname, "../.."),
    env: { ...process.env, AT: home },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await once(child, "exit");
  // What it had begun goes on without it, for as long as it takes: an agent needs longer to come back.
  await until(
    "mkfs, mount and the like have ended",
    () => !execFileSync("ps", ["axo", "args"], { encoding: "utf8" }).includes(`${home}/storage`),
  );
  const storage = createTaskStorage({ home, clock: systemClock, log: silentLogger });
  await storage.reconcile(new Set(["kept"]));
  assert.deepEqual(await readdir(join(home, "storage", "tasks")), ["kept"]);
  const kept = await storage.ensure("kept", 2);
  assert.deepEqual(await mountsBelow(join(home, "storage")), [kept]);
  assert.deepEqual(await loopsOf(`${home}/`), await loopsOf(`${kept}.img`));
  assert.match(readFileSync("/proc/self/mountinfo", "utf8"), new RegExp(` ${kept} .* ext4 `));
  const more = await Promise.all(Array.from({ length: 8 }, (_, at) => storage.ensure(`t${at}`, 2)));
  assert.equal(new Set(more).size, 8);
  await storage.tearDown();
  assert.deepEqual(await mountsBelow(join(home, "storage")), []);
  assert.deepEqual(await loopsOf(`${home}/`), []);
  await assert.rejects(readdir(join(home, "storage")), { code: "ENOENT" });
});
