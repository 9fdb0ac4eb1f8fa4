import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import type { Store, WatchEvent } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges } from "../feed.ts";
import { createKeyQueue } from "../queue.ts";
import { goneAt } from "./health.ts";
import { usageOf } from "./usage.ts";

/** The sweeper: deletes the records of targets that have drained. Answers count them as gone already; after a crash it finds what is left. */
export interface Sweeper {
  stop(): Promise<void>;
}

export function startSweeper(deps: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
}): Sweeper {
  const { store, writer, clock, log } = deps;
  const stopping = new AbortController();
  const timers = new KeyTimers(clock);
  const queue = createKeyQueue({ clock, log, name: "drained targets", handle: sweep });

  async function sweep(root: string): Promise<void> {
    timers.clear(root);
    const listeners = (await store.list<ListenerRecord>(`${root}listener/`)).entries;
    const rules = (await store.list<RuleRecord>(`${root}rule/`)).entries;
    const usage = usageOf(
      listeners.map(({ value }) => value),
      rules.map(({ value }) => value),
    );
    const due: { key: string; revision: number }[] = [];
    let next = Infinity;
    for (const { key, value, revision } of (await store.list<TargetRecord>(`${root}target/`)).entries) {
      if (value.deregisteringAt === undefined) continue;
      const id = key.slice(`${root}target/`.length).split("/")[0]!;
      const group = (await store.get<TargetGroupRecord>(`${root}target-group/${id}`))?.value;
      const gone = group ? (goneAt(group, value, usage.has(id)) ?? Infinity) : 0;
      if (gone <= clock.now()) due.push({ key, revision });
      else next = Math.min(next, gone);
    }
    for (const { key } of due) await writer.run(root, (unit) => remove(unit, key));
    if (next < Infinity) timers.set(root, next - clock.now(), () => queue.add(root));
  }

  // Who was registered anew meanwhile stays.
  const remove = async (unit: { get<T>(key: string): Promise<T | undefined>; delete(key: string): void }, key: string) => {
    if ((await unit.get<TargetRecord>(key))?.deregisteringAt !== undefined) unit.delete(key);
  };

  const changed = (event: WatchEvent) => {
    const [, , account, region, kind] = event.key.split("/");
    const drains = event.type === "put" && (event.entry.value as TargetRecord).deregisteringAt !== undefined;
    // Where routes change, a group may have come out of use; where a group changes, its delay.
    if (kind === "target" ? drains : kind !== "load-balancer") queue.add(`/elb/${account}/${region}/`);
  };
  const behind = async () => {
    const { entries, revision } = await store.list(elbKeys.everything);
    const roots = new Set(entries.map(({ key }) => `${key.split("/").slice(0, 4).join("/")}/`));
    for (const root of roots) queue.add(root);
    return revision;
  };
  const following = followChanges({ store, clock, log, prefix: elbKeys.everything, signal: stopping.signal, behind, changed });
  return {
    async stop() {
      stopping.abort();
      await following;
      timers.stop();
      await queue.stop();
    },
  };
}
