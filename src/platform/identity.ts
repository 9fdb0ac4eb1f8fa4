import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Random } from "./random.ts";

/** What a Gantry is made with at its first start and keeps for good: who its root user is, and the key of its sealed tokens. */
export interface Identity {
  /** `AKIA` and 16 upper-case letters and digits. */
  readonly rootAccessKeyId: string;
  /** 40 characters. */
  readonly rootSecretAccessKey: string;
  /** 32 bytes. */
  readonly sealerKey: Uint8Array;
  /** 8 hex digits that tell this Gantry's bridges, tables and cgroups from another's on the same machine. */
  readonly nodeId: string;
}

interface Stored {
  readonly rootAccessKeyId: string;
  readonly rootSecretAccessKey: string;
  readonly sealerKey: string;
  readonly nodeId: string;
}

const fileName = "identity.json";

/**
 * Reads `<home>/identity.json` (mode 0600), or makes it. Several processes may start at once: the file appears whole by a
 * link, the first wins, and all read the same.
 */
export async function loadIdentity(home: string, random: Random): Promise<Identity> {
  const path = join(home, fileName);
  await mkdir(home, { recursive: true, mode: 0o700 });
  const known = await readIdentity(path);
  if (known) return known;
  const made: Stored = {
    rootAccessKeyId: `AKIA${base32(random.hex(10))}`,
    rootSecretAccessKey: Buffer.from(random.hex(30), "hex").toString("base64"),
    sealerKey: random.hex(32),
    nodeId: random.hex(4),
  };
  const temporary = `${path}.${random.hex(4)}`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(made, undefined, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  const identity = await readIdentity(path);
  if (!identity) throw new Error(`${path} vanished while it was made`);
  return identity;
}

async function readIdentity(path: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const stored = JSON.parse(text) as Partial<Stored>;
  const { rootAccessKeyId, rootSecretAccessKey, sealerKey, nodeId } = stored;
  if (!rootAccessKeyId || !rootSecretAccessKey || !nodeId || !/^[0-9a-f]{64}$/.test(sealerKey ?? "")) {
    throw new Error(`${path} is damaged: restore it, or move it away to get new credentials`);
  }
  return { rootAccessKeyId, rootSecretAccessKey, nodeId, sealerKey: Buffer.from(sealerKey ?? "", "hex") };
}

/** 16 letters and digits of RFC 4648's alphabet for 10 bytes of hex. */
function base32(hex: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = BigInt(`0x${hex}`);
  let text = "";
  for (let i = 15; i >= 0; i--) text += alphabet[Number((bits >> BigInt(i * 5)) & 31n)];
  return text;
}
