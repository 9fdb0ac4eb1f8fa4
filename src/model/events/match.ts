import type { Leaf, Pattern, PatternNode } from "./pattern.ts";

type Json = Readonly<Record<string, unknown>>;

/**
 * Whether an event fits a pattern. Of an array's values one must; of an array of objects one object must fit by itself. `exists: false` asks about the
 * whole event, whatever element of an array is looked at.
 */
export function matches({ branches }: Pattern, event: Json): boolean {
  return branches.some((branch) => nodeMatches(branch, event, event));
}

function nodeMatches(fields: PatternNode, value: Json, root: Json): boolean {
  for (const { name, path, leaf, below } of fields) {
    const given = Object.hasOwn(value, name) ? value[name] : undefined;
    if (leaf && !leafMatches(leaf, given, root, path)) return false;
    if (below && !belowMatches(below, given, root)) return false;
  }
  return true;
}

const nothing: Json = {};

function belowMatches(node: PatternNode, value: unknown, root: Json): boolean {
  if (!Array.isArray(value)) return nodeMatches(node, isObject(value) ? value : nothing, root);
  const objects = objectsIn(value);
  return objects.length === 0 ? nodeMatches(node, nothing, root) : objects.some((each) => nodeMatches(node, each, root));
}

function leafMatches(leaf: Leaf, value: unknown, root: Json, path: readonly string[]): boolean {
  if (valueMatches(leaf, value)) return true;
  return leaf.absent && !hasValue(root, path, 0);
}

function valueMatches(leaf: Leaf, value: unknown): boolean {
  if (Array.isArray(value)) return value.some((each) => valueMatches(leaf, each));
  if (value === undefined || isObject(value)) return false;
  return leaf.exact.has(value) || leaf.tests.some((test) => test(value));
}

/** Whether anything but objects stands at the path, in any element of the arrays on the way. */
function hasValue(value: unknown, path: readonly string[], at: number): boolean {
  if (Array.isArray(value)) return value.some((each) => hasValue(each, path, at));
  if (at === path.length) return value !== undefined && !isObject(value);
  const name = path[at]!;
  return isObject(value) && Object.hasOwn(value, name) && hasValue(value[name], path, at + 1);
}

const objectsIn = (values: readonly unknown[]): readonly Json[] =>
  values.flatMap((each) => (Array.isArray(each) ? objectsIn(each) : isObject(each) ? [each] : []));

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether an event with these could fit: so that nobody makes an event that nobody waits for. */
export function mayMatch({ branches }: Pattern, source: string, detailType: string): boolean {
  return branches.some((fields) =>
    fields.every(({ name, leaf }) => {
      const given = name === "source" ? source : name === "detail-type" ? detailType : undefined;
      return given === undefined || !leaf || valueMatches(leaf, given);
    }),
  );
}
