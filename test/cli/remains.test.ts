/** `down --all`'s last word is the kernel's: things made here by hand carry the name of a home's instance, and another's beside them. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { instanceOf } from "#agent/config.ts";
import { isAlive, nameProcess } from "#cli/processes.ts";
import { describeRemains, findRemains, removeRemains } from "#cli/remains.ts";

const cgroupRoot = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
const command = (file: string, ...args: string[]) => execFileSync(file, args, { stdio: ["ignore", "pipe", "pipe"] }).toString();

/** One of each kind of thing that a Gantry of this home could leave. */
async function litter(home: string) {
  const instance = instanceOf(home);
  const rootfs = join(home, "run/a b/rootfs");
  await mkdir(rootfs, { recursive: true });
  command("mount", "-t", "tmpfs", "none", rootfs);
  command("ip", "link", "add", `gantry-${instance}`, "type", "bridge");
  command("ip", "netns", "add", `gantry-${instance}-0a0b0c`);
  command(
    "ip",
    "link",
    "add",
    `g${instance.slice(0, 6)}0002`,
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    `gantry-${instance}-0a0b0c`,
  );
  command("nft", "add", "table", "ip", `gantry_${instance}`);
  await mkdir(`/run/containerd/runc/gantry-${instance}/id`, { recursive: true });
  const cgroup = `${cgroupRoot}/gantry-${instance}/task/container`;
  await mkdir(cgroup, { recursive: true });
  const inside = spawn("sleep", ["600"], { stdio: "ignore" });
  await writeFile(`${cgroup}/cgroup.procs`, String(inside.pid));
  return nameProcess(inside.pid!);
}

test("what one home left is found and removed, another's stays", async (t) => {
  const [mine, other] = [await mkdtemp(join(tmpdir(), "gantry-remains-")), await mkdtemp(join(tmpdir(), "gantry-remains-"))];
  t.after(async () => {
    for (const home of [mine, other]) {
      await removeRemains(home);
      await rm(home, { recursive: true, force: true });
    }
  });
  const [process1, process2] = [await litter(mine), await litter(other)];
  const found = await findRemains(mine);
  assert.deepEqual(
    found.processes.map(({ process: { pid } }) => pid),
    [process1.pid],
  );
  const instance = instanceOf(mine);
  assert.deepEqual(describeRemains(found).slice(1), [
    `mount ${join(mine, "run/a b/rootfs")}`,
    `mount /run/netns/gantry-${instance}-0a0b0c`,
    `network namespace gantry-${instance}-0a0b0c`,
    ...found.links.map((name) => `link ${name}`),
    `cgroup ${cgroupRoot}/gantry-${instance}`,
    `directory /run/containerd/runc/gantry-${instance}`,
    `nftables table ip gantry_${instance}`,
  ]);
  assert.deepEqual([...found.links].sort(), [`g${instance.slice(0, 6)}0002`, `gantry-${instance}`].sort());

  const others = describeRemains(await findRemains(other));
  assert.deepEqual(describeRemains(await removeRemains(mine)), []);
  assert.ok(!isAlive(process1));
  assert.ok(isAlive(process2));
  assert.deepEqual(describeRemains(await findRemains(other)), others);
});
