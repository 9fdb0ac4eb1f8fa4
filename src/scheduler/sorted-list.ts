/** Chunks are split beyond this: moving so many references costs less than following a tree's. */
const maxChunk = 512;

/** Items in order, kept so at a cost that hardly grows with their number: chunks of a few hundred, found by bisection. */
export class SortedList<T> {
  readonly #compare: (a: T, b: T) => number;
  /** None is empty. */
  readonly #chunks: T[][] = [];
  #size = 0;

  /** `compare` is never 0 for two different items, and does not change for an item while it is here. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  at(index: number): T | undefined {
    let left = index;
    for (const chunk of this.#chunks) {
      if (left < chunk.length) return chunk[left];
      left -= chunk.length;
    }
    return undefined;
  }

  insert(item: T): void {
    const precedes = (other: T) => this.#compare(other, item) < 0;
    this.#size += 1;
    const where = Math.min(
      partition(this.#chunks, (chunk) => precedes(chunk.at(-1)!)),
      this.#chunks.length - 1,
    );
    const chunk = this.#chunks[where];
    if (!chunk) {
      this.#chunks.push([item]);
      return;
    }
    chunk.splice(partition(chunk, precedes), 0, item);
    if (chunk.length > maxChunk) this.#chunks.splice(where + 1, 0, chunk.splice(maxChunk / 2));
  }

  /** False when it was not here. */
  remove(item: T): boolean {
    const precedes = (other: T) => this.#compare(other, item) < 0;
    const where = partition(this.#chunks, (chunk) => precedes(chunk.at(-1)!));
    const chunk = this.#chunks[where];
    if (!chunk) return false;
    const index = partition(chunk, precedes);
    if (chunk[index] !== item) return false;
    this.#size -= 1;
    if (chunk.length === 1) this.#chunks.splice(where, 1);
    else chunk.splice(index, 1);
    return true;
  }

  /** How many items from the front satisfy `holds`, which must not hold again after it once failed. */
  countWhile(holds: (item: T) => boolean): number {
    const whole = partition(this.#chunks, (chunk) => holds(chunk.at(-1)!));
    let count = 0;
    for (let index = 0; index < whole; index++) count += this.#chunks[index]!.length;
    const chunk = this.#chunks[whole];
    return chunk ? count + partition(chunk, holds) : count;
  }
}

/** The length of the leading part for which `holds`. */
function partition<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(items[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
