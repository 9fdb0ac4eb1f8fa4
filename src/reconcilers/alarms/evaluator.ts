import type { MetricStore } from "#metrics/metric-store.ts";
import { type Prepared, prepare } from "#metrics/query.ts";
import { alarmArn, alarmKeys } from "#model/alarms/keys.ts";
import { javaTime } from "#model/alarms/reason.ts";
import type { AlarmActionRecord, AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import { alarmsOf, holds, parseRule, type Rule } from "#model/alarms/rule.ts";
import { suppress } from "#model/alarms/suppress.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Entry, Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import type { ActionDispatcher } from "./actions.ts";
import { intervalOf, judge, type Judgement, queriesOf } from "./judge.ts";
import { actionsOf, putActions, putState } from "./transition.ts";

const tickMs = 10_000;
const minuteMs = 60_000;
/** Composite alarms look at composite alarms: so deep at most in one pass, the rest in the next. */
const maxDepth = 10;
const historyKeptMs = 30 * 24 * 60 * minuteMs;

export interface EvaluatorDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly writer: Writer;
  readonly log: Logger;
  readonly metrics: () => MetricStore;
  readonly actions: ActionDispatcher;
}

/**
 * Judges every alarm: at the full minute, those on periods under a minute every 10 seconds, new and changed ones at once; then composite alarms, from the
 * states as they are. Writes states, history and what is due, each alarm in one transaction, and only if something changed.
 */
export class AlarmEvaluator {
  readonly #deps: EvaluatorDeps;
  readonly #prepared = new Map<string, { readonly revision: number; readonly plan: Prepared }>();
  readonly #rules = new Map<string, Rule>();
  /** Key of an alarm → the minute or ten seconds that it was judged in. */
  readonly #judged = new Map<string, string>();
  #cancel = () => {};
  #running: Promise<void> = Promise.resolve();
  #waiting = false;
  #stopped = true;
  #trimmed = 0;

  constructor(deps: EvaluatorDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#stopped = false;
    this.wake();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#running;
  }

  /** Looks at once, after what is running. */
  wake(): void {
    if (this.#waiting || this.#stopped) return;
    this.#waiting = true;
    this.#running = this.#running.then(async () => {
      this.#waiting = false;
      if (this.#stopped) return;
      await this.#pass().catch((error: unknown) => this.#deps.log.warn({ err: error }, "alarms could not be judged, they are again"));
    });
  }

  /** Resolves when what was asked so far is done. */
  idle(): Promise<void> {
    return this.#running;
  }

  #schedule(): void {
    const now = this.#deps.clock.now();
    this.#cancel = this.#deps.clock.after(tickMs - (now % tickMs), () => {
      this.wake();
      this.#schedule();
    });
  }

  async #pass(): Promise<void> {
    const { store, clock, actions, log } = this.#deps;
    const now = clock.now();
    const { entries } = await store.list<AlarmRecord>(alarmKeys.allAlarms);
    for (const entry of entries) {
      if (this.#stopped) return;
      if (!entry.value.metric) continue;
      const seconds = intervalOf(entry.value.metric);
      const turn = `${entry.revision}/${Math.floor(now / 1000 / seconds)}`;
      if (this.#judged.get(entry.key) === turn) continue;
      this.#judged.set(entry.key, turn);
      await this.#judge(entry, now).catch((error: unknown) =>
        log.warn({ err: error, alarm: entry.value.name }, "an alarm could not be judged"),
      );
    }
    const composites = entries.filter(({ value }) => value.composite);
    for (let depth = 0; depth < maxDepth; depth++) {
      let changed = false;
      for (const entry of composites) changed = (await this.#compose(entry.value, now)) || changed;
      if (!changed) break;
    }
    await actions.wake();
    if (now - this.#trimmed > 60 * minuteMs) await this.#trim(now);
  }

  async #judge({ key, revision, value: alarm }: Entry<AlarmRecord>, now: number): Promise<void> {
    const { store, metrics } = this.#deps;
    let prepared = this.#prepared.get(key);
    if (prepared?.revision !== revision) this.#prepared.set(key, (prepared = { revision, plan: prepare(queriesOf(alarm.metric!)) }));
    const current = (await store.get<AlarmStateRecord>(alarmKeys.state(alarm, alarm.name)))?.value;
    if (!current) return;
    const judgement = await judge(metrics(), alarm, current.value, now, prepared.plan);
    await this.#settle(alarm, judgement, now);
  }

  async #settle(judgedAlarm: AlarmRecord, judgement: Judgement | undefined, now: number): Promise<void> {
    const { writer, random, actions } = this.#deps;
    const { name } = judgedAlarm;
    await writer.run("cloudwatch", async (unit) => {
      const alarm = await unit.get<AlarmRecord>(alarmKeys.alarm(judgedAlarm, name));
      const before = await unit.get<AlarmStateRecord>(alarmKeys.state(judgedAlarm, name));
      // Changed meanwhile: then it is judged anew.
      if (!alarm || !before || alarm.updated !== judgedAlarm.updated) return;
      if (judgement && judgement.value !== before.value) {
        const after: AlarmStateRecord = { ...judgement, updated: now, transitioned: now };
        putState(unit, random, alarm, before, after, now);
        putActions(unit, random, alarm, before.value, after, now);
        return;
      }
      // Auto Scaling is told again every minute that the alarm stands, however often it is judged.
      const interval = intervalOf(alarm.metric!) * 1000;
      const turns = Math.floor(now / interval) - Math.floor(before.transitioned / interval);
      if (turns <= 0 || turns % (minuteMs / interval) !== 0) return;
      for (const action of actionsOf(alarm, before.value)) {
        if (!actions.repeats(action)) continue;
        const key = alarmKeys.action(alarm, name, action, now, "repeated");
        if ((await unit.list(alarmKeys.actions(alarm, name, action))).size > 0) continue;
        const { account, region } = alarm;
        const record: AlarmActionRecord = {
          alarm: name,
          account,
          region,
          action,
          from: before.value,
          state: before,
          due: now,
          repeated: true,
        };
        unit.put(key, record);
      }
    });
  }

  /** True if its state changed. */
  async #compose(alarm: AlarmRecord, now: number): Promise<boolean> {
    const { writer, random } = this.#deps;
    const composite = alarm.composite!;
    let rule = this.#rules.get(composite.rule);
    if (!rule) this.#rules.set(composite.rule, (rule = parseRule(composite.rule)));
    const names = alarmsOf(rule);
    return writer.run("cloudwatch", async (unit) => {
      const key = alarmKeys.state(alarm, alarm.name);
      const before = await unit.get<AlarmStateRecord>(key);
      const config = await unit.get<AlarmRecord>(alarmKeys.alarm(alarm, alarm.name));
      if (!before || config?.updated !== alarm.updated) return false;
      const states = new Map<string, AlarmStateRecord | undefined>();
      for (const name of names) states.set(name, await unit.get<AlarmStateRecord>(alarmKeys.state(alarm, name)));
      const value = holds(rule, (name) => states.get(name)?.value) ? "ALARM" : "OK";
      const changed = value !== before.value && !(before.forced === true && now - before.transitioned < tickMs);
      const suppressor = composite.suppressor?.split(":alarm:").at(-1);
      const suppressing =
        suppressor !== undefined && (await unit.get<AlarmStateRecord>(alarmKeys.state(alarm, suppressor)))?.value === "ALARM";
      const state = changed ? value : before.value;
      const { act, held } = suppress({
        rule: composite,
        suppressing,
        state,
        changedFrom: changed ? before.value : undefined,
        held: before.suppressed,
        now,
      });
      if (!changed && act === undefined && held === before.suppressed) return false;
      const after: AlarmStateRecord = {
        ...before,
        ...(changed ? { ...composed(alarm, value, names, states, now), updated: now, transitioned: now, forced: undefined } : {}),
        suppressed: held,
      };
      putState(unit, random, alarm, before, after, now);
      if (act !== undefined) putActions(unit, random, alarm, act, after, now);
      return changed;
    });
  }

  async #trim(now: number): Promise<void> {
    this.#trimmed = now;
    const { store } = this.#deps;
    const { entries } = await store.list<{ at: number }>(alarmKeys.allHistories);
    const old = entries.filter(({ value }) => value.at < now - historyKeptMs);
    for (let from = 0; from < old.length; from += 200)
      await store.transaction({ writes: old.slice(from, from + 200).map(({ key }) => ({ delete: key })) });
    const alive = new Set((await store.list(alarmKeys.allAlarms)).entries.map(({ key }) => key));
    for (const map of [this.#prepared, this.#judged]) for (const key of map.keys()) if (!alive.has(key)) map.delete(key);
    this.#rules.clear();
  }
}

function composed(
  alarm: AlarmRecord,
  value: "ALARM" | "OK",
  names: readonly string[],
  states: ReadonlyMap<string, AlarmStateRecord | undefined>,
  now: number,
) {
  const newest = names
    .map((name) => ({ name, state: states.get(name) }))
    .sort((a, b) => (b.state?.transitioned ?? 0) - (a.state?.transitioned ?? 0))[0];
  const reason = newest?.state
    ? `${alarmArn(alarm, newest.name)} transitioned to ${newest.state.value} at ${new Date(newest.state.transitioned).toUTCString()}`
    : `The rule ${value === "ALARM" ? "holds" : "does not hold"}.`;
  const triggeringAlarms = names.flatMap((name) => {
    const state = states.get(name);
    return state ? [{ arn: alarmArn(alarm, name), state: { value: state.value, timestamp: javaTime(state.transitioned || now) } }] : [];
  });
  return { value, reason, reasonData: JSON.stringify({ triggeringAlarms }) };
}
