import { isIPv6 } from "node:net";

/** Failures that cost nothing within the window; from there each makes the wait twice as long. */
export interface AttemptLimits {
  /** Of one address with one key. */
  readonly pair: number;
  /** Of one address with whatever keys. */
  readonly source: number;
  /** Of one key from whatever addresses: then each address that has failed with it waits. */
  readonly key: number;
  readonly windowMs: number;
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** Addresses, keys and pairs that are remembered, each; the oldest are forgotten first. */
  readonly most: number;
}

export const attemptLimits: AttemptLimits = {
  pair: 20,
  source: 100,
  key: 50,
  windowMs: 600_000,
  firstWaitMs: 1_000,
  longestWaitMs: 900_000,
  most: 10_000,
};

/**
 * Slows down whoever guesses keys. Nobody is kept out by what others do elsewhere: a key under attack is slow only for addresses that have failed with it, and
 * who has come in from an address with a key goes on doing so, whatever else comes from there.
 */
export interface Attempts {
  /** Milliseconds that this address has to wait with this key; 0: it may try. */
  wait(source: string, key: string, now: number): number;
  failed(source: string, key: string, now: number): void;
  succeeded(source: string, key: string): void;
}

interface Failures {
  readonly count: number;
  readonly last: number;
}

/** Holds its own state; time comes from the caller. */
export function createAttempts(limits: AttemptLimits = attemptLimits): Attempts {
  const pairs = new Map<string, Failures>();
  const sources = new Map<string, Failures>();
  const keys = new Map<string, Failures>();
  const trusted = new Set<string>();

  const of = (map: ReadonlyMap<string, Failures>, name: string, now: number): Failures | undefined => {
    const known = map.get(name);
    return known && now - known.last < limits.windowMs + limits.longestWaitMs ? known : undefined;
  };
  const waitOf = (count: number, free: number) =>
    count < free ? 0 : Math.min(limits.longestWaitMs, limits.firstWaitMs * 2 ** Math.min(40, count - free));
  const left = (known: Failures | undefined, free: number, now: number) =>
    known ? Math.max(0, known.last + waitOf(known.count, free) - now) : 0;
  const add = (map: Map<string, Failures>, name: string, now: number) => {
    const count = (of(map, name, now)?.count ?? 0) + 1;
    // What failed last stands last.
    map.delete(name);
    map.set(name, { count, last: now });
    if (map.size > limits.most) map.delete(map.keys().next().value!);
  };

  return {
    wait(address, key, now) {
      const source = sourceOf(address);
      const pair = `${source} ${key}`;
      if (trusted.has(pair)) return 0;
      const mine = of(pairs, pair, now);
      return Math.max(
        left(mine, limits.pair, now),
        left(of(sources, source, now), limits.source, now),
        // Since my own last failure: others' do not make me wait longer and longer.
        mine ? left({ count: of(keys, key, now)?.count ?? 0, last: mine.last }, limits.key, now) : 0,
      );
    },
    failed(address, key, now) {
      const source = sourceOf(address);
      add(pairs, `${source} ${key}`, now);
      add(sources, source, now);
      add(keys, key, now);
    },
    succeeded(address, key) {
      const pair = `${sourceOf(address)} ${key}`;
      pairs.delete(pair);
      if (trusted.has(pair)) return;
      trusted.add(pair);
      if (trusted.size > limits.most) trusted.delete(trusted.keys().next().value!);
    },
  };
}

/** One IPv6 client has 2^64 addresses. */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const front = head.split(":").filter(Boolean);
  const back = tail === undefined ? [] : tail.split(":").filter(Boolean);
  const all = tail === undefined ? front : [...front, ...Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0"), ...back];
  return `${all.slice(0, 4).join(":")}::/64`;
}
