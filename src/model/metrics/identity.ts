/** What a metric is called. Source: "CloudWatch concepts": namespace, name and dimensions are a metric; data of each unit is kept apart. */
export interface MetricName {
  readonly namespace: string;
  readonly name: string;
  /** In the order of their names. */
  readonly dimensions: readonly Dimension[];
}

export interface Dimension {
  readonly name: string;
  readonly value: string;
}

/** A series belongs to an account and a region and has one unit. */
export interface SeriesName extends MetricName {
  readonly account: string;
  readonly region: string;
  readonly unit: string;
}

const byName = (a: Dimension, b: Dimension) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

export const sortedDimensions = (dimensions: readonly Dimension[]): readonly Dimension[] =>
  dimensions.length < 2 ? dimensions : dimensions.toSorted(byName);

/** The same for the same metric. Names hold no control characters. */
export function metricKey({ namespace, name, dimensions }: MetricName): string {
  let key = `${namespace}\u0001${name}`;
  for (const dimension of dimensions) key += `\u0001${dimension.name}\u0002${dimension.value}`;
  return key;
}

export const seriesKey = (series: SeriesName): string =>
  `${series.account}\u0001${series.region}\u0001${series.unit}\u0001${metricKey(series)}`;

/** Source: MetricDatum, Unit. */
export const units: ReadonlySet<string> = new Set([
  "Seconds",
  "Microseconds",
  "Milliseconds",
  "None",
  "Percent",
  "Count",
  "Count/Second",
  ...["", "Kilo", "Mega", "Giga", "Tera"].flatMap((size) =>
    ["bytes", "bits"].flatMap((what) => {
      const unit = size === "" ? what[0]!.toUpperCase() + what.slice(1) : size + what;
      return [unit, `${unit}/Second`];
    }),
  ),
]);
