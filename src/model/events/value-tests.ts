import { isIP } from "node:net";

/** Whether a value of an event (text, number, boolean or null) passes. */
export type Test = (value: unknown) => boolean;

export interface NumberRange {
  readonly low: number;
  readonly high: number;
  readonly lowOpen: boolean;
  readonly highOpen: boolean;
}

export const anythingBut =
  (excluded: Test): Test =>
  (value) =>
    !excluded(value);

const onText =
  (test: (text: string) => boolean): Test =>
  (value) =>
    typeof value === "string" && test(value);

const fold = (text: string) => text.toLowerCase();

export const tests = {
  present: (() => true) satisfies Test,
  prefix: (text: string, ignoreCase = false): Test =>
    ignoreCase ? onText((value) => fold(value.slice(0, text.length)) === fold(text)) : onText((value) => value.startsWith(text)),
  suffix: (text: string, ignoreCase = false): Test =>
    ignoreCase
      ? onText((value) => value.length >= text.length && fold(value.slice(value.length - text.length)) === fold(text))
      : onText((value) => value.endsWith(text)),
  equalsIgnoreCase: (text: string): Test => {
    const wanted = fold(text);
    return onText((value) => fold(value) === wanted);
  },
  range:
    ({ low, high, lowOpen, highOpen }: NumberRange): Test =>
    (value) =>
      typeof value === "number" &&
      Math.abs(value) <= 5_000_000_000 &&
      (lowOpen ? value > low : value >= low) &&
      (highOpen ? value < high : value <= high),
  /** The parts in this order, anything between them. Each is taken where it is found first: linear, and right, for what follows only gains by it. */
  wildcard: (parts: readonly string[]): Test => {
    const first = parts[0]!;
    const last = parts.at(-1)!;
    if (parts.length === 1) return (value) => value === first;
    return onText((value) => {
      if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last)) return false;
      const end = value.length - last.length;
      let at = first.length;
      for (let index = 1; index < parts.length - 1; index++) {
        const part = parts[index]!;
        const found = value.indexOf(part, at);
        if (found < 0 || found + part.length > end) return false;
        at = found + part.length;
      }
      return true;
    });
  },
  /** Undefined: no CIDR block. */
  cidr: (text: string): Test | undefined => {
    const [address = "", bits = "", ...more] = text.split("/");
    const family = isIP(address);
    const length = family === 4 ? 32 : 128;
    const prefix = Number(bits);
    if (more.length > 0 || family === 0 || !/^\d{1,3}$/.test(bits) || prefix > length) return undefined;
    const shift = BigInt(length - prefix);
    const network = addressNumber(address, family) >> shift;
    return onText((value) => isIP(value) === family && addressNumber(value, family) >> shift === network);
  },
};

function addressNumber(text: string, family: number): bigint {
  if (family === 4) return text.split(".").reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  const plain = text.split("%")[0]!;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  const whole = dotted ? `${dotted[1]}${hexPairs(addressNumber(dotted[2]!, 4))}` : plain;
  const [head = "", tail] = whole.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = tail === undefined ? before : [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after];
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

const hexPairs = (address: bigint) => `${(address >> 16n).toString(16)}:${(address & 0xffffn).toString(16)}`;
