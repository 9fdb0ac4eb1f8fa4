import assert from "node:assert/strict";
import { test } from "node:test";
import { playScenario } from "./scenario.ts";

/**
 * Random lives of small clusters. `SEED=n` plays one of them again, exactly; `SCENARIOS=n` sets how many are played. A failing one prints its seed.
 */
const only = process.env.SEED === undefined ? undefined : Number(process.env.SEED);
const count = Number(process.env.SCENARIOS ?? "300");
const seeds = only === undefined ? Array.from({ length: count }, (_, index) => index + 1) : [only];

test(`${seeds.length} random scenarios keep every invariant`, async (t) => {
  const total = { tasks: 0, deaths: 0, payloads: 0 };
  for (const seed of seeds) {
    try {
      const result = await playScenario(seed);
      total.tasks += result.tasks;
      total.deaths += result.deaths;
      total.payloads += result.payloads;
    } catch (error) {
      t.diagnostic(`failed with SEED=${seed}`);
      throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  t.diagnostic(`${total.tasks} tasks, ${total.payloads} payloads, ${total.deaths} deaths of the server`);
});

test("a seed replays exactly", async () => {
  for (const seed of [3, 7]) assert.deepEqual(await playScenario(seed), await playScenario(seed));
});
