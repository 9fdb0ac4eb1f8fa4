import { cbor, tag } from "@smithy/core/cbor";
import type { JsonDialect } from "./json-codec.ts";
import { validDate } from "./json-codec.ts";

/** Smithy RPC v2 CBOR carries the same tree as JSON, with timestamps as tag 1 and blobs as bytes. Source: Smithy, "Smithy RPC v2 CBOR". */
export const cborDialect: JsonDialect = {
  jsonName: false,
  decodeTimestamp(_ref, value) {
    if (value instanceof Date) return validDate(value);
    const seconds =
      typeof value === "object" && value !== null && "tag" in value && Number((value as { tag: unknown }).tag) === 1
        ? (value as unknown as { value: unknown }).value
        : value;
    return typeof seconds === "number" || typeof seconds === "bigint" ? validDate(new Date(Number(seconds) * 1000)) : undefined;
  },
  encodeTimestamp: (_ref, value) => tag({ tag: 1, value: value.getTime() / 1000 }),
  decodeBlob: (value) => (value instanceof Uint8Array ? value : undefined),
  encodeBlob: (value) => value,
};

/** Throws on anything that is not one whole CBOR item. */
export function parseCbor(bytes: Uint8Array): unknown {
  return plain(cbor.deserialize(bytes), 0);
}

export const formatCbor = (value: unknown): Uint8Array => cbor.serialize(value) as Uint8Array;

/** 64-bit integers come as bigint; every number of our shapes fits a double. */
function plain(value: unknown, depth: number): unknown {
  if (depth > 100) throw new Error("nests too deep");
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array) && !(value instanceof Date) && !("tag" in value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]));
  }
  return value;
}
