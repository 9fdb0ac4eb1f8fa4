import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ScalingActivity } from "@aws-sdk/client-application-auto-scaling";
import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { MetricStore } from "#metrics/metric-store.ts";
import { Accumulator } from "#model/metrics/bundle.ts";
import { silentLogger } from "#platform/log.ts";
import { ActionDispatcher } from "#reconcilers/alarms/actions.ts";
import { AlarmEvaluator } from "#reconcilers/alarms/evaluator.ts";
import { type Counting, createApplicationAutoScaling } from "#services/application-autoscaling/index.ts";
import { createWriter } from "#store/unit.ts";
import { scope } from "./records.ts";
import type { World } from "./world.ts";

const minute = 60_000;

/** Data points on a disk of their own, that outlive the simulated server as those of a real one do. */
export class Load {
  readonly store: MetricStore;
  readonly #directory: string;
  #told = 0;
  /** Percent of one task's CPU that the service's work takes in all. */
  percent = 0;

  private constructor(store: MetricStore, directory: string, now: number) {
    this.store = store;
    this.#directory = directory;
    this.#told = Math.floor(now / minute);
  }

  static async on(clock: World["clock"]): Promise<Load> {
    const directory = await mkdtemp(join(tmpdir(), "gantry-scaling-"));
    const store = await MetricStore.open({ directory, clock, log: silentLogger, flushMs: 1e9 });
    return new Load(store, directory, clock.now());
  }

  /** The minutes that are over get their data point: each task that runs does its share. */
  async tell(now: number, running: number): Promise<void> {
    for (; this.#told < Math.floor(now / minute); this.#told++) {
      if (running === 0) continue;
      const sum = new Accumulator();
      sum.add(this.percent / running, running);
      const dimensions = [
        { name: "ClusterName", value: "sim" },
        { name: "ServiceName", value: "web" },
      ];
      const series = { ...scope, namespace: "AWS/ECS", name: "CPUUtilization", unit: "Percent", dimensions };
      await this.store.put([{ series, step: 60, slot: this.#told * 60, bundle: sum.bundle() }]);
    }
  }

  async end(): Promise<void> {
    await this.store.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** Alarms and scaling beside the simulated ECS: CloudWatch's reconcilers upon the points that the test puts. */
export const scalingBeside =
  (metrics: () => MetricStore, pace: Partial<ServerDeps["config"]> = {}) =>
  (given: ServerDeps, ecs: Counting): readonly ServerPart[] => {
    const deps = { ...given, config: { ...given.config, ...pace } };
    const writer = createWriter(deps.store);
    const actions = new ActionDispatcher({ ...deps, writer });
    const evaluator = new AlarmEvaluator({ ...deps, writer, metrics, actions });
    return [
      {
        async start() {
          evaluator.start();
        },
        async stop() {
          await evaluator.stop();
          await actions.stop();
        },
      },
      createApplicationAutoScaling(deps, { actions, metrics }, ecs),
    ];
  };

export const target = { ServiceNamespace: "ecs", ResourceId: "service/sim/web", ScalableDimension: "ecs:service:DesiredCount" };

/** Oldest first. */
export const told = (activities: readonly ScalingActivity[]) =>
  activities.toReversed().map(({ Description, StatusCode, Cause }) => `${Description} ${StatusCode}: ${Cause}`);
