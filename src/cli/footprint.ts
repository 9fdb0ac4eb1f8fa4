import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";

/** What the tests could leave behind on this machine, by the kernel's own word. */
export interface Footprint {
  readonly processes: readonly string[];
  readonly mounts: readonly string[];
  readonly links: readonly string[];
  readonly namespaces: readonly string[];
  readonly cgroups: readonly string[];
  readonly tables: readonly string[];
  readonly temporary: readonly string[];
}

const output = (file: string, ...args: string[]) =>
  new Promise<string>((resolve) => execFile(file, args, (_error, stdout) => resolve(String(stdout ?? ""))));

export async function footprint(): Promise<Footprint> {
  const processes: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
    if (/containerd|dockerd|docker-registry|runsc|gantry|buildah|skopeo|moto_server|\/src\/(server|agent|cli)\/main\.ts/.test(line))
      processes.push(`${pid} ${line.slice(0, 160)}`);
  }
  const mounts = (await readFile("/proc/self/mountinfo", "utf8"))
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter(Boolean);
  const links = (await output("ip", "-o", "link"))
    .split("\n")
    .map((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? "")
    .filter(Boolean);
  const namespaces = await readdir("/run/netns").catch(() => []);
  const cgroups = await gantryCgroups();
  const tables = (await output("nft", "list", "tables")).split("\n").filter((line) => /gantry/.test(line));
  const temporary = (await readdir(tmpdir())).filter((name) => /gantry|buildah|^docker|^skopeo/.test(name));
  return { processes, mounts, links, namespaces, cgroups, tables, temporary };
}

async function gantryCgroups(): Promise<string[]> {
  const found: string[] = [];
  for (const root of ["/sys/fs/cgroup", ...(await readdir("/sys/fs/cgroup").catch(() => [])).map((name) => `/sys/fs/cgroup/${name}`)]) {
    for (const name of await readdir(root).catch(() => [])) if (/^gantry/.test(name)) found.push(`${root}/${name}`);
  }
  return found;
}

/** What is there now and was not before. */
export function difference(before: Footprint, now: Footprint): readonly string[] {
  return (Object.keys(before) as (keyof Footprint)[]).flatMap((kind) => {
    const known = new Set(before[kind]);
    return now[kind].filter((each) => !known.has(each)).map((each) => `${kind}: ${each}`);
  });
}
