import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MetricStore } from "#metrics/metric-store.ts";
import { FakeClock, settle } from "#platform/fake-clock.ts";
import { silentLogger as log } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { ActionDispatcher, ActionRefused } from "#reconcilers/alarms/actions.ts";
import { AlarmEvaluator } from "#reconcilers/alarms/evaluator.ts";
import { putAlarm } from "#reconcilers/alarms/put.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { createWriter } from "#store/unit.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const policy = "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x";

for (const period of [60, 10])
  test(`an alarm on periods of ${period} seconds that stands tells Auto Scaling once a minute; what is refused is not tried again`, async () => {
    const home = await mkdtemp(join(tmpdir(), "gantry-repeats-"));
    const clock = new FakeClock(Date.UTC(2026, 0, 1));
    const store = await openSqliteStore({ path: join(home, "store.sqlite"), clock });
    const metrics = await MetricStore.open({ directory: join(home, "metrics"), clock, log });
    const writer = createWriter(store);
    const random = seededRandom(1);
    const actions = new ActionDispatcher({ store, clock, random, writer, log });
    const evaluator = new AlarmEvaluator({ store, clock, random, writer, log, metrics: () => metrics, actions });
    const told: number[] = [];
    const start = clock.now();
    actions.onAlarm("arn:aws:autoscaling:", async () => void told.push(Math.round((clock.now() - start) / 1000)), { repeat: true });
    let refused = 0;
    actions.onAlarm(`${policy}:gone`, async () => {
      refused++;
      throw new ActionRefused("there is no such policy");
    });
    try {
      await writer.run("cloudwatch", (unit) =>
        putAlarm(
          { unit, scope, random, now: clock.now() },
          {
            name: "always",
            actionsEnabled: true,
            okActions: [],
            alarmActions: [policy, `${policy}:gone`],
            insufficientDataActions: [],
            tags: {},
            metric: {
              ...{ namespace: "App", metricName: "Nothing", statistic: "Sum", dimensions: [], period, evaluationPeriods: 1 },
              ...{ threshold: 1, comparisonOperator: "GreaterThanThreshold", treatMissingData: "breaching" },
            },
          },
        ),
      );
      evaluator.start();
      for (let step = 0; step < 30; step++) {
        await clock.advance(10_000);
        for (let turn = 0; turn < 5; turn++) {
          await evaluator.idle();
          await actions.idle();
          await settle();
        }
      }
      const gaps = told.slice(1).map((at, i) => at - told[i]!);
      assert.ok(gaps.length >= 4 && gaps.every((gap) => gap === 60), `told at ${told.join(", ")}`);
      assert.equal(refused, 1);
    } finally {
      await evaluator.stop();
      await actions.stop();
      await metrics.close();
      await store.close();
      await rm(home, { recursive: true, force: true });
    }
  });
