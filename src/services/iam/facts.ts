import type { ResourceDescription, ResourceFacts } from "#api/authorize.ts";
import type { Tag } from "#model/ecs-records.ts";
import { iamArn, iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { OidcProviderRecord } from "#model/iam-records.ts";
import type { Store } from "#store/store.ts";
import { providerName } from "./oidc-providers.ts";

interface Named {
  readonly name: string;
  readonly path: string;
  readonly tags?: readonly Tag[];
}

/** What policies may ask about IAM's resources: their ARN in full, since requests name them without their path, and their tags. */
export function iamFacts(store: Store): ResourceFacts {
  const get = async <T>(key: string) => (await store.get<T>(key))?.value;

  async function find(arn: string): Promise<ResourceDescription | undefined> {
    const parsed = parseIamArn(arn);
    if (!parsed) return undefined;
    const { account, kind, name } = parsed;
    if (kind === "oidc-provider") {
      const provider = await get<OidcProviderRecord>(iamKeys.oidcProvider(account, `${parsed.path.slice(1)}${name}`));
      return provider && { arn: iamArn(account, `${kind}/${providerName(provider.url)}`), ...tagsOf(provider.tags) };
    }
    const key =
      kind === "user" || kind === "group" || kind === "role"
        ? iamKeys.entity(account, kind, name)
        : kind === "policy"
          ? iamKeys.policy(account, name)
          : kind === "instance-profile"
            ? iamKeys.instanceProfile(account, name)
            : undefined;
    const record = key === undefined ? undefined : await get<Named>(key);
    return record && { arn: iamArn(account, `${kind}${record.path}${record.name}`), ...tagsOf(record.tags ?? []) };
  }

  return { service: "iam", describe: find };
}

const tagsOf = (tags: readonly Tag[]) => ({ tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])) });
