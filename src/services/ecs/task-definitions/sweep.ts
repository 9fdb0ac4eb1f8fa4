import { parseEcsKey } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { familyQueue, removeRevision } from "./families.ts";

const intervalMs = 60_000;

/** A RunTask that read the revision while it was ACTIVE has long written its task by then. */
const settleMs = 10_000;

/** Removes revisions in DELETE_IN_PROGRESS that no task refers to any more: a pass over all of them now and then, safe to repeat. */
export function createDefinitionSweep(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}): {
  start(): void;
  stop(): Promise<void>;
  pass(): Promise<number>;
} {
  const { store, writer, clock, log } = options;
  let stopped = false;
  let cancel: (() => void) | undefined;
  let under: Promise<unknown> = Promise.resolve();

  async function pass(): Promise<number> {
    const { entries } = await store.list<TaskDefinitionRecord>("/ecs/");
    const due = clock.now() - settleMs;
    const leaving = entries.filter(
      ({ key, value }) =>
        value.status === "DELETE_IN_PROGRESS" && (value.deleteRequestedAt ?? 0) <= due && parseEcsKey(key)?.kind === "task-definition",
    );
    if (leaving.length === 0) return 0;
    const used = new Set(
      entries.filter(({ key }) => parseEcsKey(key)?.kind === "task").map(({ value }) => (value as unknown as TaskRecord).taskDefinitionArn),
    );
    // No new task takes what is not ACTIVE, so what is unused here stays unused.
    const gone = leaving.filter(({ value }) => !used.has(value.arn));
    for (const { key } of gone) {
      const { scope } = parseEcsKey(key)!;
      await writer.run(familyQueue(scope, familyIn(key)), async (unit) => {
        const known = await unit.get<TaskDefinitionRecord>(key);
        if (known?.status === "DELETE_IN_PROGRESS") await removeRevision(unit, scope, known);
      });
    }
    return gone.length;
  }

  const arm = () => {
    if (stopped) return;
    cancel = clock.after(intervalMs, () => {
      under = pass()
        .catch((error: unknown) => log.warn({ err: error }, "the sweep of task definitions failed"))
        .finally(arm);
    });
  };
  return {
    start: arm,
    async stop() {
      stopped = true;
      cancel?.();
      await under;
    },
    pass,
  };
}

const familyIn = (key: string) => parseEcsKey(key)!.names[0]!;
