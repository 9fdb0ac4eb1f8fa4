import { ecsKeys } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { compare, formatAmount } from "#model/cost/amount.ts";
import { awsPrices } from "#model/cost/prices.ts";
import { tally, type Tally } from "#model/cost/tally.ts";
import { abandon } from "#model/task-state.ts";
import { stoppedTaskRetentionMs } from "#reconcilers/limits.ts";
import { clusterQueue, writeNewTask, writeObservation } from "#reconcilers/task-writes.ts";
import { readMeter } from "#services/ecs/cost.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { hex, scope } from "#test/simulation/records.ts";

export const cluster = "sim";
export const always = { from: 0, to: Number.MAX_SAFE_INTEGER };

export interface Life {
  readonly number: number;
  readonly launchType: "EC2" | "FARGATE";
  readonly group: string;
  readonly tag?: string;
  /** Milliseconds from the start of the test; a task that never came to its pull has none. */
  readonly pullAt?: number;
  readonly stopAt: number;
}

export function taskOf(life: Life, epoch: number): TaskRecord {
  const id = hex(life.number);
  return {
    arn: `arn:aws:ecs:us-east-1:000000000000:task/${cluster}/${id}`,
    id,
    cluster,
    taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1",
    containerInstanceId: hex(999),
    launchType: life.launchType,
    group: life.group,
    desiredStatus: "RUNNING",
    createdAt: epoch,
    resources: { cpu: 256, memory: 512, portsTcp: [], portsUdp: [] },
    ...(life.launchType === "FARGATE" ? { cpu: "256", memory: "512" } : {}),
    overrides: {},
    containers: [],
    enableExecuteCommand: false,
    tags: life.tag ? [{ key: "team", value: life.tag }] : [],
  };
}

export const start = (writer: Writer, life: Life, epoch: number) =>
  writer.run(clusterQueue(scope, cluster), (unit) => writeNewTask(unit, scope, taskOf(life, epoch)));

/** As SubmitTaskStateChange does: what is STOPPED already stays as it is. */
export const stop = (writer: Writer, life: Life, epoch: number) =>
  writer.run(clusterQueue(scope, cluster), async (unit) => {
    const task = await unit.get<TaskRecord>(ecsKeys.task(scope, cluster, hex(life.number)));
    if (!task) return;
    const key = ecsKeys.taskObserved(scope, cluster, task.id);
    const previous = await unit.get<TaskObservation>(key);
    const pulled: TaskObservation | undefined =
      life.pullAt === undefined ? undefined : { lastStatus: "RUNNING", version: 1, containers: [], pullStartedAt: epoch + life.pullAt };
    const now = epoch + life.stopAt;
    const next = abandon(task, previous ?? pulled, { code: "UserInitiated", reason: "" }, now);
    if (next) await writeObservation(unit, scope, task, previous, next, now + stoppedTaskRetentionMs);
  });

export async function totals(store: Store, now: number): Promise<Tally> {
  return tally(await readMeter(store, scope, now), always, { by: "service" }, awsPrices);
}

/** Every quantity and amount, whatever the tasks' tags became. */
export function figures({ rows, own, other }: Tally) {
  return {
    own: formatAmount(own, 15),
    other: formatAmount(other, 15),
    rows: rows.map(({ key, launchType, unused, begun, ms, cpuMs, own: cost }) => [
      key,
      launchType,
      unused,
      begun,
      ms,
      cpuMs,
      formatAmount(cost, 15),
    ]),
  };
}

export const same = (a: Tally, b: Tally) => compare(a.own, b.own) === 0 && compare(a.other, b.other) === 0;
