/** What lies in an IndexedHeap knows its own place there. */
export interface HeapItem {
  /** -1: in no heap. Written by the heap only. */
  position: number;
}

/** A binary heap whose items can be taken out from anywhere. An item's rank must not change while it is in. */
export class IndexedHeap<T extends HeapItem> {
  readonly #compare: (a: T, b: T) => number;
  readonly #items: T[] = [];

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  insert(item: T): void {
    item.position = this.#items.length;
    this.#items.push(item);
    this.#up(item);
  }

  remove(item: T): void {
    const { position } = item;
    const last = this.#items.pop()!;
    item.position = -1;
    if (last === item) return;
    this.#set(position, last);
    this.#up(last);
    this.#down(last);
  }

  /** The first item and all that `same` holds equal to it: equal items are never below unequal ones. */
  leaders(same: (a: T, b: T) => boolean): T[] {
    const leaders: T[] = [];
    const { first } = this;
    const open = first ? [0] : [];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      const item = this.#items[index];
      if (!item || !same(item, first!)) continue;
      leaders.push(item);
      open.push(2 * index + 1, 2 * index + 2);
    }
    return leaders;
  }

  #set(position: number, item: T): void {
    item.position = position;
    this.#items[position] = item;
  }

  #up(item: T): void {
    while (item.position > 0) {
      const parent = this.#items[(item.position - 1) >> 1]!;
      if (this.#compare(parent, item) <= 0) return;
      this.#set(item.position, parent);
      this.#set((item.position - 1) >> 1, item);
    }
  }

  #down(item: T): void {
    for (;;) {
      const left = this.#items[2 * item.position + 1];
      if (!left) return;
      const right = this.#items[2 * item.position + 2];
      const child = right && this.#compare(right, left) < 0 ? right : left;
      if (this.#compare(item, child) <= 0) return;
      const { position } = child;
      this.#set(item.position, child);
      this.#set(position, item);
    }
  }
}
