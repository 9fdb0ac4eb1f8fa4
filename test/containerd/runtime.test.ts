import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupProcesses, createTaskCgroup, removeTaskCgroup } from "#agent/cgroups/cgroups.ts";
import { detectHierarchy, directoryOf } from "#agent/cgroups/hierarchy.ts";
import { punch } from "#agent/logs/trim.ts";
import { type ContainerSpec, RuntimeError, type Image } from "#agent/runtime.ts";
import { busyboxLayer, image, layer, tar } from "./support/image.ts";
import { eventually, until } from "../support/until.ts";
import { execUntil } from "./support/exec.ts";
import { Machine, patienceMs } from "./support/machine.ts";
import { startRegistry, type RealRegistry } from "./support/registry.ts";

let machine: Machine;
let registry: RealRegistry;
let busybox: Image;

before(async () => {
  machine = await Machine.start();
  registry = await startRegistry(join(machine.home, "registry"));
  await registry.push("busybox", "1", image([await busyboxLayer()], { config: { Cmd: ["sh"], Env: ["A=image", "B=image"] } }));
  busybox = await ensure("busybox:1");
});

afterEach(() => machine.nothingLeft());

after(async () => {
  await machine.stop();
  await registry.stop();
});

const ensure = (name: string) => machine.runtime.images.ensure({ image: `${registry.host}/${name}`, policy: "prefer-cached" });
const shell = (script: string, changes: Parameters<Machine["run"]>[2] = {}) => machine.run(busybox, ["sh", "-c", script], changes);

async function started(script: string, changes: Parameters<Machine["spec"]>[1] = {}) {
  const spec = await machine.spec(busybox, { command: ["sh", "-c", script], ...changes });
  await machine.runtime.create(spec);
  await machine.runtime.start(spec.id);
  return spec;
}

test("a process runs to its exit code, each stream in its own file", async () => {
  const begin = Date.now();
  const result = await shell("echo out; echo err >&2; exit 3");
  assert.equal(result.exitCode, 3);
  assert.equal(result.stdout, "out\n");
  assert.equal(result.stderr, "err\n");
  assert.equal(result.outOfMemory, false);
  assert.ok(result.exitedAt >= begin - 50 && result.exitedAt <= Date.now() + 50);
});

test("the container's environment wins over the image's; PATH, HOSTNAME and HOME are there", async () => {
  const { stdout } = await shell("env", { environment: { B: "own", C: "x=y" }, hostname: "box" });
  const env = new Set(stdout.trim().split("\n"));
  for (const entry of ["A=image", "B=own", "C=x=y", "HOME=/root"]) assert.ok(env.has(entry), entry);
  assert.ok([...env].some((entry) => entry.startsWith("PATH=/usr/local/sbin:")));
  assert.ok([...env].some((entry) => entry.startsWith("HOSTNAME=")));
});

test("an entry point drops the image's command; a working directory that is missing is made", async () => {
  const base = await busyboxLayer();
  await registry.push(
    "entry",
    "1",
    image([base], { config: { Entrypoint: ["echo", "image"], Cmd: ["default"], WorkingDir: "/made/here" } }),
  );
  const entry = await ensure("entry:1");
  const outputs = await Promise.all([
    machine.run(entry, undefined as never, { command: undefined }),
    machine.run(entry, ["mine"]),
    machine.run(entry, undefined as never, { command: undefined, entryPoint: ["sh", "-c", "pwd"] }),
  ]);
  assert.deepEqual(
    outputs.map((output) => output.stdout),
    ["image default\n", "image mine\n", "/made/here\n"],
  );
});

test("users come from the image's passwd and group, with their groups; numbers need no entry", async () => {
  const cases: Record<string, string> = {
    app: "uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)",
    "1000": "uid=1000(app) gid=1001(app) groups=1001(app),2000(extra)",
    "app:extra": "uid=1000(app) gid=2000(extra)",
    "4321:77": "uid=4321 gid=77",
    "4321": "uid=4321 gid=0(root)",
  };
  for (const [user, expected] of Object.entries(cases)) {
    const { stdout } = await shell("id", { user });
    assert.ok(stdout.startsWith(expected), `${user}: ${stdout}`);
  }
});

test("an image whose passwd is a link to the machine's finds the image's own file only", async () => {
  const evil = layer(
    await tar([
      { name: "etc/passwd", type: "symlink", linkname: "../../../../../../etc/shadow" },
      { name: "etc/group", type: "symlink", linkname: "/proc/self/environ" },
    ]),
  );
  await registry.push("evil", "1", image([await busyboxLayer(), evil]));
  const linked = await ensure("evil:1");
  await assert.rejects(machine.run(linked, ["id"], { user: "daemon" }), /unable to find user daemon: no matching entries in passwd file/);
});

test("an unknown user, command, capability and working directory on a file are refused in Docker's words", async () => {
  const attempt = (changes: Parameters<Machine["spec"]>[1]) =>
    machine.spec(busybox, { command: ["id"], ...changes }).then((spec) => machine.runtime.create(spec));
  const refused = (code: string, pattern: RegExp) => (error: unknown) => {
    assert.ok(error instanceof RuntimeError);
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
  await assert.rejects(
    attempt({ user: "nobody-here" }),
    refused("CannotStart", /^unable to find user nobody-here: no matching entries in passwd file$/),
  );
  await assert.rejects(
    attempt({ user: "app:nogroup" }),
    refused("CannotStart", /^unable to find group nogroup: no matching entries in group file$/),
  );
  await assert.rejects(
    attempt({ command: ["no-such-program"] }),
    refused(
      "CannotStart",
      /^failed to create task for container: .*runc create failed: .*exec: "no-such-program": executable file not found in \$PATH/,
    ),
  );
  await assert.rejects(attempt({ capabilities: { add: ["FLY"], drop: [] } }), refused("CannotCreate", /invalid capability: "FLY"/));
  await assert.rejects(attempt({ workingDirectory: "/etc/passwd" }), refused("CannotStart", /not a directory/));
  await assert.rejects(
    attempt({ mounts: [{ source: "/no/such/path", target: "/x", readOnly: false }] }),
    refused("CannotStart", /no such file/),
  );
});

test("signals: one that is caught, one that is not, one to a process that has ended", async () => {
  const caught = await started('trap "echo bye; exit 7" TERM; echo up; while true; do sleep 0.05; done');
  await until("the trap stands", () => readFileSync(caught.stdout, "utf8").includes("up"));
  await machine.runtime.kill(caught.id, 15);
  assert.equal((await machine.runtime.wait(caught.id)).exitCode, 7);
  await machine.runtime.kill(caught.id, 15);
  await machine.runtime.remove(caught.id);
  assert.equal(readFileSync(caught.stdout, "utf8"), "up\nbye\n");

  const hard = await started("sleep 100");
  await machine.runtime.kill(hard.id, 9, true);
  assert.equal((await machine.runtime.wait(hard.id)).exitCode, 137);
  await machine.runtime.remove(hard.id);
  await machine.runtime.remove(hard.id);
  await machine.runtime.kill(hard.id, 9);
  await assert.rejects(machine.runtime.wait(hard.id), { code: "NotFound" });
});

test("out of memory: the first process, a child that the first survives, and at the task's limit", async () => {
  const whole = await shell("exec tail /dev/zero", { memoryMiB: 16 });
  assert.deepEqual([whole.exitCode, whole.outOfMemory], [137, true]);
  const child = await shell("tail /dev/zero; exit 0", { memoryMiB: 16 });
  assert.deepEqual([child.exitCode, child.outOfMemory], [0, true]);
  const cgroupParent = `${machine.instance}/small`;
  await createTaskCgroup({ parent: cgroupParent, memoryMiB: 16, cpuLimit: 0.5 });
  const task = await machine.spec(busybox, { command: ["tail", "/dev/zero"], cgroupParent });
  await createTaskCgroup({ parent: cgroupParent, memoryMiB: 16, cpuLimit: 0.5 });
  await machine.runtime.create(task);
  await machine.runtime.start(task.id);
  const exit = await machine.runtime.wait(task.id);
  assert.deepEqual([exit.exitCode, exit.outOfMemory], [137, true]);
  await machine.runtime.remove(task.id);
  await removeTaskCgroup(cgroupParent);
  assert.deepEqual(await cgroupProcesses(cgroupParent), []);
});

test("CPU shares and limits stand in the kernel", async () => {
  const cgroupParent = `${machine.instance}/half`;
  const spec = await machine.spec(busybox, {
    command: ["sleep", "100"],
    cgroupParent,
    cpuShares: 512,
    memoryMiB: 64,
    memoryReservationMiB: 32,
  });
  await createTaskCgroup({ parent: cgroupParent, cpuLimit: 0.5 });
  await machine.runtime.create(spec);
  const hierarchy = detectHierarchy();
  const value = (controller: string, path: string, legacy: string, unified: string) =>
    readFileSync(join(directoryOf(hierarchy, controller, path)!, hierarchy.version === 1 ? legacy : unified), "utf8").trim();
  const own = `${cgroupParent}/${spec.id}`;
  assert.match(value("cpu", own, "cpu.shares", "cpu.weight"), hierarchy.version === 1 ? /^512$/ : /^20$/);
  assert.equal(value("memory", own, "memory.limit_in_bytes", "memory.max"), String(64 * 1024 * 1024));
  assert.equal(value("memory", own, "memory.soft_limit_in_bytes", "memory.low"), String(32 * 1024 * 1024));
  assert.match(value("cpu", cgroupParent, "cpu.cfs_quota_us", "cpu.max"), /^50000/);
  const stats = await machine.runtime.stats(spec.id);
  assert.ok(stats);
  assert.equal(stats.memoryLimitBytes, 64 * 1024 * 1024);
  assert.ok(stats.memoryBytes > 0 && stats.pids >= 1 && stats.cpuNanoseconds > 0);
  await machine.runtime.remove(spec.id);
  assert.equal(await machine.runtime.stats(spec.id), undefined);
});

test("exec: output, exit code, user and environment of the container", async () => {
  const spec = await started("sleep 100", { user: "app", environment: { X: "1" } });
  const exec = (script: string, timeoutMs = patienceMs) => machine.runtime.exec(spec.id, { args: ["sh", "-c", script], timeoutMs });
  assert.deepEqual(await exec("echo $X; id -u; exit 4"), { exitCode: 4, output: "1\n1000\n", timedOut: false });
  assert.equal((await exec("echo err >&2")).output, "err\n");
  const late = await execUntil((timeoutMs) => exec("echo begun; sleep 100", timeoutMs));
  assert.deepEqual([late.exitCode, late.output, late.timedOut], [137, "begun\n", true]);
  const endless = await execUntil((timeoutMs) =>
    exec("yes 2>/dev/null || while true; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", timeoutMs),
  );
  assert.equal(endless.output.length, 4096);
  assert.ok(endless.timedOut);
  const missing = await machine.runtime.exec(spec.id, { args: ["no-such-program"], timeoutMs: patienceMs });
  assert.equal(missing.exitCode, 127);
  assert.match(missing.output, /executable file not found/);
  const many = await Promise.all(Array.from({ length: 10 }, (_, at) => exec(`echo ${at}`)));
  assert.deepEqual(
    many.map((result) => result.output),
    Array.from({ length: 10 }, (_, at) => `${at}\n`),
  );
  await machine.runtime.remove(spec.id);
  await assert.rejects(exec("true"), { code: "NotFound" });
});

test("read-only root, tmpfs, shared memory, bind mounts", async () => {
  const shared = join(machine.home, "shared");
  mkdirSync(shared);
  writeFileSync(join(shared, "file"), "from the machine\n");
  const { stdout, stderr, exitCode } = await shell(
    "touch /no; cat /ro/file; touch /ro/no; echo w > /rw/written; echo t > /scratch/t; grep ' /scratch ' /proc/mounts; grep ' /dev/shm ' /proc/mounts; exit 0",
    {
      readonlyRootFilesystem: true,
      sharedMemoryMiB: 32,
      tmpfs: [{ path: "/scratch", sizeMiB: 8, options: ["exec", "mode=700"] }],
      mounts: [
        { source: shared, target: "/ro", readOnly: true },
        { source: shared, target: "/rw/", readOnly: false },
      ],
    },
  );
  assert.equal(exitCode, 0);
  assert.match(stdout, /from the machine/);
  assert.match(stdout, /tmpfs \/scratch tmpfs rw,nosuid,nodev,relatime,size=8192k,mode=700/);
  assert.match(stdout, /shm \/dev\/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=32768k/);
  assert.match(stderr, /\/no: Read-only file system[^]*\/ro\/no: Read-only file system/);
  assert.equal(readFileSync(join(shared, "written"), "utf8"), "w\n");
});

test("capabilities, seccomp, masked paths; privileged lifts them", async () => {
  const plain = await shell(
    "grep -E 'CapBnd|CapEff|Seccomp:' /proc/self/status; cat /proc/kcore | wc -c; touch /proc/sys/kernel/domainname; mount -t tmpfs t /tmp",
  );
  assert.match(plain.stdout, /CapEff:\s*00000000a80425fb/, "Docker's default set");
  assert.match(plain.stdout, /Seccomp:\s*2/);
  assert.match(plain.stdout, /^0$/m, "/proc/kcore is masked");
  assert.match(plain.stderr, /Read-only file system[^]*mount/);
  const changed = await shell("grep CapBnd /proc/self/status", { capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] } });
  assert.match(changed.stdout, /CapBnd:\s*0000000000001000/);
  const user = await shell("grep -E 'CapEff|CapBnd' /proc/self/status", { user: "app" });
  assert.match(user.stdout, /CapEff:\s*0000000000000000\nCapBnd:\s*00000000a80425fb/);
  const privileged = await shell("grep -E 'Seccomp:' /proc/self/status; mount -t tmpfs t /tmp && ls /dev | grep -c .", {
    privileged: true,
  });
  assert.match(privileged.stdout, /Seccomp:\s*0/);
  assert.equal(privileged.exitCode, 0, privileged.stderr);
});

test("ulimits, init, devices, host name of its own in a network namespace, sysctls", async () => {
  const { stdout } = await shell("ulimit -n; ulimit -u", {
    ulimits: [
      { name: "nofile", soft: 100, hard: 200 },
      { name: "nproc", soft: 50, hard: 50 },
    ],
  });
  assert.match(stdout, /^100\n/);
  const init = await shell("cat /proc/1/cmdline", { initProcess: true });
  assert.match(init.stdout, /^\/sbin\/docker-init\0--\0sh/);
  const device = await shell("head -c 4 /dev/given | wc -c", {
    devices: [{ hostPath: "/dev/zero", containerPath: "/dev/given", permissions: "rwm" }],
  });
  assert.equal(device.stdout, "4\n");

  const name = `gantry-test-${machine.home.slice(-6)}`;
  assert.equal(spawnSync("ip", ["netns", "add", name]).status, 0);
  try {
    const own = await shell("hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/core/somaxconn; ls /sys/class/net", {
      network: { namespace: `/run/netns/${name}` },
      hostname: "box",
      sysctls: { "net.core.somaxconn": "321" },
    });
    assert.equal(own.stdout, "box\n0\n321\nlo\n");
  } finally {
    spawnSync("ip", ["netns", "del", name]);
  }
});

test("an image's volume is filled from the image, written apart from it, and gone with the container", async () => {
  const extra = layer(
    await tar([
      { name: "data", type: "directory", uid: 1000, gid: 1001, mode: 0o750 },
      { name: "data/seed", content: "seed\n" },
    ]),
  );
  await registry.push(
    "volume",
    "1",
    image([await busyboxLayer(), extra], { config: { Volumes: { "/data": {}, "/data/": {}, "/empty": {} } } }),
  );
  const withVolume = await ensure("volume:1");
  const spec = await machine.spec(withVolume, {
    command: ["sh", "-c", "cat /data/seed; stat -c '%u:%g %a' /data; echo x > /empty/x; grep -c -E ' /(data|empty) ' /proc/mounts"],
  });
  await machine.runtime.create(spec);
  await machine.runtime.start(spec.id);
  await machine.runtime.wait(spec.id);
  await machine.runtime.remove(spec.id);
  assert.equal(readFileSync(spec.stdout, "utf8"), "seed\n1000:1001 750\n2\n");
  // Started again under the same id, as a restart policy does, it has them anew.
  await machine.runtime.create(spec);
  await machine.runtime.start(spec.id);
  await machine.runtime.wait(spec.id);
  await machine.runtime.create(spec);
  await machine.runtime.start(spec.id);
  assert.equal((await machine.runtime.wait(spec.id)).exitCode, 0);
  await machine.runtime.remove(spec.id);
});

test("twenty at once", async () => {
  const results = await Promise.all(Array.from({ length: 20 }, (_, at) => shell(`echo ${at}; exit ${at}`)));
  assert.deepEqual(
    results.map((result) => [result.exitCode, result.stdout]),
    Array.from({ length: 20 }, (_, at) => [at, `${at}\n`]),
  );
});

test("containers of one group share a shim; one of them going leaves the others", async () => {
  const specs = [];
  for (let at = 0; at < 3; at++) specs.push(await started("sleep 100", { group: "together" }));
  assert.equal((await machine.shims()).length, 1);
  await machine.runtime.remove(specs[0]!.id);
  assert.equal((await machine.runtime.exec(specs[1]!.id, { args: ["echo", "on"], timeoutMs: patienceMs })).output, "on\n");
  for (const spec of specs) await machine.runtime.remove(spec.id);
});

test("create again after an attempt that was cut off takes the place of what that left", async () => {
  const spec = await machine.spec(busybox, { command: ["sh", "-c", "exit 9"], labels: { "com.amazonaws.ecs.container-name": "app" } });
  await machine.runtime.create(spec);
  await machine.runtime.create(spec);
  assert.deepEqual(
    (await machine.runtime.list()).map(({ id, labels, state }) => ({ id, labels, state })),
    [{ id: spec.id, labels: { "com.amazonaws.ecs.container-name": "app" }, state: "created" }],
  );
  // Cut off between the record and the task.
  await machine.client.tasks.delete({ containerId: spec.id }).catch(() => undefined);
  assert.equal((await machine.runtime.list())[0]?.state, "unknown");
  await machine.runtime.create(spec);
  await machine.runtime.start(spec.id);
  assert.equal((await machine.runtime.wait(spec.id)).exitCode, 9);
  assert.equal((await machine.runtime.list())[0]?.state, "stopped");
  await machine.runtime.remove(spec.id);
});

test("runc's record of a container that nobody else remembers doesn't stand in its way", async () => {
  const first = await started("sleep 100", { id: "forgotten" });
  const record = join(machine.home, "state", "runc", "gantry-test", "forgotten");
  const copy = `${record}.copy`;
  cpSync(record, copy, { recursive: true });
  await machine.runtime.remove(first.id);
  renameSync(copy, record);
  const again = await started("exit 3", { id: "forgotten" });
  assert.equal((await machine.runtime.wait(again.id)).exitCode, 3);
  await machine.runtime.remove(again.id);
});

test("the agent killed: containers run on, and another finds exit codes and times of those that ended", async () => {
  const specs: ContainerSpec[] = [];
  for (const script of ["exit 5", "sleep 1; exit 6", "sleep 100"])
    specs.push(await machine.spec(busybox, { command: ["sh", "-c", script] }));
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
    env: { ...process.env, INPUT: JSON.stringify({ specs, options: { ...options, stateDirectory: join(machine.home, "other-state") } }) },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  assert.equal(signal, "SIGKILL");
  await eventually("two have ended", async () => {
    const states = new Map((await machine.runtime.list()).map(({ id, state }) => [id, state]));
    assert.deepEqual(
      specs.map(({ id }) => states.get(id)),
      ["stopped", "stopped", "running"],
    );
  });
  await delay(100);
  const first = await machine.runtime.wait(specs[0]!.id);
  const second = await machine.runtime.wait(specs[1]!.id);
  assert.deepEqual([first.exitCode, second.exitCode], [5, 6]);
  assert.ok(second.exitedAt > first.exitedAt && second.exitedAt < Date.now() - 50);
  for (const { id } of specs) await machine.runtime.remove(id);
});

test("containerd killed: a wait goes on when it is back, and gives what happened meanwhile", async () => {
  const spec = await started("sleep 0.5; exit 11");
  const waiting = machine.runtime.wait(spec.id);
  await machine.restartContainerd("SIGKILL", 700);
  const exit = await waiting;
  assert.equal(exit.exitCode, 11);
  assert.ok(exit.exitedAt <= Date.now());
  await machine.runtime.remove(spec.id);
});

test("a shim killed: the wait ends, the container can be removed", async () => {
  const spec = await started("sleep 100");
  const waiting = machine.runtime.wait(spec.id);
  const [shim] = await machine.shims();
  process.kill(shim!, "SIGKILL");
  const exit = await waiting;
  assert.ok([137, 255].includes(exit.exitCode), `${exit.exitCode}`);
  await machine.runtime.remove(spec.id);
});

test("a wait can be given up", async () => {
  const spec = await started("sleep 100");
  await assert.rejects(machine.runtime.wait(spec.id, AbortSignal.timeout(100)), { name: "TimeoutError" });
  await machine.runtime.remove(spec.id);
});

test("a log is trimmed while its container writes: space comes back, no line is lost", async () => {
  const spec = await started(
    'i=0; while [ $i -lt 3000 ]; do echo "line $i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; i=$((i+1)); done',
  );
  let read = 0;
  let text = "";
  const drain = async () => {
    const all = readFileSync(spec.stdout);
    text += all.toString("utf8", read);
    read = all.length;
    await punch(spec.stdout, 0, read);
  };
  const ended = machine.runtime.wait(spec.id).then(() => true);
  while (!(await Promise.race([ended, delay(5, false)]))) await drain();
  await machine.runtime.remove(spec.id);
  await drain();
  assert.deepEqual(
    text
      .trim()
      .split("\n")
      .map((line) => Number(line.split(" ")[1])),
    Array.from({ length: 3000 }, (_, at) => at),
  );
  const { size, blocks } = statSync(spec.stdout);
  assert.equal(size, Buffer.byteLength(text));
  assert.ok(blocks * 512 <= 8192, `${blocks} blocks of ${size} bytes`);
});

test("the garbage collector spares images and running containers", async () => {
  await registry.push("other", "1", image([layer(await tar([{ name: "other", content: "x" }]))]));
  const spec = await started("sleep 100");
  const other = await ensure("other:1");
  await machine.client.images.delete({ name: other.name, sync: true });
  assert.equal((await machine.runtime.exec(spec.id, { args: ["cat", "/etc/group"], timeoutMs: patienceMs })).exitCode, 0);
  assert.equal((await shell("echo still here")).stdout, "still here\n");
  const removed = await machine.runtime.images.prune(Date.now() + 1000);
  assert.ok(!removed.includes(busybox.name), `${removed}`);
  assert.deepEqual(await machine.runtime.images.prune(Date.now() + 1000), []);
  assert.equal((await shell("echo still here")).stdout, "still here\n");
  await machine.runtime.remove(spec.id);
});

test("a task's container made while the last one of its shim is removed", async () => {
  const rounds = async (group: string) => {
    let before = await started("exit 0", { group });
    for (let round = 0; round < 12; round++) {
      const next = await machine.spec(busybox, { command: ["sh", "-c", `exit ${round}`], group });
      await machine.runtime.wait(before.id);
      const [exitCode] = await Promise.all([
        machine.runtime
          .create(next)
          .then(() => machine.runtime.start(next.id))
          .then(() => machine.runtime.wait(next.id))
          .then((exit) => exit.exitCode),
        machine.runtime.remove(before.id),
      ]);
      assert.equal(exitCode, round);
      before = next;
    }
    await machine.runtime.remove(before.id);
  };
  await Promise.all(["a", "b", "c", "d"].map(rounds));
});

test("an image that goes takes its layers along, also those that a container stood on", async () => {
  const snapshots = async () => {
    const names: string[] = [];
    for await (const { info } of machine.client.snapshots.list({ snapshotter: machine.runtime.snapshotter, filters: [] }))
      names.push(...info.map(({ name }) => name));
    return names.toSorted();
  };
  const spec = await started("sleep 100");
  const before = await snapshots();
  const extra = layer(await tar([{ name: "extra", content: "x" }]));
  await registry.push("gone", "1", image([await busyboxLayer(), extra]));
  const gone = await ensure("gone:1");
  assert.equal((await machine.run(gone, ["sh", "-c", "cat /extra; echo y > /new; cat /new"])).stdout, "xy\n");
  assert.equal((await machine.run(gone, ["ls", "/new"])).exitCode, 1);
  assert.ok((await snapshots()).length > before.length);
  const removed = await machine.runtime.images.prune(Date.now() + 1000);
  assert.ok(removed.includes(gone.name));
  await machine.collectGarbage();
  assert.deepEqual(await snapshots(), before);
  assert.equal((await machine.runtime.exec(spec.id, { args: ["echo", "here"], timeoutMs: patienceMs })).exitCode, 0);
  assert.equal((await shell("echo still here")).stdout, "still here\n");
  await machine.runtime.remove(spec.id);
});
