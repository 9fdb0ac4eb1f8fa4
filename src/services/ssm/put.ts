import type * as Sdk from "@aws-sdk/client-ssm";
import { parameterKeys } from "#model/secrets-keys.ts";
import type { ParameterRecord, ParameterType, ParameterVersion } from "#model/secrets-records.ts";
import { findOrMakeKey, isUsable, protect } from "#reconcilers/secrets/keys.ts";
import type { Change } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { contextOf, parameterArn, putParameterRecord } from "./lookup.ts";
import { checkDataType, checkName, checkPattern, checkTags, mostVersions, tierOf } from "./rules.ts";

export const defaultKey = "alias/aws/ssm";
const types: readonly string[] = ["String", "StringList", "SecureString"];

export async function putParameter(change: Change, input: Sdk.PutParameterRequest): Promise<Sdk.PutParameterResult> {
  const { scope } = change;
  const name = nameOf(change, input.Name ?? "");
  checkName(name);
  if (input.Policies && input.Policies !== "[]") throw errors.notYet("parameter policies");
  if (input.Tags?.length && input.Overwrite)
    throw errors.validation(
      "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
    );
  const before = await change.get<ParameterRecord>(parameterKeys.parameter(scope, name));
  if (before && !input.Overwrite) throw errors.exists();
  const type = typeOf(input.Type, before);
  const value = input.Value ?? "";
  const latest = before?.versions.at(-1);
  const tier = tierOf(input.Tier, value, latest?.tier);
  checkPattern(input.AllowedPattern, value);
  if ((input.Description?.length ?? 0) > 1024)
    throw errors.validation(
      "1 validation error detected: Value at 'description' failed to satisfy constraint: Member must have length less than or equal to 1024",
    );
  if (input.KeyId !== undefined && type !== "SecureString")
    throw errors.validation("KeyId is required for SecureString type parameter only.");
  const version: ParameterVersion = {
    version: (latest?.version ?? 0) + 1,
    type,
    ...(type === "SecureString" ? await sealed(change, name, input.KeyId ?? latest?.kmsKeyId ?? defaultKey, value) : { value }),
    description: input.Description ?? latest?.description,
    allowedPattern: input.AllowedPattern ?? undefined,
    tier,
    dataType: checkDataType(input.DataType),
    labels: [],
    modifiedAt: change.now,
    modifiedBy: change.context.principal.arn,
  };
  putParameterRecord(change, {
    name,
    arn: parameterArn(scope, name),
    type,
    versions: [...room(name, before?.versions ?? []), version],
    tags: before ? before.tags : checkTags(input.Tags),
  });
  return { Version: version.version, Tier: tier };
}

/** An ARN may stand for the name of a parameter of one's own. */
function nameOf({ scope }: Change, given: string): string {
  const prefix = parameterArn(scope, "/");
  return given.startsWith(prefix) ? given.slice(prefix.length - 1) : given;
}

function typeOf(asked: string | undefined, before: ParameterRecord | undefined): ParameterType {
  if (asked !== undefined && !types.includes(asked))
    throw errors.validation(
      `1 validation error detected: Value '${asked}' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [SecureString, StringList, String]`,
    );
  if (asked === undefined && !before) throw errors.validation("A parameter type is required when you create a parameter.");
  if (before && asked !== undefined && asked !== before.type) throw errors.typeMismatch();
  return (asked ?? before?.type) as ParameterType;
}

async function sealed(change: Change, name: string, kmsKeyId: string, value: string) {
  const key = await findOrMakeKey(change, kmsKeyId);
  if (!key || !isUsable(key)) throw errors.badKey(`Invalid keyId ${kmsKeyId}${key ? `: the key is ${key.state}` : ""}`);
  const at = parameterKeys.parameter(change.scope, name);
  return { sealed: await protect(change, key, at, contextOf(change.scope, name), Buffer.from(value)), kmsKeyId };
}

/** The oldest version makes room, unless it has a label. */
function room(name: string, versions: readonly ParameterVersion[]): readonly ParameterVersion[] {
  if (versions.length < mostVersions) return versions;
  const [oldest, ...rest] = versions;
  if (oldest!.labels.length > 0) throw errors.versionLimit(name, oldest!.version);
  return rest;
}
