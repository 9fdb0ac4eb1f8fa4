/** Addresses and blocks of both families, as numbers. Source: RFC 4632, RFC 4291, RFC 5952. */

export interface Block {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly bits: number;
}

const width = (family: 4 | 6) => (family === 4 ? 32 : 128);

/** An address as a number, or undefined when the text is none. */
export function parseAddress(text: string): { readonly family: 4 | 6; readonly value: bigint } | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const value = parseIpv4(text);
    return value === undefined ? undefined : { family: 4, value: BigInt(value) };
  }
  return parseIpv6(text);
}

function parseIpv4(text: string): number | undefined {
  let value = 0;
  for (const part of text.split(".")) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
}

function parseIpv6(text: string): { readonly family: 6; readonly value: bigint } | undefined {
  if (!/^[0-9a-fA-F:]{2,39}$/.test(text)) return undefined;
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const given = groups.flat();
  if (given.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  if (halves.length === 1 ? given.length !== 8 : given.length > 7) return undefined;
  const all = [...groups[0]!, ...Array.from({ length: 8 - given.length }, () => "0"), ...(groups[1] ?? [])];
  return { family: 6, value: all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n) };
}

export function formatAddress(family: 4 | 6, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - at * 16)) & 65535n).toString(16));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(":");
  return `${groups.slice(0, best.at).join(":")}::${groups.slice(best.at + best.length).join(":")}`;
}

/** `10.0.0.0/16`. Undefined when the text is no block; bits behind the prefix are allowed and kept out of `base`: see `isExact`. */
export function parseBlock(text: string): Block | undefined {
  const match = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text);
  const address = match && parseAddress(match[1]!);
  if (!match || !address) return undefined;
  const bits = Number(match[2]);
  if (bits > width(address.family) || (match[2]!.length > 1 && match[2]!.startsWith("0"))) return undefined;
  const host = BigInt(width(address.family) - bits);
  return { family: address.family, base: (address.value >> host) << host, bits };
}

export const formatBlock = ({ family, base, bits }: Block): string => `${formatAddress(family, base)}/${bits}`;

/** How many addresses the block has. */
export const sizeOf = ({ family, bits }: Block): bigint => 1n << BigInt(width(family) - bits);

export function contains(outer: Block, inner: Block): boolean {
  return outer.family === inner.family && outer.bits <= inner.bits && inner.base >= outer.base && inner.base < outer.base + sizeOf(outer);
}

export const overlap = (one: Block, other: Block): boolean => contains(one, other) || contains(other, one);

export function holdsAddress(block: Block, text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && contains(block, { family: address.family, base: address.value, bits: width(address.family) });
}

/** The block's address number `offset`, from 0. */
export const addressAt = ({ family, base }: Block, offset: bigint | number): string => formatAddress(family, base + BigInt(offset));

/** A block that a record holds: it was checked when it was written. */
export function knownBlock(text: string): Block {
  const block = parseBlock(text);
  if (!block) throw new Error(`not a block: ${text}`);
  return block;
}
