import type { MetricName } from "#model/metrics/identity.ts";
import { alignedStart, slotOf } from "#model/metrics/resolution.ts";
import { Periods, type Point } from "#model/metrics/roll-up.ts";
import type { Scope } from "./catalogue.ts";
import type { MetricStore } from "./metric-store.ts";

/** The time that is asked for, seconds, from `start` to before `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly now: number;
  /** Periods begin at whole multiples of themselves (GetMetricData) or at the start (GetMetricStatistics, alarms). */
  readonly anchor: "period" | "start";
}

export const startOf = ({ start, now, anchor }: Span, period: number): number =>
  anchor === "period" ? slotOf(start, period) : alignedStart(start, period, now);

/** The data of a metric in periods, ascending. All its units together, unless one is asked for. */
export async function readPeriods(
  store: MetricStore,
  scope: Scope,
  metric: MetricName & { readonly unit?: string },
  span: Span,
  period: number,
): Promise<{ points: Point[]; unit: string | undefined }> {
  const start = startOf(span, period);
  const series = store.find(scope, metric).filter(({ unit }) => metric.unit === undefined || unit === metric.unit);
  const periods = new Periods(start, period);
  let unit: string | undefined;
  for (const each of series) {
    if (each.last < start) continue;
    for (const point of await store.read(each.id, start, span.end)) {
      if (point.step > period || period % point.step !== 0) continue;
      unit ??= each.unit;
      periods.add(point.slot, point.bundle);
    }
  }
  return { points: periods.points(), unit };
}
