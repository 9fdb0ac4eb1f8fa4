import type * as Sdk from "@aws-sdk/client-kms";
import { kmsKeys } from "#model/secrets-keys.ts";
import type { AliasRecord } from "#model/secrets-records.ts";
import { aliasArn, putAlias } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { page } from "./keys.ts";
import { aliasesOf, checkPresent, needKeyById } from "./lookup.ts";

const mostAliasesOfAKey = 50;

function checkName(name = ""): string {
  if (name.length > 256) throw errors.constraint("aliasName", name, "Member must have length less than or equal to 256");
  if (!name.startsWith("alias/"))
    throw errors.invalid(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    );
  if (!/^alias\/[a-zA-Z0-9/_-]+$/.test(name))
    throw errors.constraint("aliasName", name, "Member must satisfy regular expression pattern: ^[a-zA-Z0-9/_-]+$");
  if (name.startsWith("alias/aws/")) throw errors.reserved();
  return name;
}

async function needAlias(records: Records, name: string): Promise<AliasRecord> {
  const alias = await records.get<AliasRecord>(kmsKeys.alias(records.scope, name));
  if (!alias) throw errors.noAlias(aliasArn(records.scope, name));
  return alias;
}

export async function createAlias(change: Change, { AliasName, TargetKeyId }: Sdk.CreateAliasRequest): Promise<object> {
  const name = checkName(AliasName);
  const key = checkPresent(await needKeyById(change, TargetKeyId));
  if (await change.get(kmsKeys.alias(change.scope, name))) throw errors.aliasExists(aliasArn(change.scope, name));
  await checkRoom(change, key.id);
  putAlias(change, name, key.id);
  return {};
}

export async function updateAlias(change: Change, { AliasName, TargetKeyId }: Sdk.UpdateAliasRequest): Promise<object> {
  const name = checkName(AliasName);
  const { createdAt } = await needAlias(change, name);
  const key = checkPresent(await needKeyById(change, TargetKeyId));
  await checkRoom(change, key.id);
  putAlias(change, name, key.id, createdAt);
  return {};
}

export async function deleteAlias(change: Change, { AliasName }: Sdk.DeleteAliasRequest): Promise<object> {
  const name = checkName(AliasName);
  await needAlias(change, name);
  change.unit.delete(kmsKeys.alias(change.scope, name));
  return {};
}

async function checkRoom(change: Change, keyId: string): Promise<void> {
  const own = (await aliasesOf(change)).filter((alias) => alias.keyId === keyId);
  if (own.length >= mostAliasesOfAKey) throw errors.limit(`A key can have at most ${mostAliasesOfAKey} aliases.`);
}

export async function listAliases(records: Records, { KeyId, Limit, Marker }: Sdk.ListAliasesRequest): Promise<Sdk.ListAliasesResponse> {
  const of = KeyId === undefined ? undefined : (await needKeyById(records, KeyId)).id;
  const all = (await aliasesOf(records)).filter(({ keyId }) => of === undefined || keyId === of);
  const { items, ...more } = page(records, `ListAliases ${of}`, all, ({ name }) => name, { Limit, Marker, usual: 50, most: 100 });
  return {
    Aliases: items.map(({ name, keyId, createdAt, updatedAt }) => ({
      AliasName: name,
      AliasArn: aliasArn(records.scope, name),
      TargetKeyId: keyId,
      CreationDate: new Date(createdAt),
      LastUpdatedDate: new Date(updatedAt),
    })),
    ...more,
  };
}
