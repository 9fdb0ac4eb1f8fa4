import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { decodeEvents } from "./frames.ts";
import type { Extent, StoredEvent } from "./frames.ts";
import { Heap } from "./heap.ts";
import { Stretches } from "./stretches.ts";
import type { Range, Source } from "./stretches.ts";

/** A place between events: what is (timestamp, sequence) itself is not behind it. */
export interface Position {
  readonly timestamp: number;
  readonly sequence: number;
}

export interface ScanOptions extends Range {
  /** Start behind this event (before it when backward). */
  readonly behind?: Position;
  /** Stop when this many bytes were read and an event was visited, so that no request keeps the disk for long. */
  readonly budget: number;
  readonly signal?: AbortSignal;
}

interface Cursor<S> {
  readonly stream: S;
  /** At least one. */
  readonly events: readonly StoredEvent[];
  at: number;
}

const compare = (a: Position, b: Position) => a.timestamp - b.timestamp || a.sequence - b.sequence;

/**
 * Visits the events of the streams in order of time, until `visit` returns false ("stopped"), the budget is used up ("budget") or there are
 * none left ("end"). An event's buffer is used again after its visit. In memory at a time are the stretches (32 KiB, or one long event) that overlap at one instant: one or two for each stream.
 */
export async function scan<S>(
  sources: readonly Source<S>[],
  options: ScanOptions,
  visit: (event: StoredEvent, stream: S) => boolean,
): Promise<"end" | "stopped" | "budget"> {
  const sign = options.backward ? -1 : 1;
  const { from, to, backward, behind } = options;
  const stretches = new Stretches(sources, {
    from: Math.max(from, !backward && behind ? behind.timestamp : -Infinity),
    to: Math.min(to, backward && behind ? behind.timestamp : Infinity),
    backward,
  });
  const heap = new Heap<Cursor<S>>((a, b) => sign * compare(a.events[a.at]!, b.events[b.at]!));
  await using files = new Files();
  let read = 0;
  let visited = false;
  for (;;) {
    // Before an event is visited, every stretch that may hold an earlier one is open.
    for (let start = stretches.nextStart; start !== undefined; start = stretches.nextStart) {
      const top = heap.top;
      if (top && sign * (start - top.events[top.at]!.timestamp) > 0) break;
      options.signal?.throwIfAborted();
      if (read > options.budget && visited) return "budget";
      const stretch = stretches.take();
      if (!stretch) break;
      read += stretch.extent.length;
      const found = await files.read(stretch.path, stretch.extent);
      const events = inOrder(found, options);
      if (events.length > 0) heap.push({ stream: stretch.stream, events, at: 0 });
      else if (found[0]) files.release(found[0].buffer);
    }
    const cursor = heap.top;
    if (!cursor) return "end";
    visited = true;
    if (!visit(cursor.events[cursor.at]!, cursor.stream)) return "stopped";
    cursor.at++;
    if (cursor.at < cursor.events.length) heap.sink();
    else {
      heap.pop();
      files.release(cursor.events[0]!.buffer);
    }
  }
}

function inOrder(events: StoredEvent[], { from, to, backward, behind }: ScanOptions): StoredEvent[] {
  const wanted = events.filter(
    (event) =>
      event.timestamp >= from && event.timestamp <= to && (!behind || (backward ? compare(event, behind) < 0 : compare(event, behind) > 0)),
  );
  return backward ? wanted.reverse() : wanted;
}

const OPEN_FILES = 32;
/** Every stretch but that of a long event fits. */
const BUFFER_BYTES = 32 * 1024;

/** The files of one scan, the last few of them open. */
class Files implements AsyncDisposable {
  readonly #open = new Map<string, FileHandle>();
  readonly #free: ArrayBuffer[] = [];

  async read(path: string, { offset, length }: Extent): Promise<StoredEvent[]> {
    const buffer = this.#buffer(length);
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

  /** Takes back a buffer that nobody looks at any more: reading on costs no new memory. */
  release(buffer: Buffer): void {
    if (buffer.buffer.byteLength === BUFFER_BYTES) this.#free.push(buffer.buffer as ArrayBuffer);
  }

  #buffer(length: number): Buffer {
    if (length > BUFFER_BYTES) return Buffer.allocUnsafeSlow(length);
    return Buffer.from(this.#free.pop() ?? new ArrayBuffer(BUFFER_BYTES), 0, length);
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
