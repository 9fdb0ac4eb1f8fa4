import type { DayUsageRecord, HourUsage, TaskClass, TaskUsageRecord } from "./records.ts";
import { billed, hourMs, overlap } from "./usage.ts";

export interface DayPart {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly hours: DayUsageRecord["hours"];
}

/** A task's usage by the hours in which it fell, in their order: all parts together are the whole. */
export function partsOf(usage: TaskUsageRecord): DayPart[] {
  const bill = billed(usage);
  const parts = new Map<string, Record<string, HourUsage>>();
  for (let at = Math.floor(bill.from / hourMs) * hourMs; at < bill.to; at += hourMs) {
    const hour = { from: at, to: at + hourMs };
    const [day, rest] = new Date(at).toISOString().split("T") as [string, string];
    let hours = parts.get(day);
    if (!hours) parts.set(day, (hours = {}));
    hours[Number(rest.slice(0, 2))] = {
      ms: overlap(usage, hour),
      billedMs: overlap(bill, hour),
      begun: usage.from >= hour.from && usage.from < hour.to ? 1 : 0,
    };
  }
  return [...parts].map(([day, hours]) => ({ day, hours }));
}

export function addHours(a: DayUsageRecord["hours"], b: DayUsageRecord["hours"]): DayUsageRecord["hours"] {
  const sum: Record<string, HourUsage> = { ...a };
  for (const [hour, { ms, billedMs, begun }] of Object.entries(b)) {
    const before = sum[hour] ?? { ms: 0, billedMs: 0, begun: 0 };
    sum[hour] = { ms: before.ms + ms, billedMs: before.billedMs + billedMs, begun: before.begun + begun };
  }
  return sum;
}

/** Equal for classes that are alike. */
export function classText(of: TaskClass): string {
  const { cluster, group, launchType, cpu, memory, architecture, storageGiB, gpus, machine, tags, tagsDropped } = of;
  return JSON.stringify([cluster, group, launchType, cpu, memory, architecture, storageGiB, gpus, machineText(machine), tags, tagsDropped]);
}

const machineText = (machine: TaskClass["machine"]) =>
  machine && [machine.type, machine.cpu, machine.memory, machine.architecture, machine.volumes?.map(({ type, gib }) => [type, gib])];

/** A day that has so many classes drops the tags of new ones, and later their groups: tags made for each task must not outgrow the tasks. */
const taggedClasses = 2000;
const groupedClasses = 3000;

/** What is left of a class that would be a new one of a day with `count` of them. */
export function coarser(of: TaskClass, count: number): TaskClass {
  if (count < taggedClasses) return of;
  const untagged: TaskClass = { ...of, tags: [], tagsDropped: true };
  return count < groupedClasses ? untagged : { ...untagged, group: "(other)" };
}
