import { elbErrors } from "./errors.ts";

/** Names of load balancers and target groups. Source: Elastic Load Balancing API Reference, "CreateLoadBalancer", "CreateTargetGroup". */
export function checkName(name: string, noun: "Load balancer" | "Target group"): void {
  if (name.length === 0) throw elbErrors.invalid(`${noun} name cannot be empty`);
  if (name.length > 32) throw elbErrors.invalid(`${noun} name '${name}' cannot be longer than '32' characters`);
  if (!/^[A-Za-z0-9-]+$/.test(name))
    throw elbErrors.invalid(`${noun} name '${name}' can only contain characters that are alphanumeric characters and hyphens(-)`);
  if (name.startsWith("-") || name.endsWith("-")) throw elbErrors.invalid(`${noun} name '${name}' cannot begin or end with '-'`);
  if (noun === "Load balancer" && /^internal-/i.test(name)) throw elbErrors.invalid(`${noun} name '${name}' cannot begin with 'internal-'`);
}

/** Throws when the value is none of those. */
export function oneOf<T extends string>(value: string, allowed: readonly T[], member: string): T {
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw elbErrors.invalid(
    `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must satisfy enum value set: [${allowed.join(", ")}]`,
  );
}

/** Throws when the number is absent or out of its range. */
export function within(value: number, least: number, most: number, what: string): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw elbErrors.invalid(`${what} '${value}' must be between '${least}' and '${most}' inclusive`);
}
