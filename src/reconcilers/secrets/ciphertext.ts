import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

/**
 * What Encrypt gives out: opaque to everybody else. One byte of version, the length and text of the key's ARN, the number of the key's material,
 * nonce, tag, and the body under AES-256-GCM. ARN, number and encryption context are authenticated.
 */
const version = 1;

export interface Header {
  readonly arn: string;
  /** Index into the key's material. */
  readonly material: number;
}

export type EncryptionContext = Readonly<Record<string, string>>;

export function encrypt(key: Uint8Array, header: Header, context: EncryptionContext, plaintext: Uint8Array): Buffer {
  const head = encodeHeader(header);
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.concat([head, canonical(context)]));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return Buffer.concat([head, nonce, cipher.getAuthTag(), body]);
}

/** Undefined for what was not made by `encrypt`. Whether it is true, `decrypt` knows. */
export function readHeader(blob: Uint8Array): Header | undefined {
  const bytes = Buffer.from(blob);
  const length = bytes[1] ?? 0;
  if (bytes[0] !== version || bytes.length < 2 + length + 2 + 28) return undefined;
  return { arn: bytes.toString("utf8", 2, 2 + length), material: bytes.readUInt16BE(2 + length) };
}

/** Undefined when the blob was changed, or the key or the context is another. */
export function decrypt(key: Uint8Array, header: Header, context: EncryptionContext, blob: Uint8Array): Buffer | undefined {
  const head = encodeHeader(header);
  const rest = Buffer.from(blob).subarray(head.length);
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, rest.subarray(0, 12))
      .setAAD(Buffer.concat([head, canonical(context)]))
      .setAuthTag(rest.subarray(12, 28));
    return Buffer.concat([decipher.update(rest.subarray(28)), decipher.final()]);
  } catch {
    return undefined;
  }
}

function encodeHeader({ arn, material }: Header): Buffer {
  const text = Buffer.from(arn);
  const number = Buffer.alloc(2);
  number.writeUInt16BE(material);
  return Buffer.concat([Buffer.from([version, text.length]), text, number]);
}

/** In whatever order the pairs were given. */
function canonical(context: EncryptionContext): Buffer {
  return Buffer.from(JSON.stringify(Object.entries(context).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))));
}
