/**
 * Work in lanes: so many of one lane at a time, all lanes beside each other, so that a target that hangs holds up nobody else's. A key is in its lane once.
 */
export class Lanes {
  readonly #width: number;
  readonly #handle: (key: string) => Promise<void>;
  readonly #lanes = new Map<string, { readonly waiting: Set<string>; readonly running: Set<string> }>();
  #idlers: (() => void)[] = [];
  #stopped = false;

  /** `handle` does not throw. */
  constructor(width: number, handle: (key: string) => Promise<void>) {
    this.#width = width;
    this.#handle = handle;
  }

  add(lane: string, key: string): void {
    if (this.#stopped) return;
    let found = this.#lanes.get(lane);
    if (!found) this.#lanes.set(lane, (found = { waiting: new Set(), running: new Set() }));
    if (found.running.has(key)) return;
    found.waiting.add(key);
    this.#pump(lane);
  }

  /** Resolves when nothing waits or runs. */
  idle(): Promise<void> {
    if (this.#lanes.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  /** Takes nothing more and waits for what runs. */
  stop(): Promise<void> {
    this.#stopped = true;
    for (const [name, lane] of this.#lanes) {
      lane.waiting.clear();
      this.#pump(name);
    }
    return this.idle();
  }

  #pump(name: string): void {
    const lane = this.#lanes.get(name);
    if (!lane) return;
    for (const key of lane.waiting) {
      if (lane.running.size >= this.#width) return;
      lane.waiting.delete(key);
      lane.running.add(key);
      void this.#handle(key).finally(() => {
        lane.running.delete(key);
        this.#pump(name);
      });
    }
    if (lane.running.size > 0) return;
    this.#lanes.delete(name);
    if (this.#lanes.size > 0) return;
    for (const resolve of this.#idlers) resolve();
    this.#idlers = [];
  }
}
