import type { Clock } from "./clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
}

/** The controllable twin of the system clock: time moves only by `advance`, timers fire in order of their time. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, action: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** The time of the earliest waiting timer, if there is one. */
  nextTimer(): number | undefined {
    return this.#earliest()?.at;
  }

  /** Moves time by `ms`; after each timer the event loop runs dry, so that promise chains settle at that instant. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const timer = this.#earliest();
      if (!timer || timer.at > end) break;
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.action();
      await settle();
    }
    this.#now = end;
  }

  #earliest(): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of this.#timers) {
      if (!best || timer.at < best.at || (timer.at === best.at && timer.order < best.order)) best = timer;
    }
    return best;
  }
}

/** Lets all promise chains and immediates that are ready run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
