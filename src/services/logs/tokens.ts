import type { Position } from "./storage/scan.ts";

const DIGITS = 56;
const SEQUENCE_BITS = 64n;
const STREAM_BITS = 80n;

/** An event's id, 56 digits as AWS's: they are in order of time and arrival, and no two events of a Gantry share one. `streamId`: hex. */
export function eventId({ timestamp, sequence }: Position, streamId = "0"): string {
  const stream = BigInt(`0x${streamId.slice(0, Number(STREAM_BITS) / 4)}`);
  return String((BigInt(timestamp) << (STREAM_BITS + SEQUENCE_BITS)) | (BigInt(sequence) << STREAM_BITS) | stream).padStart(DIGITS, "0");
}

export interface Direction {
  readonly backward: boolean;
  readonly behind: Position;
}

/** GetLogEvents' tokens: `f/<56 digits>/s` goes on behind that event, `b/…/s` before it. */
export function directionToken(backward: boolean, position: Position): string {
  return `${backward ? "b" : "f"}/${eventId(position)}/s`;
}

/** Undefined when the text is no such token. */
export function readDirectionToken(token: string): Direction | undefined {
  const match = /^([fb])\/(\d{56})\/[se]$/.exec(token);
  if (!match) return undefined;
  const id = BigInt(match[2]!);
  const timestamp = Number(id >> (STREAM_BITS + SEQUENCE_BITS));
  const sequence = Number(BigInt.asUintN(Number(SEQUENCE_BITS), id >> STREAM_BITS));
  if (!Number.isSafeInteger(timestamp) || !Number.isSafeInteger(sequence)) return undefined;
  return { backward: match[1] === "b", behind: { timestamp, sequence } };
}
