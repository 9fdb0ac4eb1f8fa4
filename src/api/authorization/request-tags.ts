import type { Input, Keys } from "./table.ts";

/** The tags that a request brings, in each of the ways in which services write them, and the keys of those that it takes away. */
export function requestTags(input: Input): { readonly sent: boolean; readonly keys: Keys } {
  const tags = [
    ...pairs(input["tags"]),
    ...pairs(input["Tags"]),
    ...pairs(input["AddTags"]),
    ...(Array.isArray(input["TagSpecifications"])
      ? input["TagSpecifications"].flatMap((each: { Tags?: unknown }) => pairs(each.Tags))
      : []),
  ];
  const removed = ["tagKeys", "TagKeys", "RemoveTagKeys"].flatMap((name) => texts(input[name]));
  if (tags.length === 0 && removed.length === 0) return nothing;
  const keys: Record<string, readonly string[]> = {};
  for (const [key, value] of tags) keys[`aws:RequestTag/${key}`] ??= [value];
  keys["aws:TagKeys"] = [...new Set([...tags.map(([key]) => key), ...removed])];
  return { sent: tags.length > 0, keys };
}

const nothing = { sent: false, keys: {} };

function pairs(value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== "object" || value === null) return [];
  // The old form of logs' UntagLogGroup: names alone.
  if (!Array.isArray(value)) return Object.entries(value as Record<string, string>);
  return (value as (Readonly<Record<string, string | undefined>> | string)[]).flatMap((tag) => {
    if (typeof tag === "string") return [[tag, ""] as const];
    const key = tag["key"] ?? tag["Key"] ?? tag["TagKey"];
    return key === undefined ? [] : [[key, tag["value"] ?? tag["Value"] ?? tag["TagValue"] ?? ""] as const];
  });
}

const texts = (value: unknown): readonly string[] =>
  Array.isArray(value)
    ? (value as (string | { Key?: string })[]).flatMap((each) =>
        typeof each === "string" ? [each] : each.Key === undefined ? [] : [each.Key],
      )
    : [];
