import type * as Sdk from "@aws-sdk/client-secrets-manager";
import { formatArn } from "#model/arn.ts";
import { secretKeys } from "#model/secrets-keys.ts";
import type { SecretRecord, SecretVersion } from "#model/secrets-records.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { current, moveLabel, needLiveSecret, needSecret, pending, previous, putSecret } from "./lookup.ts";
import { checkDescription, checkName, checkTags, checkToken, valueOf } from "./rules.ts";
import { addVersion, needKey, openValue, sealValue } from "./values.ts";
import { secretDescription } from "./view.ts";

const day = 24 * 60 * 60 * 1000;

export async function createSecret(change: Change, input: Sdk.CreateSecretRequest): Promise<Sdk.CreateSecretResponse> {
  const { scope, now, deps } = change;
  const name = checkName(input.Name);
  checkDescription(input.Description);
  if (input.AddReplicaRegions?.length) throw errors.notYet("Gantry has one region: it replicates no secrets.");
  const value = valueOf(input);
  const versionId = checkToken(input.ClientRequestToken, () => deps.random.uuid());
  const there = await change.get<SecretRecord>(secretKeys.secret(scope, name));
  if (there?.deleted) throw errors.nameDeleted();
  if (there) {
    // A repetition of the request that made it.
    const made = there.versions.find(({ id }) => id === versionId);
    if (!made || !value) throw errors.exists(name);
    if ((await addVersion(change, there, { id: versionId, value, labels: [current] })) !== there) throw errors.exists(name);
    return { ARN: there.arn, Name: name, VersionId: versionId };
  }
  if (input.KmsKeyId !== undefined) await needKey(change, input.KmsKeyId);
  let secret: SecretRecord = {
    name,
    arn: secretArn(change, name),
    description: input.Description,
    kmsKeyId: input.KmsKeyId,
    createdAt: now,
    changedAt: now,
    versions: [],
    tags: checkTags(input.Tags),
  };
  if (value) secret = await addVersion(change, secret, { id: versionId, value, labels: [current] });
  putSecret(change, secret);
  return { ARN: secret.arn, Name: name, ...(value ? { VersionId: versionId } : {}) };
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

function secretArn({ scope, deps }: Change, name: string): string {
  const suffix = Array.from({ length: 6 }, () => letters[Math.floor(deps.random.next() * letters.length)]).join("");
  return formatArn({ service: "secretsmanager", ...scope, resource: `secret:${name}-${suffix}` });
}

export async function updateSecret(change: Change, input: Sdk.UpdateSecretRequest): Promise<Sdk.UpdateSecretResponse> {
  checkDescription(input.Description);
  const value = valueOf(input);
  const before = await needLiveSecret(change, input.SecretId);
  const id = checkToken(input.ClientRequestToken, () => change.deps.random.uuid());
  let secret: SecretRecord = { ...before, description: input.Description ?? before.description, changedAt: change.now };
  if (input.KmsKeyId !== undefined && input.KmsKeyId !== before.kmsKeyId) secret = await withKey(change, secret, input.KmsKeyId);
  if (value) secret = await addVersion(change, secret, { id, value, labels: [current] });
  putSecret(change, secret);
  return { ARN: secret.arn, Name: secret.name, ...(value ? { VersionId: id } : {}) };
}

/** The labelled versions are encrypted anew with the new key. Source: API Reference, UpdateSecret, KmsKeyId. */
async function withKey(change: Change, before: SecretRecord, kmsKeyId: string): Promise<SecretRecord> {
  await needKey(change, kmsKeyId);
  const secret = { ...before, kmsKeyId };
  const versions: SecretVersion[] = [];
  for (const version of before.versions) {
    const labelled = version.stages.some((stage) => stage === current || stage === pending || stage === previous);
    if (!labelled || version.sealed === undefined) {
      versions.push(version);
      continue;
    }
    const bytes = await openValue(change, before, version);
    versions.push({ ...version, ...(await sealValue(change, secret, version.id, { bytes, binary: version.binary ?? false })) });
  }
  return { ...secret, versions };
}

export async function describeSecret(records: Records, { SecretId }: Sdk.DescribeSecretRequest): Promise<Sdk.DescribeSecretResponse> {
  return secretDescription(await needSecret(records, SecretId));
}

export async function updateSecretVersionStage(
  change: Change,
  { SecretId, VersionStage = "", RemoveFromVersionId, MoveToVersionId }: Sdk.UpdateSecretVersionStageRequest,
): Promise<Sdk.UpdateSecretVersionStageResponse> {
  const secret = await needLiveSecret(change, SecretId);
  if (VersionStage.length < 1 || VersionStage.length > 256) throw errors.parameter("VersionStage must have between 1 and 256 characters.");
  const holder = secret.versions.find(({ stages }) => stages.includes(VersionStage));
  for (const id of [RemoveFromVersionId, MoveToVersionId])
    if (id !== undefined && !secret.versions.some((version) => version.id === id)) throw errors.noValue(`VersionId: ${id}`);
  if (RemoveFromVersionId !== undefined && holder?.id !== RemoveFromVersionId)
    throw errors.parameter(
      `The parameter RemoveFromVersionId value is not correct. Staging label ${VersionStage} is ${holder ? `currently attached to version ${holder.id}` : "not attached to any version"}.`,
    );
  if (MoveToVersionId !== undefined && holder && holder.id !== MoveToVersionId && RemoveFromVersionId === undefined)
    throw errors.parameter(
      `The parameter RemoveFromVersionId can't be empty. Staging label ${VersionStage} is currently attached to version ${holder.id}, so you must explicitly reference that version in RemoveFromVersionId.`,
    );
  if (MoveToVersionId === undefined && VersionStage === current)
    throw errors.parameter("You can only move staging label AWSCURRENT to a different secret version. It can’t be completely removed.");
  if (MoveToVersionId === undefined && RemoveFromVersionId === undefined)
    throw errors.parameter("You must specify at least one of RemoveFromVersionId and MoveToVersionId.");
  if (VersionStage === current && secret.versions.find(({ id }) => id === MoveToVersionId)?.sealed === undefined)
    throw errors.request(`The version ${MoveToVersionId} has no value yet.`);
  const versions =
    MoveToVersionId === undefined
      ? secret.versions.map((version) => ({ ...version, stages: version.stages.filter((stage) => stage !== VersionStage) }))
      : moveLabel(secret.versions, VersionStage, MoveToVersionId);
  // A rotation ends when what was pending is current.
  const rotated = VersionStage === current && versions.find(({ id }) => id === MoveToVersionId)?.stages.includes(pending);
  const rotation = rotated ? { ...secret.rotation, enabled: secret.rotation?.enabled ?? false, lastAt: change.now } : secret.rotation;
  putSecret(change, { ...secret, versions, rotation, changedAt: change.now });
  return { ARN: secret.arn, Name: secret.name };
}

export async function deleteSecret(
  change: Change,
  { SecretId, RecoveryWindowInDays, ForceDeleteWithoutRecovery = false }: Sdk.DeleteSecretRequest,
): Promise<Sdk.DeleteSecretResponse> {
  const { scope, now, unit } = change;
  if (ForceDeleteWithoutRecovery && RecoveryWindowInDays !== undefined)
    throw errors.parameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.");
  const days = RecoveryWindowInDays ?? 30;
  if (!Number.isInteger(days) || days < 7 || days > 30)
    throw errors.parameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).");
  if (ForceDeleteWithoutRecovery) {
    const secret = await needSecret(change, SecretId).catch(() => undefined);
    if (secret) unit.delete(secretKeys.secret(scope, secret.name));
    // "the operation does not return an error" for one that is gone: so a repetition succeeds.
    const name = secret?.name ?? SecretId!;
    const arn = secret?.arn ?? (name.startsWith("arn:") ? name : secretArn(change, checkName(name)));
    return { ARN: arn, Name: name, DeletionDate: new Date(now) };
  }
  const secret = await needLiveSecret(change, SecretId);
  const goesAt = now + days * day;
  putSecret(change, { ...secret, deleted: { at: now, goesAt } });
  return { ARN: secret.arn, Name: secret.name, DeletionDate: new Date(goesAt) };
}

export async function restoreSecret(change: Change, { SecretId }: Sdk.RestoreSecretRequest): Promise<Sdk.RestoreSecretResponse> {
  const secret = await needSecret(change, SecretId);
  if (secret.deleted) putSecret(change, { ...secret, deleted: undefined });
  return { ARN: secret.arn, Name: secret.name };
}
