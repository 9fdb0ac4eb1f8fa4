import { inputFor, type InputRule } from "#model/events/input.ts";
import { type DeliveryRecord, eventKeys } from "#model/events/records.ts";
import { nextAttempt, type RetryPolicy } from "#model/events/retry.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Write } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges } from "../feed.ts";
import { DeliveryFailure, failureOf } from "./failure.ts";
import { Lanes } from "./lanes.ts";
import { delivererOf } from "./targets/index.ts";
import type { TargetDeps } from "./targets/target.ts";

export interface DelivererDeps extends TargetDeps {
  readonly writer: Writer;
  readonly metrics: MetricSink;
}

/** Calls of one target that run at the same time. */
const atOnce = 8;
const mostWaiting = 100_000;
const storeRetryMs = 1000;

/**
 * Gives targets what waits for them in the store, and tries again what fails, as the target's RetryPolicy says. What a target has is deleted after
 * it has it: a crash between the two gives it once more.
 */
export class Deliverer {
  readonly #deps: DelivererDeps;
  readonly #lanes: Lanes;
  /** What waits, by key. */
  readonly #known = new Set<string>();
  readonly #timers: KeyTimers;
  readonly #abort = new AbortController();
  #following: Promise<void> = Promise.resolve();
  #failures = 0;

  constructor(deps: DelivererDeps) {
    this.#deps = deps;
    this.#timers = new KeyTimers(deps.clock);
    this.#lanes = new Lanes(atOnce, (key) => this.#handle(key));
  }

  get waiting(): number {
    return this.#known.size;
  }

  get failures(): number {
    return this.#failures;
  }

  readonly full = (): boolean => this.#known.size >= mostWaiting;

  start(): void {
    const { store, clock, log } = this.#deps;
    this.#following = followChanges({
      store,
      clock,
      log,
      prefix: eventKeys.deliveries,
      signal: this.#abort.signal,
      behind: async () => {
        const { entries, revision } = await store.list<DeliveryRecord>(eventKeys.deliveries);
        this.#timers.clearAll();
        this.#known.clear();
        for (const { key, value } of entries) this.#plan(key, value);
        return revision;
      },
      changed: (event) => {
        if (event.type === "put") this.#plan(event.key, event.entry.value as DeliveryRecord);
        else this.#forget(event.key);
      },
    });
  }

  /** Tests: all that is due has been tried. */
  idle = () => this.#lanes.idle();

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#timers.stop();
    await this.#lanes.stop();
    await this.#following;
  }

  #plan(key: string, { nextAt, target, origin }: DeliveryRecord): void {
    this.#known.add(key);
    const go = () => this.#lanes.add(`${origin.arn} ${target.Arn}`, key);
    const wait = nextAt - this.#deps.clock.now();
    if (wait > 0) return this.#timers.set(key, wait, go);
    this.#timers.clear(key);
    go();
  }

  #forget(key: string): void {
    this.#timers.clear(key);
    this.#known.delete(key);
  }

  async #handle(key: string): Promise<void> {
    const { store, clock, log } = this.#deps;
    try {
      const record = (await store.get<DeliveryRecord>(key))?.value;
      if (!record) return;
      // Timers may come a moment too early.
      if (record.nextAt > clock.now()) this.#plan(key, record);
      else await this.#deliver(key, record);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      log.warn({ err: error, key }, "an event could not be worked on, it is tried again");
      this.#timers.set(key, storeRetryMs, () => this.#lanes.add(key, key));
    }
  }

  async #deliver(key: string, record: DeliveryRecord): Promise<void> {
    const deliver = delivererOf(record);
    try {
      if (!deliver) throw new DeliveryFailure(`Gantry has no targets such as ${record.target.Arn}.`, false);
      const writes = await deliver(this.#deps, record, payloadOf(record));
      await this.#done(key, writes ?? []);
      this.#measure(record, "Invocations");
    } catch (error) {
      await this.#failed(key, record, failureOf(error));
    }
  }

  /** `waiting` is looked at by `full`: what is done must not be counted until the feed says so. */
  async #done(key: string, writes: readonly Write[]): Promise<void> {
    await this.#deps.writer.run("events-delivery", async (unit) => {
      if ((await unit.get(key)) === undefined) return;
      unit.delete(key);
      for (const write of writes) if ("put" in write) unit.put(write.put, write.value);
    });
  }

  async #failed(key: string, record: DeliveryRecord, failure: ReturnType<typeof failureOf>): Promise<void> {
    const { clock, random, log } = this.#deps;
    const failures = record.attempts + 1;
    const now = clock.now();
    const about = { rule: record.origin.arn, target: record.target.Arn, event: record.event.id, failures, reason: failure.message };
    const at = failure.retry
      ? nextAttempt(record.target["RetryPolicy"] as RetryPolicy | undefined, {
          failures,
          createdAt: record.createdAt,
          now,
          random: random.next(),
          waitMs: failure.waitMs,
        })
      : undefined;
    if (at === undefined) {
      this.#failures++;
      log.warn(about, "an event did not reach its target and is not tried again");
      await this.#done(key, []);
      this.#measure(record, "FailedInvocations");
      return;
    }
    log.info({ ...about, at: new Date(at).toISOString() }, "an event did not reach its target, it is tried again");
    await this.#deps.writer.run("events-delivery", async (unit) => {
      if ((await unit.get(key)) === undefined) return;
      unit.put(key, { ...record, attempts: failures, nextAt: at, lastError: failure.message } satisfies DeliveryRecord);
    });
  }

  #measure(record: DeliveryRecord, name: string): void {
    const { metrics, clock } = this.#deps;
    const { origin } = record;
    const at = clock.now();
    if (origin.kind === "rule")
      metrics.put(record, "AWS/Events", [{ name, dimensions: { RuleName: origin.name }, unit: "Count", at, values: [1] }]);
    else {
      const scheduled = name === "Invocations" ? "InvocationAttemptCount" : "InvocationDroppedCount";
      metrics.put(record, "AWS/Scheduler", [
        { name: scheduled, dimensions: { ScheduleGroup: origin.group }, unit: "Count", at, values: [1] },
      ]);
    }
  }
}

function payloadOf({ event, target, origin, createdAt, attempts, id }: DeliveryRecord): string {
  if (origin.kind === "rule")
    return inputFor(event, target as InputRule, { ruleArn: origin.arn, ruleName: origin.name, ingestedAt: createdAt });
  // Source: EventBridge Scheduler User Guide, "Adding context attributes".
  const attributes: Readonly<Record<string, string>> = {
    "schedule-arn": origin.arn,
    "scheduled-time": event.time,
    "execution-id": id,
    "attempt-number": String(attempts + 1),
  };
  const input = (target["Input"] as string | undefined) ?? "{}";
  return input.replaceAll(/<aws\.scheduler\.([\w-]+)>/g, (whole, name: string) => attributes[name] ?? whole);
}
