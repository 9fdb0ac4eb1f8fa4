/** The condition keys of a request: lower-case names, values in their order. A key without values is not there. */
export type Context = ReadonlyMap<string, readonly string[]>;

export function contextOf(values: Readonly<Record<string, readonly string[]>>): Context {
  const context = new Map<string, readonly string[]>();
  for (const key in values) {
    const list = values[key]!;
    if (list.length > 0) context.set(key.toLowerCase(), list);
  }
  return context;
}

/** The value of a key that has exactly one. */
export function single(context: Context, key: string): string | undefined {
  const values = context.get(key);
  return values?.length === 1 ? values[0] : undefined;
}
