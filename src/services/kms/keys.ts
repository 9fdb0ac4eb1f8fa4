import type * as Sdk from "@aws-sdk/client-kms";
import { pageOf } from "#api/pagination.ts";
import { kmsKeys } from "#model/secrets-keys.ts";
import type { KeyRecord } from "#model/secrets-records.ts";
import { defaultPolicy, keyArn, makeKey, newMaterial } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { checkPresent, checkUsable, needKey, needKeyById, needOrMakeKey, needOwnKey, putKey } from "./lookup.ts";
import { checkPolicy } from "./policies.ts";
import { checkTags } from "./tags.ts";

const day = 24 * 60 * 60 * 1000;

export async function createKey(change: Change, input: Sdk.CreateKeyRequest): Promise<Sdk.CreateKeyResponse> {
  const { KeySpec, CustomerMasterKeySpec, KeyUsage = "ENCRYPT_DECRYPT", Origin = "AWS_KMS", MultiRegion, Description = "" } = input;
  const spec = KeySpec ?? CustomerMasterKeySpec ?? "SYMMETRIC_DEFAULT";
  if (spec !== "SYMMETRIC_DEFAULT") throw errors.notYet(`KMS keys of the spec ${spec}`);
  if (KeyUsage !== "ENCRYPT_DECRYPT") throw errors.invalid(`KeyUsage ${KeyUsage} is not compatible with KeySpec ${spec}`);
  if (Origin !== "AWS_KMS") throw errors.notYet(`KMS keys of the origin ${Origin}`);
  if (MultiRegion) throw errors.notYet("multi-Region KMS keys");
  checkDescription(Description);
  const policy = input.Policy ?? defaultPolicy(change.scope);
  checkPolicy(change.context, policy, input.BypassPolicyLockoutSafetyCheck);
  const key = await makeKey(change, { description: Description, manager: "CUSTOMER", policy, tags: checkTags(input.Tags) });
  return { KeyMetadata: metadata(key) };
}

/** Makes an AWS managed key when its alias is asked for: so it is with AWS as soon as a service has used it. */
export async function describeKey(change: Change, { KeyId }: Sdk.DescribeKeyRequest): Promise<Sdk.DescribeKeyResponse> {
  return { KeyMetadata: metadata(await needOrMakeKey(change, KeyId)) };
}

export async function listKeys(records: Records, { Limit, Marker }: Sdk.ListKeysRequest): Promise<Sdk.ListKeysResponse> {
  const all = await records.list<KeyRecord>(kmsKeys.keys(records.scope));
  const { items, ...more } = page(records, "ListKeys", all, ({ id }) => id, { Limit, Marker, usual: 100, most: 1000 });
  return { Keys: items.map(({ id, arn }) => ({ KeyId: id, KeyArn: arn })), ...more };
}

export async function updateKeyDescription(change: Change, { KeyId, Description = "" }: Sdk.UpdateKeyDescriptionRequest): Promise<object> {
  checkDescription(Description);
  const key = checkPresent(await needOwnKey(change, KeyId, "changed"));
  putKey(change, { ...key, description: Description });
  return {};
}

export async function enableKey(change: Change, { KeyId }: Sdk.EnableKeyRequest): Promise<object> {
  putKey(change, { ...checkPresent(await needOwnKey(change, KeyId, "enabled")), state: "Enabled" });
  return {};
}

export async function disableKey(change: Change, { KeyId }: Sdk.DisableKeyRequest): Promise<object> {
  putKey(change, { ...checkPresent(await needOwnKey(change, KeyId, "disabled")), state: "Disabled" });
  return {};
}

export async function scheduleKeyDeletion(
  change: Change,
  { KeyId, PendingWindowInDays = 30 }: Sdk.ScheduleKeyDeletionRequest,
): Promise<Sdk.ScheduleKeyDeletionResponse> {
  if (!Number.isInteger(PendingWindowInDays) || PendingWindowInDays < 7 || PendingWindowInDays > 30)
    throw errors.constraint("pendingWindowInDays", PendingWindowInDays, "Member must have value between 7 and 30");
  const key = checkPresent(await needOwnKey(change, KeyId, "deleted"));
  const deletionAt = change.now + PendingWindowInDays * day;
  putKey(change, { ...key, state: "PendingDeletion", deletionAt });
  return { KeyId: key.arn, DeletionDate: new Date(deletionAt), KeyState: "PendingDeletion", PendingWindowInDays };
}

/** The key is then disabled, until EnableKey. */
export async function cancelKeyDeletion(change: Change, { KeyId }: Sdk.CancelKeyDeletionRequest): Promise<Sdk.CancelKeyDeletionResponse> {
  const key = await needOwnKey(change, KeyId, "deleted");
  if (key.state !== "PendingDeletion") throw errors.notPending(key.arn);
  putKey(change, { ...key, state: "Disabled", deletionAt: undefined });
  return { KeyId: key.arn };
}

export async function enableKeyRotation(
  change: Change,
  { KeyId, RotationPeriodInDays = 365 }: Sdk.EnableKeyRotationRequest,
): Promise<object> {
  if (!Number.isInteger(RotationPeriodInDays) || RotationPeriodInDays < 90 || RotationPeriodInDays > 2560)
    throw errors.constraint("rotationPeriodInDays", RotationPeriodInDays, "Member must have value between 90 and 2560");
  const key = checkUsable(await needOwnKey(change, KeyId, "rotated by its user"));
  putKey(change, { ...key, rotation: { periodDays: RotationPeriodInDays, nextAt: change.now + RotationPeriodInDays * day } });
  return {};
}

export async function disableKeyRotation(change: Change, { KeyId }: Sdk.DisableKeyRotationRequest): Promise<object> {
  putKey(change, { ...checkUsable(await needOwnKey(change, KeyId, "rotated by its user")), rotation: undefined });
  return {};
}

export async function getKeyRotationStatus(
  records: Records,
  { KeyId }: Sdk.GetKeyRotationStatusRequest,
): Promise<Sdk.GetKeyRotationStatusResponse> {
  const { id, arn, manager, rotation } = checkPresent(await needKeyById(records, KeyId));
  return {
    KeyId: arn || id,
    KeyRotationEnabled: manager === "AWS" || rotation !== undefined,
    RotationPeriodInDays: rotation?.periodDays,
    NextRotationDate: rotation && new Date(rotation.nextAt),
  };
}

export const mostRotationsOnDemand = 25;

export async function rotateKeyOnDemand(change: Change, { KeyId }: Sdk.RotateKeyOnDemandRequest): Promise<Sdk.RotateKeyOnDemandResponse> {
  const key = checkUsable(await needOwnKey(change, KeyId, "rotated by its user"));
  if (key.material.filter(({ how }) => how === "ON_DEMAND").length >= mostRotationsOnDemand)
    throw errors.limit(`A key can be rotated on demand ${mostRotationsOnDemand} times.`);
  const fresh = { sealed: await newMaterial(change, key.id), at: change.now, how: "ON_DEMAND" as const };
  putKey(change, { ...key, material: [...key.material, fresh] });
  return { KeyId: key.arn };
}

export async function listKeyRotations(
  records: Records,
  { KeyId, Limit, Marker }: Sdk.ListKeyRotationsRequest,
): Promise<Sdk.ListKeyRotationsResponse> {
  const key = await needKey(records, KeyId);
  const rotations = key.material.flatMap(({ how, at }, index) => (how === "FIRST" ? [] : [{ how, at, index }]));
  const position = ({ index }: { index: number }) => String(index).padStart(6, "0");
  const { items, ...more } = page(records, `ListKeyRotations ${key.arn}`, rotations, position, { Limit, Marker, usual: 100, most: 1000 });
  return { Rotations: items.map(({ how, at }) => ({ KeyId: key.arn, RotationDate: new Date(at), RotationType: how })), ...more };
}

function checkDescription(text: string): void {
  if (text.length > 8192) throw errors.constraint("description", text, "Member must have length less than or equal to 8192");
}

export function metadata(key: KeyRecord): Sdk.KeyMetadata {
  const [, , , region = "", account = ""] = key.arn.split(":");
  return {
    AWSAccountId: account,
    KeyId: key.id,
    Arn: keyArn({ account, region }, key.id),
    CreationDate: new Date(key.createdAt),
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyUsage: "ENCRYPT_DECRYPT",
    KeyState: key.state,
    DeletionDate: key.deletionAt === undefined ? undefined : new Date(key.deletionAt),
    Origin: "AWS_KMS",
    KeyManager: key.manager,
    CustomerMasterKeySpec: "SYMMETRIC_DEFAULT",
    KeySpec: "SYMMETRIC_DEFAULT",
    EncryptionAlgorithms: ["SYMMETRIC_DEFAULT"],
    MultiRegion: false,
  };
}

/** Throws ValidationException for a Limit out of range, InvalidMarkerException. */
export function page<T>(
  { deps, scope }: Records,
  operation: string,
  items: readonly T[],
  position: (item: T) => string,
  { Limit, Marker, usual, most }: { readonly Limit?: number; readonly Marker?: string; readonly usual: number; readonly most: number },
): { readonly items: readonly T[]; readonly Truncated: boolean; readonly NextMarker?: string } {
  if (Limit !== undefined && (!Number.isInteger(Limit) || Limit < 1 || Limit > most))
    throw errors.constraint("limit", Limit, `Member must have value between 1 and ${most}`);
  const { items: found, nextToken } = pageOf(deps.sealer, items, position, {
    scope: JSON.stringify(["kms", operation, scope.account, scope.region]),
    limit: Limit ?? usual,
    token: Marker,
    badToken: errors.badMarker,
  });
  return { items: found, Truncated: nextToken !== undefined, ...(nextToken === undefined ? {} : { NextMarker: nextToken }) };
}
