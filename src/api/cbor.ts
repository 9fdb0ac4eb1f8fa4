import type { JsonDialect } from "./json-codec.ts";
import { validDate } from "./json-codec.ts";

/**
 * CBOR (RFC 8949) for Smithy RPC v2 CBOR. Ours because the input is a stranger's: the SDK's decoder writes to the console and believes
 * lengths that the bytes do not hold.
 */
export class Tagged {
  readonly tag: number;
  readonly value: unknown;

  constructor(tag: number, value: unknown) {
    this.tag = tag;
    this.value = value;
  }
}

/** The same tree as JSON, with timestamps as tag 1 and blobs as bytes. Source: Smithy, "Smithy RPC v2 CBOR". */
export const cborDialect: JsonDialect = {
  jsonName: false,
  decodeTimestamp(_ref, value) {
    const seconds = value instanceof Tagged && value.tag === 1 ? value.value : value;
    return typeof seconds === "number" ? validDate(new Date(seconds * 1000)) : undefined;
  },
  encodeTimestamp: (_ref, value) => new Tagged(1, value.getTime() / 1000),
  decodeBlob: (value) => (value instanceof Uint8Array ? value : undefined),
  encodeBlob: (value) => value,
};

const maxDepth = 100;
const stop = Symbol("break");

/** One whole CBOR item. Throws on anything else: cut short, trailing bytes, too deep, reserved codes. 64-bit integers come as doubles. */
export function parseCbor(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.item(0);
  if (value === stop || !reader.atEnd) throw new Error("not one CBOR item");
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw new Error("cut short");
    this.#at += count;
    return at;
  }

  /** The number behind an initial byte; -1 for an indefinite length. */
  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 24) return this.#bytes.readUInt8(this.#take(1));
    if (info === 25) return this.#bytes.readUInt16BE(this.#take(2));
    if (info === 26) return this.#bytes.readUInt32BE(this.#take(4));
    if (info === 27) return Number(this.#bytes.readBigUInt64BE(this.#take(8)));
    if (info === 31) return -1;
    throw new Error("reserved length");
  }

  item(depth: number): unknown {
    if (depth > maxDepth) throw new Error("nests too deep");
    const first = this.#bytes.readUInt8(this.#take(1));
    const [major, info] = [first >> 5, first & 31];
    if (major === 7) return this.#simple(info);
    const argument = this.#argument(info);
    if (argument < 0 && major < 2) throw new Error("an integer without a length");
    switch (major) {
      case 0:
        return argument;
      case 1:
        return -1 - argument;
      case 2:
        return argument < 0 ? Buffer.concat(this.#pieces(depth, Buffer)) : this.#copy(argument);
      case 3:
        return argument < 0 ? this.#texts(depth) : this.#text(argument);
      case 4: {
        const list: unknown[] = [];
        for (let i = 0; argument < 0 || i < argument; i++) {
          const each = this.item(depth + 1);
          if (each === stop) {
            if (argument < 0) break;
            throw new Error("a break in a definite list");
          }
          list.push(each);
        }
        return list;
      }
      case 5:
        return this.#map(argument, depth);
      default:
        if (argument < 0) throw new Error("a tag without a number");
        return new Tagged(argument, this.#definite(depth));
    }
  }

  #definite(depth: number): unknown {
    const value = this.item(depth + 1);
    if (value === stop) throw new Error("a break where a value is due");
    return value;
  }

  #map(count: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; count < 0 || i < count; i++) {
      const key = this.item(depth + 1);
      if (key === stop && count < 0) break;
      if (typeof key !== "string") throw new Error("a key that is no text");
      Object.defineProperty(map, key, { value: this.#definite(depth), enumerable: true, configurable: true, writable: true });
    }
    return map;
  }

  #copy(length: number): Buffer {
    const at = this.#take(length);
    return Buffer.from(this.#bytes.subarray(at, at + length));
  }

  #text(length: number): string {
    const at = this.#take(length);
    return this.#bytes.toString("utf8", at, at + length);
  }

  #texts(depth: number): string {
    let text = "";
    for (let piece = this.item(depth + 1); piece !== stop; piece = this.item(depth + 1)) {
      if (typeof piece !== "string") throw new Error("a piece of another kind");
      text += piece;
    }
    return text;
  }

  #pieces(depth: number, kind: typeof Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    for (let piece = this.item(depth + 1); piece !== stop; piece = this.item(depth + 1)) {
      if (!(piece instanceof kind)) throw new Error("a piece of another kind");
      pieces.push(piece);
    }
    return pieces;
  }

  #simple(info: number): unknown {
    switch (info) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return half(this.#bytes.readUInt16BE(this.#take(2)));
      case 26:
        return this.#bytes.readFloatBE(this.#take(4));
      case 27:
        return this.#bytes.readDoubleBE(this.#take(8));
      case 31:
        return stop;
      default:
        throw new Error("a reserved simple value");
    }
  }
}

function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1024 + fraction) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

/** Undefined members are left out; integers that fit 53 bits are written as integers, other numbers as doubles. */
export function formatCbor(value: unknown): Uint8Array {
  const parts: Buffer[] = [];
  write(value, parts);
  return Buffer.concat(parts);
}

function write(value: unknown, parts: Buffer[]): void {
  if (value === null || value === undefined) parts.push(Buffer.from([0xf6]));
  else if (typeof value === "boolean") parts.push(Buffer.from([value ? 0xf5 : 0xf4]));
  else if (typeof value === "number") {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) parts.push(value < 0 ? head(1, -1 - value) : head(0, value));
    else {
      const bytes = Buffer.alloc(9, 0xfb);
      bytes.writeDoubleBE(value, 1);
      parts.push(bytes);
    }
  } else if (typeof value === "string") {
    const bytes = Buffer.from(value, "utf8");
    parts.push(head(3, bytes.length), bytes);
  } else if (value instanceof Uint8Array) parts.push(head(2, value.length), Buffer.from(value));
  else if (Array.isArray(value)) {
    parts.push(head(4, value.length));
    for (const each of value) write(each, parts);
  } else if (value instanceof Tagged) {
    parts.push(head(6, value.tag));
    write(value.value, parts);
  } else {
    const entries = Object.entries(value as object).filter(([, each]) => each !== undefined);
    parts.push(head(5, entries.length));
    for (const [key, each] of entries) {
      write(key, parts);
      write(each, parts);
    }
  }
}

function head(major: number, argument: number): Buffer {
  const type = major << 5;
  if (argument < 24) return Buffer.from([type | argument]);
  if (argument < 0x100) return Buffer.from([type | 24, argument]);
  if (argument < 0x10000) return Buffer.from([type | 25, argument >> 8, argument & 255]);
  if (argument < 0x1_0000_0000) {
    const bytes = Buffer.alloc(5, type | 26);
    bytes.writeUInt32BE(argument, 1);
    return bytes;
  }
  const bytes = Buffer.alloc(9, type | 27);
  bytes.writeBigUInt64BE(BigInt(argument), 1);
  return bytes;
}
