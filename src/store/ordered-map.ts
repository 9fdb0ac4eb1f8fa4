/**
 * Order of keys: by the bytes of their UTF-8 form, as SQLite (BINARY) and etcd order them. JavaScript's own `<` compares UTF-16 units,
 * which puts surrogate pairs (U+10000 and up) before U+E000–U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    return x >= 0xd800 && y >= 0xd800 ? rank(x) - rank(y) : x - y;
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

const CHUNK = 512;

/**
 * A map with ordered keys. The keys stand in sorted runs of at most 512, so that a put among a million keys moves a few kilobytes, a get is
 * one hash lookup and a walk costs what it visits. Not to be changed during a walk.
 */
export class OrderedMap<V> {
  readonly #values = new Map<string, V>();
  /** Never empty runs, in order. */
  readonly #runs: string[][] = [];

  get size(): number {
    return this.#values.size;
  }

  get(key: string): V | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: V): void {
    const before = this.#values.size;
    this.#values.set(key, value);
    if (this.#values.size === before) return;
    const at = this.#runOf(key);
    const run = this.#runs[at];
    if (!run) {
      this.#runs.push([key]);
      return;
    }
    run.splice(positionIn(run, key), 0, key);
    // Keys that arrive in order (loading, growing ids) leave full runs behind instead of half-full ones.
    if (run.length > CHUNK) this.#runs.splice(at + 1, 0, run.splice(run[CHUNK] === key ? CHUNK : CHUNK / 2));
  }

  delete(key: string): void {
    if (!this.#values.delete(key)) return;
    const at = this.#runOf(key);
    const run = this.#runs[at]!;
    run.splice(positionIn(run, key), 1);
    if (run.length === 0) this.#runs.splice(at, 1);
  }

  /** Values in key order from `start` on (the key itself only when `inclusive`), for as long as keys start with `prefix`. */
  *walk(prefix: string, after?: string): IterableIterator<readonly [string, V]> {
    const behind = after !== undefined && compareKeys(after, prefix) >= 0;
    const start = behind ? after : prefix;
    let at = this.#runOf(start);
    const first = this.#runs[at];
    if (!first) return;
    let index = positionIn(first, start);
    if (behind && first[index] === start) index++;
    for (; at < this.#runs.length; at++, index = 0) {
      const run = this.#runs[at]!;
      for (; index < run.length; index++) {
        const key = run[index]!;
        if (!key.startsWith(prefix)) return;
        yield [key, this.#values.get(key)!];
      }
    }
  }

  /** Index of the run in which `key` stands or belongs: the last one whose first key is not greater. */
  #runOf(key: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#runs[middle]![0]!, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Index of the first key that is not smaller. */
function positionIn(run: readonly string[], key: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(run[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
