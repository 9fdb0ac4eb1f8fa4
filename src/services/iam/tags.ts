import type * as Sdk from "@aws-sdk/client-iam";
import type { Tag } from "#model/ecs-records.ts";
import { iamKeys } from "#model/iam-keys.ts";
import { type Change, need, needOwn, page, type PageInput, put, type Question, type Records } from "./context.ts";
import { needProfile } from "./instance-profiles.ts";
import { needOwnPolicy, needPolicy } from "./managed.ts";
import { needProvider, providerKey } from "./oidc-providers.ts";
import { mergedTags, withoutTags } from "./rules.ts";
import { tagsView } from "./views.ts";

/** Tags of all that has them: how each kind is found and written. Source: IAM API Reference, "TagRole" and its kin. */

interface Tagged {
  readonly tags: readonly Tag[];
}

interface Kind {
  /** For its tags to be seen. */
  read(records: Records, name: string): Promise<Tagged>;
  /** For its tags to be changed: what to write them back with. */
  change(change: Change, name: string): Promise<readonly [record: Tagged, write: (tags: Tag[]) => void]>;
}

const kinds = {
  user: {
    read: (records, name) => need(records, "user", name),
    async change(change, name) {
      const user = await need(change, "user", name);
      return [user, (tags) => put(change, "user", { ...user, tags })];
    },
  },
  role: {
    read: (records, name) => need(records, "role", name),
    async change(change, name) {
      const role = await needOwn(change, "role", name);
      return [role, (tags) => put(change, "role", { ...role, tags })];
    },
  },
  policy: {
    read: async (records, arn) => ({ tags: (await needPolicy(records, arn)).own?.tags ?? [] }),
    async change(change, arn) {
      const policy = await needOwnPolicy(change, arn);
      return [policy, (tags) => change.unit.put(iamKeys.policy(change.account, policy.name), { ...policy, tags })];
    },
  },
  instanceProfile: {
    read: needProfile,
    async change(change, name) {
      const profile = await needProfile(change, name);
      return [profile, (tags) => change.unit.put(iamKeys.instanceProfile(change.account, profile.name), { ...profile, tags })];
    },
  },
  oidcProvider: {
    read: needProvider,
    async change(change, arn) {
      const provider = await needProvider(change, arn);
      return [provider, (tags) => change.unit.put(providerKey(change, provider), { ...provider, tags })];
    },
  },
} satisfies Record<string, Kind>;

export type TaggedKind = keyof typeof kinds;

export async function tag(change: Change, kind: TaggedKind, name: string, given: readonly Sdk.Tag[] | undefined): Promise<void> {
  const [record, write] = await kinds[kind].change(change, name);
  write(mergedTags(record.tags, given));
}

export async function untag(change: Change, kind: TaggedKind, name: string, keys: readonly string[] | undefined): Promise<void> {
  const [record, write] = await kinds[kind].change(change, name);
  write(withoutTags(record.tags, keys));
}

export async function listTags(question: Question, kind: TaggedKind, name: string, input: PageInput) {
  const { tags } = await kinds[kind].read(question, name);
  const sorted = tags.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const { items, ...rest } = page(question, sorted, ({ key }) => key, { operation: `List${kind}Tags`, asked: name, ...input });
  return { Tags: tagsView(items), ...rest };
}
