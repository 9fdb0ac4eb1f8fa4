import type { Input, Need, Where } from "#api/authorization/table.ts";
import { textAt } from "#api/authorization/table.ts";
import type { ResourceFacts, ResourcePolicySource } from "#api/authorize.ts";
import { parseArn } from "#model/arn.ts";
import type { KeyRecord } from "#model/secrets-records.ts";
import { type AccessDeps, policyReader, reading, tagRecord } from "#reconcilers/secrets/access.ts";
import { readHeader } from "#reconcilers/secrets/ciphertext.ts";
import { aliasArn, defaultPolicy, findKey } from "#reconcilers/secrets/keys.ts";

/** The account of a key that stands as an ARN; undefined for any other name of one. */
export function accountOf(given: string | undefined): string | undefined {
  const arn = given?.startsWith("arn:") ? parseArn(given) : undefined;
  return arn?.service === "kms" && /^\d{12}$/.test(arn.account) ? arn.account : undefined;
}

/** The ARN of the key that a ciphertext was made with. */
export const ciphertextKey = (blob: unknown): string | undefined => (blob instanceof Uint8Array ? readHeader(blob)?.arn : undefined);

/** Key policies, tags of keys, and which key a request is about: it may name an alias, or only a ciphertext. */
export function kmsAccess(deps: Pick<AccessDeps, "store">): { readonly policies: ResourcePolicySource; readonly facts: ResourceFacts } {
  const read = policyReader();

  const find = async (given: string, { region, account }: Where): Promise<KeyRecord | undefined> =>
    findKey(reading(deps, { region, account: accountOf(given) ?? account }), given);
  const arnOf = async (given: string | undefined, where: Where): Promise<readonly string[] | undefined> => {
    const key = given === undefined ? undefined : await find(given, where);
    return key && [key.arn];
  };

  return {
    policies: {
      service: "kms",
      required: true,
      async resourcePolicies(resource) {
        const arn = parseArn(resource);
        if (!arn) return [];
        const key = arn.resource.startsWith("key/") ? await find(resource, arn) : undefined;
        // Aliases have no policies: theirs is the account's to say. So it is for what is not there.
        return [read(resource, key?.policy ?? defaultPolicy(arn))];
      },
    },
    facts: {
      service: "kms",
      async describe(resource) {
        const arn = parseArn(resource);
        const key = arn?.resource.startsWith("key/") ? await find(resource, arn) : undefined;
        return key && { tags: tagRecord(key.tags) };
      },
      async resourcesOf(operation, input, where) {
        if (operation === "Decrypt") return arnOf(textAt(input, "KeyId") ?? ciphertextKey(input["CiphertextBlob"]), where);
        if (operation === "ReEncrypt") return arnOf(textAt(input, "SourceKeyId") ?? ciphertextKey(input["CiphertextBlob"]), where);
        if (operation.endsWith("Alias")) return aliasAndKeys(input, where);
        return arnOf(textAt(input, "KeyId"), where);
      },
      async needsOf(operation, input, where): Promise<readonly Need[]> {
        const to = operation === "ReEncrypt" ? textAt(input, "DestinationKeyId") : undefined;
        const resources = to === undefined ? undefined : ((await arnOf(to, where)) ?? [named(to, where)]);
        return resources ? [{ action: "kms:ReEncryptTo", resources, account: where.account, keys: {} }] : [];
      },
    },
  };

  /** An alias's change takes a permission on the alias and on each key that it stands for, before and after. */
  async function aliasAndKeys(input: Input, where: Where): Promise<readonly string[]> {
    const alias = textAt(input, "AliasName") ?? "";
    const [before, after] = await Promise.all([arnOf(alias, where), arnOf(textAt(input, "TargetKeyId"), where)]);
    return [...new Set([alias.startsWith("arn:") ? alias : aliasArn(where, alias), ...(before ?? []), ...(after ?? [])])];
  }
}

const named = (given: string, { region, account }: Where) =>
  given.startsWith("arn:") ? given : `arn:aws:kms:${region}:${account}:${given.startsWith("alias/") ? given : `key/${given}`}`;
