import type { ByteRange } from "../blobs/blob-store.ts";

/**
 * The one range that a `Range` header asks of `size` bytes. `"unsatisfiable"` also for several ranges and for what is no range of bytes: no client of a
 * registry means those. Source: RFC 9110, section 14.1.2.
 */
export function parseRange(header: string, size: number): ByteRange | "unsatisfiable" {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (!match || (match[1] === "" && match[2] === "")) return "unsatisfiable";
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "unsatisfiable" : { first: size - length, last: size - 1 };
  }
  const first = Number(match[1]);
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  return first > last ? "unsatisfiable" : { first, last };
}

/** `<first>-<last>` of a chunk, as OCI writes it, or with HTTP's `bytes ` before and `/<size>` behind. Undefined: neither. */
export function parseContentRange(header: string): ByteRange | undefined {
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim());
  if (!match) return undefined;
  const [first, last] = [Number(match[1]), Number(match[2])];
  return first > last ? undefined : { first, last };
}
