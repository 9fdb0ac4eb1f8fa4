import type { Clock } from "./clock.ts";

/** A timer of Node counts no further than 24.8 days. */
const longestMs = 2 ** 30;

/** One timer for each key: what is to be looked at again, and when. */
export class KeyTimers {
  readonly #clock: Clock;
  readonly #set = new Map<string, { readonly at: number; cancel: () => void }>();
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(key: string): boolean {
    return this.#set.has(key);
  }

  /** Runs `action` after `ms`, however long, instead of what the key had. Timers may come a moment too early. */
  set(key: string, ms: number, action: () => void): void {
    this.clear(key);
    if (this.#stopped) return;
    const timer = { at: this.#clock.now() + ms, cancel: () => {} };
    const wait = (left: number) => {
      timer.cancel = this.#clock.after(Math.max(1, Math.min(left, longestMs)), () => {
        if (left > longestMs) return wait(left - longestMs);
        this.#set.delete(key);
        action();
      });
    };
    this.#set.set(key, timer);
    wait(ms);
  }

  /** As `set`, unless what the key has comes sooner. */
  atLatest(key: string, ms: number, action: () => void): void {
    const known = this.#set.get(key);
    if (!known || known.at > this.#clock.now() + ms) this.set(key, ms, action);
  }

  clear(key: string): void {
    this.#set.get(key)?.cancel();
    this.#set.delete(key);
  }

  clearAll(): void {
    for (const key of [...this.#set.keys()]) this.clear(key);
  }

  /** Clears all and takes no more. */
  stop(): void {
    this.#stopped = true;
    this.clearAll();
  }
}
