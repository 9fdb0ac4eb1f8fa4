import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";

/** The mount points at and below a directory, deepest and latest first: the order to unmount them in. */
export async function mountsBelow(directory: string, mountinfo?: string): Promise<string[]> {
  const text = mountinfo ?? (await readFile("/proc/self/mountinfo", "utf8"));
  const found: string[] = [];
  for (const line of text.split("\n")) {
    const target = line.split(" ")[4]?.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    if (target && (target === directory || target.startsWith(`${directory}/`))) found.push(target);
  }
  return found.reverse();
}

/** Unmounts all at and below a directory, lazily where something still uses it. Returns what it unmounted. */
export async function unmountBelow(directory: string): Promise<string[]> {
  const done: string[] = [];
  for (const target of await mountsBelow(directory)) {
    const child = spawn("umount", ["--lazy", "--no-canonicalize", "--", target], { stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0 && !/not mounted|no mount point/.test(complaint)) throw new Error(`${target} was not unmounted: ${complaint.trim()}`);
    done.push(target);
  }
  return done;
}
