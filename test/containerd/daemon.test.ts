import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { answering, containerdCommand, ContainerdMissing, socketDirectory, startContainerd } from "#agent/containerd/daemon.ts";
import { createContainerdRuntime } from "#agent/containerd/runtime.ts";
import { removeShimSockets } from "#agent/containerd/shim-sockets.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { until } from "../support/until.ts";
import { busyboxLayer, image, layer, tar } from "./support/image.ts";
import { Machine } from "./support/machine.ts";
import { startRegistry, type RealRegistry } from "./support/registry.ts";

const base = mkdtempSync(join(tmpdir(), "gantry-daemon-"));
let registry: RealRegistry;

before(async () => {
  registry = await startRegistry(join(base, "registry"));
  const upper = layer(await tar([{ name: "etc/passwd", content: "me:x:7:8::/:/bin/sh\n" }]));
  await registry.push("busybox", "1", image([await busyboxLayer(), upper], { config: { User: "me" } }));
});

after(async () => {
  await registry.stop();
  rmSync(base, { recursive: true, force: true });
});

async function runsThere(machine: Machine): Promise<void> {
  const pulled = await machine.runtime.images.ensure({ image: `${registry.host}/busybox:1`, policy: "once" });
  const result = await machine.run(pulled, ["sh", "-c", "id -u; id -g"]);
  assert.deepEqual([result.exitCode, result.stdout], [0, "7\n8\n"]);
  await machine.nothingLeft();
}

test("a home whose path is too long for a socket's address: the sockets go below /run/gantry", async () => {
  const home = join(base, "long-".repeat(25), "home");
  const machine = await Machine.start({}, home);
  try {
    assert.match(machine.containerd.socket, /^\/run\/gantry\/[0-9a-f]{16}\/containerd\.sock$/);
    assert.ok(readFileSync(join(home, "containerd", "config.toml"), "utf8").includes(machine.containerd.socket));
    await runsThere(machine);
  } finally {
    await machine.stop();
    rmSync(dirname(machine.containerd.socket), { recursive: true, force: true });
  }
  assert.equal(socketDirectory("/var/lib/gantry"), "/var/lib/gantry/run");
});

test("where containerd has no overlayfs, snapshots are plain copies", async () => {
  // As on a file system that cannot carry it: containerd leaves the snapshotter out.
  const home = join(base, "native");
  const wrapper = join(base, "containerd-without-overlayfs");
  const script = `#!/bin/sh\nsed -i 's/disabled_plugins = \\[/&"io.containerd.snapshotter.v1.overlayfs",/' "$2"\nexec containerd "$@"\n`;
  writeFileSync(wrapper, script, { mode: 0o755 });
  const machine = await Machine.start({}, home, wrapper);
  try {
    assert.equal(machine.runtime.snapshotter, "native");
    await runsThere(machine);
  } finally {
    await machine.stop();
  }
});

test("two side by side with the same names don't meet", async () => {
  const machines = await Promise.all([Machine.start(), Machine.start()]);
  try {
    const results = await Promise.all(
      machines.map(async (machine, at) => {
        const pulled = await machine.runtime.images.ensure({ image: `${registry.host}/busybox:1`, policy: "once" });
        const spec = await machine.spec(pulled, { id: "same", group: "same", command: ["sh", "-c", `sleep 0.3; exit ${at}`] });
        await machine.runtime.create(spec);
        await machine.runtime.start("same");
        assert.equal((await machine.runtime.list()).length, 1);
        return (await machine.runtime.wait("same")).exitCode;
      }),
    );
    assert.deepEqual(results, [0, 1]);
  } finally {
    for (const machine of machines) await machine.stop();
  }
});

test("the sockets of shims that were killed can be removed", async () => {
  const machine = await Machine.start();
  try {
    const pulled = await machine.runtime.images.ensure({ image: `${registry.host}/busybox:1`, policy: "once" });
    const spec = await machine.spec(pulled, { command: ["sleep", "100"] });
    await machine.runtime.create(spec);
    const bundle = join(machine.containerd.state, "io.containerd.runtime.v2.task", "gantry-test", spec.id);
    const socket = readFileSync(join(bundle, "address"), "utf8").replace("unix://", "").trim();
    assert.ok(existsSync(socket));
    await machine.containerd.stop();
    for (const pid of await machine.shims()) process.kill(pid, "SIGKILL");
    await until("the shims have ended", async () => (await machine.shims()).length === 0);
    assert.ok(existsSync(socket), "a killed shim leaves its socket");
    await removeShimSockets(machine.containerd.state);
    assert.ok(!existsSync(socket));
    assert.ok(existsSync("/run/containerd/s") && readdirSync("/run/containerd/s").every((name) => /^[0-9a-f]{64}$/.test(name)));
  } finally {
    await machine.stop();
  }
});

test("what is missing is said: no containerd installed, none that answers", async () => {
  const home = join(base, "missing");
  assert.throws(() => containerdCommand({ home, binary: "no-containerd-here" }), ContainerdMissing);
  await assert.rejects(startContainerd({ home, binary: "/bin/false", log: silentLogger }), /containerd ended while it started/);
  const socket = join(home, "nobody.sock");
  await assert.rejects(
    answering(socket, () => false, 100),
    /did not answer within 100 ms/,
  );
  const options = {
    socket,
    namespace: "n",
    stateDirectory: join(home, "state"),
    log: silentLogger,
    clock: systemClock,
    connectTimeoutMs: 200,
  };
  await assert.rejects(createContainerdRuntime(options), { code: "Unavailable" });
});
