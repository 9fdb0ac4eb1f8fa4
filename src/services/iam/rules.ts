import type * as Sdk from "@aws-sdk/client-iam";
import type { Tag } from "#model/ecs-records.ts";
import { errors } from "./errors.ts";

/** What IAM demands of its input. Pure. Source: IAM API Reference; IAM User Guide, "IAM and AWS STS quotas". */

export const quotas = {
  users: 5000,
  groups: 300,
  roles: 1000,
  policies: 1500,
  instanceProfiles: 1000,
  oidcProviders: 100,
  accessKeysPerUser: 2,
  groupsPerUser: 10,
  attachedPerEntity: 10,
  versions: 5,
  tags: 50,
  policySize: 6144,
  trustSize: 2048,
  /** All inline policies of one entity together. */
  inlineSize: { user: 2048, group: 5120, role: 10_240 },
};

const short = (value: string) => (value.length > 256 ? `${value.slice(0, 256)}…` : value);

/** `length` and `pattern` as the API Reference gives them. */
export function checkText(
  member: string,
  value: string,
  { min = 1, max, pattern }: { readonly min?: number; readonly max: number; readonly pattern?: RegExp },
): void {
  const broken = [
    ...(value.length < min ? [`Member must have length greater than or equal to ${min}`] : []),
    ...(value.length > max ? [`Member must have length less than or equal to ${max}`] : []),
    ...(pattern && !pattern.test(value) ? [`Member must satisfy regular expression pattern: ${pattern.source.slice(1, -1)}`] : []),
  ];
  if (broken.length > 0)
    throw errors.constraints(broken.map((rule) => `Value '${short(value)}' at '${member}' failed to satisfy constraint: ${rule}`));
}

/** A name of a user (64 characters), a group, policy or instance profile (128), a role (64). */
export function checkName(member: string, name: string, max: 64 | 128): void {
  if (name.length < 1 || name.length > max) checkText(member, name, { max });
  if (!/^[\w+=,.@-]+$/.test(name))
    throw errors.invalid(member, "It must contain only alphanumeric characters and/or the following: +=,.@_-");
}

/** Undefined is `/`. */
export function pathOf(path: string | undefined, member = "path"): string {
  if (path === undefined || path === "/") return "/";
  if (path.length > 512) checkText(member, path, { max: 512 });
  if (!/^\/([!-.0-~]+\/)+$/.test(path))
    throw errors.invalid(member, "It must begin and end with / and contain only alphanumeric characters and/or / characters.");
  return path;
}

export function checkPathPrefix(prefix: string | undefined): string {
  if (prefix === undefined) return "/";
  if (!/^\/[!-~]*$/.test(prefix) || prefix.length > 512) throw errors.invalid("pathPrefix", "It must begin with /.");
  return prefix;
}

export function checkDescription(text: string | undefined): void {
  if (text !== undefined) checkText("description", text, { min: 0, max: 1000, pattern: /^[\t\n\r -~\u00a1-\u00ff]*$/ });
}

export function maxSessionDurationOf(seconds: number | undefined): number {
  if (seconds === undefined) return 3600;
  if (!Number.isInteger(seconds) || seconds < 3600 || seconds > 43_200)
    throw errors.constraints([
      `Value '${seconds}' at 'maxSessionDuration' failed to satisfy constraint: Member must have value ${seconds < 3600 ? "greater than or equal to 3600" : "less than or equal to 43200"}`,
    ]);
  return seconds;
}

/** `tags` with those that are given, which win. Keys are told apart without their case. */
export function mergedTags(tags: readonly Tag[], given: readonly Sdk.Tag[] | undefined): Tag[] {
  const asked = given ?? [];
  if (asked.length > quotas.tags)
    throw errors.constraints([
      `Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to ${quotas.tags}`,
    ]);
  const all = new Map(tags.map((tag) => [tag.key.toLowerCase(), tag]));
  const seen = new Set<string>();
  asked.forEach(({ Key: key = "", Value: value = "" }, index) => {
    checkText(`tags.${index + 1}.member.key`, key, { max: 128, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u });
    checkText(`tags.${index + 1}.member.value`, value, { min: 0, max: 256, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u });
    if (/^aws:/i.test(key)) throw errors.invalidInput("Tag keys that begin with aws: are reserved for AWS and cannot be added or changed.");
    const same = key.toLowerCase();
    if (seen.has(same)) throw errors.invalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    seen.add(same);
    all.set(same, { key, value });
  });
  if (all.size > quotas.tags) throw errors.limit("The number of tags has reached the maximum limit.");
  return [...all.values()];
}

export function withoutTags(tags: readonly Tag[], keys: readonly string[] | undefined): Tag[] {
  const gone = new Set((keys ?? []).map((key) => key.toLowerCase()));
  return tags.filter(({ key }) => !gone.has(key.toLowerCase()));
}
