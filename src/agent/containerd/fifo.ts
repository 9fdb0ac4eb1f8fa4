import { closeSync, constants, openSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { sleep, type Clock } from "#platform/clock.ts";

/** What a process that has ended left running may hold its streams open no longer than this. */
const lingerMs = 2_000;

/** One end of a FIFO, without a thread that waits for it. */
export function streamOf(path: string, mode: number, kind: { readonly readable: boolean; readonly writable: boolean }): Socket {
  const fd = openSync(path, mode | constants.O_NONBLOCK);
  try {
    // A listener, or an error of a stream that nobody needs any more would end the agent. What comes waits until somebody reads.
    return new Socket({ fd, ...kind }).on("error", () => {});
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * All that was written before is in the kernel, or lost with the stream. Not `drain`: that one comes only after a `write` that said there is no more room, and what waits may
 * be less than that.
 */
export const written = (stream: Writable) => new Promise<void>((resolve) => void stream.write(Buffer.alloc(0), () => resolve()));

/** All that it wrote is read, however slowly; what it has left running may hold the streams open, but not for ever. */
export async function readOut(clock: Clock, over: Promise<unknown>, streams: readonly Socket[]): Promise<void> {
  const bytes = () => streams.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  for (let before = -1; before !== bytes() || streams.some(({ readableLength }) => readableLength > 0);) {
    before = bytes();
    if (await Promise.race([over.then(() => true), sleep(clock, lingerMs).then(() => false)])) return;
    // Of an agent that did not run for so long the time is over before it could look whether there is something.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export const closed = (stream: Socket) => new Promise<void>((resolve) => void (stream.closed ? resolve() : stream.once("close", resolve)));
