import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ContainerSpec } from "#agent/runtime.ts";
import { containerCapabilities, UnknownCapability } from "./capabilities.ts";
import { containerMounts } from "./mounts.ts";
import { defaultSeccomp } from "./seccomp.ts";
import { buildSpec, InvalidSpec, type HostFacts } from "./spec.ts";
import { resolveUser, UnknownUser } from "./users.ts";

const host: HostFacts = {
  cgroupVersion: 2,
  swapAccounting: true,
  capabilities: (1n << 41n) - 1n,
  architecture: "x64",
  hostname: "machine",
  maxOpenFiles: 1048576,
  seccomp: true,
};

const container: ContainerSpec = {
  id: "0123456789abcdef-app",
  labels: {},
  image: {
    name: "i",
    digest: "",
    configDigest: "",
    sizeBytes: 0,
    config: {
      entrypoint: ["entry"],
      cmd: ["image"],
      env: ["A=1"],
      user: "",
      workingDir: "/w",
      stopSignal: undefined,
      healthcheck: undefined,
      volumes: [],
    },
  },
  environment: {},
  readonlyRootFilesystem: false,
  privileged: false,
  capabilities: { add: [], drop: [] },
  ulimits: [],
  sysctls: {},
  devices: [],
  initProcess: false,
  tmpfs: [],
  mounts: [],
  cgroupParent: "/gantry-1/t",
  cpuShares: 0,
  network: { namespace: "/run/netns/n" },
  stdout: "/o",
  stderr: "/e",
  group: "t",
  runtime: { name: "runc" },
};

const build = (changes: Partial<ContainerSpec> = {}, facts: Partial<HostFacts> = {}, uid = 0) =>
  buildSpec({
    spec: { ...container, ...changes },
    user: { uid, gid: 0, additionalGids: [0] },
    host: { ...host, ...facts },
    devices: [],
    imageVolumes: [],
    initBinary: "/usr/bin/tini-static",
  });

test("command and entry point combine as Docker combines them", () => {
  const args = (changes: Partial<ContainerSpec>) => build(changes).process.args;
  assert.deepEqual(args({}), ["entry", "image"]);
  assert.deepEqual(args({ command: ["mine"] }), ["entry", "mine"]);
  assert.deepEqual(args({ entryPoint: ["other"] }), ["other"]);
  assert.deepEqual(args({ entryPoint: ["other"], command: ["mine"] }), ["other", "mine"]);
  assert.deepEqual(args({ entryPoint: [], command: ["mine"] }), ["mine"]);
  assert.deepEqual(args({ initProcess: true }), ["/sbin/docker-init", "--", "entry", "image"]);
  assert.throws(() => args({ entryPoint: [], command: [] }), InvalidSpec);
});

test("memory and swap: Docker's default is as much swap again; none where the kernel doesn't account it", () => {
  const mib = 1024 * 1024;
  const memory = (changes: Partial<ContainerSpec>, facts: Partial<HostFacts> = {}) => build(changes, facts).linux.resources.memory;
  assert.deepEqual(memory({}), {});
  assert.deepEqual(memory({ memoryMiB: 64, memoryReservationMiB: 32 }), { limit: 64 * mib, reservation: 32 * mib, swap: 128 * mib });
  assert.deepEqual(memory({ memoryMiB: 64, swap: { maxMiB: 0 } }), { limit: 64 * mib, swap: 64 * mib });
  assert.deepEqual(memory({ memoryMiB: 64, swap: { maxMiB: 10, swappiness: 20 } }, { cgroupVersion: 1 }), {
    limit: 64 * mib,
    swap: 74 * mib,
    swappiness: 20,
  });
  assert.deepEqual(memory({ memoryMiB: 64 }, { swapAccounting: false }), { limit: 64 * mib });
});

test("CPU shares stay within what the kernel takes; open files within what the machine allows", () => {
  assert.equal(build({ cpuShares: 0 }).linux.resources.cpu.shares, 2);
  assert.equal(build({ cpuShares: 1e9 }).linux.resources.cpu.shares, 262144);
  assert.deepEqual(build().process.rlimits, [{ type: "RLIMIT_NOFILE", soft: 32768, hard: 65536 }]);
  assert.deepEqual(build({}, { maxOpenFiles: 1000 }).process.rlimits, [{ type: "RLIMIT_NOFILE", soft: 1000, hard: 1000 }]);
  assert.deepEqual(build({ ulimits: [{ name: "nofile", soft: 1, hard: 2 }] }).process.rlimits, [
    { type: "RLIMIT_NOFILE", soft: 1, hard: 2 },
  ]);
});

test("namespaces and host name", () => {
  const types = (changes: Partial<ContainerSpec>, facts: Partial<HostFacts> = {}) => build(changes, facts).linux.namespaces;
  assert.deepEqual(types({}), [
    { type: "mount" },
    { type: "uts" },
    { type: "ipc" },
    { type: "pid" },
    { type: "network", path: "/run/netns/n" },
    { type: "cgroup" },
  ]);
  const shared = types({ network: "host", pidNamespace: { path: "/proc/1/ns/pid" }, ipcNamespace: "host" }, { cgroupVersion: 1 });
  assert.deepEqual(shared, [{ type: "mount" }, { type: "uts" }, { type: "pid", path: "/proc/1/ns/pid" }]);
  assert.equal(build().hostname, "0123456789ab");
  assert.equal(
    build({ hostname: "box" }).process.env.find((entry) => entry.startsWith("HOSTNAME=")),
    "HOSTNAME=box",
  );
  assert.equal(build({ network: "host", hostname: "box" }).hostname, "machine");
  assert.deepEqual(build({ network: "host" }).linux.sysctl, {});
});

test("capabilities as Docker works them out", () => {
  const of = (add: string[], drop: string[], privileged = false) => containerCapabilities({ add, drop, privileged });
  assert.equal(of([], []).length, 14);
  assert.ok(!of([], ["net_raw"]).includes("CAP_NET_RAW"));
  assert.ok(of(["CAP_SYS_PTRACE"], []).includes("CAP_SYS_PTRACE"));
  assert.deepEqual(of(["KILL"], ["ALL"]), ["CAP_KILL"]);
  assert.equal(of(["ALL"], ["KILL"]).length, 40);
  assert.equal(of([], ["ALL"], true).length, 41);
  assert.equal(containerCapabilities({ add: ["ALL"], drop: [], privileged: false }, 0b11n).length, 2);
  assert.throws(() => of(["FLY"], []), UnknownCapability);
});

test("seccomp opens with capabilities and closes namespaces without SYS_ADMIN", () => {
  const plain = defaultSeccomp([], "x64");
  assert.ok(!plain.syscalls[0]!.names.includes("mount"));
  assert.ok(plain.syscalls.some((rule) => rule.names.includes("clone3") && rule.errnoRet === 38));
  const admin = defaultSeccomp(["CAP_SYS_ADMIN"], "arm64");
  assert.ok(admin.syscalls[0]!.names.includes("mount"));
  assert.ok(!admin.syscalls.some((rule) => rule.errnoRet === 38));
  assert.deepEqual(admin.architectures, ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]);
});

test("mounts: parents before children, the container's own in place of the default", () => {
  const mounts = containerMounts({
    ...container,
    mounts: [
      { source: "/1", target: "/a/b/c", readOnly: false },
      { source: "/2", target: "/a", readOnly: true },
      { source: "/3", target: "/dev/shm/", readOnly: false },
    ],
    tmpfs: [{ path: "/a/b", sizeMiB: 1, options: ["exec", "nosuid"] }],
  });
  const targets = mounts.map((mount) => mount.destination);
  assert.deepEqual(targets.slice(-4), ["/a", "/a/b", "/dev/shm", "/a/b/c"]);
  assert.equal(targets.filter((target) => target === "/dev/shm").length, 1);
  assert.deepEqual(mounts.find((mount) => mount.destination === "/a/b")?.options, ["nodev", "exec", "nosuid", "size=1048576"]);
  const dev = containerMounts({ ...container, mounts: [{ source: "/dev", target: "/dev", readOnly: false }] });
  assert.deepEqual(
    dev.filter((mount) => mount.destination.startsWith("/dev")).map((mount) => mount.type),
    ["bind"],
  );
});

test("users: any passwd, group and wish either resolve within the kernel's range or are refused", () => {
  const accounts = fc.array(
    fc.tuple(
      fc.constantFrom("app", "root", "0", "", "#x"),
      fc.constantFrom("0", "7", "4294967296", "-1", "x", ""),
      fc.constantFrom("0", "9", "99999999999", ""),
    ),
  );
  const wish = fc.oneof(fc.constantFrom("", "app", "root", "0", "7", "2147483648", ":", "app:", ":9", "app:9", "0:x", "-1"), fc.string());
  fc.assert(
    fc.property(accounts, accounts, wish, (users, groups, text) => {
      const passwd = users.map(([name, uid, gid]) => `${name}:x:${uid}:${gid}:::`).join("\n");
      const group = groups.map(([name, gid, member]) => `${name}:x:${gid}:app,${member}`).join("\r\n");
      try {
        const { uid, gid, additionalGids } = resolveUser(text, { passwd, group });
        for (const id of [uid, gid]) assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 31);
        assert.equal(additionalGids[0], gid);
      } catch (error) {
        assert.ok(error instanceof UnknownUser, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
