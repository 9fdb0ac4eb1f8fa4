import { watch, type FSWatcher } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { cutLines } from "./lines.ts";
import type { Sink } from "./sink.ts";
import { punch } from "./trim.ts";

export interface PumpOptions {
  /** `stdout.<n>` and `stderr.<n>` lie here, n counting the restarts. */
  readonly directory: string;
  readonly sink: Sink;
  readonly offsets: { offset(file: string): number; saveOffset(file: string, offset: number): void };
  readonly clock: Clock;
  readonly log: Logger;
}

const pieceBytes = 1 << 20;
const gatherMs = 100;
const lookAgainMs = 5_000;
const idleFlushMs = 1_000;
const trimBytes = 4 << 20;

/**
 * Carries a container's output from the runtime's files to its sink. The files are the buffer: what the sink has not taken stays there,
 * over restarts of the agent too, from the saved offset on. What was taken is punched out of the file, so the disk holds only the backlog.
 */
export class Pump {
  readonly #options: PumpOptions;
  #attempt = 0;
  #watchers: FSWatcher[] = [];
  #cancel: (() => void) | undefined;
  #due = 0;
  #running: Promise<void> | undefined;
  #again = false;
  #final = false;
  #closed = false;
  #failures = 0;
  #lastData = 0;
  readonly #trimmed = new Map<string, number>();
  readonly #handles = new Map<string, FileHandle>();

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** Follows the files of this start of the container (and what is left of the starts before). */
  follow(attempt: number): void {
    this.#attempt = attempt;
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    for (const stream of ["stdout", "stderr"]) {
      try {
        const watcher = watch(`${this.#options.directory}/${stream}.${attempt}`, { persistent: false }, () => this.#soon(gatherMs));
        watcher.on("error", () => {});
        this.#watchers.push(watcher);
      } catch {
        // Without a watcher the regular look is enough.
      }
    }
    this.#soon(gatherMs);
  }

  /** The process has ended: resolves when everything is with the sink, or after `ms` at most; false: something is left. */
  async finish(ms: number): Promise<boolean> {
    this.#final = true;
    let over = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, () => {
      over = true;
      resolve();
    });
    const drain = async () => {
      while (!over && !this.#closed) {
        this.#cancel?.();
        await this.#run();
        if (this.#failures === 0 && !this.#again) return true;
        await new Promise<void>((wake) => this.#options.clock.after(Math.min(1000, 100 * 2 ** this.#failures), wake));
      }
      return false;
    };
    const done = await Promise.race([drain(), promise.then(() => false)]);
    cancel();
    this.close();
    return done;
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    const closeAll = async () => {
      await this.#running;
      for (const handle of this.#handles.values()) await handle.close().catch(() => {});
      this.#handles.clear();
    };
    void closeAll();
  }

  #soon(ms: number): void {
    if (this.#closed || this.#final) return;
    if (this.#running) {
      this.#again = true;
      return;
    }
    // An earlier look stays: a container that never pauses must not put it off for ever.
    const due = this.#options.clock.now() + ms;
    if (this.#cancel && this.#due <= due) return;
    this.#cancel?.();
    this.#due = due;
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#cancel = undefined;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    // Two passes at once would deliver the same lines.
    while (this.#running) await this.#running;
    this.#again = false;
    this.#running = this.#pass();
    await this.#running;
    this.#running = undefined;
    if (this.#closed || this.#final) return;
    if (this.#failures > 0) this.#soon(Math.min(30_000, 200 * 2 ** this.#failures));
    else this.#soon(this.#again ? gatherMs : lookAgainMs);
  }

  async #pass(): Promise<void> {
    try {
      for (let attempt = 0; attempt <= this.#attempt; attempt++) {
        const final = this.#final || attempt < this.#attempt;
        await this.#stream("stdout", attempt, final);
        await this.#stream("stderr", attempt, final);
      }
      this.#failures = 0;
    } catch (error) {
      if (this.#closed) return;
      this.#failures = Math.min(this.#failures + 1, 20);
      if (this.#failures === 1 || this.#failures === 10)
        this.#options.log.warn({ err: error, directory: this.#options.directory }, "log lines wait to be delivered");
    }
  }

  async #stream(stream: "stdout" | "stderr", attempt: number, final: boolean): Promise<void> {
    const { sink, offsets, clock, log } = this.#options;
    const path = `${this.#options.directory}/${stream}.${attempt}`;
    let offset = offsets.offset(path);
    for (;;) {
      const size = (await stat(path).catch(() => undefined))?.size ?? 0;
      if (size <= offset || this.#closed) break;
      if (size - offset > sink.backlogBytes) {
        const skipped = size - offset - sink.backlogBytes;
        log.warn({ path, skipped }, "log lines were dropped: the buffer is full");
        offset += skipped;
      }
      const handle = await this.#open(path);
      const { buffer, bytesRead } = await handle.read(
        Buffer.allocUnsafe(Math.min(pieceBytes, size - offset)),
        0,
        Math.min(pieceBytes, size - offset),
        offset,
      );
      // Who gave up meanwhile leaves the rest to the next one, who would send it a second time.
      if (this.#closed) break;
      const atEnd = offset + bytesRead >= size;
      const { lines } = cutLines(buffer.subarray(0, bytesRead), sink.longestLine, final && atEnd);
      if (lines.length === 0) break;
      this.#lastData ||= clock.now();
      const flush = (final && atEnd) || clock.now() - this.#lastData >= idleFlushMs || !atEnd;
      const taken = await sink.write(stream, lines, flush);
      const end = lines[taken - 1]?.end ?? 0;
      if (end > 0) {
        offset += end;
        offsets.saveOffset(path, offset);
        await this.#trim(path, offset);
      }
      if (taken < lines.length) {
        // An event that may go on: look again when it has been quiet for long enough.
        if (!this.#closed && !this.#final) clock.after(idleFlushMs, () => this.#soon(0));
        break;
      }
      this.#lastData = 0;
      if (atEnd && !final) break;
    }
  }

  async #open(path: string): Promise<FileHandle> {
    let handle = this.#handles.get(path);
    if (!handle) this.#handles.set(path, (handle = await open(path, "r")));
    return handle;
  }

  async #trim(path: string, offset: number): Promise<void> {
    const from = this.#trimmed.get(path) ?? 0;
    if (offset - from < trimBytes) return;
    this.#trimmed.set(path, offset);
    await punch(path, from, offset - from);
  }
}
