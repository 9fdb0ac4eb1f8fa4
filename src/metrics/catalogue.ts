import { metricKey, type MetricName, seriesKey, type SeriesName } from "#model/metrics/identity.ts";

export interface Series extends SeriesName {
  readonly id: number;
  /** The slot of its newest point, seconds; 0 before the first. */
  last: number;
  /** Its name is in the log of points, which is durable. */
  logged: boolean;
  /** Its name is in the catalogue's own file. */
  kept: boolean;
}

export interface Scope {
  readonly account: string;
  readonly region: string;
}

/** Which series there are, in memory: a few hundred bytes each. */
export class Catalogue {
  readonly #byKey = new Map<string, Series>();
  readonly #byId: (Series | undefined)[] = [];
  /** Account, region and namespace → metric → its series, one for each unit. */
  readonly #namespaces = new Map<string, Map<string, Series[]>>();

  get size(): number {
    return this.#byKey.size;
  }

  byId(id: number): Series | undefined {
    return this.#byId[id];
  }

  /** The series of this name, made if it is new. */
  take(name: SeriesName): Series {
    return this.#byKey.get(seriesKey(name)) ?? this.restore(Math.max(1, this.#byId.length), name);
  }

  restore(id: number, { account, region, namespace, name, dimensions, unit }: SeriesName): Series {
    const known = this.#byId[id];
    if (known) return known;
    const series: Series = { id, account, region, namespace, name, dimensions, unit, last: 0, logged: false, kept: false };
    this.#byKey.set(seriesKey(series), series);
    this.#byId[id] = series;
    const place = placeOf(series, namespace);
    let metrics = this.#namespaces.get(place);
    if (!metrics) this.#namespaces.set(place, (metrics = new Map()));
    const key = metricKey(series);
    const units = metrics.get(key);
    if (units) units.push(series);
    else metrics.set(key, [series]);
    return series;
  }

  /** All series of a metric, whatever their unit. */
  find(scope: Scope, metric: MetricName): readonly Series[] {
    return this.#namespaces.get(placeOf(scope, metric.namespace))?.get(metricKey(metric)) ?? [];
  }

  /** Metrics of one namespace, or of all, each with its series. */
  *metrics(scope: Scope, namespace?: string): Generator<readonly Series[]> {
    const places =
      namespace === undefined
        ? [...this.#namespaces.keys()].filter((place) => place.startsWith(placeOf(scope, "")))
        : [placeOf(scope, namespace)];
    for (const place of places) yield* this.#namespaces.get(place)?.values() ?? [];
  }

  all(): Series[] {
    return this.#byId.filter((series) => series !== undefined);
  }
}

const placeOf = ({ account, region }: Scope, namespace: string) => `${account}\u0001${region}\u0001${namespace}`;

/** One line of the catalogue's file, and of the log. */
export const lineOf = ({ id, account, region, unit, namespace, name, dimensions }: Series): string =>
  JSON.stringify([id, account, region, unit, namespace, name, ...dimensions.flatMap((each) => [each.name, each.value])]);

export function readLine(line: string, catalogue: Catalogue): Series {
  const [id, account, region, unit, namespace, name, ...rest] = JSON.parse(line) as [
    number,
    string,
    string,
    string,
    string,
    string,
    ...string[],
  ];
  const dimensions = Array.from({ length: rest.length / 2 }, (_, i) => ({ name: rest[2 * i]!, value: rest[2 * i + 1]! }));
  return catalogue.restore(id, { account, region, unit, namespace, name, dimensions });
}
