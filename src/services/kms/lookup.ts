import { kmsKeys } from "#model/secrets-keys.ts";
import type { AliasRecord, KeyRecord } from "#model/secrets-records.ts";
import { aliasArn, findKey, findOrMakeKey, keyArn, nameOfKey } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";

/** A key by anything that names one. Throws NotFoundException, InvalidArnException. */
export async function needKey(records: Records, given: string | undefined): Promise<KeyRecord> {
  const text = checkName(given);
  return (await findKey(records, text)) ?? missing(records, text);
}

/** The same, and an AWS managed key comes into being. */
export async function needOrMakeKey(change: Change, given: string | undefined): Promise<KeyRecord> {
  const text = checkName(given);
  return (await findOrMakeKey(change, text)) ?? missing(change, text);
}

/** A key by its id or ARN, which is all that most operations on a key's settings take. */
export async function needKeyById(records: Records, given: string | undefined): Promise<KeyRecord> {
  const text = checkName(given);
  if (nameOfKey(records.scope, text)?.alias !== undefined) throw errors.noKeyNamed(text);
  return needKey(records, text);
}

function checkName(given = ""): string {
  if (given.length < 1 || given.length > 2048) throw errors.constraint("keyId", given, "Member must have length between 1 and 2048");
  return given;
}

function missing(records: Records, given: string): never {
  const named = nameOfKey(records.scope, given);
  if (!named) throw given.startsWith("arn:") ? errors.badArn(given) : errors.noKeyNamed(given);
  if (named.alias !== undefined) throw errors.noAlias(aliasArn(named.scope, named.alias));
  throw /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(named.id!)
    ? errors.noKey(keyArn(named.scope, named.id!))
    : errors.noKeyNamed(given);
}

/** Throws DisabledException, KMSInvalidStateException. */
export function checkUsable(key: KeyRecord): KeyRecord {
  if (key.state === "Disabled") throw errors.disabled(key.arn);
  return checkPresent(key);
}

/** Throws KMSInvalidStateException for one that is to be deleted. */
export function checkPresent(key: KeyRecord): KeyRecord {
  if (key.state === "PendingDeletion") throw errors.pendingDeletion(key.arn);
  return key;
}

export const aliasesOf = (records: Records) => records.list<AliasRecord>(kmsKeys.aliases(records.scope));

/** The key is in the account and region of the request: it may be changed here. */
export function putKey({ unit, scope }: Change, key: KeyRecord): void {
  unit.put(kmsKeys.key(scope, key.id), key);
}

/** A key of this account to be changed. AWS managed keys are AWS's to change. */
export async function needOwnKey(change: Change, given: string | undefined, what: string): Promise<KeyRecord> {
  const key = await needKeyById(change, given);
  const own = keyArn(change.scope, key.id) === key.arn;
  if (!own || key.manager === "AWS") throw errors.managed(what);
  return key;
}
