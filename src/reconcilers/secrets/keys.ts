import { formatArn, parseArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { kmsKeys } from "#model/secrets-keys.ts";
import type { AliasRecord, KeyRecord } from "#model/secrets-records.ts";
import { decrypt, encrypt, type EncryptionContext, readHeader } from "./ciphertext.ts";
import type { Change, Records } from "./records.ts";

/** The aliases of AWS managed keys that are made when something first asks for them, and what their keys are for. */
const managed: Readonly<Record<string, string>> = {
  "alias/aws/secretsmanager": "Default key that protects my Secrets Manager data when no other key is defined",
  "alias/aws/ssm": "Default key that protects my SSM parameters when no other key is defined",
  "alias/aws/ecr": "Default key that protects my ECR data when no other key is defined",
};

export const isManagedAlias = (name: string): boolean => name in managed;

export const keyArn = (scope: Scope, id: string) => formatArn({ service: "kms", ...scope, resource: `key/${id}` });
export const aliasArn = (scope: Scope, name: string) => formatArn({ service: "kms", ...scope, resource: name });

/** What a text that names a key means: `id`, `alias`, or nothing that could be one of this account and region. */
export function nameOfKey(own: Scope, given: string): { readonly scope: Scope; readonly id?: string; readonly alias?: string } | undefined {
  const arn = given.startsWith("arn:") ? parseArn(given) : undefined;
  if (given.startsWith("arn:") && (arn?.service !== "kms" || arn.account !== own.account || arn.region !== own.region)) return undefined;
  const scope = own;
  const name = arn ? arn.resource.replace(/^key\//, "") : given;
  if (/^alias\/[a-zA-Z0-9/_-]+$/.test(name)) return { scope, alias: name };
  return /^(mrk-)?[a-zA-Z0-9-]+$/.test(name) ? { scope, id: name } : undefined;
}

/** The key of an id, ARN, alias or alias ARN; undefined when there is none. */
export async function findKey(records: Pick<Records, "scope" | "get">, given: string): Promise<KeyRecord | undefined> {
  const named = nameOfKey(records.scope, given);
  if (!named) return undefined;
  const { scope, alias } = named;
  const id = alias === undefined ? named.id : (await records.get<AliasRecord>(kmsKeys.alias(scope, alias)))?.keyId;
  return id === undefined ? undefined : records.get<KeyRecord>(kmsKeys.key(scope, id));
}

/** The same, and an AWS managed key is made when it is not there yet. */
export async function findOrMakeKey(change: Change, given: string): Promise<KeyRecord | undefined> {
  const found = await findKey(change, given);
  const alias = nameOfKey(change.scope, given)?.alias;
  if (found || alias === undefined || !isManagedAlias(alias)) return found;
  const key = await makeKey(change, { description: managed[alias]!, manager: "AWS", policy: managedPolicy(change.scope, alias), tags: [] });
  putAlias(change, alias, key.id);
  return key;
}

export async function makeKey(
  change: Change,
  { description, manager, policy, tags }: Pick<KeyRecord, "description" | "manager" | "policy" | "tags">,
): Promise<KeyRecord> {
  const { scope, unit, now, deps } = change;
  const id = deps.random.uuid();
  const key: KeyRecord = {
    id,
    arn: keyArn(scope, id),
    description,
    state: "Enabled",
    manager,
    createdAt: now,
    material: [{ sealed: await newMaterial(change, id), at: now, how: "FIRST" }],
    policy,
    tags,
  };
  unit.put(kmsKeys.key(scope, id), key);
  return key;
}

export const newMaterial = ({ scope, deps, seal }: Pick<Change, "scope" | "deps" | "seal">, id: string): Promise<string> =>
  seal(kmsKeys.key(scope, id), Buffer.from(deps.random.hex(32), "hex"));

export function putAlias({ unit, scope, now }: Change, name: string, keyId: string, createdAt = now): void {
  unit.put(kmsKeys.alias(scope, name), { name, keyId, createdAt, updatedAt: now } satisfies AliasRecord);
}

export const isUsable = ({ state }: KeyRecord): boolean => state === "Enabled";

/** The policy of a key that nobody gave one. Source: KMS Developer Guide, "Default key policy". */
export function defaultPolicy({ account }: Scope): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Id: "key-default-1",
    Statement: [
      {
        Sid: "Enable IAM User Permissions",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: "kms:*",
        Resource: "*",
      },
    ],
  });
}

function managedPolicy({ account, region }: Scope, alias: string): string {
  const service = alias.slice("alias/aws/".length);
  return JSON.stringify({
    Version: "2012-10-17",
    Id: `auto-${service}-2`,
    Statement: [
      {
        Sid: `Allow access through ${service} for all principals in the account that are authorized to use it`,
        Effect: "Allow",
        Principal: { AWS: "*" },
        Action: ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"],
        Resource: "*",
        Condition: { StringEquals: { "kms:CallerAccount": account, "kms:ViaService": `${service}.${region}.amazonaws.com` } },
      },
      {
        Sid: "Allow direct access to key metadata to the account",
        Effect: "Allow",
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
        Resource: "*",
      },
    ],
  });
}

/** Encrypts with the newest material of a key. The result tells which key and material it needs. */
export function encryptWith(records: Records, key: KeyRecord, context: EncryptionContext, plaintext: Uint8Array): Buffer {
  const material = key.material.length - 1;
  return encrypt(materialOf(records, key, material), { arn: key.arn, material }, context, plaintext);
}

/** Undefined when the text is not one of this key's, was changed, or the context is another. */
export function decryptWith(records: Records, key: KeyRecord, context: EncryptionContext, blob: Uint8Array): Buffer | undefined {
  const header = readHeader(blob);
  if (header?.arn !== key.arn || header.material >= key.material.length) return undefined;
  return decrypt(materialOf(records, key, header.material), header, context, blob);
}

function materialOf({ deps }: Records, { arn, id, material }: KeyRecord, index: number): Buffer {
  const [, , , region = "", account = ""] = arn.split(":");
  return deps.vault.open(kmsKeys.key({ account, region }, id), material[index]!.sealed);
}

/**
 * What a service keeps of a secret: encrypted with the KMS key that was chosen for it, as with AWS, and then sealed, so that a rotation of
 * Gantry's own key reaches it too. When the KMS key is deleted, the secret is lost.
 */
export async function protect(
  change: Change,
  key: KeyRecord,
  at: string,
  context: EncryptionContext,
  plaintext: Uint8Array,
): Promise<string> {
  return change.seal(at, encryptWith(change, key, context, plaintext));
}

/** The KMS ciphertext. */
export const unsealed = ({ deps }: Records, at: string, sealed: string): Buffer => deps.vault.open(at, sealed);

/** Undefined when the key is gone or cannot be used. */
export async function reveal(records: Records, at: string, context: EncryptionContext, sealed: string): Promise<Buffer | undefined> {
  const blob = unsealed(records, at, sealed);
  const header = readHeader(blob);
  const key = header && (await findKey(records, header.arn));
  return key && isUsable(key) ? decryptWith(records, key, context, blob) : undefined;
}
