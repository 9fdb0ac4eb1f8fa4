import { Accumulator } from "#model/metrics/bundle.ts";
import { slotOf } from "#model/metrics/resolution.ts";
import type { Logger } from "#platform/log.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { MetricStore, NewPoint } from "./metric-store.ts";

/** Measurements of the server's own parts, put as they come. What comes before the store is open waits for it; more than that is dropped. */
const maxWaiting = 100_000;

export function createMetricSink(log: Logger): MetricSink & { open(store: MetricStore): void; settled(): Promise<void> } {
  let store: MetricStore | undefined;
  let waiting: NewPoint[] = [];
  let writing: Promise<void> = Promise.resolve();
  const write = (points: readonly NewPoint[]) => {
    const done = store!.put(points).catch((error: unknown) => log.warn({ err: error }, "measurements were lost"));
    writing = Promise.all([writing, done]).then(() => {});
  };
  return {
    put({ account, region }, namespace, data) {
      const points = data.map(({ name, dimensions, unit, at, values, counts, resolution = 60 }): NewPoint => {
        const sum = new Accumulator();
        values.forEach((value, i) => sum.add(value, counts?.[i] ?? 1));
        const sorted = Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1));
        const series = { account, region, namespace, name, unit, dimensions: sorted.map(([key, value]) => ({ name: key, value })) };
        return { series, step: resolution, slot: slotOf(at / 1000, resolution), bundle: sum.bundle() };
      });
      const real = points.filter(({ bundle }) => bundle.count > 0 && Number.isFinite(bundle.sum));
      if (store) write(real);
      else if (waiting.length < maxWaiting) waiting.push(...real);
    },
    open(opened) {
      store = opened;
      if (waiting.length > 0) write(waiting);
      waiting = [];
    },
    settled: () => writing,
  };
}
