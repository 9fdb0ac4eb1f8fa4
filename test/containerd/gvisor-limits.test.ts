import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
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
import type { Machine } from "./support/machine.ts";
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
  const [first, second] = await Promise.all([hog, beside].map(({ id }) => machine.runtime.wait(id, AbortSignal.timeout(20_000))));
  assert.deepEqual([first?.exitCode, first?.outOfMemory], [137, true]);
  assert.deepEqual([second?.exitCode, second?.outOfMemory], [137, true]);
  assert.equal((await machine.runtime.exec(bystander.id, { args: ["echo", "on"], timeoutMs: 5000 })).output, "on\n");
  const stats = await machine.runtime.stats(bystander.id);
  assert.equal(stats?.memoryLimitBytes, 96 * 1024 * 1024);
  await greedy.close([hog, beside]);
  await quiet.close([bystander]);
});

test("the sandbox killed: its containers are reported, and can be made anew in another", async () => {
  const one = await task();
  const specs = [await one.start(busybox, "sleep 100"), await one.start(busybox, "sleep 100")];
  const waiting = specs.map(({ id }) => machine.runtime.wait(id, AbortSignal.timeout(5000)));
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
  const current = () => Number(readFileSync(join(directoryOf(hierarchy, "pids", bomb.cgroupParent)!, "pids.current"), "utf8"));
  const spec = await bomb.start(busybox, "bomb() { bomb | bomb & }; while true; do bomb; sleep 0.05; done");
  let most = 0;
  // At least two and a half seconds, and until it has begun to be one.
  const began = Date.now();
  for (let now = began; now < began + 2_500 || (most <= 40 && now < began + 20_000); now = Date.now()) {
    most = Math.max(most, current());
    await delay(25);
  }
  assert.ok(most <= 100 && most > 40, `${most} processes`);
  assert.equal((await machine.runtime.exec(bystander.id, { args: ["echo", "on"], timeoutMs: 5000 })).output, "on\n");
  const ended = machine.runtime.wait(spec.id, AbortSignal.timeout(10_000));
  await machine.runtime.kill(spec.id, 9, true);
  await ended;
  await bomb.close([spec]);
  await quiet.close([bystander]);
  assert.deepEqual(await cgroupProcesses(bomb.cgroupParent), []);
});

test("CPU: the sandbox and all in it have the task's share together", async () => {
  const one = await task({ cpuLimit: 0.25 });
  const specs = [await one.start(busybox, "while true; do :; done"), await one.start(busybox, "while true; do :; done")];
  const usage = async () => (await machine.runtime.stats(specs[0]!.id))!.cpuNanoseconds;
  const [before, began] = [await usage(), performance.now()];
  await delay(1500);
  const share = ((await usage()) - before) / 1e6 / (performance.now() - began);
  assert.ok(share > 0.1 && share < 0.33, `${share} of a core`);
  await one.close(specs);
});

for (const runtime of ["runsc", "runc"]) {
  test(`a disk filler gets ENOSPC, its machine keeps its room, and the room comes back: ${runtime}`, async () => {
    const free = () => statfsSync(machine.home).bavail * statfsSync(machine.home).bsize;
    const disk = await storage.ensure("filler", 1);
    await mkdir(join(disk, "volumes", "v"), { recursive: true });
    const one = await task();
    const changes = {
      writableDirectory: join(disk, "containers"),
      mounts: [{ source: join(disk, "volumes", "v"), target: "/volume", readOnly: false }],
      ...(runtime === "runc" ? { runtime: { name: "runc" }, sandbox: undefined } : {}),
    };
    const before = free();
    // Most of it, without writing it.
    assert.equal(spawnSync("fallocate", ["-l", "800M", join(disk, "volumes", "v", "most")]).status, 0);
    const filler = await one.run(
      busybox,
      "dd if=/dev/zero of=/tmp/rest bs=1M count=700; echo code $?; rm /volume/most; echo x >/again && cat /again",
      changes,
    );
    assert.match(filler.stdout, /code 1\nx\n$/);
    assert.match(filler.stderr, /No space left on device/);
    assert.ok(before - free() < 1.1 * 2 ** 30);
    assert.equal((await one.run(busybox, "cat /again || ls /volume", changes)).stdout, "");
    await one.close();
    await storage.remove("filler");
    assert.ok(before - free() < 64 * 2 ** 20, "the room is back");
  });
}
