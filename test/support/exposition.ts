/** Prometheus's text format 0.0.4, read strictly: what a scraper may take differently from another is an error here. */
import assert from "node:assert/strict";

export interface Family {
  readonly type: string;
  /** By name and labels as they are written. */
  readonly samples: ReadonlyMap<string, { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number }>;
}

const types = /^(counter|gauge|histogram)$/;
const escapes: Readonly<Record<string, string>> = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };

/** Families by name. Throws where a line breaks the format, a family comes twice or lacks help or type, a series comes twice, or a histogram does not add up. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line ends too");
  const families = new Map<string, { type: string; samples: Map<string, { name: string; labels: Map<string, string>; value: number }> }>();
  let helped = "";
  let name = "";
  for (const line of text.slice(0, -1).split("\n")) {
    const [, comment, of = "", rest = ""] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? [];
    if (comment === "HELP") {
      assert.ok(!families.has(of), `${of} comes twice`);
      assert.doesNotMatch(rest.replaceAll(/\\[\\n]/g, ""), /\\/, line);
      helped = of;
    } else if (comment === "TYPE") {
      assert.equal(of, helped, `help, then type: ${line}`);
      assert.match(rest, types, line);
      families.set((name = of), { type: rest, samples: new Map() });
    } else {
      const family = families.get(name);
      const [, series = "", own = "", labels, number = ""] =
        /^(([a-zA-Z_:][\w:]*)(?:\{(.*)\})?) (-?\d+(?:\.\d+)?(?:e[+-]\d+)?|[+-]Inf|NaN)$/.exec(line) ?? [];
      assert.ok(family && series !== "", `no sample: ${line}`);
      const suffix = own.startsWith(name) ? own.slice(name.length) : "?";
      assert.match(suffix, family.type === "histogram" ? /^_(bucket|sum|count)$/ : /^$/, `${line} in ${name}`);
      assert.ok(!family.samples.has(series), `${series} comes twice`);
      const value = Number(number.replace("Inf", "Infinity"));
      if (family.type !== "gauge") assert.ok(value >= 0, line);
      family.samples.set(series, { name: own, labels: labelsOf(labels ?? ""), value });
    }
  }
  for (const [each, { type, samples }] of families) {
    if (type === "counter") assert.match(each, /_total$/);
    if (type === "histogram") checkHistogram(each, [...samples.values()]);
  }
  return families;
}

function labelsOf(text: string): Map<string, string> {
  const labels = new Map<string, string>();
  const one = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;
  while (one.lastIndex < text.length) {
    const [, name = "", value = ""] = one.exec(text) ?? assert.fail(`labels: ${text}`);
    assert.ok(!labels.has(name), `${name} comes twice: ${text}`);
    labels.set(
      name,
      value.replaceAll(/\\./g, (each) => escapes[each]!),
    );
  }
  return labels;
}

function checkHistogram(name: string, samples: readonly { name: string; labels: ReadonlyMap<string, string>; value: number }[]): void {
  const key = (labels: ReadonlyMap<string, string>) => JSON.stringify([...labels].filter(([label]) => label !== "le").toSorted());
  for (const [labels, all] of Map.groupBy(samples, (each) => key(each.labels))) {
    const buckets = all.filter((each) => each.name === `${name}_bucket`);
    const bounds = buckets.map((each) => Number(each.labels.get("le")!.replace("Inf", "Infinity")));
    assert.deepEqual(
      bounds,
      bounds.toSorted((a, b) => a - b),
      labels,
    );
    assert.equal(bounds.at(-1), Infinity, labels);
    buckets.forEach(({ value }, at) => assert.ok(value >= (buckets[at - 1]?.value ?? 0), `${labels}: a bucket holds those below it`));
    const [count, ...more] = all.filter((each) => each.name === `${name}_count`);
    assert.deepEqual([more.length, count!.value], [0, buckets.at(-1)!.value], labels);
    assert.equal(all.filter((each) => each.name === `${name}_sum`).length, 1, labels);
  }
}

/** Of one process, the second scrape after the first: no counter has gone or fallen. */
export function neverFalls(before: ReadonlyMap<string, Family>, after: ReadonlyMap<string, Family>): void {
  for (const [name, { type, samples }] of before)
    for (const [series, { value }] of samples) {
      const now = after.get(name)?.samples.get(series)?.value;
      assert.ok(now !== undefined, `${series} has gone`);
      if (type !== "gauge") assert.ok(now >= value, `${series} fell from ${value} to ${now}`);
    }
}
