import type * as Sdk from "@aws-sdk/client-ec2";
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { ApiError } from "#api/contract.ts";
import type { KeyPairRecord } from "#model/instance-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import type { Change, Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { notFound } from "./kinds.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Key pairs. The private half is shown once and kept nowhere. Source: Amazon EC2 API Reference, "CreateKeyPair" and its kin; User Guide, "How fingerprints are calculated". */

const colons = (hex: string) => hex.match(/../g)!.join(":");
const length = (bytes: Buffer) => {
  const size = Buffer.alloc(4);
  size.writeUInt32BE(bytes.length);
  return Buffer.concat([size, bytes]);
};

/** A public key in OpenSSH's form: RFC 4253 (6.6) and RFC 8709 (4). */
function openSsh(key: KeyObject, comment: string): string {
  const jwk = key.export({ format: "jwk" }) as { n?: string; e?: string; x?: string };
  const integer = (text = "") => {
    const bytes = Buffer.from(text, "base64url");
    return length(bytes[0]! & 0x80 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  };
  const type = jwk.x === undefined ? "ssh-rsa" : "ssh-ed25519";
  const rest = jwk.x === undefined ? [integer(jwk.e), integer(jwk.n)] : [length(Buffer.from(jwk.x, "base64url"))];
  return `${type} ${Buffer.concat([length(Buffer.from(type)), ...rest]).toString("base64")} ${comment}`;
}

/** A private ed25519 key as OpenSSH keeps it (PROTOCOL.key): the only form that ssh reads. */
function openSshPrivate(key: KeyObject, check: Buffer, comment: string): string {
  const { x = "", d = "" } = key.export({ format: "jwk" }) as { x?: string; d?: string };
  const [open, secret] = [Buffer.from(x, "base64url"), Buffer.from(d, "base64url")];
  const type = length(Buffer.from("ssh-ed25519"));
  const body = Buffer.concat([check, check, type, length(open), length(Buffer.concat([secret, open])), length(Buffer.from(comment))]);
  const padding = Buffer.from(Array.from({ length: (8 - (body.length % 8)) % 8 }, (_, at) => at + 1));
  const none = length(Buffer.from("none"));
  const one = Buffer.from([0, 0, 0, 1]);
  const whole = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    none,
    none,
    length(Buffer.alloc(0)),
    one,
    length(Buffer.concat([type, length(open)])),
    length(Buffer.concat([body, padding])),
  ]);
  const lines = whole.toString("base64").match(/.{1,70}/g)!;
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join("\n")}\n-----END OPENSSH PRIVATE KEY-----`;
}

const sha256 = (publicKey: string) =>
  `${createHash("sha256")
    .update(Buffer.from(publicKey.split(" ")[1] ?? "", "base64"))
    .digest("base64")}`;

async function write(
  change: Change,
  name: string | undefined,
  tags: readonly Sdk.TagSpecification[] | undefined,
  made: Pick<KeyPairRecord, "type" | "fingerprint" | "publicKey">,
): Promise<KeyPairRecord> {
  if (!name || name.length > 255 || !/^[\x20-\x7e]+$/.test(name))
    throw ec2Errors.invalid(`Value (${name ?? ""}) for parameter keyName is invalid. Up to 255 ASCII characters are allowed.`);
  if ((await change.all("key-pair")).some((each) => each.name === name))
    throw new ApiError("InvalidKeyPair.Duplicate", `The keypair already exists`);
  const record: KeyPairRecord = {
    id: newId(change.random, "key"),
    name,
    ...made,
    createdAt: change.now,
    tags: tagsFor("key-pair", tags),
  };
  change.put("key-pair", record.id, record);
  return record;
}

export async function createKeyPair(change: Change, input: Sdk.CreateKeyPairRequest): Promise<Sdk.KeyPair> {
  const type = input.KeyType ?? "rsa";
  if (type !== "rsa" && type !== "ed25519") throw ec2Errors.invalid(`Value (${String(type)}) for parameter keyType is invalid.`);
  if (input.KeyFormat === "ppk") throw ec2Errors.notYet("private keys in the format ppk");
  const name = input.KeyName ?? "";
  const { publicKey, privateKey } = type === "rsa" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ed25519");
  const text = openSsh(publicKey, name);
  // Of keys that EC2 made: SHA-1 of the private key, for ed25519 SHA-256 of the public one.
  const fingerprint =
    type === "rsa"
      ? colons(
          createHash("sha1")
            .update(privateKey.export({ type: "pkcs8", format: "der" }))
            .digest("hex"),
        )
      : sha256(text);
  const material =
    type === "rsa"
      ? privateKey.export({ type: "pkcs1", format: "pem" }).toString().trim()
      : openSshPrivate(privateKey, Buffer.from(change.random.hex(4), "hex"), name);
  const record = await write(change, input.KeyName, input.TagSpecifications, { type, fingerprint, publicKey: text });
  return { KeyPairId: record.id, KeyName: record.name, KeyFingerprint: fingerprint, KeyMaterial: material, Tags: apiTags(record.tags) };
}

export async function importKeyPair(change: Change, input: Sdk.ImportKeyPairRequest): Promise<Sdk.ImportKeyPairResult> {
  const made = imported(
    Buffer.from(input.PublicKeyMaterial ?? new Uint8Array())
      .toString("utf8")
      .trim(),
    input.KeyName ?? "",
  );
  const record = await write(change, input.KeyName, input.TagSpecifications, made);
  return { KeyPairId: record.id, KeyName: record.name, KeyFingerprint: record.fingerprint, Tags: apiTags(record.tags) };
}

/** OpenSSH's form, or PEM; some tools encode it once more. */
function imported(given: string, name: string): Pick<KeyPairRecord, "type" | "fingerprint" | "publicKey"> {
  const bad = () => new ApiError("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
  const text = /^[A-Za-z0-9+/=\s]+$/.test(given) && !given.includes(" ") ? Buffer.from(given, "base64").toString("utf8").trim() : given;
  if (text.startsWith("-----BEGIN")) {
    try {
      const key = createPublicKey(text);
      if (key.asymmetricKeyType === "rsa") return imported(openSsh(key, name), name);
    } catch {
      // Said below.
    }
    throw bad();
  }
  const match = /^(ssh-rsa|ssh-ed25519) ([A-Za-z0-9+/]+={0,2})(?: (.*))?$/.exec(text);
  if (!match) throw bad();
  const [, algorithm, encoded = ""] = match;
  const blob = Buffer.from(encoded, "base64");
  const parts: Buffer[] = [];
  for (let at = 0; at + 4 <= blob.length;) {
    const size = blob.readUInt32BE(at);
    if (at + 4 + size > blob.length) throw bad();
    parts.push(blob.subarray(at + 4, at + 4 + size));
    at += 4 + size;
  }
  if (parts[0]?.toString() !== algorithm) throw bad();
  if (algorithm === "ssh-ed25519") {
    if (parts[1]?.length !== 32) throw bad();
    return { type: "ed25519", fingerprint: sha256(text), publicKey: text };
  }
  const [, exponent, modulus] = parts;
  if (!exponent || !modulus) throw bad();
  const stripped = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  if (![1024, 2048, 4096].includes(stripped.length * 8))
    throw new ApiError("InvalidKey.Format", "Key is not in valid OpenSSH public key format");
  const key = createPublicKey({
    key: { kty: "RSA", n: stripped.toString("base64url"), e: exponent.toString("base64url") },
    format: "jwk",
  });
  // Of keys that were imported: MD5 of the public key in DER.
  const fingerprint = colons(
    createHash("md5")
      .update(key.export({ type: "spki", format: "der" }))
      .digest("hex"),
  );
  return { type: "rsa", fingerprint, publicKey: text };
}

export async function describeKeyPairs(question: Question, input: Sdk.DescribeKeyPairsRequest): Promise<Sdk.DescribeKeyPairsResult> {
  const all = await question.all("key-pair");
  const missing = (input.KeyNames ?? []).filter((name) => !all.some((each) => each.name === name));
  if (missing.length > 0) throw notFound("key-pair", ...missing);
  const ids = input.KeyPairIds ?? [];
  const gone = ids.filter((id) => !all.some((each) => each.id === id));
  if (gone.length > 0) throw notFound("key-pair", ...gone);
  const named = (input.KeyNames?.length ?? 0) + ids.length;
  const { items } = describe(question, {
    operation: "DescribeKeyPairs",
    items: all
      .filter(({ id, name }) => named === 0 || input.KeyNames?.includes(name) || ids.includes(id))
      .map((record): Sdk.KeyPairInfo => ({
        KeyPairId: record.id,
        KeyName: record.name,
        KeyType: record.type,
        KeyFingerprint: record.fingerprint,
        CreateTime: new Date(record.createdAt),
        Tags: apiTags(record.tags),
        ...(input.IncludePublicKey ? { PublicKey: record.publicKey } : {}),
      })),
    id: ({ KeyPairId = "" }) => KeyPairId,
    input: {},
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "key-pair-id": ({ KeyPairId }) => KeyPairId,
      fingerprint: ({ KeyFingerprint }) => KeyFingerprint,
      "key-name": ({ KeyName }) => KeyName,
    },
  });
  return { KeyPairs: items };
}

/** Deleting one that is not there succeeds, as in EC2. */
export async function deleteKeyPair(
  change: Change,
  { KeyName: name, KeyPairId: id }: Sdk.DeleteKeyPairRequest,
): Promise<Sdk.DeleteKeyPairResult> {
  if (name === undefined && id === undefined) throw ec2Errors.missing("KeyName");
  const record = (await change.all("key-pair")).find((each) => (id === undefined ? each.name === name : each.id === id));
  if (record) change.delete("key-pair", record.id);
  return { Return: true, ...(record ? { KeyPairId: record.id } : {}) };
}
