import { randomBytes } from "node:crypto";

/** Randomness as a parameter: real in production, seeded in the simulation. */
export interface Random {
  /** `count` random bytes as lower-case hex, `2 × count` characters. */
  hex(count: number): string;
  /** A version 4 UUID. */
  uuid(): string;
  /** A number in [0, 1). */
  next(): number;
}

export const systemRandom: Random = {
  hex: (count) => randomBytes(count).toString("hex"),
  uuid: () => crypto.randomUUID(),
  next: () => Math.random(),
};

/** A reproducible sequence (mulberry32). The same seed gives the same values on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const hex = (count: number) => {
    let out = "";
    for (let i = 0; i < count; i++)
      out += Math.floor(next() * 256)
        .toString(16)
        .padStart(2, "0");
    return out;
  };
  const uuid = () => {
    const h = hex(16);
    return `${h.slice(0, 8)}-${h.slice(8, 12)}-4${h.slice(13, 16)}-a${h.slice(17, 20)}-${h.slice(20, 32)}`;
  };
  return { next, hex, uuid };
}
