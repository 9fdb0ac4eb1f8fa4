import { existsSync, readFileSync } from "node:fs";

/** Where this machine's cgroup controllers are. Version 2 is one tree; version 1, also beside an unused version 2 ("hybrid"), one for each controller. */
export type Hierarchy =
  | { readonly version: 2; readonly root: string }
  | {
      readonly version: 1;
      /** Controller (`memory`, `cpu`, `cpuset` …), `name=systemd` and `unified` among them, to the directory it is mounted at. */
      readonly controllers: ReadonlyMap<string, string>;
      /** The version 2 tree beside them, where runc makes a cgroup too. */
      readonly unified?: string;
    };

/** Reads /proc/self/mountinfo. */
export function detectHierarchy(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): Hierarchy {
  const controllers = new Map<string, string>();
  let unified: string | undefined;
  for (const line of mountinfo.split("\n")) {
    // See proc(5): fields after " - " are type, source, super options; the fifth before it is the mount point.
    const [before, after] = line.split(" - ");
    const target = before?.split(" ")[4]?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    const [type, , options] = after?.split(" ") ?? [];
    if (!target || !type) continue;
    if (type === "cgroup2") unified ??= target;
    if (type !== "cgroup") continue;
    for (const option of options?.split(",") ?? []) {
      const name = option.startsWith("name=") ? option : known.has(option) ? option : undefined;
      if (name && !controllers.has(name)) controllers.set(name, target);
    }
  }
  if (unified && !controllers.has("memory") && !controllers.has("cpu")) return { version: 2, root: unified };
  // Beside version 1 it limits nothing, but runc makes a container's cgroup there too.
  if (unified) controllers.set("unified", unified);
  return { version: 1, controllers, unified };
}

const known = new Set([
  "cpu",
  "cpuacct",
  "cpuset",
  "memory",
  "devices",
  "freezer",
  "blkio",
  "pids",
  "net_cls",
  "net_prio",
  "perf_event",
  "hugetlb",
  "rdma",
  "misc",
]);

/** Every directory that the cgroup `path` (`/gantry-1/task`) is made of; one for version 2. */
export function directoriesOf(hierarchy: Hierarchy, path: string): string[] {
  if (hierarchy.version === 2) return [`${hierarchy.root}${path}`];
  const roots = new Set([...hierarchy.controllers.values(), ...(hierarchy.unified ? [hierarchy.unified] : [])]);
  return [...roots].map((root) => `${root}${path}`);
}

/** The directory where `controller` keeps its files for the cgroup `path`. */
export function directoryOf(hierarchy: Hierarchy, controller: string, path: string): string | undefined {
  if (hierarchy.version === 2) return `${hierarchy.root}${path}`;
  const root = hierarchy.controllers.get(controller);
  return root && `${root}${path}`;
}

/** Whether the kernel keeps swap apart, so that a limit on it can be set. */
export function accountsSwap(hierarchy: Hierarchy): boolean {
  if (hierarchy.version === 1) return existsSync(`${hierarchy.controllers.get("memory")}/memory.memsw.limit_in_bytes`);
  // The root has no memory.swap.max of its own; any child of it does.
  return existsSync(`${hierarchy.root}/system.slice/memory.swap.max`) || existsSync(`${hierarchy.root}/init.scope/memory.swap.max`);
}
