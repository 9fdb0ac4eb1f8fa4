import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { StreamLog } from "./stream-log.ts";
import type { Sequence } from "./stream-log.ts";

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
 * Streams are opened at their first use and stay open as an index in memory, without file descriptors.
 */
export class LogFiles {
  readonly #root: string;
  readonly #log: Logger;
  readonly #sequence: Sequence;
  readonly #streams = new Map<string, Map<string, Promise<StreamLog>>>();

  constructor(root: string, clock: Clock, log: Logger) {
    this.#root = root;
    this.#log = log;
    this.#sequence = createSequence(clock);
  }

  stream({ group, stream }: StreamId): Promise<StreamLog> {
    let streams = this.#streams.get(group);
    if (!streams) this.#streams.set(group, (streams = new Map()));
    let opening = streams.get(stream);
    if (!opening) {
      opening = StreamLog.open(join(this.#root, group, stream), this.#sequence, this.#log);
      streams.set(stream, opening);
      opening.catch(() => streams.delete(stream));
    }
    return opening;
  }

  async removeStream(id: StreamId): Promise<void> {
    const stream = await this.stream(id);
    await stream.remove();
    this.#streams.get(id.group)?.delete(id.stream);
  }

  async removeGroup(group: string): Promise<void> {
    for (const stream of this.#streams.get(group)?.values() ?? []) await (await stream).remove();
    this.#streams.delete(group);
    await rm(join(this.#root, group), { recursive: true, force: true });
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
    for (const group of [...this.#streams.keys()]) await this.removeGroup(group);
    await rm(this.#root, { recursive: true, force: true });
  }

  async settle(): Promise<void> {
    for (const streams of this.#streams.values()) for (const stream of streams.values()) await (await stream).settle();
  }
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
