import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** What the tasks stand on, by what each program says of itself. */
const programs: Readonly<Record<string, readonly string[]>> = {
  containerd: ["containerd", "--version"],
  runc: ["runc", "--version"],
  nft: ["nft", "--version"],
};

/** Version numbers; null: not installed. */
export async function versions(): Promise<Readonly<Record<string, string | null>>> {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const ask = async ([file = "", ...args]: readonly string[]) => {
    const { stdout } = await promisify(execFile)(file, args, { env, timeout: 5000 }).catch(() => ({ stdout: "" }));
    return /\d+\.\d+[\w.~+-]*/.exec(stdout)?.[0] ?? null;
  };
  const found = await Promise.all(Object.entries(programs).map(async ([name, command]) => [name, await ask(command)] as const));
  return { gantry: version, node: process.versions.node, ...Object.fromEntries(found) };
}

export function formatVersions(all: Readonly<Record<string, string | null>>): string {
  return Object.entries(all)
    .map(([name, version]) => `${name.padEnd(10)} ${version ?? "not installed"}`)
    .join("\n");
}
