import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmActionRecord, AlarmRecord, AlarmStateRecord, AlarmStateValue } from "#model/alarms/records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { createKeyQueue, type KeyQueue } from "../queue.ts";
import { putHistory, typeOf } from "./transition.ts";

/** An alarm's word to one of its targets. */
export interface AlarmNotice {
  readonly alarm: AlarmRecord;
  readonly action: string;
  readonly from: AlarmStateValue;
  readonly state: AlarmStateRecord;
  /** When it became due, milliseconds. */
  readonly due: number;
  /** The alarm said so before and stays in its state. */
  readonly repeated: boolean;
}

/** Does what the ARN says; may be told the same twice. What it throws is tried again for an hour, but for ActionRefused. */
export type AlarmHandler = (notice: AlarmNotice) => Promise<void>;

/** What the ARN says cannot be done, now or later: the alarm's history tells it, with the message. */
export class ActionRefused extends Error {}

export interface HandlerOptions {
  /** Tell again every minute while the alarm stays in a state, as AWS does for Auto Scaling. */
  readonly repeat?: boolean;
}

/** Who carries out the actions of alarms. The longest prefix of an action's ARN wins. */
export interface AlarmActions {
  onAlarm(arnPrefix: string, handler: AlarmHandler, options?: HandlerOptions): void;
}

const giveUpAfterMs = 60 * 60 * 1000;

export class ActionDispatcher implements AlarmActions {
  readonly #handlers: { readonly prefix: string; readonly handler: AlarmHandler; readonly repeat: boolean }[] = [];
  readonly #deps: { store: Store; clock: Clock; random: Random; writer: Writer; log: Logger };
  readonly #queue: KeyQueue;

  constructor(deps: { store: Store; clock: Clock; random: Random; writer: Writer; log: Logger }) {
    this.#deps = deps;
    this.#queue = createKeyQueue({ clock: deps.clock, log: deps.log, name: "alarm actions", handle: (prefix) => this.#handle(prefix) });
  }

  onAlarm(prefix: string, handler: AlarmHandler, { repeat = false }: HandlerOptions = {}): void {
    this.#handlers.push({ prefix, handler, repeat });
    this.#handlers.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  repeats(action: string): boolean {
    return this.#find(action)?.repeat ?? false;
  }

  /** Looks for what is due: at the start, and whenever actions were put. */
  async wake(): Promise<void> {
    const { entries } = await this.#deps.store.list(alarmKeys.allActions);
    for (const { key } of entries) this.#queue.add(key.slice(0, key.lastIndexOf("/") + 1));
  }

  idle = () => this.#queue.idle();
  stop = () => this.#queue.stop();

  #find(action: string) {
    return this.#handlers.find(({ prefix }) => action.startsWith(prefix));
  }

  /** One target of one alarm, in order: what fails holds back only what comes after it there. */
  async #handle(prefix: string): Promise<void> {
    const { store } = this.#deps;
    for (;;) {
      const [entry] = (await store.list<AlarmActionRecord>(prefix, { limit: 1 })).entries;
      if (!entry) return;
      await this.#carryOut(entry.key, entry.value);
    }
  }

  async #carryOut(key: string, record: AlarmActionRecord): Promise<void> {
    const { store, clock } = this.#deps;
    const { alarm: name, action, from, state, due, repeated } = record;
    const alarm = (await store.get<AlarmRecord>(alarmKeys.alarm(record, name)))?.value;
    if (!alarm) return this.#done(key, record, undefined);
    const handler = this.#find(action)?.handler;
    if (!handler) return this.#done(key, record, alarm, `nobody here carries out actions such as ${action}`);
    try {
      await handler({ alarm, action, from, state, due, repeated });
    } catch (error) {
      if (!(error instanceof ActionRefused) && clock.now() - due < giveUpAfterMs) throw error;
      return this.#done(key, record, alarm, (error as Error).message);
    }
    return this.#done(key, record, alarm);
  }

  async #done(key: string, { action, state, repeated }: AlarmActionRecord, alarm: AlarmRecord | undefined, error?: string): Promise<void> {
    const { writer, random, clock } = this.#deps;
    await writer.run("cloudwatch", async (unit) => {
      unit.delete(key);
      if (!alarm || (repeated && error === undefined)) return;
      putHistory(unit, random, alarm, {
        name: alarm.name,
        type: typeOf(alarm),
        at: clock.now(),
        item: "Action",
        summary:
          error === undefined ? `Successfully executed action ${action}` : `Failed to execute action ${action}. Received error: "${error}"`,
        data: JSON.stringify({
          actionState: error === undefined ? "Succeeded" : "Failed",
          stateUpdateTimestamp: state.updated,
          notificationResource: action,
          ...(error === undefined ? {} : { error }),
        }),
      });
    });
  }
}
