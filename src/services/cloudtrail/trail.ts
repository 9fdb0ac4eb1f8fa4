import type { AuditedCall, Auditor } from "#api/audit.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { isKept, recordOf } from "./record.ts";
import type { TrailFiles, TrailLine } from "./trail-files.ts";

/** From a call to the disk, at most, unless the disk is slower. */
const writeEveryMs = 200;
/** So many calls wait at most: then they are written before anything else is done. */
const mostWaiting = 2_000;
/** Records of callers who proved nothing, a second: nobody fills the disk without credentials. */
const unprovedPerSecond = 20;
const mostUnproved = 200;

export interface Trail extends Auditor {
  /** Resolves when all that was recorded is on the disk. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Writes calls down behind the request's back. A call that was answered a second ago is on the disk (the disk permitting), one of the last moments is lost when
 * the process is killed; an orderly end loses none. Memory holds `mostWaiting` calls at most.
 */
export function createTrail(options: {
  readonly files: TrailFiles;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly open: boolean;
}): Trail {
  const { files, clock, random, log, open } = options;
  let waiting: AuditedCall[] = [];
  let cancel: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();
  const unproved = { left: mostUnproved, at: clock.now(), dropped: 0 };

  const linesOf = (calls: readonly AuditedCall[]) =>
    calls.flatMap((call): TrailLine[] => {
      try {
        const record = recordOf(call, random.uuid(), open);
        const { account, region } = call;
        return [{ place: { account, region }, day: record.eventTime.slice(0, 10), text: JSON.stringify(record) }];
      } catch (error) {
        log.error({ err: error, service: call.service, operation: call.operation }, "a call could not be written into the trail");
        return [];
      }
    });

  function take(): readonly AuditedCall[] {
    cancel?.();
    cancel = undefined;
    const taken = waiting;
    waiting = [];
    if (unproved.dropped > 0) {
      log.warn({ calls: unproved.dropped }, "calls without credentials came faster than the trail takes them: not all were recorded");
      unproved.dropped = 0;
    }
    return taken;
  }

  function flush(): Promise<void> {
    const taken = take();
    writing = writing
      .then(() => (taken.length > 0 ? files.append(linesOf(taken)) : undefined))
      .catch((error: unknown) => log.error({ err: error, calls: taken.length }, "the trail could not be written"));
    return writing;
  }

  /** Whether a call of nobody in particular may still be recorded. */
  function takesUnproved(): boolean {
    const now = clock.now();
    unproved.left = Math.min(mostUnproved, unproved.left + (Math.max(0, now - unproved.at) / 1000) * unprovedPerSecond);
    unproved.at = now;
    if (unproved.left < 1) {
      unproved.dropped++;
      return false;
    }
    unproved.left--;
    return true;
  }

  return {
    record(call) {
      if (!isKept(call) || (call.principal === undefined && !takesUnproved())) return;
      waiting.push(call);
      if (waiting.length >= mostWaiting) {
        try {
          files.appendNow(linesOf(take()));
        } catch (error) {
          log.error({ err: error }, "the trail could not be written");
        }
      } else cancel ??= clock.after(writeEveryMs, () => void flush());
    },
    flush,
    stop: flush,
  };
}
