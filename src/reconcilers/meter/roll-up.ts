import { createHash } from "node:crypto";
import { addHours, classText, coarser, partsOf } from "#model/cost/days.ts";
import { meterKeys, parseMeterKey, type DayUsageRecord, type TaskClass, type TaskUsageRecord } from "#model/cost/records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { Unit } from "#store/unit.ts";

/**
 * Which records are to go into their days, the oldest first: those that ended before `before`, and the oldest of what is beyond `kept`.
 * `ends`: when each ended, by its key.
 */
export function decideRollUp(ends: ReadonlyMap<string, number>, before: number, kept: number): string[] {
  const sorted = [...ends].sort(([keyA, a], [keyB, b]) => a - b || (keyA < keyB ? -1 : 1));
  const surplus = sorted.length - kept;
  return sorted.filter(([, end], index) => end <= before || index < surplus).map(([key]) => key);
}

/**
 * Moves these records into their days. As long as ECS knows the task, its record stays: until then it may be written again, and must be found.
 * Returns how many were moved.
 */
export async function rollUp(unit: Unit, keys: readonly string[]): Promise<number> {
  const sizes = new Map<string, number>();
  let moved = 0;
  for (const key of keys) {
    const { scope, names } = parseMeterKey(key)!;
    const usage = await unit.get<TaskUsageRecord>(key);
    if (!usage || (await unit.get(ecsKeys.task(scope, names[0]!, names[1]!)))) continue;
    for (const { day, hours } of partsOf(usage)) {
      const place = await placeOf(unit, scope, day, usage.class, sizes);
      const before = await unit.get<DayUsageRecord>(place.key);
      unit.put(place.key, { class: place.class, hours: addHours(before?.hours ?? {}, hours) } satisfies DayUsageRecord);
    }
    unit.delete(key);
    moved++;
  }
  return moved;
}

async function placeOf(unit: Unit, scope: Scope, day: string, of: TaskClass, sizes: Map<string, number>) {
  const keyOf = (each: TaskClass) => meterKeys.day(scope, day, createHash("sha256").update(classText(each)).digest("hex").slice(0, 32));
  const own = { key: keyOf(of), class: of };
  if (await unit.get(own.key)) return own;
  const prefix = meterKeys.days(scope, day);
  const size = sizes.get(prefix) ?? (await unit.list(prefix)).size;
  const rest = coarser(of, size);
  const place = { key: keyOf(rest), class: rest };
  sizes.set(prefix, size + ((await unit.get(place.key)) ? 0 : 1));
  return place;
}
