/**
 * Work that several callers want at the same time, done once. A caller that gives up leaves the work to the others; when the last one has
 * left, the work's own signal aborts.
 */
export class Shared<T> {
  readonly #running = new Map<string, { readonly result: Promise<T>; readonly abort: AbortController; callers: number }>();

  run(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    let entry = this.#running.get(key);
    if (!entry || entry.abort.signal.aborted) {
      const abort = new AbortController();
      const started = { result: work(abort.signal), abort, callers: 0 };
      entry = started;
      this.#running.set(key, started);
      const forget = () => {
        if (this.#running.get(key) === started) this.#running.delete(key);
      };
      started.result.then(forget, forget);
    }
    const joined = entry;
    joined.callers++;
    return new Promise<T>((resolve, reject) => {
      const leave = () => {
        signal?.removeEventListener("abort", onAbort);
        if (--joined.callers === 0) joined.abort.abort(signal?.reason);
      };
      const onAbort = () => {
        leave();
        reject(signal?.reason as Error);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      joined.result.then(
        (value) => {
          if (!signal?.aborted) leave();
          resolve(value);
        },
        (error: unknown) => {
          if (!signal?.aborted) leave();
          reject(error as Error);
        },
      );
    });
  }
}

/** Runs at most `limit` at a time, in order of asking. */
export class Gate {
  readonly #limit: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
