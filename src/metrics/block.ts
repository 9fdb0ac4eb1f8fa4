import { type FileHandle, open, rm } from "node:fs/promises";
import { crc32 } from "node:zlib";
import type { Point } from "#model/metrics/roll-up.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { readChunk, writeChunk } from "./chunk.ts";

/**
 * A file that is written once: the chunks of many series, one step and one stretch of time, then their index and a footer.
 *   index, 24 bytes each, ascending by series: series, offset, length, CRC-32, first slot, last slot
 *   footer, 16 bytes: offset of the index, number of entries, CRC-32 of the index, the magic number
 */
const magic = 0x31424d47;
const entryBytes = 24;
const footerBytes = 16;

/** What the manifest knows of a block. */
export interface BlockName {
  readonly file: string;
  /** Seconds of one slot. */
  readonly step: number;
  /** Begin and end of its partition, seconds. */
  readonly start: number;
  readonly end: number;
}

export class BlockError extends Error {}

export class BlockWriter {
  readonly #file: FileHandle;
  readonly #step: number;
  readonly #chunks = new ByteWriter(1 << 20);
  readonly #index = new ByteWriter(1 << 16);
  #offset = 0;
  #count = 0;

  private constructor(file: FileHandle, step: number) {
    this.#file = file;
    this.#step = step;
  }

  static async create(path: string, step: number): Promise<BlockWriter> {
    return new BlockWriter(await open(path, "w", 0o600), step);
  }

  /** Series come ascending, points too; at least one. */
  async add(series: number, points: readonly Point[]): Promise<void> {
    const at = this.#chunks.length;
    writeChunk(this.#chunks, this.#step, points);
    const chunk = this.#chunks.view().subarray(at);
    const entry = Buffer.allocUnsafe(entryBytes);
    [series, this.#offset + at, chunk.length, crc32(chunk), points[0]!.slot, points.at(-1)!.slot].forEach((value, i) =>
      entry.writeUInt32LE(value, i * 4),
    );
    this.#index.bytes(entry);
    this.#count += 1;
    if (this.#chunks.length >= 1 << 20) await this.#drain();
  }

  /** Durable once it resolves. */
  async finish(): Promise<void> {
    await this.#drain();
    const index = this.#index.view();
    const footer = Buffer.allocUnsafe(footerBytes);
    [this.#offset, this.#count, crc32(index), magic].forEach((value, i) => footer.writeUInt32LE(value, i * 4));
    await this.#file.writeFile(Buffer.concat([index, footer]));
    await this.#file.sync();
    await this.#file.close();
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {});
  }

  async #drain(): Promise<void> {
    if (this.#chunks.length === 0) return;
    await this.#file.writeFile(this.#chunks.view());
    this.#offset += this.#chunks.length;
    this.#chunks.clear();
  }
}

export class Block {
  readonly name: BlockName;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #index: Uint32Array;
  #readers = 0;
  #retired: "close" | "remove" | undefined;

  private constructor(name: BlockName, path: string, file: FileHandle, index: Uint32Array) {
    this.name = name;
    this.#path = path;
    this.#file = file;
    this.#index = index;
  }

  static async open(name: BlockName, path: string): Promise<Block> {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const footer = await exactly(file, Math.max(0, size - footerBytes), footerBytes);
      const [offset, count, checksum, sign] = [0, 4, 8, 12].map((at) => footer.readUInt32LE(at)) as [number, number, number, number];
      if (sign !== magic || offset + count * entryBytes + footerBytes !== size) throw new BlockError(`${path} is no block`);
      const index = await exactly(file, offset, count * entryBytes);
      if (crc32(index) !== checksum) throw new BlockError(`the index of ${path} is damaged`);
      return new Block(name, path, file, new Uint32Array(index.buffer.slice(index.byteOffset, index.byteOffset + index.length)));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get count(): number {
    return this.#index.length / 6;
  }

  /** Series and the slot of its last point, ascending. */
  *series(): Generator<readonly [series: number, last: number]> {
    for (let i = 0; i < this.#index.length; i += 6) yield [this.#index[i]!, this.#index[i + 5]!];
  }

  /** All points of one series, if they touch `from` up to before `to`. */
  async read(series: number, from = 0, to = Infinity): Promise<Point[]> {
    const at = this.#find(series);
    if (at < 0 || this.#index[at + 4]! >= to || this.#index[at + 5]! < from) return [];
    this.#readers += 1;
    try {
      const chunk = await exactly(this.#file, this.#index[at + 1]!, this.#index[at + 2]!);
      if (crc32(chunk) !== this.#index[at + 3]!) throw new BlockError(`a chunk of ${this.#path} is damaged`);
      return readChunk(new ByteReader(chunk), this.name.step);
    } finally {
      this.#readers -= 1;
      if (this.#readers === 0 && this.#retired) await this.#leave();
    }
  }

  /** Ends its use; whoever still reads may finish. */
  async retire(how: "close" | "remove"): Promise<void> {
    this.#retired = how;
    if (this.#readers === 0) await this.#leave();
  }

  /** A reader of several blocks holds them all while it reads one after the other. */
  hold(): () => Promise<void> {
    this.#readers += 1;
    return async () => {
      this.#readers -= 1;
      if (this.#readers === 0 && this.#retired) await this.#leave();
    };
  }

  async #leave(): Promise<void> {
    const how = this.#retired;
    this.#retired = undefined;
    await this.#file.close();
    if (how === "remove") await rm(this.#path, { force: true });
  }

  #find(series: number): number {
    let [low, high] = [0, this.count - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const at = this.#index[middle * 6]!;
      if (at === series) return middle * 6;
      if (at < series) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}

async function exactly(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead !== length) throw new BlockError("a block ends too early");
  return buffer;
}
