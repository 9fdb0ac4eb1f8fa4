import { meterKeys, parseMeterKey, type TaskUsageRecord } from "#model/cost/records.ts";
import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { StoreError, type Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followView } from "../feed.ts";
import { clusterQueue } from "../task-writes.ts";
import { writeTaskUsage } from "./record.ts";
import { decideRollUp, rollUp } from "./roll-up.ts";
import { eachEntry } from "#store/each-entry.ts";

export interface Meter {
  start(): void;
  stop(): Promise<void>;
  /** Moves what is due into its days; returns how many records went. */
  pass(): Promise<number>;
}

export interface MeterOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stopped tasks have records of their own for so long, … */
  readonly detailMs?: number;
  /** … and so many of them at most, but for those that ECS still shows. */
  readonly kept?: number;
}

const passMs = 60_000;
const atOnce = 100;

/**
 * Keeps the meter small: what tasks used is written task by task when they stop (record.ts), and added up by the day once ECS has forgotten the task. A record
 * leaves in the transaction that adds it, so nothing is counted twice or lost.
 */
export function createMeter({ store, writer, clock, log, detailMs = 24 * 3_600_000, kept = 5000 }: MeterOptions): Meter {
  const abort = new AbortController();
  /** When the tasks ended that have a record of their own, by its key. */
  let ends = new Map<string, number>();
  let cancel = () => {};
  let following: Promise<void> = Promise.resolve();
  let passing: Promise<unknown> = Promise.resolve();

  function put(into: typeof ends, key: string, value: unknown): void {
    if (parseMeterKey(key)?.kind !== "task") return;
    if (value === undefined) into.delete(key);
    else into.set(key, (value as TaskUsageRecord).to);
  }

  /** Tasks that stopped under a Gantry that had no meter yet, and that ECS still knows. */
  async function catchUp(): Promise<void> {
    await eachEntry(
      store,
      "/ecs/",
      async (key, value) => {
        const parsed = parseEcsKey(key);
        const [cluster, id] = parsed?.names ?? [];
        if (parsed?.kind !== "task-observed" || !cluster || !id || !isStopped(value as TaskObservation)) return;
        const { scope } = parsed;
        if (await store.get(meterKeys.task(scope, cluster, id))) return;
        await writer.run(clusterQueue(scope, cluster), async (unit) => {
          const task = await unit.get<TaskRecord>(ecsKeys.task(scope, cluster, id));
          const observation = await unit.get<TaskObservation>(key);
          // As long as ECS knows the task, a record that is not there was never written.
          if (!task || !observation || !isStopped(observation) || (await unit.get(meterKeys.task(scope, cluster, id)))) return;
          await writeTaskUsage(unit, scope, task, observation);
        });
      },
      abort.signal,
    );
  }

  async function pass(): Promise<number> {
    const due = decideRollUp(ends, clock.now() - detailMs, kept);
    let moved = 0;
    for (let from = 0; from < due.length && !abort.signal.aborted; from += atOnce)
      moved += await writer.run("meter", (unit) => rollUp(unit, due.slice(from, from + atOnce)));
    return moved;
  }

  function periodically(): void {
    cancel = clock.after(passMs, () => {
      passing = pass()
        .catch(warn)
        .finally(() => {
          if (!abort.signal.aborted) periodically();
        });
    });
  }

  function warn(error: unknown): void {
    if (abort.signal.aborted || (error instanceof StoreError && error.code === "Closed")) return;
    log.warn({ err: error }, "the meter failed, it is tried again");
  }

  return {
    start() {
      following = followView({
        ...{ store, clock, log, signal: abort.signal },
        prefix: meterKeys.all,
        empty: (): typeof ends => new Map(),
        put,
        whole: (next) => void (ends = next),
        changed: (key, value) => put(ends, key, value),
      });
      passing = catchUp().catch(warn);
      periodically();
    },
    async stop() {
      abort.abort();
      cancel();
      await Promise.all([following, passing]);
    },
    pass,
  };
}
