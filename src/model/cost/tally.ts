import { add, compare, nothing, subtract, type Amount } from "./amount.ts";
import { classText } from "./days.ts";
import { forTime, hourPriceOf, machineHour } from "./pricing.ts";
import type { Prices } from "./prices.ts";
import type { DayUsageRecord, HourUsage, InstanceUsageRecord, Span, TaskClass } from "./records.ts";
import { billed, hourMs, overlap } from "./usage.ts";

export type Grouping = { readonly by: "cluster" | "service" | "launch-type" | "task" } | { readonly by: "tag"; readonly tag: string };

/** A task, stopped or running: then `to` is now. */
export interface MeteredTask extends Span {
  readonly id: string;
  readonly class: TaskClass;
}

/** Each task is given once: as itself or within the days. */
export interface Metered {
  readonly tasks: Iterable<MeteredTask>;
  readonly days: Iterable<DayUsageRecord & { readonly day: string }>;
  readonly instances: Iterable<InstanceUsageRecord>;
}

/** What was grouped together, exactly. CPU units, MiB and GiB above 20, each times milliseconds. */
export interface TallyRow {
  readonly key: string;
  readonly cluster: string | undefined;
  readonly launchType: TaskClass["launchType"];
  readonly unused: boolean;
  readonly begun: number;
  readonly ms: bigint;
  readonly cpuMs: bigint;
  readonly memoryMs: bigint;
  readonly storageMs: bigint;
  readonly own: Amount;
  readonly other: Amount;
  /** Some of it would not run on the other launch type. */
  readonly lacks: boolean;
}

export interface InstanceCost {
  readonly instance: InstanceUsageRecord;
  readonly ms: number;
  readonly cost: Amount;
}

export interface Tally {
  /** The dearest first. */
  readonly rows: readonly TallyRow[];
  readonly own: Amount;
  readonly other: Amount;
  readonly instances: readonly InstanceCost[];
}

/**
 * Lays prices over what was metered in the period, which is of whole hours. Linear in time: over periods that follow each other, every quantity and amount adds up to
 * that of the whole. The instances' price is split into the shares of their tasks and what is left: `own` is what Fargate's tasks and all instances cost.
 */
export function tally(metered: Metered, period: Span, grouping: Grouping, prices: Prices, cluster?: string): Tally {
  const wanted = (name: string) => cluster === undefined || name === cluster;
  const sums = usageBy(metered, period, grouping, wanted);
  const instances: InstanceCost[] = [];
  for (const instance of metered.instances) {
    const ms = wanted(instance.cluster) ? overlap(billed(instance), period) : 0;
    if (ms > 0) instances.push({ instance, ms, cost: forTime(machineHour(instance.machine, prices), ms) });
  }
  const rows = [...[...sums.values()].map((sum) => rowOf(sum, prices)), ...unusedRows(sums, instances, grouping, prices)].sort(
    (a, b) => compare(b.own, a.own) || order(a.key, b.key) || order(a.cluster ?? "", b.cluster ?? "") || order(a.launchType, b.launchType),
  );
  return {
    rows,
    own: rows.reduce((sum, { own }) => add(sum, own), nothing),
    other: rows.reduce((sum, { other }) => add(sum, other), nothing),
    instances: instances.sort((a, b) => order(a.instance.cluster, b.instance.cluster) || order(a.instance.id, b.instance.id)),
  };
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export const isOnInstance = ({ launchType }: Pick<TaskClass, "launchType">) => launchType === "EC2" || launchType === "EXTERNAL";

interface Sum extends Pick<TallyRow, "key" | "cluster" | "launchType"> {
  /** Priced once for each class, not once for each task. */
  readonly byClass: Map<string, { readonly class: TaskClass; ms: number; billedMs: number; begun: number }>;
}

function usageBy({ tasks, days }: Metered, period: Span, grouping: Grouping, wanted: (cluster: string) => boolean): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  const within = (at: number) => at >= period.from && at < period.to;

  function count(of: TaskClass, id: string | undefined, usage: HourUsage, text: string): void {
    if (!wanted(of.cluster) || (usage.ms === 0 && usage.billedMs === 0 && usage.begun === 0)) return;
    const key = keyOf(grouping, of, id);
    const cluster = grouping.by === "service" || grouping.by === "task" ? of.cluster : undefined;
    const name = JSON.stringify([key, cluster, of.launchType]);
    let sum = sums.get(name);
    if (!sum) sums.set(name, (sum = { key, cluster, launchType: of.launchType, byClass: new Map() }));
    const before = sum.byClass.get(text);
    if (!before) sum.byClass.set(text, { class: of, ...usage });
    else {
      before.ms += usage.ms;
      before.billedMs += usage.billedMs;
      before.begun += usage.begun;
    }
  }

  for (const { id, class: of, from, to } of tasks) {
    const begun = within(from) ? 1 : 0;
    const usage = { ms: overlap({ from, to }, period), billedMs: overlap(billed({ from, to }), period), begun };
    count(of, id, usage, classText(of));
  }
  for (const { day, class: of, hours } of days) {
    const midnight = Date.parse(day);
    if (overlap({ from: midnight, to: midnight + 24 * hourMs }, period) === 0) continue;
    const text = classText(of);
    for (const [hour, usage] of Object.entries(hours)) if (within(midnight + Number(hour) * hourMs)) count(of, undefined, usage, text);
  }
  return sums;
}

function keyOf(grouping: Grouping, of: TaskClass, id: string | undefined): string {
  switch (grouping.by) {
    case "cluster":
      return of.cluster;
    case "service":
      return of.group;
    case "launch-type":
      return of.launchType;
    case "task":
      return id ?? "(earlier tasks)";
    case "tag":
      return of.tags.find(({ key }) => key === grouping.tag)?.value ?? (of.tagsDropped ? "(not kept)" : "(none)");
  }
}

const emptyRow = { begun: 0, ms: 0n, cpuMs: 0n, memoryMs: 0n, storageMs: 0n, own: nothing, other: nothing, lacks: false };

function rowOf({ byClass, ...sum }: Sum, prices: Prices): TallyRow {
  let row: TallyRow = { ...sum, unused: false, ...emptyRow };
  for (const { class: of, ms, billedMs, begun } of byClass.values()) {
    const { own, other } = hourPriceOf(of, prices);
    // What is Fargate's is billed by Fargate's rounding; a share of an instance is what was taken, no more.
    const [ownMs, otherMs] = isOnInstance(of) ? [ms, billedMs] : [billedMs, ms];
    const time = BigInt(ownMs);
    row = {
      ...row,
      begun: row.begun + begun,
      ms: row.ms + time,
      cpuMs: row.cpuMs + BigInt(of.cpu) * time,
      memoryMs: row.memoryMs + BigInt(of.memory) * time,
      storageMs: row.storageMs + BigInt(Math.max(0, (of.storageGiB ?? 20) - 20)) * time,
      own: add(row.own, forTime(own, ownMs)),
      other: add(row.other, other ? forTime(other, otherMs) : nothing),
      lacks: row.lacks || other === undefined,
    };
  }
  return row;
}

/** What the instances cost beyond the shares of their tasks: a row for each cluster, or one for all. */
function unusedRows(sums: ReadonlyMap<string, Sum>, instances: readonly InstanceCost[], grouping: Grouping, prices: Prices): TallyRow[] {
  const left = new Map<string, Amount>();
  const change = (cluster: string, amount: Amount) => left.set(cluster, add(left.get(cluster) ?? nothing, amount));
  for (const { instance, cost } of instances) change(instance.cluster, cost);
  for (const { byClass } of sums.values()) {
    for (const { class: of, ms } of byClass.values())
      if (isOnInstance(of)) change(of.cluster, subtract(nothing, forTime(hourPriceOf(of, prices).own, ms)));
  }
  const rows = new Map<string, TallyRow>();
  for (const [of, amount] of left) {
    const cluster = grouping.by === "cluster" || grouping.by === "launch-type" ? undefined : of;
    const key = grouping.by === "cluster" ? of : grouping.by === "launch-type" ? "EC2" : "(unused)";
    const name = JSON.stringify([key, cluster]);
    const own = add(rows.get(name)?.own ?? nothing, amount);
    rows.set(name, { key, cluster, launchType: "EC2", unused: true, ...emptyRow, own });
  }
  return [...rows.values()].filter(({ own }) => own.numerator !== 0n);
}
