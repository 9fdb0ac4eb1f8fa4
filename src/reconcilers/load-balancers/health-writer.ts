import { elbKeys } from "#model/elb-keys.ts";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import type { BalancerRecords } from "./records.ts";
import { type Data, sameSeen, seenOf } from "./seen.ts";

/** Keeps the records of targets' health as the data plane says, and deletes those of targets that are gone. Their only writer. */
export interface HealthWriter {
  /** Before the first `wake`, and whenever the records may be others than remembered. */
  readAll(): Promise<void>;
  /** Something may be different. */
  wake(): void;
  /** What is written. */
  of(healthKey: string): TargetHealthRecord | undefined;
  stop(): Promise<void>;
}

/** Reports that follow each other this closely are written together. */
const coalesceMs = 5;
const retryMs = 200;
const atOnce = 500;

export function createHealthWriter(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  /** Undefined: not read yet. */
  readonly records: () => BalancerRecords | undefined;
  readonly data: () => Data;
}): HealthWriter {
  const { store, writer, clock, log } = options;
  let written = new Map<string, TargetHealthRecord>();
  let cancel: (() => void) | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;

  async function write(): Promise<void> {
    const records = options.records();
    if (!records) return;
    const data = options.data();
    const wanted = new Set<string>();
    const changes: [string, TargetHealthRecord | undefined][] = [];
    for (const registered of records.targets.values()) {
      wanted.add(registered.healthKey);
      const seen = seenOf(records, registered, data);
      if (seen && !sameSeen(written.get(registered.healthKey), seen))
        changes.push([registered.healthKey, { ...seen, changedAt: clock.now() }]);
    }
    for (const key of written.keys()) if (!wanted.has(key)) changes.push([key, undefined]);
    for (let first = 0; first < changes.length; first += atOnce) {
      const part = changes.slice(first, first + atOnce);
      await writer.run(elbKeys.everyHealth, async (unit) => {
        for (const [key, value] of part) {
          if (value) unit.put(key, value);
          else unit.delete(key);
        }
      });
      for (const [key, value] of part) {
        if (value) written.set(key, value);
        else written.delete(key);
      }
    }
  }

  function wake(ms = coalesceMs): void {
    if (stopped || cancel) return;
    if (running) {
      again = true;
      return;
    }
    cancel = clock.after(ms, () => {
      cancel = undefined;
      let wait = coalesceMs;
      running = write()
        .catch((error: unknown) => {
          log.warn({ err: error }, "targets' health could not be written, trying again");
          again = true;
          wait = retryMs;
        })
        .finally(() => {
          running = undefined;
          if (!again) return;
          again = false;
          wake(wait);
        });
    });
  }

  return {
    async readAll() {
      written = new Map((await store.list<TargetHealthRecord>(elbKeys.everyHealth)).entries.map(({ key, value }) => [key, value]));
    },
    wake: () => wake(),
    of: (key) => written.get(key),
    async stop() {
      stopped = true;
      cancel?.();
      cancel = undefined;
      await running;
    },
  };
}
