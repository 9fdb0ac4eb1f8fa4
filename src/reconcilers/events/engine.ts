import type { Caller } from "#api/caller.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Store } from "#store/store.ts";
import { createWriter } from "#store/unit.ts";
import { Deliverer } from "./deliverer.ts";
import { type EventSource, publishingStore } from "./publishing.ts";
import { RuleIndex } from "./rule-index.ts";
import { Timers } from "./timers.ts";

export interface EventsEngine {
  /** For all whose changes may be events. */
  readonly store: Store;
  readonly index: RuleIndex;
  readonly full: () => boolean;
  /** How targets are called and where it is measured: there once all parts are made, and before the start. */
  connect(outside: { readonly caller: Caller; readonly metrics?: MetricSink | undefined }): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Tests: what was due so far has happened. */
  idle(): Promise<void>;
  status(): { readonly waiting: number; readonly failures: number };
}

/** What makes events of changes, and brings them and what is due by the clock to their targets (docs/decisions/0028-events.md). */
export function createEventsEngine(deps: ServerDeps, sources: readonly EventSource[]): EventsEngine {
  const { store, clock, random, vault } = deps;
  const log = deps.log.child({ part: "events" });
  const writer = createWriter(store);
  const index = new RuleIndex({ store, clock, log });
  let outside: { readonly caller: Caller; readonly metrics?: MetricSink | undefined } | undefined;
  const need = (): Caller => {
    if (!outside) throw new Error("nobody said how targets are called");
    return outside.caller;
  };
  const caller: Caller = { call: (call) => need().call(call), denial: (...asked) => need().denial(...asked) };
  const metrics: MetricSink = { put: (...measured) => outside?.metrics?.put(...measured) };
  const deliverer = new Deliverer({ store, clock, random, vault, log, index, caller, writer, metrics });
  const timers = new Timers({ store, writer, clock, random, log });
  return {
    index,
    full: deliverer.full,
    store: publishingStore({ store, clock, random, log, index, sources, full: deliverer.full }),
    connect: (given) => void (outside = given),
    async start() {
      await index.reached();
      deliverer.start();
      timers.start();
    },
    async stop() {
      await timers.stop();
      await deliverer.stop();
      await index.stop();
    },
    async idle() {
      await timers.idle();
      await deliverer.idle();
    },
    status: () => ({ waiting: deliverer.waiting, failures: deliverer.failures }),
  };
}
