import { textAt, valuesAt, type Input, type Need, type Where } from "#api/authorization/table.ts";
import type { ResourceFacts, ResourcePolicySource } from "#api/authorize.ts";
import { ApiError } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { secretKeys } from "#model/secrets-keys.ts";
import type { KeyRecord, SecretRecord } from "#model/secrets-records.ts";
import { type AccessDeps, forwarded, keyOfSealed, policyReader, reading, tagRecord } from "#reconcilers/secrets/access.ts";
import { findKey } from "#reconcilers/secrets/keys.ts";
import { current, needSecret, versionWith } from "./lookup.ts";
import { contextOf, defaultKey } from "./values.ts";

/** The account of a secret that stands as an ARN: the way to another account's. */
export function accountOf(given: string | undefined): string | undefined {
  const arn = given?.startsWith("arn:") ? parseArn(given) : undefined;
  return arn?.service === "secretsmanager" && /^\d{12}$/.test(arn.account) ? arn.account : undefined;
}

/** Secrets' policies and tags, and the KMS keys that their values take. */
export function secretAccess(deps: AccessDeps): { readonly policies: ResourcePolicySource; readonly facts: ResourceFacts } {
  const read = policyReader();

  async function find(given: string, { region, account }: Scope): Promise<SecretRecord | undefined> {
    try {
      return await needSecret(reading(deps, { region, account: accountOf(given) ?? account }), given);
    } catch (error) {
      // The handler says what is wrong with it.
      if (error instanceof ApiError) return undefined;
      throw error;
    }
  }
  const byArn = async (resource: string): Promise<SecretRecord | undefined> => {
    const arn = parseArn(resource);
    if (!arn?.resource.startsWith("secret:") || resource.includes("*") || resource.includes("?")) return undefined;
    // A name in the place of an ARN stands behind `secret:`, and may look like the end of one.
    return (await find(resource, arn)) ?? find(arn.resource.slice("secret:".length), arn);
  };

  /** The key that GetSecretValue needs. */
  async function decrypting(given: string, input: Input, where: Where): Promise<Need | undefined> {
    const secret = await find(given, where);
    if (!secret) return undefined;
    const id = textAt(input, "VersionId");
    const version =
      id === undefined ? versionWith(secret, textAt(input, "VersionStage") ?? current) : secret.versions.find((each) => each.id === id);
    if (version?.sealed === undefined) return undefined;
    const [, , , region = "", account = ""] = secret.arn.split(":");
    const scope = { region, account };
    const key = await keyOfSealed(deps, scope, secretKeys.secret(scope, secret.name), version.sealed);
    return key && forwarded("kms:Decrypt", key, "secretsmanager", where, contextOf(secret, version.id));
  }

  /** Whoever gives a value must be able to encrypt it, and to read it again. */
  function encrypting(key: KeyRecord | undefined, where: Where): readonly Need[] {
    if (!key) return [];
    return (["kms:GenerateDataKey", "kms:Decrypt"] as const).map((action) => forwarded(action, key, "secretsmanager", where, undefined));
  }

  return {
    policies: {
      service: "secretsmanager",
      async resourcePolicies(resource) {
        const secret = await byArn(resource);
        return secret?.policy === undefined ? [] : [read(resource, secret.policy)];
      },
    },
    facts: {
      service: "secretsmanager",
      async describe(resource) {
        const secret = await byArn(resource);
        return secret && { arn: secret.arn, tags: tagRecord(secret.tags) };
      },
      async needsOf(operation, input, where) {
        const id = textAt(input, "SecretId") ?? "";
        const hasValue = input["SecretString"] !== undefined || input["SecretBinary"] !== undefined;
        const keyOf = (given: string | undefined, scope: Scope) => findKey(reading(deps, scope), given ?? defaultKey);
        switch (operation) {
          case "GetSecretValue":
            return [await decrypting(id, input, where)].flatMap((need) => need ?? []);
          case "BatchGetSecretValue": {
            const needs = await Promise.all(valuesAt(input, ["SecretIdList"]).map((each) => decrypting(each, {}, where)));
            return needs.flatMap((need) => need ?? []);
          }
          case "CreateSecret":
            return hasValue ? encrypting(await keyOf(textAt(input, "KmsKeyId"), where), where) : [];
          case "PutSecretValue":
          case "UpdateSecret": {
            const given = textAt(input, "KmsKeyId");
            if (!hasValue && given === undefined) return [];
            const secret = await find(id, where);
            const account = accountOf(id) ?? where.account;
            return encrypting(await keyOf(given ?? secret?.kmsKeyId, { region: where.region, account }), where);
          }
          default:
            return [];
        }
      },
    },
  };
}
