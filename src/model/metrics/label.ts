import type { MetricName } from "./identity.ts";
import type { Series } from "./math/values.ts";

export interface LabelFacts {
  readonly series: Series;
  /** What the label would be if none was asked for. */
  readonly usual: string;
  readonly metric?: MetricName;
  readonly stat?: string;
  readonly account: string;
  readonly region: string;
  /** `+hhmm` or `-hhmm`, default UTC. */
  readonly timezone?: string;
}

/** Puts what the series says in place of `${…}`. Source: "Using dynamic labels". What is not known stays as it is written. */
export function labelOf(template: string, facts: LabelFacts): string {
  return template.replaceAll(/\$\{([^}]*)\}/g, (whole, name: string) => {
    const property = /^PROP\('([^']*)'\)$/.exec(name.trim())?.[1];
    return (property === undefined ? summary(name.trim(), facts) : propertyOf(property, facts)) ?? whole;
  });
}

function propertyOf(property: string, { metric, stat, series, account, region }: LabelFacts): string | undefined {
  switch (property) {
    case "AccountId":
      return account;
    case "Region":
      return region;
    case "Period":
      return String(series.period);
    case "Stat":
      return stat;
    case "Namespace":
      return metric?.namespace;
    case "MetricName":
      return metric?.name;
    default:
      return property.startsWith("Dim.") ? metric?.dimensions.find(({ name }) => name === property.slice(4))?.value : undefined;
  }
}

function summary(name: string, { series, usual, timezone }: LabelFacts): string | undefined {
  const { slots, values } = series;
  if (name === "LABEL") return usual;
  if (name === "DATAPOINT_COUNT") return String(values.length);
  const match = /^(AVG|SUM|MIN|MAX|FIRST|LAST)(_TIME)?$/.exec(name);
  const range = /^(FIRST_LAST|MIN_MAX)(_TIME)?_RANGE$/.exec(name);
  if ((match ?? range) && values.length === 0) return "--";
  const at = { MIN: indexOf(values, (a, b) => a < b), MAX: indexOf(values, (a, b) => a > b), FIRST: 0, LAST: values.length - 1 };
  const show = (kind: keyof typeof at, time: boolean) => (time ? timeText(slots[at[kind]]!, timezone) : String(values[at[kind]]));
  if (range) {
    const [from, to] = range[1]!.split("_") as [keyof typeof at, keyof typeof at];
    return `${show(from, range[2] !== undefined)} - ${show(to, range[2] !== undefined)}`;
  }
  if (!match) return undefined;
  const total = values.reduce((sum, value) => sum + value, 0);
  if (match[1] === "SUM") return match[2] ? undefined : String(total);
  if (match[1] === "AVG") return match[2] ? undefined : String(total / values.length);
  return show(match[1] as keyof typeof at, match[2] !== undefined);
}

function indexOf(values: readonly number[], better: (a: number, b: number) => boolean): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (better(values[i]!, values[best]!)) best = i;
  return best;
}

function timeText(seconds: number, timezone = "+0000"): string {
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)$/.exec(timezone) ?? ["", "+", "00", "00"];
  const offset = (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60);
  const text = new Date((seconds + offset) * 1000).toISOString().slice(0, 19).replace("T", " ");
  return offset === 0 ? `${text} UTC` : `${text} ${sign}${hours}:${minutes}`;
}
