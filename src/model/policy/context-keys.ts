import type { PolicyDocument } from "./document.ts";

/** The condition keys that a policy asks for, in conditions and variables, each once, as it first writes them. */
export function contextKeysOf(document: PolicyDocument): readonly string[] {
  const keys = new Map<string, string>();
  const note = (key: string) => {
    if (!keys.has(key.toLowerCase())) keys.set(key.toLowerCase(), key);
  };
  for (const { resource, conditions } of document.statements) {
    for (const { key } of conditions) note(key);
    if (document.version !== "2012-10-17") continue;
    for (const text of [...(resource?.patterns ?? []), ...conditions.flatMap(({ values }) => values)])
      for (const [, key] of text.matchAll(/\$\{\s*([^\s},']+:[^\s},']+)/g)) note(key!);
  }
  return [...keys.values()];
}
