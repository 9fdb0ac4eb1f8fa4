import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";

/** What a run of the tests could leave behind on this machine, by the kernel's own word. */
export interface Footprint {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly links: readonly string[];
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
  readonly tables: readonly string[];
  readonly files: readonly string[];
}

/** A run is known by this variable, which every process that it starts inherits, and by a directory for all its temporary files. */
export const runVariable = "GANTRY_TEST_RUN";

const output = (file: string, ...args: string[]) =>
  new Promise<string>((resolve) => execFile(file, args, (_error, stdout) => resolve(stdout)));
const list = (directory: string) => readdir(directory).catch(() => [] as string[]);

/** `directory`: absolute, for the run alone; its name is the value of the variable. */
export async function footprint(directory: string): Promise<Footprint> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n").map((line) => line.split(" ")[4] ?? "");
  return {
    processes: await processesOf(`${runVariable}=${basename(directory)}`),
    mounts: mounts.filter((point) => point.startsWith(`${directory}/`) || point.startsWith("/run/gantry/")),
    links: (await list("/sys/class/net")).filter((name) => /^(gantry-|g[0-9a-f]{10}$|docker|br-|veth)/.test(name)),
    namespaces: await list("/run/netns"),
    cgroups: await gantryCgroups(),
    tables: (await output("nft", "list", "tables")).split("\n").filter((line) => line.includes("gantry")),
    files: await list(directory),
  };
}

async function processesOf(mark: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await list("/proc")).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (!environment.split("\0").includes(mark)) continue;
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
    found.push(`${pid} ${line.slice(0, 160)}`);
  }
  return found;
}

async function gantryCgroups(): Promise<string[]> {
  const roots = ["/sys/fs/cgroup", ...(await list("/sys/fs/cgroup")).map((name) => `/sys/fs/cgroup/${name}`)];
  const found: string[] = [];
  for (const root of roots) for (const name of await list(root)) if (name.startsWith("gantry")) found.push(`${root}/${name}`);
  return found;
}

/** What is there now and was not before. */
export function difference(before: Footprint, now: Footprint): readonly string[] {
  const left: string[] = [];
  for (const [kind, known] of Object.entries(before) as [keyof Footprint, readonly string[]][])
    for (const each of now[kind]) if (!known.includes(each)) left.push(`${kind}: ${each}`);
  return left;
}
