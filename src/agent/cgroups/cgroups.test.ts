import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createTaskCgroup, removeTaskCgroup } from "./cgroups.ts";
import { detectHierarchy, directoriesOf, type Hierarchy } from "./hierarchy.ts";
import { hasOomKill, readStats } from "./stats.ts";

const root = mkdtempSync(join(tmpdir(), "gantry-cgroups-"));
after(() => rmSync(root, { recursive: true }));

const put = (directory: string, files: Record<string, string>) => {
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
};

const v1 = [
  "25 1 0:20 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755",
  "26 25 0:21 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw",
  "27 25 0:22 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
  "28 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
  "29 25 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
].join("\n");

test("the hierarchies are read from mountinfo: version 1 with an idle version 2, and version 2 alone", () => {
  const hybrid = detectHierarchy(v1);
  assert.deepEqual(directoriesOf(hybrid, "/gantry-1/t").toSorted(), [
    "/sys/fs/cgroup/cpu,cpuacct/gantry-1/t",
    "/sys/fs/cgroup/memory/gantry-1/t",
    "/sys/fs/cgroup/systemd/gantry-1/t",
    "/sys/fs/cgroup/unified/gantry-1/t",
  ]);
  const unified = detectHierarchy("30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate");
  assert.deepEqual(unified, { version: 2, root: "/sys/fs/cgroup" });
});

test("version 2: controllers are handed down, limits written", async () => {
  const hierarchy: Hierarchy = { version: 2, root };
  for (const directory of ["", "gantry-1", "gantry-1/task"])
    put(join(root, directory), { "cgroup.controllers": "cpu memory pids hugetlb\n" });
  await createTaskCgroup({ parent: "/gantry-1/task", cpuLimit: 0.25, memoryMiB: 512 }, hierarchy);
  assert.equal(readFileSync(join(root, "gantry-1/task/cpu.max"), "utf8"), "25000 100000");
  assert.equal(readFileSync(join(root, "gantry-1/task/memory.max"), "utf8"), String(512 * 1024 * 1024));
  // The kernel's file gathers; ours keeps the last.
  assert.equal(readFileSync(join(root, "gantry-1/cgroup.subtree_control"), "utf8"), "+pids");
  // What is not named stays.
  await createTaskCgroup({ parent: "/gantry-1/task", pids: 2000 }, hierarchy);
  assert.equal(readFileSync(join(root, "gantry-1/task/cpu.max"), "utf8"), "25000 100000");
  assert.equal(readFileSync(join(root, "gantry-1/task/memory.max"), "utf8"), String(512 * 1024 * 1024));
  assert.equal(readFileSync(join(root, "gantry-1/task/pids.max"), "utf8"), "2000");
});

test("version 2: statistics, the lowest limit on the way up, ends for want of memory", async () => {
  const hierarchy: Hierarchy = { version: 2, root };
  put(join(root, "gantry-2/task"), { "memory.max": "1048576\n" });
  put(join(root, "gantry-2/task/app"), {
    "memory.max": "max\n",
    "memory.current": "4096\n",
    "memory.stat": "anon 1\nfile 2048\n",
    "memory.events": "low 0\noom 1\noom_kill 1\n",
    "cpu.stat": "usage_usec 1500\nuser_usec 1000\n",
    "pids.current": "3\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=5 wbytes=7\n",
  });
  assert.deepEqual(await readStats(hierarchy, "/gantry-2/task/app", 7), {
    readAt: 7,
    cpuNanoseconds: 1_500_000,
    memoryBytes: 4096,
    memoryLimitBytes: 1048576,
    memoryCacheBytes: 2048,
    pids: 3,
    readBytes: 15,
    writtenBytes: 27,
  });
  assert.equal(await hasOomKill(hierarchy, "/gantry-2/task/app"), true);
  assert.equal(await hasOomKill(hierarchy, "/gantry-2/gone"), false);
  assert.equal(await readStats(hierarchy, "/gantry-2/gone", 7), undefined);
});

test("version 1: a new cpuset is filled from above before anything enters it", async () => {
  const controllers = new Map(["cpuset", "cpu", "memory"].map((name) => [name, join(root, "v1", name)]));
  put(join(root, "v1/cpuset"), { "cpuset.cpus": "0-3\n", "cpuset.mems": "0\n" });
  for (const directory of ["gantry-1", "gantry-1/task"])
    put(join(root, "v1/cpuset", directory), { "cpuset.cpus": "\n", "cpuset.mems": "\n" });
  for (const name of ["cpu", "memory"]) mkdirSync(join(root, "v1", name));
  await createTaskCgroup({ parent: "/gantry-1/task", cpuLimit: 2, memoryMiB: 1 }, { version: 1, controllers });
  assert.equal(readFileSync(join(root, "v1/cpuset/gantry-1/task/cpuset.cpus"), "utf8"), "0-3\n");
  assert.equal(readFileSync(join(root, "v1/cpu/gantry-1/task/cpu.cfs_quota_us"), "utf8"), "200000");
  assert.equal(readFileSync(join(root, "v1/memory/gantry-1/task/memory.limit_in_bytes"), "utf8"), "1048576");
});

test("a path that could reach beyond one task is refused", async () => {
  for (const path of ["/", "", "relative", "/gantry/../x", "/gantry//x", "/gantry/"]) {
    await assert.rejects(removeTaskCgroup(path, { version: 2, root }), /not a cgroup of a task/, path);
  }
});
