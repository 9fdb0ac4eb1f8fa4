import { parseAmount, type Amount } from "./amount.ts";
import listed from "./us-east-1.json" with { type: "json" };

export interface Rate {
  /** For one vCPU, and for one GiB of memory, an hour. */
  readonly vcpuHour: Amount;
  readonly gbHour: Amount;
}

export interface InstanceType {
  readonly hour: Amount;
  readonly vcpu: number;
  readonly gb: number;
  readonly architecture: Architecture;
  /** Its vCPUs are not whole ones for long: it is compared with nothing. */
  readonly burstable: boolean;
}

export type Architecture = "x86_64" | "arm64";

export interface Prices {
  readonly name: string;
  /** The day of which these prices are. */
  readonly date: string;
  readonly currency: string;
  readonly fargate: Readonly<Record<Architecture, Rate>>;
  readonly fargateSpot: Readonly<Record<Architecture, Rate>>;
  /** For each GiB above 20, an hour. */
  readonly storageGbHour: Amount;
  /** Machines whose type is none of `types`. */
  readonly machine: Readonly<Record<Architecture, Rate>>;
  readonly types: ReadonlyMap<string, InstanceType>;
  /** For a GiB a month of 730 hours, by volume type. */
  readonly volumeGbMonth: ReadonlyMap<string, Amount>;
}

/** The message names the member and says what it should be. */
export class PricesError extends Error {}

export const builtInList = "us-east-1";

/**
 * Reads a price list (docs/cost.md has its form). With `"extends": "us-east-1"` it changes that list: what it does not name stays. Prices are decimals, as text
 * or as numbers. Throws PricesError.
 */
export function parsePrices(json: unknown): Prices {
  const top = members(json, "", ["name", "date", "currency", "notes", "extends", "fargate", "fargateSpot", "ec2"]);
  let base: Prices | undefined;
  if (top.extends !== undefined) {
    if (top.extends !== builtInList) throw new PricesError(`extends: the only list to extend is "${builtInList}"`);
    base = awsPrices;
  }
  const currency = text(top.currency ?? base?.currency, "currency", /^[A-Z]{3}$/, "a currency of three capital letters");
  if (base && currency !== base.currency)
    throw new PricesError(
      `currency: ${currency} can't be mixed with the ${base.currency} of the extended list: leave extends out and give every price`,
    );
  const ec2 = members(top.ec2, "ec2", ["machine", "types", "volumeGbMonth"], base !== undefined);
  const { storageGbHour, ...fargate } = members(top.fargate, "fargate", ["x86_64", "arm64", "storageGbHour"], base !== undefined);
  const spot = members(top.fargateSpot, "fargateSpot", ["x86_64", "arm64"], base !== undefined);
  const machine = members(ec2.machine, "ec2.machine", ["x86_64", "arm64"], base !== undefined);
  return {
    name: text(top.name, "name", /^[^\p{Cc}]{1,200}$/u, "a text that names the list"),
    date: text(top.date, "date", /^\d{4}-\d{2}-\d{2}$/, "the day of the prices, as 2026-11-01"),
    currency,
    fargate: rates(fargate, "fargate", base?.fargate),
    fargateSpot: rates(spot, "fargateSpot", base?.fargateSpot),
    storageGbHour: storageGbHour === undefined && base ? base.storageGbHour : price(storageGbHour, "fargate.storageGbHour"),
    machine: rates(machine, "ec2.machine", base?.machine),
    types: new Map([...(base?.types ?? []), ...entries(ec2.types, "ec2.types", instanceType)]),
    volumeGbMonth: new Map([...(base?.volumeGbMonth ?? []), ...entries(ec2.volumeGbMonth, "ec2.volumeGbMonth", price)]),
  };
}

type Members = Readonly<Record<string, unknown>>;

function members(value: unknown, path: string, known: readonly string[], optional = false): Members {
  if (value === undefined && optional) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new PricesError(
      path === "" ? "a price list is a JSON object" : `${path}: ${value === undefined ? "is missing" : "is not an object"}`,
    );
  const strange = Object.keys(value).find((name) => !known.includes(name));
  if (strange !== undefined)
    throw new PricesError(`${path === "" ? "" : `${path}.`}${strange}: is not known; known are ${known.join(", ")}`);
  return value as Members;
}

function entries<T>(value: unknown, path: string, read: (value: unknown, path: string) => T): [string, T][] {
  if (value === undefined) return [];
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new PricesError(`${path}: is not an object`);
  return Object.entries(value).map(([name, each]) => [name, read(each, `${path}.${name}`)]);
}

function rates(given: Members, path: string, base: Prices["fargate"] | undefined): Prices["fargate"] {
  const rate = (architecture: Architecture): Rate => {
    const value = given[architecture];
    if (value === undefined && base) return base[architecture];
    const { vcpuHour, gbHour } = members(value, `${path}.${architecture}`, ["vcpuHour", "gbHour"]);
    return { vcpuHour: price(vcpuHour, `${path}.${architecture}.vcpuHour`), gbHour: price(gbHour, `${path}.${architecture}.gbHour`) };
  };
  return { x86_64: rate("x86_64"), arm64: rate("arm64") };
}

function instanceType(value: unknown, path: string): InstanceType {
  const {
    hour,
    vcpu,
    gb,
    architecture = "x86_64",
    burstable = false,
  } = members(value, path, ["hour", "vcpu", "gb", "architecture", "burstable"]);
  if (architecture !== "x86_64" && architecture !== "arm64") throw new PricesError(`${path}.architecture: is neither "x86_64" nor "arm64"`);
  if (typeof burstable !== "boolean") throw new PricesError(`${path}.burstable: is neither true nor false`);
  return { hour: price(hour, `${path}.hour`), vcpu: size(vcpu, `${path}.vcpu`), gb: size(gb, `${path}.gb`), architecture, burstable };
}

function price(value: unknown, path: string): Amount {
  const amount = typeof value === "string" || typeof value === "number" ? parseAmount(String(value)) : undefined;
  if (!amount) throw new PricesError(`${path}: ${shown(value)}, where a price such as "0.04048" belongs`);
  return amount;
}

/** A multiple of 1/1024: CPU units and MiB are whole. */
function size(value: unknown, path: string): number {
  if (typeof value !== "number" || !(value > 0) || value > 100_000 || !Number.isInteger(value * 1024))
    throw new PricesError(`${path}: ${shown(value)}, where a size such as 2 or 0.5 belongs`);
  return value;
}

function text(value: unknown, path: string, form: RegExp, what: string): string {
  if (typeof value !== "string" || !form.test(value)) throw new PricesError(`${path}: ${shown(value)}, where ${what} belongs`);
  return value;
}

const shown = (value: unknown) => (value === undefined ? "nothing" : JSON.stringify(value).slice(0, 60));

/** AWS's public list of us-east-1, dated in the file. */
export const awsPrices: Prices = parsePrices(listed);
