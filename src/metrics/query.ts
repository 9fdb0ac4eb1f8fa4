import type { MetricQuery } from "#model/alarms/records.ts";
import { metricKey } from "#model/metrics/identity.ts";
import { evaluate, namesOf, type SearchCall, searchesOf, usesMetrics } from "#model/metrics/math/evaluate.ts";
import { type Expression, MathError, parseExpression } from "#model/metrics/math/syntax.ts";
import { isArray, isSeries, type Series, seriesOf, type Value } from "#model/metrics/math/values.ts";
import { isPeriod } from "#model/metrics/resolution.ts";
import { parseSearch } from "#model/metrics/search.ts";
import { parseStatistic } from "#model/metrics/statistics.ts";
import type { Scope, Series as StoredSeries } from "./catalogue.ts";
import type { MetricStore } from "./metric-store.ts";
import { readPeriods, type Span, startOf } from "./read.ts";

/** What one query is worth: a series, or several of SEARCH and METRICS. */
export interface Answer {
  readonly query: MetricQuery;
  readonly series: readonly Series[];
  readonly several: boolean;
  /** Samples behind each slot of a metric, for alarms on percentiles. */
  readonly samples?: ReadonlyMap<number, number>;
}

/** SEARCH returns no more. Source: "Using search expressions": 500 time series. */
const maxFound = 500;

/** Parses every expression once: who asks again and again (an alarm) keeps the result. Throws MathError. */
export interface Prepared {
  readonly queries: readonly MetricQuery[];
  readonly expressions: ReadonlyMap<string, Expression>;
  /** Each after those it names. */
  readonly order: readonly string[];
}

export function prepare(queries: readonly MetricQuery[]): Prepared {
  const expressions = new Map<string, Expression>();
  for (const { id, expression } of queries) {
    if (expression === undefined) continue;
    // A query of Metrics Insights is no math expression.
    if (/^\s*SELECT\s/i.test(expression)) throw new MathError(`${id}: Metrics Insights queries are not available in Gantry.`);
    expressions.set(id, parseExpression(expression));
    searchesOf(expressions.get(id)!).forEach(({ query, statistic, period }) => {
      parseSearch(query);
      if (!parseStatistic(statistic)) throw new MathError(`SEARCH: ${statistic} is no statistic.`);
      if (period !== undefined && !isPeriod(period)) throw new MathError(`SEARCH: ${period} is no period.`);
    });
  }
  return { queries, expressions, order: inOrder(queries, expressions) };
}

function inOrder(queries: readonly MetricQuery[], expressions: ReadonlyMap<string, Expression>): string[] {
  const known = new Set(queries.map(({ id }) => id));
  const order: string[] = [];
  const visiting = new Set<string>();
  const visit = (id: string): void => {
    if (order.includes(id)) return;
    if (visiting.has(id)) throw new MathError(`Circular dependency: ${[...visiting, id].join(" -> ")}`);
    visiting.add(id);
    const expression = expressions.get(id);
    if (expression) for (const name of namesOf(expression)) if (known.has(name)) visit(name);
    visiting.delete(id);
    order.push(id);
  };
  for (const { id } of queries) visit(id);
  return order;
}

/** The answers to all queries, by id. Throws MathError. */
export async function answer(
  store: MetricStore,
  scope: Scope,
  { queries, expressions, order }: Prepared,
  span: Span,
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  const values = new Map<string, Value>();
  const byId = new Map(queries.map((query) => [query.id, query]));
  for (const query of queries) {
    if (!query.stat) continue;
    const { series, samples } = await readStat(store, scope, query.stat, span, query.label ?? query.stat.name);
    values.set(query.id, series);
    answers.set(query.id, { query, series: [series], several: false, samples });
  }
  const finest = Math.min(...queries.map(({ stat, period }) => stat?.period ?? period ?? Infinity));
  for (const id of order) {
    const query = byId.get(id)!;
    const expression = expressions.get(id);
    if (!expression) continue;
    const period = query.period ?? (Number.isFinite(finest) ? finest : 60);
    const found = new Map<string, readonly Series[]>();
    for (const search of searchesOf(expression)) found.set(keyOf(search), await searchAll(store, scope, search, span, period));
    const value = evaluate(expression, {
      window: { startOf: (one) => startOf(span, one), end: span.end, period },
      named: (name) => values.get(name),
      metrics: () =>
        usesMetrics(expression)
          ? queries.flatMap(({ id: other, stat }) => (stat ? [{ id: other, series: values.get(other) as Series }] : []))
          : [],
      search: (search) => found.get(keyOf(search)) ?? [],
    });
    values.set(id, value);
    answers.set(id, { query, ...shown(query, value) });
  }
  return answers;
}

function shown(query: MetricQuery, value: Value): { series: readonly Series[]; several: boolean } {
  if (isArray(value)) return { series: value, several: true };
  if (isSeries(value)) return { series: [{ ...value, label: query.label ?? query.id }], several: false };
  // A number may stand in between; who asks for it to be returned gets an error there.
  if (query.returnData === false) return { series: [], several: false };
  throw new MathError(`The expression of ${query.id} does not return a time series.`);
}

async function readStat(store: MetricStore, scope: Scope, stat: NonNullable<MetricQuery["stat"]>, span: Span, label: string) {
  const take = parseStatistic(stat.stat);
  if (!take) throw new MathError(`${stat.stat} is no statistic.`);
  const { points } = await readPeriods(store, scope, stat, span, stat.period);
  const series = seriesOf(
    { label, period: stat.period },
    points.map(({ slot, bundle }) => [slot, take(bundle) ?? Number.NaN] as const),
  );
  return { series, samples: new Map(points.map(({ slot, bundle }) => [slot, bundle.count])) };
}

const keyOf = ({ query, statistic, period }: SearchCall) => JSON.stringify([query, statistic, period]);

async function searchAll(store: MetricStore, scope: Scope, search: SearchCall, span: Span, usualPeriod: number): Promise<Series[]> {
  const matches = parseSearch(search.query);
  const period = search.period ?? usualPeriod;
  const found: StoredSeries[] = [];
  for (const [first] of store.metrics(scope)) {
    if (first && matches(first)) found.push(first);
    if (found.length >= maxFound) break;
  }
  found.sort((a, b) => (metricKey(a) < metricKey(b) ? -1 : 1));
  const labels = labelsOf(found);
  const series: Series[] = [];
  for (const [i, { namespace, name, dimensions }] of found.entries())
    series.push((await readStat(store, scope, { namespace, name, dimensions, period, stat: search.statistic }, span, labels[i]!)).series);
  return series;
}

/** What tells them apart: the values of dimensions that differ, and the name where that does. */
function labelsOf(found: readonly StoredSeries[]): string[] {
  const names = new Set(found.map(({ name }) => name));
  return found.map(({ name, dimensions }) => {
    const telling = dimensions.filter((each) =>
      found.some((other) => other.dimensions.find((one) => one.name === each.name)?.value !== each.value),
    );
    const parts = [...telling.map(({ value }) => value), ...(names.size > 1 ? [name] : [])];
    return parts.length > 0 ? parts.join(" ") : name;
  });
}
