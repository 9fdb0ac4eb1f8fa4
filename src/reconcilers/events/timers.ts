import {
  type DeliveryRecord,
  eventKeys,
  eventTime,
  ruleArn,
  type RuleRecord,
  type RuleTarget,
  scheduleArn,
  type ScheduleRecord,
  schedulerKeys,
  type TimerRecord,
} from "#model/events/records.ts";
import { maximumAgeMs, type RetryPolicy } from "#model/events/retry.ts";
import { nextTime, parseSchedule } from "#model/schedules/index.ts";
import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { followChanges } from "../feed.ts";
import { createKeyQueue, type KeyQueue } from "../queue.ts";
import { deliveryOf, eventOf, ruleOrigin } from "./deliveries.ts";
import { due } from "./due.ts";

export interface TimersDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** Makes rules and schedules happen when they are due: what their targets are to get, and the next time, are one transaction. */
export class Timers {
  readonly #deps: TimersDeps;
  readonly #queue: KeyQueue;
  readonly #waits: KeyTimers;
  readonly #abort = new AbortController();
  #following: Promise<void> = Promise.resolve();

  constructor(deps: TimersDeps) {
    this.#deps = deps;
    this.#waits = new KeyTimers(deps.clock);
    this.#queue = createKeyQueue({ clock: deps.clock, log: deps.log, name: "schedules", handle: (key) => this.#handle(key) });
  }

  start(): void {
    const { store, clock, log } = this.#deps;
    this.#following = followChanges({
      store,
      clock,
      log,
      prefix: eventKeys.timers,
      signal: this.#abort.signal,
      behind: async () => {
        const { entries, revision } = await store.list<TimerRecord>(eventKeys.timers);
        this.#waits.clearAll();
        for (const { key, value } of entries) this.#plan(key, value.due);
        return revision;
      },
      changed: (event) =>
        event.type === "put" ? this.#plan(event.key, (event.entry.value as TimerRecord).due) : this.#waits.clear(event.key),
    });
  }

  idle = () => this.#queue.idle();

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#waits.stop();
    await this.#queue.stop();
    await this.#following;
  }

  #plan(key: string, at: number): void {
    const wait = at - this.#deps.clock.now();
    if (wait > 0) return this.#waits.set(key, wait, () => this.#plan(key, at));
    this.#waits.clear(key);
    this.#queue.add(key);
  }

  async #handle(key: string): Promise<void> {
    const { writer, clock } = this.#deps;
    await writer.run("events-timers", async (unit) => {
      const timer = await unit.get<TimerRecord>(key);
      if (!timer || timer.due > clock.now()) return;
      if (timer.kind === "rule") await this.#fireRule(unit, key, timer);
      else await this.#fireSchedule(unit, key, timer);
    });
  }

  async #fireRule(unit: Unit, key: string, timer: TimerRecord): Promise<void> {
    const { clock, random } = this.#deps;
    const now = clock.now();
    const rule = await unit.get<RuleRecord>(eventKeys.rule(timer, timer.place, timer.name));
    if (rule?.schedule === undefined || rule.state === "DISABLED") {
      unit.delete(key);
      return;
    }
    const ages = rule.targets.map((target) => maximumAgeMs(target["RetryPolicy"] as RetryPolicy | undefined));
    const { fire, next } = due({
      schedule: parseSchedule(rule.schedule),
      timeZone: "UTC",
      start: timer.start,
      next: timer.next,
      now,
      maximumAgeMs: ages.length > 0 ? Math.max(...ages) : 0,
    });
    if (fire !== undefined) {
      const { account, region } = timer;
      const draft = {
        account,
        region,
        source: "aws.events",
        detailType: "Scheduled Event",
        resources: [ruleArn(timer, rule.bus, rule.name)],
        detail: {},
      };
      const event = eventOf(draft, random.uuid(), fire);
      for (const target of rule.targets) {
        const { put, value } = deliveryOf(timer, ruleOrigin(timer, rule), target, event, { now, random });
        unit.put(put, value);
      }
    }
    if (next === undefined) unit.delete(key);
    else unit.put(key, { ...timer, next, due: next } satisfies TimerRecord);
  }

  async #fireSchedule(unit: Unit, key: string, timer: TimerRecord): Promise<void> {
    const { clock, random } = this.#deps;
    const now = clock.now();
    const at = schedulerKeys.schedule(timer, timer.place, timer.name);
    const schedule = await unit.get<ScheduleRecord>(at);
    if (!schedule || schedule.state === "DISABLED") {
      unit.delete(key);
      return;
    }
    const { target, name, group } = schedule;
    const windowMs = schedule.windowMinutes * 60_000;
    const { fire, next } = due({
      schedule: parseSchedule(schedule.expression),
      timeZone: schedule.timeZone,
      start: timer.start,
      end: schedule.endDate,
      next: timer.next,
      now,
      maximumAgeMs: maximumAgeMs(target["RetryPolicy"] as RetryPolicy | undefined) + windowMs,
    });
    if (fire !== undefined) {
      const { account, region } = timer;
      const arn = scheduleArn(timer, group, name);
      const draft = { account, region, source: "aws.scheduler", detailType: "Scheduled Event", resources: [arn], detail: {} };
      const spec: RuleTarget = { ...target, Id: name };
      const delivery = deliveryOf(timer, { kind: "schedule", arn, name, group }, spec, eventOf(draft, random.uuid(), fire), {
        now,
        random,
      });
      // It counts as waiting from the moment of the schedule, however late it is.
      unit.put(delivery.put, { ...delivery.value, event: { ...delivery.value.event, time: eventTime(fire) } } satisfies DeliveryRecord);
    }
    if (next !== undefined) {
      unit.put(key, { ...timer, next, due: next + Math.floor(random.next() * windowMs) } satisfies TimerRecord);
      return;
    }
    unit.delete(key);
    if (schedule.afterCompletion === "DELETE") unit.delete(at);
  }
}

export interface TimerQuestion {
  readonly expression: string;
  readonly timeZone: string;
  readonly now: number;
  readonly startDate?: number | undefined;
  readonly endDate?: number | undefined;
  readonly windowMs: number;
  /** A rate without a start begins with its first time at once, as EventBridge Scheduler's do; a rule's begins one rate later. */
  readonly atOnce: boolean;
  /** 0 to 1. */
  readonly random: number;
}

/** Scheduler's times are exact to a minute: a moment that has just gone by still counts. */
const justNowMs = 60_000;

/** When a rule or a schedule falls due first, or undefined: never. Throws ScheduleError. */
export function firstTimer(
  base: Pick<TimerRecord, "account" | "region" | "kind" | "place" | "name">,
  { expression, timeZone, now, startDate, endDate = Infinity, windowMs, atOnce, random }: TimerQuestion,
): TimerRecord | undefined {
  const schedule = parseSchedule(expression);
  const start = startDate ?? (schedule.kind === "rate" ? now : 0);
  const after = schedule.kind === "at" ? now - justNowMs : schedule.kind === "rate" && atOnce ? now - 1 : now;
  const first = nextTime(schedule, after, timeZone, start);
  if (first === undefined || first > endDate) return undefined;
  const { account, region, kind, place, name } = base;
  return { account, region, kind, place, name, next: first, due: first + Math.floor(random * windowMs), start };
}
