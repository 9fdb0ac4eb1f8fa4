import { add, compare, formatAmount, nothing, subtract, type Amount } from "./amount.ts";
import { classText } from "./days.ts";
import { forTime, hourPriceOf, machineHour, type HourPrice } from "./pricing.ts";
import type { Prices } from "./prices.ts";
import type { DayUsageRecord, HourUsage, InstanceUsageRecord, Span, TaskClass } from "./records.ts";
import { billed, hourMs, overlap } from "./usage.ts";

export type Grouping = { readonly by: "cluster" | "service" | "launch-type" | "task" } | { readonly by: "tag"; readonly tag: string };

/** A task, stopped or running. `open`: it has not ended, `to` is now. */
export interface MeteredTask extends Span {
  readonly id: string;
  readonly class: TaskClass;
}

export interface Metered {
  readonly tasks: Iterable<MeteredTask>;
  readonly days: Iterable<DayUsageRecord & { readonly day: string }>;
  readonly instances: Iterable<InstanceUsageRecord>;
}

/** Quantities and amounts are decimals as text, rounded to six places, each for itself; the totals are those of the exact amounts. */
export interface CostRow {
  /** What was grouped by: a cluster, a group of tasks, a launch type, a tag's value, a task. */
  readonly key: string;
  /** Where rows are of one cluster. */
  readonly cluster?: string;
  readonly launchType: TaskClass["launchType"];
  /** Not the tasks' part of the instances but the part that no task took. */
  readonly unused: boolean;
  /** Tasks that began in the period. */
  readonly tasksBegun: number;
  readonly taskHours: string;
  readonly vcpuHours: string;
  readonly gbHours: string;
  /** Ephemeral storage above 20 GiB. */
  readonly storageGbHours: string;
  readonly cost: string;
  /** The same work on the other launch type. */
  readonly elsewhere: string;
  /** Some of it would not run there, and is not in `elsewhere`. */
  readonly elsewhereLacks: boolean;
}

export interface CostReport {
  readonly rows: readonly CostRow[];
  readonly total: { readonly cost: string; readonly elsewhere: string; readonly elsewhereLacks: boolean };
  readonly instances: readonly {
    readonly cluster: string;
    readonly id: string;
    readonly ec2InstanceId: string;
    readonly type?: string;
    readonly hours: string;
    readonly cost: string;
  }[];
}

const decimals = 6;

interface Sum {
  readonly key: string;
  readonly cluster: string | undefined;
  readonly launchType: TaskClass["launchType"];
  readonly unused: boolean;
  readonly byClass: Map<string, Mutable<HourUsage> & { readonly class: TaskClass }>;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Lays prices over what was metered in the period. Each task is given once: as itself or within the days. */
export function costReport(metered: Metered, period: Span, grouping: Grouping, prices: Prices, cluster?: string): CostReport {
  const sums = new Map<string, Sum>();
  const wanted = (name: string) => cluster === undefined || name === cluster;

  function sumOf(key: string, inCluster: string, launchType: TaskClass["launchType"], unused: boolean): Sum {
    const shown = grouping.by === "service" || grouping.by === "task" || (unused && grouping.by === "tag") ? inCluster : undefined;
    const name = JSON.stringify([key, shown, launchType, unused]);
    let sum = sums.get(name);
    if (!sum) sums.set(name, (sum = { key, cluster: shown, launchType, unused, byClass: new Map() }));
    return sum;
  }

  function count(of: TaskClass, id: string | undefined, usage: HourUsage, text = classText(of)): void {
    if (!wanted(of.cluster) || (usage.ms === 0 && usage.billedMs === 0 && usage.begun === 0)) return;
    const { byClass } = sumOf(keyOf(grouping, of, id), of.cluster, of.launchType, false);
    const before = byClass.get(text);
    if (!before) byClass.set(text, { class: of, ...usage });
    else {
      before.ms += usage.ms;
      before.billedMs += usage.billedMs;
      before.begun += usage.begun;
    }
  }

  for (const { id, class: of, from, to } of metered.tasks) {
    const begun = from >= period.from && from < period.to ? 1 : 0;
    count(of, id, { ms: overlap({ from, to }, period), billedMs: overlap(billed({ from, to }), period), begun });
  }
  for (const { day, class: of, hours } of metered.days) {
    const midnight = Date.parse(day);
    const text = classText(of);
    for (const [hour, usage] of Object.entries(hours)) {
      // By the hour in which it fell: whoever asks gives whole hours.
      const at = midnight + Number(hour) * hourMs;
      if (at >= period.from && at < period.to) count(of, undefined, usage, text);
    }
  }

  const instances = [];
  const unused = new Map<string, { readonly cluster: string; amount: Amount }>();
  for (const instance of metered.instances) {
    const ms = wanted(instance.cluster) ? overlap(billed(instance), period) : 0;
    if (ms === 0) continue;
    const cost = forTime(machineHour(instance.machine, prices), ms);
    const { cluster: of, id, ec2InstanceId, machine } = instance;
    instances.push({ cluster: of, id, ec2InstanceId, type: machine.type, hours: decimal(ms, hourMs), cost: formatAmount(cost, decimals) });
    unused.set(of, { cluster: of, amount: add(unused.get(of)?.amount ?? nothing, cost) });
  }

  const rows = [...sums.values()].map((sum) => pricedRow(sum, prices));
  for (const sum of sums.values()) {
    for (const { class: of, ms } of sum.byClass.values()) {
      if (!isOnInstance(of)) continue;
      const left = unused.get(of.cluster)?.amount ?? nothing;
      unused.set(of.cluster, { cluster: of.cluster, amount: subtract(left, forTime(hourPriceOf(of, prices).own, ms)) });
    }
  }
  const byRow = new Map<string, Priced>();
  for (const { cluster: of, amount } of unused.values()) {
    if (amount.numerator === 0n) continue;
    const key = grouping.by === "cluster" ? of : grouping.by === "launch-type" ? "EC2" : "(unused)";
    const sum = sumOf(key, of, "EC2", true);
    const name = JSON.stringify([key, sum.cluster]);
    byRow.set(name, { sum, ...empty, own: add(byRow.get(name)?.own ?? nothing, amount) });
  }
  const all = [...rows, ...byRow.values()].sort(
    (a, b) =>
      compare(b.own, a.own) ||
      order(a.sum.key, b.sum.key) ||
      order(a.sum.cluster ?? "", b.sum.cluster ?? "") ||
      order(a.sum.launchType, b.sum.launchType),
  );
  return {
    rows: all.map(shownRow),
    total: {
      cost: formatAmount(
        all.reduce((total, { own }) => add(total, own), nothing),
        decimals,
      ),
      elsewhere: formatAmount(
        all.reduce((total, { other }) => add(total, other), nothing),
        decimals,
      ),
      elsewhereLacks: all.some(({ lacks }) => lacks),
    },
    instances: instances.sort((a, b) => order(a.cluster, b.cluster) || order(a.id, b.id)),
  };
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

const isOnInstance = ({ launchType }: TaskClass) => launchType === "EC2" || launchType === "EXTERNAL";

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

interface Priced {
  readonly sum: Sum;
  readonly own: Amount;
  readonly other: Amount;
  readonly lacks: boolean;
  readonly begun: number;
  readonly ms: number;
  readonly cpuMs: bigint;
  readonly memoryMs: bigint;
  readonly storageMs: bigint;
}

const empty = { own: nothing, other: nothing, lacks: false, begun: 0, ms: 0, cpuMs: 0n, memoryMs: 0n, storageMs: 0n };

function pricedRow(sum: Sum, prices: Prices): Priced {
  let row: Priced = { sum, ...empty };
  for (const { class: of, ms, billedMs, begun } of sum.byClass.values()) {
    const hour: HourPrice = hourPriceOf(of, prices);
    // What is Fargate's is billed by Fargate's rounding; a share of an instance is what was taken, no more.
    const [ownMs, otherMs] = isOnInstance(of) ? [ms, billedMs] : [billedMs, ms];
    const lacks = hour.other === undefined;
    row = {
      sum,
      own: add(row.own, forTime(hour.own, ownMs)),
      other: add(row.other, hour.other ? forTime(hour.other, otherMs) : nothing),
      lacks: row.lacks || lacks,
      begun: row.begun + begun,
      ms: row.ms + ownMs,
      cpuMs: row.cpuMs + BigInt(of.cpu) * BigInt(ownMs),
      memoryMs: row.memoryMs + BigInt(of.memory) * BigInt(ownMs),
      storageMs: row.storageMs + BigInt(Math.max(0, (of.storageGiB ?? 20) - 20)) * BigInt(ownMs),
    };
  }
  return row;
}

const decimal = (count: number | bigint, of: number) => formatAmount({ numerator: BigInt(count), denominator: BigInt(of) }, decimals);

function shownRow({ sum, own, other, lacks, begun, ms, cpuMs, memoryMs, storageMs }: Priced): CostRow {
  return {
    key: sum.key,
    ...(sum.cluster !== undefined && { cluster: sum.cluster }),
    launchType: sum.launchType,
    unused: sum.unused,
    tasksBegun: begun,
    taskHours: decimal(ms, hourMs),
    vcpuHours: decimal(cpuMs, hourMs * 1024),
    gbHours: decimal(memoryMs, hourMs * 1024),
    storageGbHours: decimal(storageMs, hourMs),
    cost: formatAmount(own, decimals),
    elsewhere: formatAmount(other, decimals),
    elsewhereLacks: lacks,
  };
}
