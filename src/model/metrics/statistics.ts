import type { Bundle } from "./bundle.ts";

/** A statistic by AWS's name, ready to be taken. Undefined: there is nothing to say (percentiles of statistic sets, an empty range). */
export type Statistic = (bundle: Bundle) => number | undefined;

const basic: Readonly<Record<string, Statistic>> = {
  SampleCount: ({ count }) => count,
  Sum: ({ sum }) => sum,
  Average: ({ sum, count }) => sum / count,
  Minimum: ({ min }) => min,
  Maximum: ({ max }) => max,
};

export const basicStatistics: readonly string[] = Object.keys(basic);

interface Bound {
  readonly value: number;
  readonly percent: boolean;
}
interface Range {
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
}

const number = "\\d{1,15}(?:\\.\\d{1,10})?";
const short = new RegExp(`^(p|tm|wm|tc|ts)(\\d{1,3}(?:\\.\\d{1,10})?)$`, "i");
const ranged = new RegExp(`^(tm|wm|tc|ts|pr)\\((-?${number}%?)?:(-?${number}%?)?\\)$`, "i");

/** Undefined when AWS has no such statistic. Source: "CloudWatch statistics definitions". */
export function parseStatistic(name: string): Statistic | undefined {
  if (Object.hasOwn(basic, name)) return basic[name];
  if (/^iqm$/i.test(name)) return parseStatistic("tm(25%:75%)");
  const brief = short.exec(name);
  if (brief) {
    const kind = brief[1]!.toLowerCase();
    const percent = Number(brief[2]);
    if (percent > 100) return undefined;
    if (kind === "p") return (bundle) => percentile(bundle, percent);
    return rangeStatistic(kind, { low: undefined, high: { value: percent, percent: true } });
  }
  const match = ranged.exec(name.replaceAll(" ", ""));
  if (!match) return undefined;
  const [low, high] = [boundOf(match[2]), boundOf(match[3])];
  const bounds = [low, high].filter((bound) => bound !== undefined);
  const kind = match[1]!.toLowerCase();
  if (bounds.length === 0 || (bounds.length === 2 && (low!.percent !== high!.percent || low!.value > high!.value))) return undefined;
  if (bounds.some((bound) => bound.percent && (kind === "pr" || bound.value < 0 || bound.value > 100))) return undefined;
  return rangeStatistic(kind, { low, high });
}

function boundOf(text: string | undefined): Bound | undefined {
  if (text === undefined) return undefined;
  return { value: Number.parseFloat(text), percent: text.endsWith("%") };
}

/** The smallest value that has at least this share of all samples at or below it. */
export function percentile({ count, values, counts, min }: Bundle, percent: number): number | undefined {
  if (!values || !counts || count === 0) return undefined;
  const wanted = (count * percent) / 100;
  // Counts may be fractions: their running sum misses the whole by a rounding error.
  const slack = count * 1e-12;
  let seen = 0;
  for (let i = 0; i < values.length; i++) {
    seen += counts[i]!;
    if (seen + slack >= wanted && (wanted > 0 || counts[i]! > 0)) return values[i];
  }
  return values.at(-1) ?? min;
}

function rangeStatistic(kind: string, range: Range): Statistic {
  return (bundle) => {
    const { values, counts, count } = bundle;
    if (!values || !counts || count === 0) return undefined;
    let inside = 0;
    let sum = 0;
    let before = 0;
    let below = 0;
    let above = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const amount = counts[i]!;
      const kept = share(range, value, amount, before, count);
      inside += kept.inside;
      sum += kept.inside * value;
      below += kept.below;
      above += kept.above;
      before += amount;
    }
    switch (kind) {
      case "tc":
        return inside;
      case "ts":
        return sum;
      case "pr":
        return (inside / count) * 100;
      case "tm":
        return inside > 0 ? sum / inside : undefined;
      default: {
        const low = edge(bundle, range.low);
        const high = edge(bundle, range.high);
        return (sum + (below > 0 ? below * (low ?? 0) : 0) + (above > 0 ? above * (high ?? 0) : 0)) / count;
      }
    }
  };
}

/** How much of `amount` samples, with `before` samples under them, lies inside: above the lower bound, up to the upper one. */
function share({ low, high }: Range, value: number, amount: number, before: number, count: number) {
  if ((low ?? high)!.percent) {
    const from = ((low?.value ?? 0) / 100) * count;
    const to = ((high?.value ?? 100) / 100) * count;
    const inside = Math.max(0, Math.min(before + amount, to) - Math.max(before, from));
    const below = Math.max(0, Math.min(before + amount, from) - before);
    return { inside, below, above: Math.max(0, amount - inside - below) };
  }
  if (low && value <= low.value) return { inside: 0, below: amount, above: 0 };
  if (high && value > high.value) return { inside: 0, below: 0, above: amount };
  return { inside: amount, below: 0, above: 0 };
}

function edge(bundle: Bundle, bound: Bound | undefined): number | undefined {
  if (!bound) return undefined;
  return bound.percent ? percentile(bundle, bound.value) : bound.value;
}
