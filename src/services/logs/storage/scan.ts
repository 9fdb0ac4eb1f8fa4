import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { decodeEvents } from "./frames.ts";
import type { Extent, StoredEvent } from "./frames.ts";
import type { Segment } from "./segment.ts";

/** A place between events: what is (timestamp, sequence) itself is not behind it. */
export interface Position {
  readonly timestamp: number;
  readonly sequence: number;
}

export interface Source<S> {
  readonly stream: S;
  readonly segments: readonly Segment[];
}

export interface ScanOptions {
  /** Both inclusive. */
  readonly from: number;
  readonly to: number;
  readonly backward: boolean;
  /** Start behind this event (before it when backward). */
  readonly behind?: Position;
  /** Stop when this many bytes were read and an event was visited, so that no request keeps the disk for long. */
  readonly budget: number;
  readonly signal?: AbortSignal;
}

interface Stretch<S> {
  readonly stream: S;
  readonly path: string;
  readonly extent: Extent;
}

interface Cursor<S> {
  readonly stream: S;
  readonly events: readonly StoredEvent[];
  at: number;
}

const compare = (a: Position, b: Position) => a.timestamp - b.timestamp || a.sequence - b.sequence;

/**
 * Visits the events of the streams in order of time, until `visit` returns false ("stopped"), the budget is used up ("budget") or there are
 * none left ("end"). In memory at a time are the stretches (32 KiB, or one long event) that overlap at one instant: one or two for each stream.
 */
export async function scan<S>(
  sources: readonly Source<S>[],
  options: ScanOptions,
  visit: (event: StoredEvent, stream: S) => boolean,
): Promise<"end" | "stopped" | "budget"> {
  const sign = options.backward ? -1 : 1;
  const stretches = stretchesOf(sources, options);
  const heap = new Heap<Cursor<S>>((a, b) => sign * compare(a.events[a.at]!, b.events[b.at]!));
  await using files = new Files();
  let read = 0;
  let next = 0;
  let visited = false;
  for (;;) {
    for (; next < stretches.length; next++) {
      const { extent, stream, path } = stretches[next]!;
      const top = heap.top;
      if (top && sign * (startOf(extent, options.backward) - top.events[top.at]!.timestamp) > 0) break;
      options.signal?.throwIfAborted();
      if (read > options.budget && visited) return "budget";
      read += extent.length;
      const events = inOrder(await files.read(path, extent), options);
      if (events.length > 0) heap.push({ stream, events, at: 0 });
    }
    const cursor = heap.top;
    if (!cursor) return "end";
    visited = true;
    if (!visit(cursor.events[cursor.at]!, cursor.stream)) return "stopped";
    cursor.at++;
    if (cursor.at < cursor.events.length) heap.sink();
    else heap.pop();
  }
}

function startOf(extent: Extent, backward: boolean): number {
  return backward ? extent.maxTimestamp : extent.minTimestamp;
}

function stretchesOf<S>(sources: readonly Source<S>[], { from, to, backward, behind }: ScanOptions): Stretch<S>[] {
  const low = Math.max(from, !backward && behind ? behind.timestamp : -Infinity);
  const high = Math.min(to, backward && behind ? behind.timestamp : Infinity);
  const found: Stretch<S>[] = [];
  for (const { stream, segments } of sources)
    for (const { path, index } of segments)
      for (const extent of index)
        // A copy: the last stretch of a segment grows while we read.
        if (extent.maxTimestamp >= low && extent.minTimestamp <= high) found.push({ stream, path, extent: { ...extent } });
  const sign = backward ? -1 : 1;
  return found.sort((a, b) => sign * (startOf(a.extent, backward) - startOf(b.extent, backward)));
}

function inOrder(events: StoredEvent[], { from, to, backward, behind }: ScanOptions): StoredEvent[] {
  const wanted = events.filter(
    (event) =>
      event.timestamp >= from && event.timestamp <= to && (!behind || (backward ? compare(event, behind) < 0 : compare(event, behind) > 0)),
  );
  return backward ? wanted.reverse() : wanted;
}

const OPEN_FILES = 32;

/** The files of one scan, the last few of them open. */
class Files implements AsyncDisposable {
  readonly #open = new Map<string, FileHandle>();

  async read(path: string, { offset, length }: Extent): Promise<StoredEvent[]> {
    const buffer = Buffer.allocUnsafeSlow(length);
    try {
      let handle = this.#open.get(path);
      if (!handle) {
        handle = await open(path, "r");
        this.#open.set(path, handle);
        if (this.#open.size > OPEN_FILES) await this.#closeOldest();
      }
      for (let done = 0; done < length;) {
        const { bytesRead } = await handle.read(buffer, done, length - done, offset + done);
        if (bytesRead === 0) return [];
        done += bytesRead;
      }
    } catch (error) {
      // Deleted or expired while we read: its events are no more.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
    return decodeEvents(buffer);
  }

  async #closeOldest(): Promise<void> {
    const [path, handle] = this.#open.entries().next().value!;
    this.#open.delete(path);
    await handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const handle of this.#open.values()) await handle.close();
  }
}

/** A binary heap, smallest on top. */
class Heap<T> {
  readonly #items: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  constructor(order: (a: T, b: T) => number) {
    this.#compare = order;
  }

  get top(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(items[parent]!, item) <= 0) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = item;
  }

  pop(): void {
    const last = this.#items.pop();
    if (this.#items.length === 0) return;
    this.#items[0] = last!;
    this.sink();
  }

  /** Puts the top, which has become greater, where it belongs. */
  sink(): void {
    const items = this.#items;
    const item = items[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#compare(items[child + 1]!, items[child]!) < 0) child++;
      if (this.#compare(item, items[child]!) <= 0) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = item;
  }
}
