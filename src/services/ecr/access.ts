import type { ResourceFacts, ResourcePolicySource } from "#api/authorize.ts";
import { parseArn } from "#model/arn.ts";
import { type NamedPolicy, parsePolicy } from "#model/policy/index.ts";
import { registryPolicyKey } from "#registry/keys.ts";
import { publicRegistry } from "#registry/public.ts";
import type { RegistryId, RegistryPolicyRecord } from "#registry/records.ts";
import type { EcrPart } from "./part.ts";

const mostKept = 2000;

/** The policies and tags of repositories, for every door that images go through. */
export function ecrAccess(
  { registry, store }: EcrPart,
  service: "ecr" | "ecr-public" = "ecr",
): { readonly policies: ResourcePolicySource; readonly facts: ResourceFacts } {
  // By text: a repository's record changes with each of its images, its policy hardly ever.
  const kept = new Map<string, NamedPolicy>();
  const named = (name: string, text: string): NamedPolicy => {
    let policy = kept.get(text);
    if (!policy) {
      const { document, problem } = parsePolicy(text, "resource");
      // It was checked when it was set. What cannot be read might deny, so nothing is decided without it.
      if (!document) throw new Error(`the policy of ${name} cannot be read: ${problem}`);
      policy = { name, document };
      if (kept.size >= mostKept) kept.clear();
      kept.set(text, policy);
    }
    return policy;
  };

  const placeOf = ({ account, region }: RegistryId) => (service === "ecr" ? { account, region } : publicRegistry(account));

  async function repositoryOf(text: string) {
    const arn = parseArn(text);
    const name = arn?.resource.startsWith("repository/") ? arn.resource.slice("repository/".length) : undefined;
    return arn && name !== undefined && !name.includes("*") ? registry.repositories.find(placeOf(arn), name) : undefined;
  }

  return {
    policies: {
      service,
      async resourcePolicies(resource) {
        const arn = parseArn(resource);
        if (!arn) return [];
        const [repository, whole] = await Promise.all([
          repositoryOf(resource),
          store.get<RegistryPolicyRecord>(registryPolicyKey(placeOf(arn))),
        ]);
        return [
          ...(repository?.policy === undefined ? [] : [named(resource, repository.policy)]),
          ...(whole ? [named(`registry ${arn.account}`, whole.value.policy)] : []),
        ];
      },
    },
    facts: {
      service,
      async describe(resource) {
        const repository = await repositoryOf(resource);
        return repository && { tags: repository.tags };
      },
    },
  };
}
