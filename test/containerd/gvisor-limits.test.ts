import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupProcesses } from "#agent/cgroups/cgroups.ts";
import { detectHierarchy, directoryOf } from "#agent/cgroups/hierarchy.ts";
import type { Image } from "#agent/runtime.ts";
import { createTaskStorage, type TaskStorage } from "#agent/storage/storage.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { loopsOf } from "#agent/storage/mounts.ts";
import { until } from "../support/until.ts";
import { type Machine, patienceMs } from "./support/machine.ts";
import { nothingLeft, openSandboxMachine, SandboxTask } from "./support/sandbox.ts";

/** A task that takes all it can get hurts itself only. */
let machine: Machine;
let busybox: Image;
let close: () => Promise<void>;
let storage: TaskStorage;

before(async () => {
  ({ machine, busybox, close } = await openSandboxMachine());
  storage = createTaskStorage({ home: machine.home, clock: systemClock, log: silentLogger });
});

afterEach(async () => {
  await storage.tearDown();
  storage = createTaskStorage({ home: machine.home, clock: systemClock, log: silentLogger });
  await nothingLeft(machine);
});

after(() => close());

const task = async (limits: ConstructorParameters<typeof SandboxTask>[1] = {}) => {
  const made = new SandboxTask(machine, limits);
  await made.open();
  return made;
};

test("out of memory: the whole task ends, with 137 and the reason; another lives on", async () => {
  const [greedy, quiet] = [await task({ memoryMiB: 96 }), await task({ memoryMiB: 96 })];
  const bystander = await quiet.start(busybox, "sleep 100");
  const beside = await greedy.start(busybox, "sleep 100");
  const hog = await greedy.start(busybox, "exec tail /dev/zero");
  const [first, second] = await Promise.all([hog, beside].map(({ id }) => machine.runtime.wait(id, AbortSignal.timeout(patienceMs))));
  assert.deepEqual([first?.exitCode, first?.outOfMemory], [137, true]);
  assert.deepEqual([second?.exitCode, second?.outOfMemory], [137, true]);
  assert.equal((await machine.runtime.exec(bystander.id, { args: ["echo", "on"], timeoutMs: patienceMs })).output, "on\n");
  const stats = await machine.runtime.stats(bystander.id);
  assert.equal(stats?.memoryLimitBytes, 96 * 1024 * 1024);
  await greedy.close([hog, beside]);
  await quiet.close([bystander]);
});

test("the sandbox killed: its containers are reported, and can be made anew in another", async () => {
  const one = await task();
  const specs = [await one.start(busybox, "sleep 100"), await one.start(busybox, "sleep 100")];
  const waiting = specs.map(({ id }) => machine.runtime.wait(id, AbortSignal.timeout(patienceMs)));
  const pid = (await machine.runtime.list()).find(({ id }) => id === one.sandbox)!.pid;
  process.kill(pid, "SIGKILL");
  for (const exit of await Promise.all(waiting)) assert.deepEqual([exit.exitCode, exit.outOfMemory], [137, false]);
  await assert.rejects(machine.runtime.create(await one.spec(busybox, "exit 0", { id: "late" })), { code: "CannotStart" });
  for (const { id } of specs) await machine.runtime.remove(id);
  await one.openSandbox();
  assert.equal((await one.run(busybox, "exit 6")).exitCode, 6);
  await one.close();
});

test("a fork bomb is bounded by the task's limit of processes", async () => {
  const [bomb, quiet] = [await task({ memoryMiB: 256, pids: 100 }), await task()];
  const bystander = await quiet.start(busybox, "sleep 100");
  const hierarchy = detectHierarchy();
  const group = directoryOf(hierarchy, "pids", bomb.cgroupParent)!;
  const read = (file: string) => (existsSync(join(group, file)) ? readFileSync(join(group, file), "utf8") : "");
  // The kernel remembers the most there were, newer ones for sure: gVisor may give up when it gets no more threads, sooner than one looks.
  const seen = () => Math.max(Number(read("pids.current")), Number(read("pids.peak")), /max [1-9]/.test(read("pids.events")) ? 100 : 0);
  const spec = await bomb.start(busybox, "bomb() { bomb | bomb & }; while true; do bomb; sleep 0.05; done");
  let most = 0;
  await until("it is a bomb", () => (most = Math.max(most, seen())) > 40, { every: 1 });
  // It goes on for two seconds and a half, or for as long as it lives.
  for (const end = Date.now() + 2_500; Date.now() < end; await delay(25)) most = Math.max(most, seen());
  assert.ok(most <= 100 && most > 40, `${most} processes`);
  assert.equal((await machine.runtime.exec(bystander.id, { args: ["echo", "on"], timeoutMs: patienceMs })).output, "on\n");
  const ended = machine.runtime.wait(spec.id, AbortSignal.timeout(patienceMs));
  await machine.runtime.kill(spec.id, 9, true);
  await ended;
  await bomb.close([spec]);
  await quiet.close([bystander]);
  assert.deepEqual(await cgroupProcesses(bomb.cgroupParent), []);
});

test("CPU: the sandbox and all in it have the task's share together", async () => {
  const one = await task({ cpuLimit: 0.25 });
  const specs = [await one.start(busybox, "while true; do :; done"), await one.start(busybox, "while true; do :; done")];
  const usedMs = async () => (await machine.runtime.stats(specs[0]!.id))!.cpuNanoseconds / 1e6;
  // The clock is read around what it measures: a pause of this process makes the share smaller, never greater.
  const began = performance.now();
  const before = await usedMs();
  await delay(1500);
  // A busy machine may give them less than theirs.
  const used = await until("they have had a tenth of a core for a second and a half", async () => {
    const now = (await usedMs()) - before;
    return now > 150 ? now : undefined;
  });
  const share = used / (performance.now() - began);
  assert.ok(share < 0.33, `${share} of a core`);
  await one.close(specs);
});

for (const runtime of ["runsc", "runc"]) {
  test(`a disk filler gets ENOSPC, its machine keeps its room, and the room comes back: ${runtime}`, async () => {
    const disk = await storage.ensure("filler", 1);
    // Of the machine's room: what its file takes. Others fill and empty the machine's disk meanwhile.
    const taken = () => statSync(`${disk}.img`).blocks * 512;
    await mkdir(join(disk, "volumes", "v"), { recursive: true });
    const one = await task();
    const changes = {
      writableDirectory: join(disk, "containers"),
      mounts: [{ source: join(disk, "volumes", "v"), target: "/volume", readOnly: false }],
      ...(runtime === "runc" ? { runtime: { name: "runc" }, sandbox: undefined } : {}),
    };
    // Most of it, without writing it.
    assert.equal(spawnSync("fallocate", ["-l", "800M", join(disk, "volumes", "v", "most")]).status, 0);
    const filler = await one.run(
      busybox,
      "dd if=/dev/zero of=/tmp/rest bs=1M count=700; echo code $?; rm /volume/most; echo x >/again && cat /again",
      changes,
    );
    assert.match(filler.stdout, /code 1\nx\n$/);
    assert.match(filler.stderr, /No space left on device/);
    assert.ok(taken() < 1.1 * 2 ** 30, `${taken()} bytes`);
    assert.equal((await one.run(busybox, "cat /again || ls /volume", changes)).stdout, "");
    await one.close();
    await storage.remove("filler");
    assert.ok(!existsSync(`${disk}.img`));
    // A file that was removed takes its room until the last who has it open.
    await until("the room is back", async () => (await loopsOf(`${machine.home}/`)).length === 0);
  });
}
