import type { Extent } from "./frames.ts";
import { Heap } from "./heap.ts";
import type { Segment } from "./segment.ts";

export interface Source<S> {
  readonly stream: S;
  readonly segments: readonly Segment[];
}

export interface Range {
  /** Both inclusive. */
  readonly from: number;
  readonly to: number;
  readonly backward: boolean;
}

export interface Stretch<S> {
  readonly stream: S;
  readonly path: string;
  readonly extent: Extent;
}

interface Node<S> {
  /** No event of it comes before this time (after it when backward). */
  readonly start: number;
  readonly stream: S;
  readonly segment: Segment;
  /** What was durable when the reading began: later events are of the next reading. */
  readonly size: number;
  /** Undefined: the segment as a whole, not yet looked into. */
  readonly extent?: Extent;
}

/**
 * The stretches of many segments in the order in which a reader needs them. A segment's index is looked into when its time comes, so that a page
 * costs what it reads, and one step for each segment, however many events there are.
 */
export class Stretches<S> {
  readonly #range: Range;
  readonly #heap: Heap<Node<S>>;

  constructor(sources: readonly Source<S>[], range: Range) {
    const sign = range.backward ? -1 : 1;
    this.#range = range;
    this.#heap = new Heap((a, b) => sign * (a.start - b.start));
    for (const { stream, segments } of sources)
      for (const segment of segments)
        if (this.#concerns(segment)) this.#heap.push({ start: this.#start(segment), stream, segment, size: segment.size });
  }

  /** A bound of the next stretch's first event. */
  get nextStart(): number | undefined {
    return this.#heap.top?.start;
  }

  take(): Stretch<S> | undefined {
    for (let node = this.#heap.pop(); node; node = this.#heap.pop()) {
      const { stream, segment, size, extent } = node;
      if (extent) return { stream, path: segment.path, extent };
      for (const { offset, length, minTimestamp, maxTimestamp } of segment.index) {
        if (offset >= size) break;
        const part: Extent = { offset, length: Math.min(length, size - offset), minTimestamp, maxTimestamp };
        if (this.#concerns(part)) this.#heap.push({ start: this.#start(part), stream, segment, size, extent: part });
      }
    }
    return undefined;
  }

  #concerns({ minTimestamp, maxTimestamp }: Pick<Extent, "minTimestamp" | "maxTimestamp">): boolean {
    return maxTimestamp >= this.#range.from && minTimestamp <= this.#range.to;
  }

  #start({ minTimestamp, maxTimestamp }: Pick<Extent, "minTimestamp" | "maxTimestamp">): number {
    return this.#range.backward ? maxTimestamp : minTimestamp;
  }
}
