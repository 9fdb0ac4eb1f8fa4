import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { mkdir, open, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * The trail on disk: `<directory>/<account>/<region>/<yyyy-mm-dd>.jsonl`, a record a line, only ever written at the end (0600). A crash can tear the last
 * line: it is passed over when read, and what follows begins on a line of its own.
 */
export interface TrailFiles {
  /** Resolves when the lines are on the disk. */
  append(lines: readonly TrailLine[]): Promise<void>;
  /** The same without leaving the event loop, and without waiting for the disk. */
  appendNow(lines: readonly TrailLine[]): void;
  /** The days that there are, newest first. */
  days(place: TrailPlace): Promise<readonly string[]>;
  /** The lines of a day, newest first, from those that end at or before byte `before`. Each with the byte at which it begins. */
  linesBackward(
    place: TrailPlace,
    day: string,
    before: number | undefined,
  ): AsyncGenerator<{ readonly text: string; readonly offset: number }>;
  /** Removes whole days before `day`. */
  removeBefore(day: string): Promise<number>;
  removeAll(): Promise<void>;
}

export interface TrailPlace {
  readonly account: string;
  readonly region: string;
}

export interface TrailLine {
  readonly place: TrailPlace;
  /** `yyyy-mm-dd`, UTC. */
  readonly day: string;
  /** Without a line break. */
  readonly text: string;
}

const pieceBytes = 256 * 1024;
const lineBreak = 10;

export function openTrailFiles(directory: string): TrailFiles {
  /** Files that this process has begun to write: the first write of each ends what a crash has torn. */
  const begun = new Set<string>();
  const pathOf = ({ account, region }: TrailPlace, day: string) => join(directory, account, region, `${day}.jsonl`);

  function byFile(lines: readonly TrailLine[]): ReadonlyMap<string, Buffer> {
    const texts = new Map<string, string[]>();
    for (const { place, day, text } of lines) {
      const path = pathOf(place, day);
      const list = texts.get(path) ?? (begun.has(path) ? [] : [""]);
      list.push(text);
      texts.set(path, list);
      if (begun.size > 10_000) begun.clear();
      begun.add(path);
    }
    return new Map([...texts].map(([path, list]) => [path, Buffer.from(`${list.join("\n")}\n`)]));
  }

  return {
    async append(lines) {
      for (const [path, bytes] of byFile(lines)) {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 });
        const file = await open(path, "a", 0o600);
        try {
          // One write: lines of `appendNow` never come into the middle of these.
          for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
          await file.datasync();
        } finally {
          await file.close();
        }
      }
    },
    appendNow(lines) {
      for (const [path, bytes] of byFile(lines)) {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
        const file = openSync(path, "a", 0o600);
        try {
          for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
        } finally {
          closeSync(file);
        }
      }
    },
    async days(place) {
      const names = await readdir(join(directory, place.account, place.region)).catch(() => []);
      return names
        .filter((name) => /^\d{4}-\d{2}-\d{2}\.jsonl$/.test(name))
        .map((name) => name.slice(0, 10))
        .toSorted()
        .toReversed();
    },
    async *linesBackward(place, day, before) {
      const file = await open(pathOf(place, day), "r").catch(() => undefined);
      if (!file) return;
      try {
        let end = before ?? (await file.stat()).size;
        let rest = Buffer.alloc(0);
        while (end > 0) {
          const length = Math.min(pieceBytes, end);
          const piece = Buffer.alloc(length);
          const { bytesRead } = await file.read(piece, 0, length, end - length);
          const bytes = Buffer.concat([piece.subarray(0, bytesRead), rest]);
          end -= length;
          let last = bytes.length;
          for (let at = last - 1; at >= 0; at--) {
            if (bytes[at] !== lineBreak) continue;
            if (last - at > 1) yield { text: bytes.toString("utf8", at + 1, last), offset: end + at + 1 };
            last = at;
          }
          rest = bytes.subarray(0, last);
        }
        if (rest.length > 0) yield { text: rest.toString("utf8"), offset: 0 };
      } finally {
        await file.close();
      }
    },
    async removeBefore(day) {
      let removed = 0;
      for (const entry of await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])) {
        if (!entry.isFile() || !/^\d{4}-\d{2}-\d{2}\.jsonl$/.test(entry.name) || entry.name.slice(0, 10) >= day) continue;
        await rm(join(entry.parentPath, entry.name), { force: true });
        removed++;
      }
      return removed;
    },
    async removeAll() {
      begun.clear();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
