import type { Clock } from "#platform/clock.ts";

export interface Spare {
  readonly namespace: string;
  readonly address: string;
}

/** Later than the starts of the moment. */
export const laterMs = 500;

/**
 * Namespaces made in advance, so that a task's start need not wait for them. They are nobody's until taken: the journal does not know them, and the
 * next start of the agent removes those that were left.
 */
export class Spares {
  readonly #make: () => Promise<Spare>;
  readonly #clock: Clock;
  readonly #size: number;
  readonly #ready: Spare[] = [];
  #cancel: (() => void) | undefined;
  #making: Promise<void> | undefined;
  #closed = false;

  constructor(size: number, clock: Clock, make: () => Promise<Spare>) {
    this.#size = size;
    this.#clock = clock;
    this.#make = make;
  }

  take(): Spare | undefined {
    const spare = this.#ready.shift();
    // Later, so that the making does not compete with the start for which this one was taken.
    this.fill(laterMs);
    return spare;
  }

  fill(ms: number): void {
    this.#cancel?.();
    if (!this.#closed) this.#cancel = this.#clock.after(ms, () => void (this.#making ??= this.#fill()));
  }

  async #fill(): Promise<void> {
    try {
      while (!this.#closed && this.#ready.length < this.#size) this.#ready.push(await this.#make());
    } catch {
      // The next taking tries again; until then namespaces are made when they are needed.
    } finally {
      this.#making = undefined;
    }
  }

  /** Ends the making; the spares that are left are returned. */
  async close(): Promise<readonly Spare[]> {
    this.#closed = true;
    this.#cancel?.();
    await this.#making;
    return this.#ready.splice(0);
  }
}
