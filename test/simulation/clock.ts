import type { Clock } from "#platform/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
  cancelled: boolean;
}

const turnsBetweenBreaths = 2000;

/**
 * The fake clock of the simulation: as FakeClock, with a heap for its timers, and quicker between them. Nothing in a simulated world waits for anything but
 * promises and this clock, so the queue of microtasks running dry is all there is to wait for; that needs no turn of the event loop.
 */
export class QuickClock implements Clock {
  #now: number;
  #order = 0;
  #turns = 0;
  readonly #heap: Timer[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, action: () => void): () => void {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, action, cancelled: false };
    this.#push(timer);
    return () => {
      timer.cancelled = true;
    };
  }

  /** Moves time by `ms`; after each timer all that it set going settles at that instant. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await this.#settle();
    for (;;) {
      const timer = this.#heap[0];
      if (!timer || timer.at > end) break;
      this.#pop();
      if (timer.cancelled) continue;
      this.#now = Math.max(this.#now, timer.at);
      timer.action();
      await this.#settle();
    }
    this.#now = end;
  }

  /** `nextTick` callbacks run once no microtask is left. Now and then the event loop gets its turn, for the test runner's sake. */
  #settle(): Promise<void> {
    if (++this.#turns % turnsBetweenBreaths === 0) return new Promise((resolve) => setImmediate(resolve));
    return new Promise((resolve) => process.nextTick(resolve));
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

const before = (a: Timer, b: Timer) => a.at < b.at || (a.at === b.at && a.order < b.order);
