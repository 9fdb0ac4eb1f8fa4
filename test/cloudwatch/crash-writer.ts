/** Puts points as fast as it can, flushing again and again, and prints each that is acknowledged, until it is killed. */
import { bundleOf } from "#model/metrics/bundle.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { MetricStore } from "#metrics/metric-store.ts";

const [directory, round] = process.argv.slice(2) as [string, string];
const now = Date.UTC(2026, 5, 15, 12);
const store = await MetricStore.open({ directory, clock: new FakeClock(now), log: silentLogger, flushBytes: 1500 });
const series = { account: "000000000000", region: "us-east-1", namespace: "T", name: "crash", dimensions: [], unit: "None" };
for (let i = 0; i < 1500; i++) {
  const slot = now / 1000 - 9000 + Number(round) * 1500 + (i % 1500);
  await store.put([{ series, step: 1, slot, bundle: bundleOf(i) }]);
  process.stdout.write(`${slot} ${i}\n`);
}
await new Promise((resolve) => setTimeout(resolve, 60_000));
