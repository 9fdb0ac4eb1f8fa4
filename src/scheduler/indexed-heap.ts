/** A binary heap of small integers that can be taken out from anywhere. */
export class IndexedHeap {
  readonly #compare: (a: number, b: number) => number;
  /** By item: where it lies, -1 when in no heap. Heaps whose items are never the same may share it. */
  readonly #positions: number[];
  readonly #items: number[] = [];

  /** `compare` speaks of what is in the heap; an item whose rank changes is taken out before, or `moved` at once. */
  constructor(compare: (a: number, b: number) => number, positions: number[]) {
    this.#compare = compare;
    this.#positions = positions;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): number | undefined {
    return this.#items[0];
  }

  has(item: number): boolean {
    return this.#positions[item]! >= 0;
  }

  insert(item: number): void {
    this.#items.push(item);
    this.#up(item, this.#items.length - 1);
  }

  remove(item: number): void {
    const position = this.#positions[item]!;
    const last = this.#items.pop()!;
    this.#positions[item] = -1;
    if (last === item) return;
    this.#set(position, last);
    this.moved(last);
  }

  /** The rank of this item, and of no other, has changed. */
  moved(item: number): void {
    this.#up(item, this.#positions[item]!);
    this.#down(item, this.#positions[item]!);
  }

  /** The first item and all that `same` holds equal to it: equal items are never below unequal ones. */
  leaders(same: (a: number, b: number) => boolean): number[] {
    const leaders: number[] = [];
    const open = [0];
    for (let position = open.pop(); position !== undefined; position = open.pop()) {
      const item = this.#items[position];
      if (item === undefined || !same(item, this.#items[0]!)) continue;
      leaders.push(item);
      open.push(2 * position + 1, 2 * position + 2);
    }
    return leaders;
  }

  #set(position: number, item: number): void {
    this.#items[position] = item;
    this.#positions[item] = position;
  }

  #up(item: number, from: number): void {
    let position = from;
    while (position > 0) {
      const above = (position - 1) >> 1;
      const parent = this.#items[above]!;
      if (this.#compare(parent, item) <= 0) break;
      this.#set(position, parent);
      position = above;
    }
    this.#set(position, item);
  }

  #down(item: number, from: number): void {
    let position = from;
    for (;;) {
      const left = 2 * position + 1;
      if (left >= this.#items.length) break;
      const right = left + 1;
      const below = right < this.#items.length && this.#compare(this.#items[right]!, this.#items[left]!) < 0 ? right : left;
      const child = this.#items[below]!;
      if (this.#compare(item, child) <= 0) break;
      this.#set(position, child);
      position = below;
    }
    this.#set(position, item);
  }
}
