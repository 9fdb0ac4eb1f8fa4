import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "#platform/random.ts";

/** What a machine that joined knows of it: `<home>/joined.json` (0600). Who reads it can speak for this machine. */
export interface Joined {
  readonly urls: readonly string[];
  /** PEM; undefined: the system trusts the server's certificate. */
  readonly authority: string | undefined;
  readonly machine: string;
  readonly key: string;
  readonly cluster: string;
  readonly account: string;
  readonly region: string;
  /** The registry's name in images is `localhost:<port>`, as on the server's machine. */
  readonly port: number;
  /** Where others reach this machine. */
  readonly address: string | undefined;
  readonly attributes: Readonly<Record<string, string>>;
}

const stateFile = (home: string) => join(home, "joined.json");
const keyFile = (home: string) => join(home, "machine.key");
export const authorityFile = (home: string) => join(home, "joined-authority.pem");

export function readJoined(home: string): Joined | undefined {
  try {
    return JSON.parse(readFileSync(stateFile(home), "utf8")) as Joined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${stateFile(home)} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

export function writeJoined(home: string, joined: Joined): void {
  if (joined.authority !== undefined) put(authorityFile(home), joined.authority);
  put(stateFile(home), `${JSON.stringify(joined, undefined, 2)}\n`);
}

/** The machine's own key, written down before anybody hears of it: a join whose answer was lost is asked again with the same. */
export function machineKey(home: string, random: Random): string {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  try {
    const known = readFileSync(keyFile(home), "utf8").trim();
    if (/^[0-9a-f]{64}$/.test(known)) return known;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const made = random.hex(32);
  put(keyFile(home), `${made}\n`);
  return made;
}

export function forgetJoined(home: string): void {
  for (const file of [stateFile(home), keyFile(home), authorityFile(home), join(home, "agent-credentials")]) rmSync(file, { force: true });
}

function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
}
