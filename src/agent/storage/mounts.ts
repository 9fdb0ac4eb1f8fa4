import { readdir, readFile } from "node:fs/promises";

/** Loop devices over a file, or over any file below a directory that ends with a slash. */
export async function loopsOf(path: string): Promise<string[]> {
  return loops((file) => file === path || (path.endsWith("/") && file.startsWith(path)));
}

/** Loop devices over any of these files. */
export async function loopsOver(files: readonly string[]): Promise<string[]> {
  return loops((file) => files.includes(file));
}

async function loops(wanted: (file: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir("/sys/block").catch(() => [])) {
    if (!name.startsWith("loop")) continue;
    const file = (await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "")).trimEnd();
    if (file !== "" && wanted(file)) found.push(`/dev/${name}`);
  }
  return found;
}

/** Whether the device reads and writes its file past the machine's memory. */
export async function isDirect(device: string): Promise<boolean> {
  return (await readFile(`/sys/block/${device.slice("/dev/".length)}/loop/dio`, "utf8").catch(() => "1")).trim() === "1";
}

/** Those of the directories at which something is mounted. */
export async function mounted(directories: readonly string[]): Promise<string[]> {
  const points = new Set<string>();
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    const point = line.split(" ", 5)[4];
    if (point) points.add(point.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))));
  }
  return directories.filter((directory) => points.has(directory));
}
