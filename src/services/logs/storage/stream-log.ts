import { mkdir, open, readdir, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "#platform/log.ts";
import { encodeFrames, readFrame } from "./frames.ts";
import type { Frame, NewEvent } from "./frames.ts";
import { addFrame, loadSegment, newSegment, saveIndex } from "./segment.ts";
import type { Segment } from "./segment.ts";

/** Gives the numbers that order events of one millisecond across all streams. */
export interface Sequence {
  take(count: number): number;
  /** Never gives a number up to this one again. */
  raise(used: number): void;
}

/** The stream was deleted. */
export class StreamGone extends Error {}

interface Waiting {
  readonly events: readonly NewEvent[];
  readonly ingestion: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const SEGMENT_BYTES = 8 * 1024 * 1024;

/**
 * The events of one log stream: segments in a folder of its own, written at the end only. One owner writes: requests that arrive while the
 * disk syncs are written and synced together. Readers see an event when its sync is done, which is when its request is answered.
 * A late batch stands at the end like any other; the index tells readers, who merge by time.
 */
export class StreamLog {
  readonly #folder: string;
  readonly #sequence: Sequence;
  #segments: Segment[] = [];
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #gone = false;
  #lastNumber = 0;

  private constructor(folder: string, sequence: Sequence) {
    this.#folder = folder;
    this.#sequence = sequence;
  }

  /** A stream without a folder has no events. */
  static async open(folder: string, sequence: Sequence, log: Logger): Promise<StreamLog> {
    const stream = new StreamLog(folder, sequence);
    const names = await readdir(folder).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    });
    const numbers = names.flatMap((name) => (/^\d+\.log$/.test(name) ? [Number.parseInt(name, 10)] : [])).toSorted((a, b) => a - b);
    for (const number of numbers) {
      const { segment, cut } = await loadSegment(join(folder, segmentName(number)), number);
      if (cut > 0) log.warn({ path: segment.path, bytes: cut }, "cut off what a crash left half written");
      stream.#lastNumber = number;
      if (segment.size > 0) stream.#segments.push(segment);
      sequence.raise(segment.lastSequence);
    }
    return stream;
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  /** Undefined when there are no events. */
  get stats(): { first: number; last: number; lastIngestion: number } | undefined {
    if (this.#segments.length === 0) return undefined;
    return {
      first: Math.min(...this.#segments.map(({ minTimestamp }) => minTimestamp)),
      last: Math.max(...this.#segments.map(({ maxTimestamp }) => maxTimestamp)),
      lastIngestion: Math.max(...this.#segments.map((segment) => segment.lastIngestion)),
    };
  }

  /** Resolves when the events are on the disk. `events`: at least one, in chronological order. Rejects with StreamGone or the system's error. */
  append(events: readonly NewEvent[], ingestion: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#gone) throw new StreamGone();
      this.#waiting.push({ events, ingestion, resolve, reject });
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    });
  }

  /** Deletes the segments whose events are all older than `time`. */
  async expire(time: number): Promise<void> {
    await this.settle();
    const old = this.#segments.filter((segment) => segment.maxTimestamp < time);
    if (old.length === 0) return;
    this.#segments = this.#segments.filter((segment) => !old.includes(segment));
    for (const { path } of old) await removeSegment(path);
  }

  /** Ends the stream: later appends are refused, the files go. */
  async remove(): Promise<void> {
    this.#gone = true;
    await this.settle();
    this.#segments = [];
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async #write(): Promise<void> {
    // Once round the event loop, so that requests of the same moment go together.
    await new Promise(setImmediate);
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        if (this.#gone) throw new StreamGone();
        await this.#writeBatch(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    const segment = await this.#current();
    const buffers = batch.flatMap(({ events, ingestion }) => encodeFrames(events, ingestion, this.#sequence.take(events.length)));
    const isNew = segment.size === 0;
    if (isNew) await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    {
      await using file = await open(segment.path, isNew ? "w" : "r+", 0o600);
      try {
        await writeAll(file, Buffer.concat(buffers), segment.size);
        await file.datasync();
      } catch (error) {
        await (isNew ? removeSegment(segment.path) : file.truncate(segment.size)).catch(() => {});
        throw error;
      }
    }
    if (isNew) await syncFolders(this.#folder);
    let at = segment.size;
    for (const buffer of buffers) {
      const frame = readFrame(buffer, 0, at) as Frame;
      at += buffer.length;
      addFrame(segment, frame);
    }
    if (isNew) this.#segments.push(segment);
  }

  /** The segment to write to. A full one is closed; a new one joins the others once something durable stands in it. */
  async #current(): Promise<Segment> {
    const last = this.#segments.at(-1);
    if (last && last.size < SEGMENT_BYTES) return last;
    // Without its index a segment is read at the next start: that is no reason to refuse events.
    if (last) await saveIndex(last).catch(() => {});
    // Never a number of before: the file of an expired segment may just be going away.
    const number = ++this.#lastNumber;
    return newSegment(join(this.#folder, segmentName(number)), number);
  }
}

function segmentName(number: number): string {
  return `${String(number).padStart(8, "0")}.log`;
}

async function removeSegment(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(path.replace(/\.log$/, ".idx"), { force: true });
}

async function writeAll(file: FileHandle, buffer: Buffer, position: number): Promise<void> {
  for (let done = 0; done < buffer.length;) done += (await file.write(buffer, done, buffer.length - done, position + done)).bytesWritten;
}

/** Makes the names of a new file, its folder and the group's folder durable. */
async function syncFolders(folder: string): Promise<void> {
  for (const path of [folder, join(folder, ".."), join(folder, "../..")]) {
    await using handle = await open(path, "r");
    await handle.sync();
  }
}
