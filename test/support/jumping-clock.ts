import type { Clock } from "#platform/clock.ts";

interface Wait {
  readonly at: number;
  readonly action: () => void;
  timer: NodeJS.Timeout;
}

/** Real time, which a test may move on: for what takes minutes beside what takes place in real time. */
export class JumpingClock implements Clock {
  #ahead = 0;
  readonly #waits = new Set<Wait>();

  now(): number {
    return Date.now() + this.#ahead;
  }

  after(ms: number, action: () => void): () => void {
    const wait: Wait = { at: this.now() + ms, action, timer: undefined as never };
    this.#waits.add(wait);
    this.#set(wait);
    return () => this.#end(wait);
  }

  /** From now on it is so much later. What has come due meanwhile happens at once, the earliest first. */
  jump(ms: number): void {
    this.#ahead += ms;
    for (const wait of [...this.#waits].toSorted((a, b) => a.at - b.at)) {
      clearTimeout(wait.timer);
      this.#set(wait);
    }
  }

  #set(wait: Wait): void {
    wait.timer = setTimeout(
      () => {
        this.#waits.delete(wait);
        wait.action();
      },
      Math.max(0, wait.at - this.now()),
    );
    wait.timer.unref();
  }

  #end(wait: Wait): void {
    clearTimeout(wait.timer);
    this.#waits.delete(wait);
  }
}
