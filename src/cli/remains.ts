import { execFile } from "node:child_process";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { instanceOf } from "#agent/config.ts";
import { writeNames } from "#agent/load-balancing/hosts-file.ts";
import { loopsOf } from "#agent/storage/storage.ts";
import { systemClock } from "#platform/clock.ts";
import { endProcess, nameProcess, type ProcessName } from "./processes.ts";

/** What one Gantry has on this machine, by the kernel's own word. Another Gantry's things carry another instance's name and are never seen here. */
export interface Remains {
  readonly processes: readonly { readonly process: ProcessName; readonly text: string }[];
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly cgroups: readonly string[];
  /** Over files of this home: disks of tasks. */
  readonly loops: readonly string[];
  /** What runc keeps of this Gantry's containers, on a tmpfs. */
  readonly directories: readonly string[];
  /** nftables' table `gantry_<instance>`, and rules elsewhere that carry its name. */
  readonly tables: readonly string[];
}

const output = (file: string, ...args: string[]) =>
  new Promise<string>((resolve) => execFile(file, args, { maxBuffer: 1 << 26 }, (_error, stdout) => resolve(String(stdout ?? ""))));

export async function findRemains(home: string): Promise<Remains> {
  const instance = instanceOf(home);
  const cgroups = await cgroupsOf(instance);
  const ruleset = await output("nft", "list", "ruleset");
  const table = `gantry_${instance}`;
  return {
    processes: await processesOf(home, instance, cgroups),
    mounts: await mountsOf(home, instance),
    namespaces: (await list("/run/netns")).filter((name) => name.startsWith(`gantry-${instance}-`)),
    links: (await list("/sys/class/net")).filter(
      (name) => name === `gantry-${instance}` || (name.length === 11 && name.startsWith(`g${instance.slice(0, 6)}`)),
    ),
    cgroups,
    loops: await loopsOf(`${home}/`),
    directories: (await list("/run/containerd/runc"))
      .filter((name) => name === `gantry-${instance}`)
      .map((name) => `/run/containerd/runc/${name}`),
    tables: ruleset.split("\n").flatMap((line) => (line.includes(table) ? [line.trim().replace(/ \{$/, "")] : [])),
  };
}

export function describeRemains(remains: Remains): readonly string[] {
  return [
    ...remains.processes.map(({ process: { pid }, text }) => `process ${pid}: ${text}`),
    ...remains.mounts.map((point) => `mount ${point}`),
    ...remains.namespaces.map((name) => `network namespace ${name}`),
    ...remains.links.map((name) => `link ${name}`),
    ...remains.cgroups.map((path) => `cgroup ${path}`),
    ...remains.loops.map((device) => `loop device ${device}`),
    ...remains.directories.map((path) => `directory ${path}`),
    ...remains.tables.map((line) => `nftables ${line}`),
  ];
}

/** Removes by force what an orderly teardown left, and returns what stands even then. */
export async function removeRemains(home: string): Promise<Remains> {
  const found = await findRemains(home);
  for (const { process: each } of found.processes) await endProcess(each, 0);
  for (const point of found.mounts.toReversed()) await output("umount", "-l", point);
  for (const device of found.loops) await output("losetup", "--detach", device);
  for (const name of found.namespaces) await rm(`/run/netns/${name}`, { force: true }).catch(() => {});
  for (const name of found.links) await output("ip", "link", "del", name);
  await writeNames({ instance: instanceOf(home), clock: systemClock }, []).catch(() => {});
  const table = `gantry_${instanceOf(home)}`;
  for (const family of new Set(found.tables.map((line) => /^table (\S+) gantry_/.exec(line)?.[1]).filter((each) => each !== undefined)))
    await output("nft", "delete", "table", family, table);
  for (const directory of found.directories) await rm(directory, { recursive: true, force: true });
  for (const directory of found.cgroups) await removeCgroup(directory);
  return findRemains(home);
}

const list = (directory: string) => readdir(directory).catch(() => [] as string[]);

async function processesOf(home: string, instance: string, cgroups: readonly string[]): Promise<Remains["processes"]> {
  const inside = new Set<number>();
  for (const directory of cgroups)
    for (const group of [directory, ...(await cgroupsBelow(directory))])
      for (const pid of (await readFile(`${group}/cgroup.procs`, "utf8").catch(() => "")).split("\n"))
        if (pid !== "") inside.add(Number(pid));
  const found = [];
  for (const pid of (await list("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    // A shim names its namespace of containerd on its command line, whoever's containerd it is.
    const shim = /containerd-shim/.test(line[0] ?? "") && line[line.indexOf("-namespace") + 1] === `gantry-${instance}`;
    // gVisor's wrapper and runsc carry where this Gantry's records are.
    const sandbox =
      /(^|\/)(runsc|runsc-sandbox|runsc-gofer|sh)$/.test(line[0] ?? "") && line.some((word) => word.includes(`${home}/runtime/`));
    const balancer = /(^|\/)haproxy$/.test(line[0] ?? "") && line.some((word) => word.startsWith(`${home}/load-balancers/`));
    if (shim || sandbox || balancer || inside.has(pid))
      found.push({ process: nameProcess(pid), text: line.join(" ").trim().slice(0, 160) });
  }
  return found.filter(({ process: { started } }) => started !== "");
}

async function mountsOf(home: string, instance: string): Promise<string[]> {
  const points = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => unescape(line.split(" ")[4] ?? ""));
  return points.filter(
    (point) => point.startsWith(`${home}/`) || point.startsWith(`/run/netns/gantry-${instance}-`) || point.includes(`/gantry-${instance}/`),
  );
}

/** mountinfo writes space, tab, newline and backslash as octal numbers. */
const unescape = (text: string) => text.replace(/\\(\d{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** `gantry-<instance>` in cgroup v2's root, or in each controller of v1. */
async function cgroupsOf(instance: string): Promise<string[]> {
  const roots = ["/sys/fs/cgroup", ...(await list("/sys/fs/cgroup")).map((name) => `/sys/fs/cgroup/${name}`)];
  const found: string[] = [];
  for (const root of roots) if ((await list(root)).includes(`gantry-${instance}`)) found.push(`${root}/gantry-${instance}`);
  return found;
}

async function cgroupsBelow(directory: string): Promise<string[]> {
  const children = (await readdir(directory, { withFileTypes: true }).catch(() => [])).filter((entry) => entry.isDirectory());
  const below: string[] = [];
  for (const { name } of children) below.push(`${directory}/${name}`, ...(await cgroupsBelow(`${directory}/${name}`)));
  return below;
}

async function removeCgroup(directory: string): Promise<void> {
  for (const each of [directory, ...(await cgroupsBelow(directory))].toReversed()) {
    // Its last process may still be on the way out.
    for (let tries = 0; tries < 20; tries++) {
      const gone = await rmdir(each).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code === "ENOENT",
      );
      if (gone) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
