import type { ResourceFacts } from "#api/authorize.ts";
import type { Tag } from "#model/ecs-records.ts";
import { iamArn, iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { Store } from "#store/store.ts";

interface Named {
  readonly name: string;
  readonly path: string;
  readonly tags?: readonly Tag[];
}

/** What policies may ask about IAM's own: the paths, which requests leave out, and the tags. */
export function iamFacts(store: Store): ResourceFacts {
  return {
    service: "iam",
    async describe(arn) {
      const parsed = parseIamArn(arn);
      const key = parsed && parsed.account !== "aws" ? keyOf(parsed.kind, parsed.account, parsed.name) : undefined;
      const record = key === undefined ? undefined : (await store.get<Named>(key))?.value;
      if (!parsed || !record) return undefined;
      const tags = Object.fromEntries((record.tags ?? []).map((tag) => [tag.key, tag.value]));
      return { arn: iamArn(parsed.account, `${parsed.kind}${record.path}${record.name}`), tags };
    },
  };
}

function keyOf(kind: string, account: string, name: string): string | undefined {
  switch (kind) {
    case "user":
    case "role":
    case "group":
      return iamKeys.entity(account, kind, name);
    case "policy":
      return iamKeys.policy(account, name);
    case "instance-profile":
      return iamKeys.instanceProfile(account, name);
    default:
      return undefined;
  }
}
