import assert from "node:assert/strict";
import { test } from "node:test";
import { playServiceScenario, type ServiceScenario } from "./services-scenario.ts";

/**
 * Random lives of services. `SEED=n` plays one of them again, exactly; `SCENARIOS=n` sets how many are played. A failing one prints its seed. `TRACE=1` prints every write.
 */
const only = process.env.SEED === undefined ? undefined : Number(process.env.SEED);
const count = Number(process.env.SCENARIOS ?? "2000");
const seeds = only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [only];

test(`${seeds.length} random lives of services keep every invariant`, async (t) => {
  const total = { starts: 0, stops: 0, healthyStops: 0, deaths: 0, rollbacks: 0 };
  for (const seed of seeds) {
    const result = await playServiceScenario(seed).catch((error: unknown): ServiceScenario => {
      t.diagnostic(`failed with SEED=${seed}`);
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    });
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += result[key];
  }
  t.diagnostic(JSON.stringify(total));
});

test("a seed replays exactly", async () => {
  for (const seed of [3, 8, 21]) assert.deepEqual(await playServiceScenario(seed), await playServiceScenario(seed));
});
