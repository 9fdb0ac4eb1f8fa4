import { timingSafeEqual } from "node:crypto";
import type * as Sdk from "@aws-sdk/client-secrets-manager";
import { ApiError } from "#api/contract.ts";
import { secretKeys } from "#model/secrets-keys.ts";
import type { KeyRecord, SecretRecord, SecretVersion } from "#model/secrets-records.ts";
import { findOrMakeKey, isUsable, protect, reveal } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { listed } from "./list.ts";
import { current, moveLabel, needLiveSecret, putSecret, versionWith } from "./lookup.ts";
import { checkLabels, checkToken, limitOf, mostVersions, type Value, valueOf } from "./rules.ts";

const day = 24 * 60 * 60 * 1000;
export const defaultKey = "alias/aws/secretsmanager";

/** The context with which a version's value is encrypted. Source: User Guide, "Secret encryption and decryption". */
export const contextOf = ({ arn }: SecretRecord, versionId: string) => ({ SecretARN: arn, SecretVersionId: versionId });

/** Throws EncryptionFailure. */
export async function needKey(change: Change, given: string | undefined): Promise<KeyRecord> {
  const key = await findOrMakeKey(change, given ?? defaultKey);
  if (!key) throw errors.encryption(`${given} does not exist`);
  if (!isUsable(key)) throw errors.encryption(`${key.arn} is ${key.state === "Disabled" ? "disabled" : "pending deletion"}`);
  return key;
}

export async function sealValue(change: Change, secret: SecretRecord, versionId: string, { bytes, binary }: Value) {
  const key = await needKey(change, secret.kmsKeyId);
  const at = secretKeys.secret(change.scope, secret.name);
  const sealed = await protect(change, key, at, contextOf(secret, versionId), bytes);
  return { sealed, kmsKeyId: secret.kmsKeyId ?? defaultKey, ...(binary ? { binary: true as const } : {}) };
}

/** Throws DecryptionFailure. */
export async function openValue(records: Records, secret: SecretRecord, { id, sealed = "" }: SecretVersion): Promise<Buffer> {
  const plaintext = await reveal(records, secretKeys.secret(records.scope, secret.name), contextOf(secret, id), sealed);
  if (!plaintext) throw errors.decryption();
  return plaintext;
}

/**
 * The secret with one more version. A repetition of a version that is there, with the same value, changes nothing; with another value it is refused.
 * A version that waits for its value (AWSPENDING of a rotation) gets it.
 */
export async function addVersion(
  change: Change,
  secret: SecretRecord,
  { id, value, labels }: { readonly id: string; readonly value: Value; readonly labels: readonly string[] },
): Promise<SecretRecord> {
  const there = secret.versions.find((version) => version.id === id);
  if (there?.sealed !== undefined) {
    const before = await openValue(change, secret, there);
    const same = before.length === value.bytes.length && timingSafeEqual(before, value.bytes) && (there.binary ?? false) === value.binary;
    if (!same) throw errors.versionExists();
    return secret;
  }
  const sealed = await sealValue(change, secret, id, value);
  const fresh: SecretVersion = { id, stages: there?.stages ?? [], createdAt: there?.createdAt ?? change.now, ...sealed };
  let versions: readonly SecretVersion[] = [fresh, ...secret.versions.filter((version) => version.id !== id)];
  for (const label of labels) versions = moveLabel(versions, label, id);
  // The first value is current, whatever it is called.
  if (!versions.some(({ stages }) => stages.includes(current))) versions = moveLabel(versions, current, id);
  return { ...secret, versions: trim(versions, change.now), changedAt: change.now };
}

/** Versions without labels are deprecated: those older than a day go when there are too many. Throws LimitExceededException. */
function trim(versions: readonly SecretVersion[], now: number): readonly SecretVersion[] {
  if (versions.length <= mostVersions) return versions;
  const kept = [...versions];
  for (let at = kept.length - 1; at > 0 && kept.length > mostVersions; at--)
    if (kept[at]!.stages.length === 0 && now - kept[at]!.createdAt > day) kept.splice(at, 1);
  if (kept.length > mostVersions)
    throw errors.limit(`A secret can have about ${mostVersions} versions; versions of the last 24 hours are not removed.`);
  return kept;
}

export async function putSecretValue(change: Change, input: Sdk.PutSecretValueRequest): Promise<Sdk.PutSecretValueResponse> {
  if (input.RotationToken) throw errors.notYet("Gantry has no rotation by another account's role: leave RotationToken out.");
  const value = valueOf(input);
  if (!value) throw errors.request("You must provide either SecretString or SecretBinary.");
  const secret = await needLiveSecret(change, input.SecretId);
  const id = checkToken(input.ClientRequestToken, () => change.deps.random.uuid());
  const labels = checkLabels(input.VersionStages ?? [current]);
  const next = await addVersion(change, secret, { id, value, labels });
  if (next !== secret) putSecret(change, next);
  return { ARN: secret.arn, Name: secret.name, VersionId: id, VersionStages: stagesOf(next, id) };
}

export const stagesOf = ({ versions }: SecretRecord, id: string): string[] => [
  ...(versions.find((version) => version.id === id)?.stages ?? []),
];

export async function getSecretValue(records: Records, input: Sdk.GetSecretValueRequest): Promise<Sdk.GetSecretValueResponse> {
  const secret = await needLiveSecret(records, input.SecretId);
  return readValue(records, secret, chosen(secret, input));
}

function chosen(secret: SecretRecord, { VersionId, VersionStage }: Sdk.GetSecretValueRequest): SecretVersion {
  const byId = VersionId === undefined ? undefined : secret.versions.find(({ id }) => id === VersionId);
  if (VersionId !== undefined && byId?.sealed === undefined) throw errors.noValue(`VersionId: ${VersionId}`);
  if (byId) {
    if (VersionStage !== undefined && !byId.stages.includes(VersionStage))
      throw errors.request("You provided a VersionStage that is not associated to the provided VersionId.");
    return byId;
  }
  const stage = VersionStage ?? current;
  const found = versionWith(secret, stage);
  if (found?.sealed === undefined) throw errors.noValue(`staging label: ${stage}`);
  return found;
}

async function readValue(records: Records, secret: SecretRecord, version: SecretVersion): Promise<Sdk.SecretValueEntry> {
  const bytes = await openValue(records, secret, version);
  noteAccess(records, secret, version.id);
  return {
    ARN: secret.arn,
    Name: secret.name,
    VersionId: version.id,
    ...(version.binary ? { SecretBinary: bytes } : { SecretString: bytes.toString("utf8") }),
    VersionStages: [...version.stages],
    CreatedDate: new Date(version.createdAt),
  };
}

/** The day of the last access, written once a day; nobody waits for it, and it is not worth failing for. */
function noteAccess({ deps, scope, now }: Records, { name, versions }: SecretRecord, id: string): void {
  const today = Math.floor(now / day) * day;
  if (versions.find((version) => version.id === id)?.accessedAt === today) return;
  const key = secretKeys.secret(scope, name);
  deps.writer
    .run(`secrets/secretsmanager/${scope.account}/${scope.region}`, async (unit) => {
      const secret = await unit.get<SecretRecord>(key);
      if (!secret || secret.versions.find((version) => version.id === id)?.accessedAt === today) return;
      unit.put(key, {
        ...secret,
        accessedAt: today,
        versions: secret.versions.map((version) => (version.id === id ? { ...version, accessedAt: today } : version)),
      } satisfies SecretRecord);
    })
    .catch((error: unknown) => deps.log.debug({ err: error }, "the day of a secret's last access was not written"));
}

export async function batchGetSecretValue(
  records: Records,
  { SecretIdList, Filters, MaxResults, NextToken }: Sdk.BatchGetSecretValueRequest,
): Promise<Sdk.BatchGetSecretValueResponse> {
  if ((SecretIdList === undefined) === (Filters === undefined))
    throw errors.parameter("Either 'SecretIdList' or 'Filters' must be provided, but not both.");
  if (SecretIdList && (MaxResults !== undefined || NextToken !== undefined))
    throw errors.parameter("'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.");
  if (SecretIdList && (SecretIdList.length < 1 || SecretIdList.length > 20))
    throw errors.parameter("SecretIdList can have 1 to 20 secrets.");
  const found = Filters
    ? await listed(records, { operation: "BatchGetSecretValue", Filters, limit: limitOf(MaxResults, 20), NextToken })
    : undefined;
  const ids = SecretIdList ?? found!.items.map(({ arn }) => arn);
  const values: Sdk.SecretValueEntry[] = [];
  const failures: Sdk.APIErrorType[] = [];
  for (const id of ids) {
    try {
      const secret = await needLiveSecret(records, id);
      values.push(await readValue(records, secret, chosen(secret, { SecretId: id })));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      failures.push({ SecretId: id, ErrorCode: error.code, Message: error.message });
    }
  }
  return { SecretValues: values, Errors: failures, ...(found?.NextToken ? { NextToken: found.NextToken } : {}) };
}
