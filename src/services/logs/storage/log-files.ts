import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { StreamLog } from "./stream-log.ts";
import type { Sequence } from "./stream-log.ts";
import type { NewEvent } from "./frames.ts";

/** Ids, never names: nothing that a user wrote becomes part of a path. */
export interface StreamId {
  readonly group: string;
  readonly stream: string;
}

/**
 * All events on the disk:
 *
 *     <home>/logs/<group's id>/<stream's id>/00000001.log   frames, 8 MiB at most, the last one grows
 *                                            00000001.idx   index of a full segment
 *
 * Streams are opened at their first use and stay open, as an index in memory without file descriptors, while they are among the last used.
 */
export class LogFiles {
  readonly #root: string;
  readonly #log: Logger;
  readonly #sequence: Sequence;
  readonly #most: number;
  /** By `<group>/<stream>`, the last used at the end. One StreamLog owns a folder at a time: none leaves while it is in use. */
  readonly #streams = new Map<string, Opened>();

  constructor(root: string, clock: Clock, log: Logger, most = 2048) {
    this.#root = root;
    this.#log = log;
    this.#sequence = createSequence(clock);
    this.#most = most;
  }

  /** Opens the stream if need be and keeps it open until `action` is done. */
  async use<R>({ group, stream }: StreamId, action: (stream: StreamLog) => R | Promise<R>): Promise<R> {
    const key = `${group}/${stream}`;
    const opened = this.#streams.get(key) ?? { users: 0, log: StreamLog.open(join(this.#root, group, stream), this.#sequence, this.#log) };
    this.#streams.delete(key);
    this.#streams.set(key, opened);
    opened.users++;
    try {
      return await action(await opened.log);
    } catch (error) {
      // One that could not be opened is tried again by the next user.
      await opened.log.catch(() => this.#forget(key, opened));
      throw error;
    } finally {
      opened.users--;
      this.#closeUnused();
    }
  }

  /** Resolves when the events are on the disk; see StreamLog.append. */
  append(id: StreamId, events: readonly NewEvent[], ingestion: number): Promise<void> {
    return this.use(id, (log) => log.append(events, ingestion));
  }

  removeStream(id: StreamId): Promise<void> {
    const key = `${id.group}/${id.stream}`;
    return this.use(id, async (log) => {
      await log.remove();
      this.#forget(key, this.#streams.get(key));
    });
  }

  async removeGroup(group: string): Promise<void> {
    for (const key of this.#streams.keys())
      if (key.startsWith(`${group}/`)) await this.removeStream({ group, stream: key.slice(group.length + 1) });
    await rm(join(this.#root, group), { recursive: true, force: true });
  }

  #forget(key: string, opened: Opened | undefined): void {
    if (this.#streams.get(key) === opened) this.#streams.delete(key);
  }

  #closeUnused(): void {
    if (this.#streams.size <= this.#most) return;
    for (const [key, { users }] of this.#streams) {
      if (this.#streams.size <= this.#most) return;
      if (users === 0) this.#streams.delete(key);
    }
  }

  /** Bytes on the disk; as with AWS, a number that follows with delay. */
  async groupBytes(group: string): Promise<number> {
    let bytes = 0;
    for (const stream of await list(join(this.#root, group)))
      for (const file of await list(join(this.#root, group, stream)))
        if (file.endsWith(".log")) bytes += (await stat(join(this.#root, group, stream, file)).catch(() => undefined))?.size ?? 0;
    return bytes;
  }

  /** What lies on the disk, by the group's id. */
  async folders(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const group of await list(this.#root)) found.set(group, await list(join(this.#root, group)));
    return found;
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    for (const key of this.#streams.keys()) {
      const [group, stream] = key.split("/");
      await this.removeStream({ group: group!, stream: stream! });
    }
    await rm(this.#root, { recursive: true, force: true });
  }

  /** Waits for what is being written. */
  async settle(): Promise<void> {
    for (const { log } of [...this.#streams.values()]) await (await log).settle();
  }
}

interface Opened {
  users: number;
  readonly log: Promise<StreamLog>;
}

async function list(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

/** 1,024 numbers for each millisecond, and ahead of the clock when there are more: unique without being written down, and exact in a double until 2248. */
function createSequence(clock: Clock): Sequence {
  let last = 0;
  return {
    take(count) {
      const first = Math.max(last + 1, clock.now() * 1024);
      last = first + count - 1;
      return first;
    },
    raise(used) {
      last = Math.max(last, used);
    },
  };
}
