import { link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError } from "./config.ts";
import type { Random } from "./random.ts";

/**
 * The keys of the vault: a file of mode 0600 with a key on each line, 64 hex digits. The first seals; a second one is there only while a rotation
 * is under way (src/server/vault-keys.ts).
 */
export interface KeyFileOptions {
  readonly path: string;
  /** Make the file when it is missing. False for one that the operator named: a disk that is not mounted must not look like a first start. */
  readonly make: boolean;
}

/** Throws ConfigError when the file is missing, open to others, or not of this form. */
export async function loadKeys({ path, make }: KeyFileOptions, random: Random): Promise<readonly Buffer[]> {
  const known = await readKeys(path);
  if (known) return known;
  if (!make)
    throw new ConfigError(
      `the key of secrets is not at ${path} (GANTRY_SECRETS_KEY); to begin with a new one: openssl rand -hex 32 > ${path}`,
    );
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = await writeTemporary(path, [Buffer.from(random.hex(32), "hex")], random);
  // The first of several that start at once wins.
  await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  await rm(temporary, { force: true });
  await syncDirectory(path);
  const made = await readKeys(path);
  if (!made) throw new ConfigError(`${path} vanished while it was made`);
  return made;
}

/** Replaces the file whole: after a crash it holds the keys of before or these. */
export async function writeKeys(path: string, keys: readonly Uint8Array[], random: Random): Promise<void> {
  await rename(await writeTemporary(path, keys, random), path);
  await syncDirectory(path);
}

async function readKeys(path: string): Promise<Buffer[] | undefined> {
  let text: string;
  try {
    if (((await stat(path)).mode & 0o077) !== 0) throw new ConfigError(`others can read the key of secrets: chmod 600 ${path}`);
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0 || lines.some((line) => !/^[0-9a-f]{64}$/i.test(line.trim())))
    throw new ConfigError(`${path} is not a file of keys: one of 64 hex digits on each line`);
  return lines.map((line) => Buffer.from(line.trim(), "hex"));
}

async function writeTemporary(path: string, keys: readonly Uint8Array[], random: Random): Promise<string> {
  const temporary = `${path}.${random.hex(4)}`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(keys.map((key) => `${Buffer.from(key).toString("hex")}\n`).join(""));
    await file.sync();
  } finally {
    await file.close();
  }
  return temporary;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
