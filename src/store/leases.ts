import type { Clock } from "#platform/clock.ts";

/** The longest time a timer of Node can wait. */
const LONGEST = 2 ** 31 - 1;

interface Held {
  readonly ttlMs: number;
  readonly keys: Set<string>;
  cancel: () => void;
  expired: boolean;
}

/**
 * Who holds which keys, and the timers. Renewals stay in memory, as etcd keeps them: after a restart every lease starts with its whole
 * time again. Timers only, no reading of the time: a clock that is set forward ends no lease.
 */
export class Leases {
  readonly #clock: Clock;
  readonly #onExpired: (id: string) => void;
  readonly #held = new Map<string, Held>();

  constructor(clock: Clock, onExpired: (id: string) => void) {
    this.#clock = clock;
    this.#onExpired = onExpired;
  }

  add(id: string, ttlMs: number): void {
    const held: Held = { ttlMs, keys: new Set(), cancel: () => {}, expired: false };
    this.#held.set(id, held);
    this.#arm(id, held, ttlMs);
  }

  /** Whether the lease is there and in time. */
  holds(id: string): boolean {
    return this.#held.get(id)?.expired === false;
  }

  keysOf(id: string): Iterable<string> | undefined {
    return this.#held.get(id)?.keys;
  }

  renew(id: string): boolean {
    const held = this.#held.get(id);
    if (!held || held.expired) return false;
    held.cancel();
    this.#arm(id, held, held.ttlMs);
    return true;
  }

  attach(id: string, key: string): void {
    this.#held.get(id)?.keys.add(key);
  }

  detach(id: string, key: string): void {
    this.#held.get(id)?.keys.delete(key);
  }

  remove(id: string): void {
    this.#held.get(id)?.cancel();
    this.#held.delete(id);
  }

  /** Says again that an expired lease has expired, after `ms`: its removal could not be written. */
  retry(id: string, ms: number): void {
    const held = this.#held.get(id);
    if (held) held.cancel = this.#clock.after(ms, () => this.#onExpired(id));
  }

  close(): void {
    for (const held of this.#held.values()) held.cancel();
    this.#held.clear();
  }

  #arm(id: string, held: Held, ms: number): void {
    const step = Math.min(ms, LONGEST);
    held.cancel = this.#clock.after(step, () => {
      if (step < ms) {
        this.#arm(id, held, ms - step);
        return;
      }
      held.expired = true;
      this.#onExpired(id);
    });
  }
}
