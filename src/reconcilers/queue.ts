import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";

/**
 * Runs `handle` for each key added: a key that waits is not added twice, one that is being handled runs again afterwards, and one
 * key is never handled twice at the same time. What throws is tried again, later each time. The handler reads what it needs:
 * a key carries no data.
 */
export interface KeyQueue {
  add(key: string): void;
  /** Resolves when nothing waits or runs (what waits for a retry's time does not count). */
  idle(): Promise<void>;
  /** Takes nothing more and waits for what runs. */
  stop(): Promise<void>;
}

export interface KeyQueueOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly name: string;
  /** Keys handled at the same time; default 16. */
  readonly concurrency?: number;
  readonly handle: (key: string) => Promise<void>;
}

const firstRetryMs = 100;
const lastRetryMs = 30_000;

export function createKeyQueue({ clock, log, name, concurrency = 16, handle }: KeyQueueOptions): KeyQueue {
  const waiting = new Set<string>();
  const running = new Set<string>();
  const again = new Set<string>();
  const failures = new Map<string, number>();
  const retries = new KeyTimers(clock);
  let idlers: (() => void)[] = [];
  let stopped = false;

  function pump(): void {
    for (const key of waiting) {
      if (running.size >= concurrency) return;
      waiting.delete(key);
      running.add(key);
      void run(key);
    }
    if (running.size === 0) {
      for (const resolve of idlers) resolve();
      idlers = [];
    }
  }

  async function run(key: string): Promise<void> {
    try {
      await handle(key);
      failures.delete(key);
    } catch (error) {
      if (!stopped) retryLater(key, error);
    }
    running.delete(key);
    if (again.delete(key) && !stopped) waiting.add(key);
    pump();
  }

  function retryLater(key: string, error: unknown): void {
    const count = (failures.get(key) ?? 0) + 1;
    failures.set(key, count);
    const delay = Math.min(lastRetryMs, firstRetryMs * 2 ** (count - 1));
    log.warn({ err: error, key, attempt: count }, `${name}: failed, tried again in ${delay} ms`);
    retries.set(key, delay, () => add(key));
  }

  function add(key: string): void {
    if (stopped) return;
    if (running.has(key)) again.add(key);
    else waiting.add(key);
    pump();
  }

  const idle = () =>
    new Promise<void>((resolve) => {
      if (running.size === 0 && waiting.size === 0) resolve();
      else idlers.push(resolve);
    });

  return {
    add,
    idle,
    stop() {
      stopped = true;
      waiting.clear();
      again.clear();
      retries.stop();
      return idle();
    },
  };
}
