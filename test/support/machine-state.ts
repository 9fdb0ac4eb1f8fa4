/**
 * What is on the machine now, read so that other tests may make and remove theirs meanwhile: `ip netns` complains about a namespace that is being
 * made, and `find` fails when a directory goes while it looks.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";

const entries = (directory: string): string[] => {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
};

/** Names of network namespaces. */
export const namespaces = (): string[] => entries("/run/netns");

/** Network devices outside of all of them. */
export const links = (): string[] => entries("/sys/class/net");

/** Control groups whose name begins so, of any controller, two levels below it at most. */
export function cgroups(beginning: string): string[] {
  const found: string[] = [];
  let level = ["/sys/fs/cgroup"];
  for (let depth = 0; depth < 3; depth++) {
    const next: string[] = [];
    for (const parent of level)
      for (const directory of directoriesIn(parent)) {
        next.push(join(parent, directory));
        if (directory.startsWith(beginning)) found.push(join(parent, directory));
      }
    level = next;
  }
  return found;
}

function directoriesIn(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}
