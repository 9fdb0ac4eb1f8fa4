import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { AwsError, type AwsClient } from "../aws/client.ts";
import type { Journal } from "../journal.ts";

/**
 * Sends journaled state changes, in order for each task, several tasks at a time. One that was not answered is sent again until it is a
 * day old; one that the service refuses for good is dropped. A repetition after a crash carries the same words, which the service takes as no news.
 */
export interface Reporter {
  /** There may be something to send for this task. */
  poke(arn: string): void;
  /** Sends whatever an earlier life of the agent could not. */
  pokeAll(): void;
  /** Stops sending until `pokeAll` (there is no registered instance to speak for). */
  hold(): void;
  /** Resolves when nothing is being sent, `ms` at most. */
  drained(ms: number): Promise<void>;
  close(): void;
}

const giveUpAfterMs = 86_400_000;
const longestWaitMs = 30_000;
const concurrent = 8;

export function createReporter(deps: {
  readonly journal: Journal;
  readonly ecs: AwsClient;
  readonly clock: Clock;
  readonly log: Logger;
  cluster(): string;
}): Reporter {
  const { journal, ecs, clock, log } = deps;
  const busy = new Set<string>();
  const waiting = new Set<string>();
  const retries = new Map<string, { failures: number; cancel: () => void }>();
  let held = true;
  let closed = false;

  const pump = () => {
    if (held || closed) return;
    for (const arn of waiting) {
      if (busy.size >= concurrent) return;
      if (busy.has(arn)) continue;
      waiting.delete(arn);
      busy.add(arn);
      void send(arn).finally(() => {
        busy.delete(arn);
        pump();
      });
    }
  };

  const send = async (arn: string): Promise<void> => {
    for (;;) {
      const next = closed || held ? undefined : journal.nextReport(arn);
      if (!next) return;
      try {
        await ecs.send("SubmitTaskStateChange", { cluster: deps.cluster(), ...next.report });
        if (closed) return;
        retries.delete(arn);
        journal.sent(next);
      } catch (error) {
        if (closed) return;
        const old = clock.now() - next.queuedAt > giveUpAfterMs;
        const final = error instanceof AwsError && !error.retryable && error.status !== 403 && error.code !== "ClusterNotFoundException";
        if (old || final) {
          log.warn({ task: arn, status: next.report.status, err: error }, "a state change was refused, it is dropped");
          journal.sent(next);
          continue;
        }
        const failures = (retries.get(arn)?.failures ?? 0) + 1;
        const wait = Math.min(longestWaitMs, 100 * 2 ** failures);
        log.debug({ task: arn, err: error, wait }, "a state change was not taken, it will be sent again");
        retries.set(arn, { failures, cancel: clock.after(wait, () => poke(arn)) });
        return;
      }
    }
  };

  const poke = (arn: string) => {
    retries.get(arn)?.cancel();
    waiting.add(arn);
    pump();
  };

  return {
    poke,
    pokeAll() {
      held = false;
      for (const arn of journal.unsent()) poke(arn);
    },
    hold: () => void (held = true),
    async drained(ms) {
      const end = clock.now() + ms;
      while ((busy.size > 0 || (waiting.size > 0 && !held)) && clock.now() < end)
        await new Promise<void>((resolve) => clock.after(20, resolve));
    },
    close() {
      closed = true;
      for (const { cancel } of retries.values()) cancel();
    },
  };
}
