import type { Dimension as SdkDimension } from "@aws-sdk/client-cloudwatch";
import { type Dimension, sortedDimensions, units } from "#model/metrics/identity.ts";
import { isPeriod } from "#model/metrics/resolution.ts";
import { basicStatistics, parseStatistic } from "#model/metrics/statistics.ts";
import { constraint, errors } from "./errors.ts";

const printable = /^[\x20-\x7e]+$/;

export function checkLength(member: string, value: string, max: number, min = 1): void {
  if (value.length < min) throw constraint(member, value, `have length greater than or equal to ${min}`);
  if (value.length > max) throw constraint(member, value, `have length less than or equal to ${max}`);
}

export function checkNamespace(namespace: string, member = "namespace"): void {
  checkLength(member, namespace, 255);
  if (!/^[^:]/.test(namespace)) throw constraint(member, namespace, "satisfy regular expression pattern: [^:].*");
  if (!printable.test(namespace)) throw errors.invalid(`The parameter ${member} must contain only ASCII characters.`);
}

export function checkMetricName(name: string, path: string): void {
  if (name === "") throw errors.missing(path);
  if (name.length > 255) throw errors.invalid(`The parameter ${path} is longer than 255 characters.`);
  if (!printable.test(name)) throw errors.invalid(`The parameter ${path} must contain only ASCII characters.`);
}

/** `path` as AWS writes it, e.g. `MetricData.member.1`. */
export function dimensionsOf(given: readonly SdkDimension[] | undefined, path: string): readonly Dimension[] {
  if (!given || given.length === 0) return [];
  if (given.length > 30) throw errors.invalid(`The collection ${path}Dimensions must not have a size greater than 30.`);
  const seen = new Set<string>();
  const dimensions = given.map(({ Name: name = "", Value: value = "" }, i) => {
    const at = `${path}Dimensions.member.${i + 1}`;
    if (name.trim() === "") throw errors.invalid(`The parameter ${at}.Name must not be empty or blank.`);
    if (value.trim() === "") throw errors.invalid(`The parameter ${at}.Value must not be empty or blank.`);
    if (name.length > 255 || name.startsWith(":") || !printable.test(name))
      throw errors.invalid(`The parameter ${at}.Name is not valid: up to 255 ASCII characters, not beginning with a colon.`);
    if (value.length > 1024 || !printable.test(value))
      throw errors.invalid(`The parameter ${at}.Value is not valid: up to 1024 ASCII characters.`);
    if (seen.has(name)) throw errors.invalid(`No Metric should have duplicate dimension names: ${name}`);
    seen.add(name);
    return { name, value };
  });
  return sortedDimensions(dimensions);
}

export function checkUnit(unit: string | undefined, path: string): void {
  if (unit !== undefined && !units.has(unit))
    throw errors.invalid(`The parameter ${path} must be a value in the set [ ${[...units].join(", ")} ].`);
}

export function checkPeriod(period: number, path: string): void {
  if (!isPeriod(period)) throw errors.invalid(`The parameter ${path} must be 1, 5, 10, 20, 30 or a multiple of 60.`);
}

export function checkStatistic(stat: string, path: string): void {
  if (!parseStatistic(stat)) throw errors.invalid(`The value ${stat} for parameter ${path} is not supported.`);
}

export function checkBasicStatistic(stat: string, path: string): void {
  if (!basicStatistics.includes(stat)) throw constraint(path, stat, `satisfy enum value set: [${basicStatistics.join(", ")}]`);
}

export function checkEnum(member: string, value: string | undefined, values: readonly string[]): void {
  if (value !== undefined && !values.includes(value)) throw constraint(member, value, `satisfy enum value set: [${values.join(", ")}]`);
}

export function checkRange(member: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || value < min) throw constraint(member, value, `have value greater than or equal to ${min}`);
  if (value > max) throw constraint(member, value, `have value less than or equal to ${max}`);
}

export function tagsOf(
  tags: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined,
): Readonly<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const { Key: key = "", Value: value = "" } of tags ?? []) {
    if (key.length < 1 || key.length > 128 || /^aws:/i.test(key)) throw errors.invalid(`The tag key '${key}' is not valid.`);
    if (value.length > 256) throw errors.invalid(`The value of tag '${key}' is longer than 256 characters.`);
    all[key] = value;
  }
  if (Object.keys(all).length > 50) throw errors.invalid("A resource can have at most 50 tags.");
  return all;
}

/** Seconds. */
export const secondsOf = (date: Date): number => date.getTime() / 1000;
