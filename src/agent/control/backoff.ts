import type { Random } from "#platform/random.ts";

/** The standard agent's waits between connections: 250 ms to 2 min, ×1.5, 20 % jitter; a connection that lived resets it. */
export class Backoff {
  #next = 250;
  readonly #random: Random;
  readonly #longest: number;

  constructor(random: Random, longest = 120_000) {
    this.#random = random;
    this.#longest = longest;
  }

  reset(): void {
    this.#next = 250;
  }

  /** Milliseconds to wait now. */
  next(): number {
    const wait = this.#next * (1 + 0.2 * this.#random.next());
    this.#next = Math.min(this.#longest, this.#next * 1.5);
    return wait;
  }
}
