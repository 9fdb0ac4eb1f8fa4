import { parseEcsKey } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import { type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";

const intervalMs = 60_000;

/** Removes revisions in DELETE_IN_PROGRESS that no task refers to any more: a pass over all of them now and then, safe to repeat. */
export function createDefinitionSweep({ store, clock, log }: { store: Store; clock: Clock; log: Logger }): {
  start(): void;
  stop(): Promise<void>;
  pass(): Promise<number>;
} {
  let cancel: (() => void) | undefined;
  let under: Promise<unknown> = Promise.resolve();

  async function pass(): Promise<number> {
    const { entries } = await store.list<TaskDefinitionRecord>("/ecs/");
    const leaving = entries.filter(
      ({ key, value }) => parseEcsKey(key)?.kind === "task-definition" && value.status === "DELETE_IN_PROGRESS",
    );
    if (leaving.length === 0) return 0;
    const used = new Set(
      entries.filter(({ key }) => parseEcsKey(key)?.kind === "task").map(({ value }) => (value as unknown as TaskRecord).taskDefinitionArn),
    );
    const gone = leaving.filter(({ value }) => !used.has(value.arn));
    for (const { key, revision } of gone) await store.transaction({ compare: [{ key, revision }], writes: [{ delete: key }] });
    return gone.length;
  }

  const arm = () => {
    cancel = clock.after(intervalMs, () => {
      under = pass()
        .catch((error: unknown) => log.warn({ err: error }, "the sweep of task definitions failed"))
        .finally(arm);
    });
  };
  return {
    start: arm,
    async stop() {
      cancel?.();
      await under;
      cancel?.();
    },
    pass,
  };
}
