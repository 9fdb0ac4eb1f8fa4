import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { crc32 } from "node:zlib";

/**
 * One file of the log: frames of (length, CRC-32, bytes), written at the end, synced before `append` resolves. Appends that come while a sync runs
 * share the next one. A crash can tear the last frame only: nothing in it was acknowledged.
 */
export class Wal {
  readonly #file: FileHandle;
  #length: number;
  #waiting: { readonly frames: Buffer; readonly resolve: () => void; readonly reject: (error: unknown) => void }[] = [];
  #writing: Promise<void> | undefined;

  private constructor(file: FileHandle, length: number) {
    this.#file = file;
    this.#length = length;
  }

  /** Opens or makes a file; `replay` is given each whole frame, in order, and what is torn behind them is cut off. */
  static async open(path: string, replay: (payload: Buffer) => void): Promise<Wal> {
    const file = await open(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    const bytes = await file.readFile();
    let at = 0;
    while (at + 8 <= bytes.length) {
      const length = bytes.readUInt32LE(at);
      const end = at + 8 + length;
      if (length === 0 || end > bytes.length) break;
      const payload = bytes.subarray(at + 8, end);
      if (crc32(payload) !== bytes.readUInt32LE(at + 4)) break;
      replay(payload);
      at = end;
    }
    if (at < bytes.length) await file.truncate(at);
    return new Wal(file, at);
  }

  get length(): number {
    return this.#length;
  }

  /** Resolves once it is on disk. The bytes are copied. */
  append(payload: Uint8Array): Promise<void> {
    const frame = Buffer.allocUnsafe(8 + payload.length);
    frame.writeUInt32LE(payload.length, 0);
    frame.writeUInt32LE(crc32(payload), 4);
    frame.set(payload, 8);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frames: frame, resolve, reject });
      this.#writing ??= this.#write().finally(() => (this.#writing = undefined));
    });
  }

  async #write(): Promise<void> {
    // What comes in the same turn shares the first write too.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      const bytes = batch.length === 1 ? batch[0]!.frames : Buffer.concat(batch.map(({ frames }) => frames));
      try {
        await this.#writeAll(bytes);
        await this.#file.datasync();
        this.#length += bytes.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        // The next write begins where the last good one ended; what was torn must not stand in between.
        await this.#file.truncate(this.#length).catch(() => {});
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#file.write(bytes, at, bytes.length - at, this.#length + at);
      at += bytesWritten;
    }
  }

  async settled(): Promise<void> {
    while (this.#writing) await this.#writing;
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#file.close();
  }
}
