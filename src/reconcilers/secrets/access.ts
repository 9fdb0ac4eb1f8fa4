import type { Need, Where } from "#api/authorization/table.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";
import type { Tag } from "#model/ecs-records.ts";
import type { KeyRecord } from "#model/secrets-records.ts";
import type { Vault } from "#platform/vault.ts";
import type { Store } from "#store/store.ts";
import { type EncryptionContext, readHeader } from "./ciphertext.ts";
import { findKey } from "./keys.ts";

/** What the door asks about KMS keys and what they protect. */

export interface AccessDeps {
  readonly store: Store;
  readonly vault: Vault;
}

/** Reads one account's and region's records. */
export const reading = ({ store }: Pick<AccessDeps, "store">, scope: Scope) => ({
  scope,
  get: async <T>(key: string) => (await store.get<T>(key))?.value,
});

/** The key that a service's ciphertext needs, out of what was sealed at `at`. */
export async function keyOfSealed(deps: AccessDeps, scope: Scope, at: string, sealed: string): Promise<KeyRecord | undefined> {
  const header = readHeader(deps.vault.open(at, sealed));
  return header && findKey(reading(deps, scope), header.arn);
}

/**
 * What a service does with a key for who asks it: they must be allowed to, by way of the service ("forward access sessions"). The policies of AWS managed
 * keys let everybody in the account by their service.
 */
export function forwarded(
  action: "kms:Decrypt" | "kms:Encrypt" | "kms:GenerateDataKey",
  key: KeyRecord,
  service: "secretsmanager" | "ssm",
  { region, account }: Where,
  context: EncryptionContext | undefined,
): Need {
  return {
    action,
    resources: [key.arn],
    account,
    keys: {
      "kms:ViaService": `${service}.${region}.amazonaws.com`,
      "kms:CallerAccount": account,
      "kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
      "kms:EncryptionContextKeys": context && Object.keys(context),
      ...Object.fromEntries(Object.entries(context ?? {}).map(([name, value]) => [`kms:EncryptionContext:${name}`, value])),
      "aws:ViaAWSService": true,
      "aws:CalledVia": [`${service}.amazonaws.com`],
      "aws:CalledViaFirst": `${service}.amazonaws.com`,
      "aws:CalledViaLast": `${service}.amazonaws.com`,
    },
    ...(service === "secretsmanager" ? { denied: "Access to KMS is not allowed" } : {}),
  };
}

const mostKept = 2000;

/** Reads policies of resources, each text once. What cannot be read might deny, so it is an error: it was checked when it was set. */
export function policyReader(): (name: string, text: string) => NamedPolicy {
  const kept = new Map<string, NamedPolicy>();
  return (name, text) => {
    let policy = kept.get(text);
    if (!policy) {
      const { document, problem } = parsePolicy(text, "resource");
      if (!document) throw new Error(`the policy of ${name} cannot be read: ${problem}`);
      policy = { name, document };
      if (kept.size >= mostKept) kept.clear();
      kept.set(text, policy);
    }
    return policy;
  };
}

export const tagRecord = (tags: readonly Tag[]) => Object.fromEntries(tags.map(({ key, value }) => [key, value]));
