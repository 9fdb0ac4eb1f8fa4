import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/**
 * Keeps secrets unreadable on disk. Each sealed text has a data key of its own (AES-256-GCM), wrapped by one of the keys of the key file
 * (src/platform/key-file.ts); the scope, which names the record, is authenticated: a text moved to another record does not open there.
 * What is sealed to be written into the store goes through `sealIn` (src/store/sealed.ts), so that a rotation misses none.
 */
export interface Vault {
  /** Seals with `keyId`'s key; default: the current one. */
  seal(scope: string, plaintext: Uint8Array, keyId?: string): string;
  /** Throws VaultError when the text was not sealed for this scope by one of our keys, or was changed. */
  open(scope: string, sealed: string): Buffer;
  /** The same plaintext under a new data key and the current key; undefined when it is under the current key already. Throws VaultError. */
  reseal(sealed: string): string | undefined;
  /** The key that seals. */
  readonly keyId: string;
  has(keyId: string): boolean;
  /** Exchanges the keys; the first one seals from now on. */
  use(keys: readonly Uint8Array[]): void;
}

export class VaultError extends Error {}

/** Begins every sealed text; what users may give never has it, since no API shows one. */
export const sealedPrefix = "gantry-sealed.1.";

/** `keys`: 32 bytes each, at least one; the first seals, all open. */
export function createVault(keys: readonly Uint8Array[]): Vault {
  let ring = ringOf(keys);
  const keyOf = (id: string) => {
    const key = ring.get(id);
    if (!key) throw new VaultError(`sealed with the key ${id}, which is not in the key file`);
    return key;
  };
  const current = () => ring.keys().next().value!;
  const seal: Vault["seal"] = (scope, plaintext, keyId = current()) => {
    const dataKey = randomBytes(32);
    const wrapped = encrypt(keyOf(keyId), `${keyId} ${scope}`, dataKey);
    const body = encrypt(dataKey, scope, plaintext);
    dataKey.fill(0);
    return sealedPrefix + [keyId, text(Buffer.from(scope)), text(wrapped), text(body)].join(".");
  };
  const openAs = (scope: string | undefined, sealed: string) => {
    const [keyId = "", named = "", wrapped = "", body = "", more] = sealed.startsWith(sealedPrefix)
      ? sealed.slice(sealedPrefix.length).split(".")
      : [];
    const of = Buffer.from(named, "base64url").toString("utf8");
    if (body === "" || more !== undefined || (scope !== undefined && of !== scope))
      throw new VaultError(`not a sealed text of ${scope ?? "any record"}`);
    const dataKey = decrypt(keyOf(keyId), `${keyId} ${of}`, Buffer.from(wrapped, "base64url"));
    return { keyId, scope: of, plaintext: decrypt(dataKey, of, Buffer.from(body, "base64url")) };
  };
  return {
    seal,
    open: (scope, sealed) => openAs(scope, sealed).plaintext,
    reseal(sealed) {
      if (sealed.startsWith(`${sealedPrefix}${current()}.`)) return undefined;
      const { scope, plaintext } = openAs(undefined, sealed);
      return seal(scope, plaintext);
    },
    get keyId() {
      return current();
    },
    has: (keyId) => ring.has(keyId),
    use(next) {
      ring = ringOf(next);
    },
  };
}

/** Tells keys apart without telling anything of them: 16 hex digits. */
export function keyIdOf(key: Uint8Array): string {
  return createHash("sha256").update("gantry key id\n").update(key).digest("hex").slice(0, 16);
}

function ringOf(keys: readonly Uint8Array[]): ReadonlyMap<string, Uint8Array> {
  if (keys.length === 0 || keys.some((key) => key.length !== 32)) throw new VaultError("a vault needs keys of 32 bytes");
  return new Map(keys.map((key) => [keyIdOf(key), key]));
}

const text = (bytes: Buffer) => bytes.toString("base64url");

function encrypt(key: Uint8Array, scope: string, plaintext: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(scope));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

function decrypt(key: Uint8Array, scope: string, raw: Buffer): Buffer {
  if (raw.length < 28) throw new VaultError("a sealed text was cut");
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, raw.subarray(0, 12)).setAAD(Buffer.from(scope)).setAuthTag(raw.subarray(12, 28));
    return Buffer.concat([decipher.update(raw.subarray(28)), decipher.final()]);
  } catch (error) {
    throw new VaultError("a sealed text was changed, or belongs to another record", { cause: error });
  }
}
