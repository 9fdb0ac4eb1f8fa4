import { execFile } from "node:child_process";
import { readdir, readFile, rm, rmdir } from "node:fs/promises";
import { instanceOf } from "#agent/config.ts";
import { endProcess, nameProcess, type ProcessName } from "./processes.ts";

/** What one Gantry has on this machine, by the kernel's own word. Another Gantry's things carry another instance's name and are never seen here. */
export interface Remains {
  readonly processes: readonly { readonly process: ProcessName; readonly text: string }[];
  readonly mounts: readonly string[];
  readonly namespaces: readonly string[];
  readonly links: readonly string[];
  readonly cgroups: readonly string[];
  /** nftables' table `gantry_<instance>`, and rules elsewhere that carry its name. */
  readonly tables: readonly string[];
}

export interface Whose {
  readonly home: string;
  /** Of our own containerd; undefined: it is someone else's, and so are its shims. */
  readonly ownSocket: string | undefined;
}

const output = (file: string, ...args: string[]) =>
  new Promise<string>((resolve) => execFile(file, args, { maxBuffer: 1 << 26 }, (_error, stdout) => resolve(String(stdout ?? ""))));

export async function findRemains(whose: Whose): Promise<Remains> {
  const instance = instanceOf(whose.home);
  const cgroups = await cgroupsOf(instance);
  const ruleset = await output("nft", "list", "ruleset");
  const table = `gantry_${instance}`;
  return {
    processes: await processesOf(whose, cgroups),
    mounts: await mountsOf(whose, instance),
    namespaces: (await list("/run/netns")).filter((name) => name.startsWith(`gantry-${instance}-`)),
    links: (await list("/sys/class/net")).filter(
      (name) => name === `gantry-${instance}` || (name.length === 11 && name.startsWith(`g${instance.slice(0, 6)}`)),
    ),
    cgroups,
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
    ...remains.tables.map((line) => `nftables ${line}`),
  ];
}

/** Removes by force what an orderly teardown left, and returns what stands even then. */
export async function removeRemains(whose: Whose): Promise<Remains> {
  const found = await findRemains(whose);
  for (const { process: each } of found.processes) await endProcess(each, 0);
  for (const point of found.mounts.toReversed()) await output("umount", "-l", point);
  for (const name of found.namespaces) await rm(`/run/netns/${name}`, { force: true }).catch(() => {});
  for (const name of found.links) await output("ip", "link", "del", name);
  const table = `gantry_${instanceOf(whose.home)}`;
  for (const family of new Set(found.tables.map((line) => /^table (\S+) gantry_/.exec(line)?.[1]).filter((each) => each !== undefined)))
    await output("nft", "delete", "table", family, table);
  for (const directory of found.cgroups) await removeCgroup(directory);
  return findRemains(whose);
}

const list = (directory: string) => readdir(directory).catch(() => [] as string[]);

async function processesOf({ ownSocket }: Whose, cgroups: readonly string[]): Promise<Remains["processes"]> {
  const inside = new Set<number>();
  for (const directory of cgroups)
    for (const group of [directory, ...(await cgroupsBelow(directory))])
      for (const pid of (await readFile(`${group}/cgroup.procs`, "utf8").catch(() => "")).split("\n"))
        if (pid !== "") inside.add(Number(pid));
  const found = [];
  for (const pid of (await list("/proc")).filter((name) => /^\d+$/.test(name)).map(Number)) {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    // A shim names its containerd's socket on its command line.
    const shim = ownSocket !== undefined && /containerd-shim/.test(line[0] ?? "") && line.includes(ownSocket);
    if (shim || inside.has(pid)) found.push({ process: nameProcess(pid), text: line.join(" ").trim().slice(0, 160) });
  }
  return found.filter(({ process: { started } }) => started !== "");
}

async function mountsOf({ home, ownSocket }: Whose, instance: string): Promise<string[]> {
  const places = [`${home}/`, `/run/netns/gantry-${instance}`, ...(ownSocket ? [ownSocket.replace(/[^/]*$/, "")] : [])];
  const points = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => unescape(line.split(" ")[4] ?? ""));
  return points.filter((point) => places.some((place) => point.startsWith(place)));
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
