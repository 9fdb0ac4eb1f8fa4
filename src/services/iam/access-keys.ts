import type * as Sdk from "@aws-sdk/client-iam";
import { newAccessKeyId, newSecret } from "#identity/ids.ts";
import { iamKeys } from "#model/iam-keys.ts";
import { type AccessKeyRecord, iamSecretScope, type LastUsedRecord, type UserRecord } from "#model/iam-records.ts";
import { type Change, need, page, put, type Question, type Records } from "./context.ts";
import { errors } from "./errors.ts";
import { checkText, quotas } from "./rules.ts";
import { callersName } from "./users.ts";

/** Access keys: the secret is shown once and kept sealed. Source: IAM API Reference, "CreateAccessKey" and its kin. */

export async function createAccessKey(change: Change, { UserName }: Sdk.CreateAccessKeyRequest): Promise<Sdk.CreateAccessKeyResponse> {
  const { account, random, sealer, now } = change;
  const user = await need(change, "user", UserName ?? callersName(change));
  if (user.accessKeys.length >= quotas.accessKeysPerUser) throw errors.quota("AccessKeysPerUser", quotas.accessKeysPerUser);
  const id = newAccessKeyId(random, "AKIA", account);
  // Compared: should chance ever give an id twice, this is tried again with another.
  if (await change.get(iamKeys.accessKey(id))) return createAccessKey(change, { UserName });
  const secret = newSecret(random);
  const key: AccessKeyRecord = {
    id,
    account,
    user: user.name,
    userId: user.id,
    active: true,
    createdAt: now,
    secret: sealer.seal(iamSecretScope(id), secret),
  };
  change.unit.put(iamKeys.accessKey(id), key);
  put(change, "user", { ...user, accessKeys: [...user.accessKeys, id] });
  return {
    AccessKey: { UserName: user.name, AccessKeyId: id, Status: "Active", SecretAccessKey: secret, CreateDate: new Date(now) },
  };
}

function checkId(id: string): void {
  checkText("accessKeyId", id, { min: 16, max: 128, pattern: /^[\w]+$/ });
}

/** A user's key. Throws NoSuchEntity. */
async function needKey(records: Records, user: UserRecord, id: string): Promise<AccessKeyRecord> {
  checkId(id);
  const key = user.accessKeys.includes(id) ? await records.get<AccessKeyRecord>(iamKeys.accessKey(id)) : undefined;
  if (!key) throw errors.noKey(id);
  return key;
}

/** The key's user when none is named: the one who asks. */
const userOf = (records: Records, name: string | undefined) => need(records, "user", name ?? callersName(records));

export async function listAccessKeys(question: Question, input: Sdk.ListAccessKeysRequest): Promise<Sdk.ListAccessKeysResponse> {
  const user = await userOf(question, input.UserName);
  const { items, ...rest } = page(question, user.accessKeys.toSorted(), (id) => id, {
    operation: "ListAccessKeys",
    asked: user.name,
    ...input,
  });
  const keys: Sdk.AccessKeyMetadata[] = [];
  for (const id of items) {
    const key = await needKey(question, user, id);
    keys.push({ UserName: user.name, AccessKeyId: id, Status: key.active ? "Active" : "Inactive", CreateDate: new Date(key.createdAt) });
  }
  return { AccessKeyMetadata: keys, ...rest };
}

export async function updateAccessKey(change: Change, input: Sdk.UpdateAccessKeyRequest): Promise<void> {
  const status: string = input.Status!;
  if (status !== "Active" && status !== "Inactive")
    throw errors.constraints([
      `Value '${status}' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]`,
    ]);
  const key = await needKey(change, await userOf(change, input.UserName), input.AccessKeyId!);
  change.unit.put(iamKeys.accessKey(key.id), { ...key, active: status === "Active" });
}

export async function deleteAccessKey(change: Change, input: Sdk.DeleteAccessKeyRequest): Promise<void> {
  const user = await userOf(change, input.UserName);
  const { id } = await needKey(change, user, input.AccessKeyId!);
  change.unit.delete(iamKeys.accessKey(id));
  change.unit.delete(iamKeys.lastUsed(id));
  put(change, "user", { ...user, accessKeys: user.accessKeys.filter((each) => each !== id) });
}

export async function getAccessKeyLastUsed(
  question: Question,
  { AccessKeyId = "" }: Sdk.GetAccessKeyLastUsedRequest,
): Promise<Sdk.GetAccessKeyLastUsedResponse> {
  checkId(AccessKeyId);
  const key = await question.get<AccessKeyRecord>(iamKeys.accessKey(AccessKeyId));
  if (key?.account !== question.account) throw errors.noKey(AccessKeyId);
  const used = await question.get<LastUsedRecord>(iamKeys.lastUsed(AccessKeyId));
  return {
    UserName: key.user,
    AccessKeyLastUsed: {
      LastUsedDate: used && new Date(used.at),
      ServiceName: used?.service ?? "N/A",
      Region: used?.region ?? "N/A",
    },
  };
}
