import { type Arn, parseArn } from "#model/arn.ts";
import type { Store } from "#store/store.ts";
import type { ResourceFacts } from "./authorize.ts";

type Tags = readonly { readonly key: string; readonly value: string }[] | Readonly<Record<string, string>>;

/** What policies may ask about a service's resources where that is their tags, and a record lies at a key that the ARN says. */
export function tagFacts(
  store: Pick<Store, "get">,
  service: string,
  /** Undefined: nothing that has tags. */
  keyOf: (arn: Arn, text: string) => string | undefined,
): ResourceFacts {
  return {
    service,
    async describe(text) {
      const arn = parseArn(text);
      const key = !arn || text.includes("*") ? undefined : keyOf(arn, text);
      const tags = key === undefined ? undefined : (await store.get<{ readonly tags?: Tags }>(key))?.value.tags;
      if (!tags) return undefined;
      return { tags: isList(tags) ? Object.fromEntries(tags.map((tag) => [tag.key, tag.value])) : tags };
    },
  };
}

const isList = (tags: Tags): tags is Exclude<Tags, Readonly<Record<string, string>>> => Array.isArray(tags);
