import { mkdir, open, readFile, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BlockName } from "./block.ts";
import { type Catalogue, lineOf, readLine, type Series } from "./catalogue.ts";

/**
 * Where everything lies:
 *   manifest.json      which blocks count, and the first log that is not in them yet: replaced whole, so that a change of many files is one step
 *   series.log         the name of every series that a block has, a line each
 *   wal/<n>            points that are in no block
 *   blocks/<n>.block   see block.ts
 */
export interface Manifest {
  readonly version: 1;
  readonly firstWal: number;
  readonly nextBlock: number;
  readonly blocks: readonly BlockName[];
}

export const emptyManifest: Manifest = { version: 1, firstWal: 1, nextBlock: 1, blocks: [] };

export class MetricFiles {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  wal = (number: number) => join(this.root, "wal", String(number));
  block = (file: string) => join(this.root, "blocks", file);

  /** Makes the directories; reads the manifest; removes what a crash left beside it. Resolves with the logs to replay, ascending. */
  async open(): Promise<{ manifest: Manifest; wals: number[] }> {
    await mkdir(join(this.root, "wal"), { recursive: true, mode: 0o700 });
    await mkdir(join(this.root, "blocks"), { recursive: true, mode: 0o700 });
    const manifest = await this.#manifest();
    const known = new Set(manifest.blocks.map(({ file }) => file));
    for (const file of await readdir(join(this.root, "blocks"))) if (!known.has(file)) await rm(this.block(file), { force: true });
    const numbers = (await readdir(join(this.root, "wal")))
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => a - b);
    for (const number of numbers) if (number < manifest.firstWal) await rm(this.wal(number), { force: true });
    return { manifest, wals: numbers.filter((number) => number >= manifest.firstWal) };
  }

  async #manifest(): Promise<Manifest> {
    const text = await readFile(join(this.root, "manifest.json"), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (text === undefined) return emptyManifest;
    const manifest = JSON.parse(text) as Manifest;
    if ((manifest.version as number) !== 1)
      throw new Error(`${this.root}: the metrics are of version ${String(manifest.version)}, which this Gantry does not know`);
    return manifest;
  }

  async commit(manifest: Manifest): Promise<void> {
    const path = join(this.root, "manifest.json");
    await using file = await open(`${path}.new`, "w", 0o600);
    await file.writeFile(JSON.stringify(manifest));
    await file.sync();
    await syncDirectory(join(this.root, "blocks"));
    await rename(`${path}.new`, path);
    await syncDirectory(this.root);
  }

  /** The torn end of the last line is forgotten: its series is in the log still. */
  async readSeries(catalogue: Catalogue): Promise<void> {
    const text = await readFile(join(this.root, "series.log"), "utf8").catch(() => "");
    const lines = text.split("\n");
    if (lines.pop() !== "") await this.#cut(Buffer.byteLength(lines.map((line) => `${line}\n`).join("")));
    for (const line of lines) {
      const series = readLine(line, catalogue);
      series.kept = true;
      series.logged = true;
    }
  }

  async #cut(length: number): Promise<void> {
    await using file = await open(join(this.root, "series.log"), "r+");
    await file.truncate(length);
    await file.sync();
  }

  async appendSeries(series: readonly Series[]): Promise<void> {
    if (series.length === 0) return;
    await using file = await open(join(this.root, "series.log"), "a", 0o600);
    await file.writeFile(series.map((each) => `${lineOf(each)}\n`).join(""));
    await file.sync();
  }

  /** A new log's name has to be as durable as what is in it. */
  syncWals = () => syncDirectory(join(this.root, "wal"));

  async clear(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, "r");
  await directory.sync();
}
