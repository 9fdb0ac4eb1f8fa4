import type { Bundle } from "#model/metrics/bundle.ts";
import type { MetricName, SeriesName } from "#model/metrics/identity.ts";
import { stepAt } from "#model/metrics/resolution.ts";
import { levels } from "#model/metrics/resolution.ts";
import type { Point } from "#model/metrics/roll-up.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { Block, BlockWriter } from "./block.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { Catalogue, lineOf, readLine, type Scope, type Series } from "./catalogue.ts";
import { readPoint, writePoint } from "./chunk.ts";
import { compact } from "./compact.ts";
import { emptyManifest, type Manifest, MetricFiles } from "./files.ts";
import { Head } from "./head.ts";
import { nextJob, partitionOf } from "./plan.ts";
import { Wal } from "./wal.ts";

/** A data point on its way in. */
export interface NewPoint {
  readonly series: SeriesName;
  /** 1 for high resolution, else 60. */
  readonly step: number;
  /** Seconds, a multiple of `step`. */
  readonly slot: number;
  readonly bundle: Bundle;
}

/** A stored point and the finest period (seconds) for which it may still be used. */
export interface StoredPoint extends Point {
  readonly step: number;
}

/** A log and what it holds, in memory. */
interface Segment {
  readonly number: number;
  readonly wal: Wal;
  readonly head: Head;
  /** Puts that have appended to it and not yet come into `head`. */
  pending: number;
}

export interface MetricStoreOptions {
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** A log of this size goes into blocks; default 16 MiB. */
  readonly flushBytes?: number;
  /** … or of this age; default an hour. */
  readonly flushMs?: number;
}

const inSeries = 1;
const inPoint = 2;

/**
 * Data points: first in a log and in memory, from time to time in blocks, which are rolled up as they age. What is acknowledged survives a crash, once:
 * the manifest says from which log on points are in no block. One owner: its own loop alone changes blocks. docs/decisions/0022-metrics.md.
 */
export class MetricStore {
  readonly #options: MetricStoreOptions;
  readonly #files: MetricFiles;
  readonly #catalogue: Catalogue;
  #manifest: Manifest;
  #blocks: Block[];
  /** Ascending; the last takes what comes in, the others wait to become blocks. */
  #segments: Segment[];
  #work: Promise<void> = Promise.resolve();
  #cancel = () => {};
  #closed = false;

  private constructor(
    options: MetricStoreOptions,
    files: MetricFiles,
    catalogue: Catalogue,
    manifest: Manifest,
    blocks: Block[],
    segments: Segment[],
  ) {
    this.#options = options;
    this.#files = files;
    this.#catalogue = catalogue;
    this.#manifest = manifest;
    this.#blocks = blocks;
    this.#segments = segments;
    this.#schedule();
  }

  static async open(options: MetricStoreOptions): Promise<MetricStore> {
    const files = new MetricFiles(options.directory);
    const { manifest, wals } = await files.open();
    const catalogue = new Catalogue();
    await files.readSeries(catalogue);
    const blocks: Block[] = [];
    for (const name of manifest.blocks) {
      const block = await Block.open(name, files.block(name.file));
      blocks.push(block);
      for (const [id, last] of block.series()) {
        const series = catalogue.byId(id);
        if (series && series.last < last) series.last = last;
      }
    }
    const segments: Segment[] = [];
    for (const number of wals.length > 0 ? wals : [manifest.firstWal]) {
      const head = new Head();
      segments.push({ number, wal: await Wal.open(files.wal(number), (payload) => replay(payload, catalogue, head)), head, pending: 0 });
    }
    await files.syncWals();
    return new MetricStore(options, files, catalogue, manifest, blocks, segments);
  }

  /** Durable once it resolves; visible then, not before. */
  async put(points: readonly NewPoint[]): Promise<void> {
    if (points.length === 0) return;
    const out = new ByteWriter(points.length * 24);
    const taken = points.map(({ series: name }) => this.#catalogue.take(name));
    const fresh = new Set(taken.filter(({ logged }) => !logged));
    for (const series of fresh) {
      const line = Buffer.from(lineOf(series));
      out.byte(inSeries);
      out.varint(line.length);
      out.bytes(line);
    }
    points.forEach(({ step, slot, bundle }, i) => {
      out.byte(inPoint);
      out.varint(taken[i]!.id);
      out.varint(step);
      writePoint(out, slot, bundle);
    });
    const segment = this.#segments.at(-1)!;
    segment.pending += 1;
    try {
      await segment.wal.append(out.view());
      for (const series of fresh) series.logged = true;
      points.forEach(({ step, slot, bundle }, i) => {
        const series = taken[i]!;
        segment.head.add(series.id, step, slot, bundle);
        if (series.last < slot) series.last = slot;
      });
    } finally {
      segment.pending -= 1;
    }
    if (segment.wal.length >= (this.#options.flushBytes ?? 16 << 20) && this.#segments.at(-1) === segment)
      void this.flush().catch(() => {});
  }

  find(scope: Scope, metric: MetricName): readonly Series[] {
    return this.#catalogue.find(scope, metric).filter(({ last }) => last > 0);
  }

  /** Each metric with the series of its units. */
  *metrics(scope: Scope, namespace?: string): Generator<readonly Series[]> {
    for (const units of this.#catalogue.metrics(scope, namespace)) if (units.some(({ last }) => last > 0)) yield units;
  }

  /** Points of one series from `from` to before `to` (seconds), in no order, several for a slot where they came at different times. */
  async read(series: number, from: number, to: number): Promise<StoredPoint[]> {
    const now = this.#options.clock.now() / 1000;
    const out: StoredPoint[] = [];
    const take = (step: number, { slot, bundle }: Point) => {
      // A coarse slot begins before its data: it belongs to whoever asks for its beginning.
      if (slot < from || slot >= to) return;
      const usable = stepAt(step, slot, now);
      if (usable !== undefined) out.push({ slot, bundle, step: usable });
    };
    const blocks = this.#blocks.filter(({ name }) => name.start < to && name.end > from);
    for (const { head } of this.#segments)
      for (const { step } of levels) for (const point of head.read(series, step, from, to)) take(step, point);
    const releases = blocks.map((block) => block.hold());
    try {
      for (const block of blocks) for (const point of await block.read(series, from, to)) take(block.name.step, point);
    } finally {
      for (const release of releases) await release();
    }
    return out;
  }

  /** Brings what the logs hold into blocks, and the blocks into shape. */
  flush(): Promise<void> {
    return this.#serial(async () => {
      await this.#rotate();
      await this.#maintain();
    });
  }

  status() {
    return {
      series: this.#catalogue.size,
      blocks: this.#blocks.length,
      waiting: this.#segments.reduce((sum, { head }) => sum + head.points, 0),
    };
  }

  async clear(): Promise<void> {
    await this.#serial(async () => {
      for (const block of this.#blocks) await block.retire("close");
      for (const { wal } of this.#segments) await wal.close();
      this.#blocks = [];
      for (const series of this.#catalogue.all()) Object.assign(series, { last: 0, logged: false, kept: false });
      await this.#files.clear();
      await this.#files.open();
      this.#manifest = emptyManifest;
      this.#segments = [await this.#segment(emptyManifest.firstWal)];
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    await this.#work;
    for (const { wal } of this.#segments) await wal.close();
    for (const block of this.#blocks) await block.retire("close");
  }

  #serial(task: () => Promise<void>): Promise<void> {
    const done = this.#work.then(task);
    this.#work = done.catch((error: unknown) =>
      this.#options.log.warn({ err: error }, "metrics could not be brought into blocks, it is tried again"),
    );
    return done;
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.after(this.#options.flushMs ?? 3_600_000, () => {
      void this.flush()
        .catch(() => {})
        .finally(() => {
          if (!this.#closed) this.#schedule();
        });
    });
  }

  async #segment(number: number): Promise<Segment> {
    const wal = await Wal.open(this.#files.wal(number), () => {});
    await this.#files.syncWals();
    return { number, wal, head: new Head(), pending: 0 };
  }

  async #rotate(): Promise<void> {
    const last = this.#segments.at(-1)!;
    if (last.head.points > 0 || last.pending > 0) this.#segments.push(await this.#segment(last.number + 1));
    const full = this.#segments.slice(0, -1);
    if (full.length === 0) return;
    for (const segment of full) {
      await segment.wal.settled();
      // Whoever's append has settled comes into the head in the turns after.
      while (segment.pending > 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    const names = this.#catalogue.all().filter(({ logged, kept }) => logged && !kept);
    await this.#files.appendSeries(names);
    for (const series of names) series.kept = true;
    const made = await this.#writeHeads(full.map(({ head }) => head));
    await this.#commit([...this.#blocks, ...made], full);
    for (const { wal } of full) await wal.close();
    await this.#files.open();
  }

  async #writeHeads(heads: readonly Head[]): Promise<Block[]> {
    const writers = new Map<string, { writer: BlockWriter; block: () => Promise<Block> }>();
    const merged = heads.length === 1 ? heads[0]! : joined(heads);
    try {
      for (const [series, steps] of merged.entries()) {
        for (const [step, head] of steps) {
          const parts = Map.groupBy(head.points(), ({ slot }) => partitionOf(step, slot).start);
          for (const [start, points] of parts) {
            const key = `${step}/${start}`;
            let to = writers.get(key);
            if (!to) writers.set(key, (to = await this.#newBlock(step, start)));
            await to.writer.add(series, points);
          }
        }
        await breathe();
      }
      const blocks: Block[] = [];
      for (const { writer, block } of writers.values()) {
        await writer.finish();
        blocks.push(await block());
      }
      return blocks;
    } catch (error) {
      for (const { writer } of writers.values()) await writer.abandon();
      throw error;
    }
  }

  async #newBlock(step: number, start: number) {
    const name = { file: this.#nextFile(), ...partitionOf(step, start) };
    const path = this.#files.block(name.file);
    return { writer: await BlockWriter.create(path, step), block: () => Block.open(name, path) };
  }

  #nextFile(): string {
    const { nextBlock } = this.#manifest;
    this.#manifest = { ...this.#manifest, nextBlock: nextBlock + 1 };
    return `${nextBlock}.block`;
  }

  /** From here on `blocks` are what counts, on disk and in memory, and `done` are in them: one step for readers too, who take both without a pause between. */
  async #commit(blocks: Block[], done: readonly Segment[] = []): Promise<void> {
    const firstWal = done.length > 0 ? done.at(-1)!.number + 1 : this.#manifest.firstWal;
    const manifest = { ...this.#manifest, firstWal, blocks: blocks.map(({ name }) => name) };
    await this.#files.commit(manifest);
    this.#manifest = manifest;
    this.#blocks = blocks;
    this.#segments = this.#segments.filter((segment) => !done.includes(segment));
  }

  async #maintain(): Promise<void> {
    for (;;) {
      const job = nextJob(
        this.#blocks.map(({ name }) => name),
        this.#options.clock.now() / 1000,
      );
      if (!job || this.#closed) return;
      const gone = new Set(job.inputs.map(({ file }) => file));
      const inputs = this.#blocks.filter(({ name }) => gone.has(name.file));
      const made: Block[] = [];
      if (job.into) {
        const name = { file: this.#nextFile(), ...job.into };
        const path = this.#files.block(name.file);
        await compact(inputs, path, job.into.step);
        made.push(await Block.open(name, path));
      }
      await this.#commit([...this.#blocks.filter((block) => !inputs.includes(block)), ...made]);
      for (const block of inputs) await block.retire("remove");
    }
  }
}

/** Lets requests in between two series: blocks are made beside the server's work, not instead of it. */
const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

function joined(heads: readonly Head[]): Head {
  const sum = new Head();
  for (const head of heads)
    for (const [series, steps] of head.entries())
      for (const [step, one] of steps) for (const { slot, bundle } of one.points()) sum.add(series, step, slot, bundle);
  return sum;
}

function replay(payload: Buffer, catalogue: Catalogue, head: Head): void {
  const input = new ByteReader(payload);
  while (!input.done) {
    if (input.byte() === inSeries) {
      readLine(input.bytes(input.varint()).toString(), catalogue).logged = true;
      continue;
    }
    const id = input.varint();
    const step = input.varint();
    const { slot, bundle } = readPoint(input);
    head.add(id, step, slot, bundle);
    const series = catalogue.byId(id);
    if (series && series.last < slot) series.last = slot;
  }
}
