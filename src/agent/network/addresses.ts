/** IPv4 arithmetic and the pool of a bridge's addresses. */
export interface Subnet {
  /** Network address as a number. */
  readonly base: number;
  readonly prefix: number;
}

export function parseAddress(text: string): number {
  const parts = text.split(".").map(Number);
  if (parts.length !== 4 || !parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255))
    throw new Error(`not an IPv4 address: ${text}`);
  return parts.reduce((value, part) => value * 256 + part, 0);
}

export function formatAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}

export function parseSubnet(text: string): Subnet {
  const [address = "", prefix = "32"] = text.split("/");
  const size = 2 ** (32 - Number(prefix));
  return { base: Math.floor(parseAddress(address) / size) * size, prefix: Number(prefix) };
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatAddress(base)}/${prefix}`;
}

export function overlaps(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + 2 ** (32 - b.prefix) && b.base < a.base + 2 ** (32 - a.prefix);
}

/** Where a machine's /20 is looked for: 172.30.0.0/16, then its neighbours, then a corner of 10.0.0.0/8; 1,000 containers fit a bridge. */
const machineRanges = ["172.30.0.0/16", "172.29.0.0/16", "172.28.0.0/16", "10.213.0.0/16", "10.214.0.0/16"];
/**
 * A local EC2 instance's: Docker's, as on Amazon's own images. Never one of a machine's: the machine and its VPCs come to the instance from the addresses of their
 * bridge, which the instance cannot see among its routes and would take for its own.
 */
const instanceRanges = ["172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"];

function candidates(isInstance: boolean): Subnet[] {
  return (isInstance ? instanceRanges : machineRanges).flatMap((range) => {
    const { base } = parseSubnet(range);
    return Array.from({ length: 16 }, (_, piece) => ({ base: base + piece * 4096, prefix: 20 }));
  });
}

/** The first free one, beginning at a place that `seed` chooses among the first sixteen, so that neighbours seldom meet. */
export function chooseSubnet(seed: number, taken: readonly Subnet[], isInstance = false): Subnet {
  const all = candidates(isInstance);
  const first = seed % 16;
  const order = [...all.slice(first, 16), ...all.slice(0, first), ...all.slice(16)];
  const free = order.find((candidate) => !taken.some((other) => overlaps(candidate, other)));
  if (!free) throw new Error("no private subnet is free on this machine");
  return free;
}

/** Addresses of one subnet. The first is the bridge's. One given back is used again as late as possible. */
export class AddressPool {
  readonly subnet: Subnet;
  readonly #used = new Set<number>();
  #last: number;

  constructor(subnet: Subnet) {
    this.subnet = subnet;
    this.#last = subnet.base + 1;
  }

  get gateway(): string {
    return formatAddress(this.subnet.base + 1);
  }

  take(): string {
    const first = this.subnet.base + 2;
    const count = 2 ** (32 - this.subnet.prefix) - 3;
    for (let step = 1; step <= count; step++) {
      const candidate = first + ((this.#last - first + step + count) % count);
      if (this.#used.has(candidate)) continue;
      this.#used.add(candidate);
      this.#last = candidate;
      return formatAddress(candidate);
    }
    throw new Error(`all addresses of ${formatSubnet(this.subnet)} are in use`);
  }

  /** An address that is in use already, from the journal. */
  reserve(address: string): void {
    const value = parseAddress(address);
    this.#used.add(value);
    this.#last = Math.max(this.#last, value);
  }

  give(address: string): void {
    this.#used.delete(parseAddress(address));
  }
}
