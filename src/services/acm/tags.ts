import type * as Sdk from "@aws-sdk/client-acm";
import type { Tag } from "#model/ecs-records.ts";
import { acmErrors } from "./errors.ts";

/** Tags of certificates. Pure. Source: AWS Certificate Manager API Reference, "Tag". */

export const apiTags = (tags: readonly Tag[]): Sdk.Tag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));

export function merged(tags: readonly Tag[], given: readonly Sdk.Tag[] | undefined): Tag[] {
  const all = new Map(tags.map(({ key, value }) => [key, value]));
  for (const { Key: key = "", Value: value = "" } of given ?? []) {
    if (key.length === 0 || key.length > 128) throw acmErrors.tag(`The tag key '${key}' must have between 1 and 128 characters.`);
    if (value.length > 256) throw acmErrors.tag(`The value of the tag '${key}' must have at most 256 characters.`);
    if (/^aws:/i.test(key)) throw acmErrors.tag(`The tag key '${key}' must not begin with 'aws:', which is reserved.`);
    all.set(key, value);
  }
  if (all.size > 50) throw acmErrors.tooManyTags();
  return [...all].map(([key, value]) => ({ key, value }));
}

/** With Value: only where the value is the same. */
export const without = (tags: readonly Tag[], given: readonly Sdk.Tag[] | undefined): Tag[] =>
  tags.filter(({ key, value }) => !(given ?? []).some((each) => each.Key === key && (each.Value === undefined || each.Value === value)));
