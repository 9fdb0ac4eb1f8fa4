import { readdir, readFile } from "node:fs/promises";

/** Loop devices over a file, or over any file below a directory that ends with a slash. */
export async function loopsOf(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await list("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    const backing = (await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "")).trimEnd();
    if (backing === path || (path.endsWith("/") && backing.startsWith(path))) found.push(`/dev/${name}`);
  }
  return found;
}

/** Whether the device reads and writes its file past the machine's memory. */
export async function isDirect(device: string): Promise<boolean> {
  return (await readFile(`/sys/block/${device.slice("/dev/".length)}/loop/dio`, "utf8").catch(() => "1")).trim() === "1";
}

/** Where something is mounted, at the directory or below it. */
export async function mountsBelow(directory: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    const point = line.split(" ", 5)[4]?.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point === directory || point?.startsWith(`${directory}/`)) found.add(point);
  }
  return found;
}

const list = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
