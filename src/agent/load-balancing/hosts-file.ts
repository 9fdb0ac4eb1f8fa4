import { closeSync, constants, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { sleep, type Clock } from "#platform/clock.ts";

/**
 * This Gantry's names in the machine's /etc/hosts: a block between two marks that carry its instance, written whole. No other line is ever touched; several
 * Gantrys take turns by a lock file.
 */
export interface Name {
  readonly name: string;
  readonly addresses: readonly string[];
}

const markOf = (instance: string, which: "begin" | "end") => `# gantry ${instance} ${which}: load balancers, kept by its agent`;

/** `text` with the instance's block as `names` say; without names there is none. Pure. */
export function withNames(text: string, instance: string, names: readonly Name[]): string {
  const [begin, end] = [markOf(instance, "begin"), markOf(instance, "end")];
  const lines = text.split("\n");
  const kept: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    // Without its end it is no block of ours: only the mark goes.
    const close = lines[at] === begin ? lines.indexOf(end, at) : -1;
    if (close >= 0) at = close;
    else if (lines[at] !== begin && lines[at] !== end) kept.push(lines[at]!);
  }
  const own = names.flatMap(({ name, addresses }) => addresses.map((address) => `${address} ${name}`));
  if (own.length === 0) return kept.join("\n");
  const head = kept.join("\n");
  return `${head}${head === "" || head.endsWith("\n") ? "" : "\n"}${[begin, ...own, end].join("\n")}\n`;
}

const staleMs = 5_000;
const patienceMs = 10_000;

/** Rejects where the file cannot be written, or somebody else keeps the lock. */
export async function writeNames(
  { path = "/etc/hosts", instance, clock }: { readonly path?: string; readonly instance: string; readonly clock: Clock },
  names: readonly Name[],
): Promise<void> {
  const current = () => (existsSync(path) ? readFileSync(path, "utf8") : "");
  if (withNames(current(), instance, names) === current()) return;
  const lock = `${path}.gantry-lock`;
  await take(lock, clock);
  try {
    const before = current();
    const after = withNames(before, instance, names);
    if (after === before) return;
    const mode = existsSync(path) ? statSync(path).mode & 0o777 : 0o644;
    const fresh = `${path}.gantry-${instance}`;
    writeFileSync(fresh, after, { mode });
    chmodSync(fresh, mode);
    try {
      renameSync(fresh, path);
    } catch (error) {
      // In a container the file is a mount: it can only be written in place.
      rmSync(fresh, { force: true });
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      writeFileSync(path, after);
    }
  } finally {
    rmSync(lock, { force: true });
  }
}

async function take(lock: string, clock: Clock): Promise<void> {
  for (const since = clock.now(); ;) {
    try {
      closeSync(openSync(lock, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o644));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
      // Its owner was killed: nobody holds it for so long.
      if (made !== undefined && Date.now() - made > staleMs) rmSync(lock, { force: true });
      else if (clock.now() - since > patienceMs) throw new Error(`${lock} is held by another`, { cause: error });
      else await sleep(clock, 20);
    }
  }
}
