/** The JSONPath of InputPath and InputTransformer: names, `['names']`, `[0]` and `[*]`. Source: EventBridge User Guide, "Amazon EventBridge input transformation". */
export type JsonPath = readonly (string | number | typeof every)[];

const every = Symbol("every element");

/** Undefined: no path. */
export function parsePath(text: string): JsonPath | undefined {
  if (!text.startsWith("$")) return undefined;
  const steps: (string | number | typeof every)[] = [];
  const step = /\.([\w-]+)|\[(\d+)\]|\[\*\]|\['([^']+)'\]|\["([^"]+)"\]/y;
  step.lastIndex = 1;
  while (step.lastIndex < text.length) {
    const found = step.exec(text);
    if (!found) return undefined;
    const name = found[1] ?? found[3] ?? found[4];
    steps.push(name ?? (found[2] === undefined ? every : Number(found[2])));
  }
  return steps;
}

/** Undefined: nothing is there. */
export function valueAt(value: unknown, path: JsonPath): unknown {
  let here = value;
  for (const [index, step] of path.entries()) {
    if (step === every) {
      const rest = path.slice(index + 1);
      return Array.isArray(here) ? here.map((each) => valueAt(each, rest)).filter((each) => each !== undefined) : undefined;
    }
    if (typeof step === "number") here = Array.isArray(here) ? here[step] : undefined;
    else
      here = typeof here === "object" && here !== null && Object.hasOwn(here, step) ? (here as Record<string, unknown>)[step] : undefined;
  }
  return here;
}
