import type { Tag as SdkTag } from "@aws-sdk/client-secrets-manager";
import type { Tag } from "#model/ecs-records.ts";
import { errors } from "./errors.ts";

/** What Secrets Manager demands of its input. Pure. Source: AWS Secrets Manager API Reference and User Guide, "Quotas". */

export const mostVersions = 100;
const mostBytes = 65_536;
const mostTags = 50;
const mostLabels = 20;

export function checkName(name = ""): string {
  if (name.length < 1 || name.length > 512) throw errors.validation("Member name must have length between 1 and 512");
  if (!/^[a-zA-Z0-9/_+=.@!-]+$/.test(name))
    throw errors.validation("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!");
  return name;
}

export function checkDescription(text: string | undefined): void {
  if (text !== undefined && text.length > 2048) throw errors.validation("Member description must have length less than or equal to 2048");
}

/** The version's id: what the client gave, so that a repetition makes nothing more, or a new one. */
export function checkToken(token: string | undefined, fresh: () => string): string {
  if (token === undefined) return fresh();
  if (token.length < 32 || token.length > 64) throw errors.parameter("ClientRequestToken must be 32-64 characters long.");
  return token;
}

export interface Value {
  readonly bytes: Buffer;
  readonly binary: boolean;
}

/** Undefined when there is none. Throws when there are two, or it is too long. */
export function valueOf({
  SecretString,
  SecretBinary,
}: {
  readonly SecretString?: string;
  readonly SecretBinary?: Uint8Array;
}): Value | undefined {
  if (SecretString !== undefined && SecretBinary !== undefined)
    throw errors.parameter("You can't specify both a binary secret value and a string secret value in the same secret.");
  if (SecretString === undefined && SecretBinary === undefined) return undefined;
  const value =
    SecretString === undefined ? { bytes: Buffer.from(SecretBinary!), binary: true } : { bytes: Buffer.from(SecretString), binary: false };
  if (value.bytes.length > mostBytes)
    throw errors.validation(`Member ${value.binary ? "secretBinary" : "secretString"} must have length less than or equal to ${mostBytes}`);
  if (value.bytes.length === 0 && value.binary) throw errors.parameter("SecretBinary must not be empty.");
  return value;
}

export function checkLabels(labels: readonly string[]): readonly string[] {
  if (labels.length < 1 || labels.length > mostLabels)
    throw errors.parameter(`A version can have between 1 and ${mostLabels} staging labels.`);
  for (const label of labels)
    if (label.length < 1 || label.length > 256) throw errors.parameter("A staging label must have between 1 and 256 characters.");
  return [...new Set(labels)];
}

export function checkTags(tags: readonly SdkTag[] = [], before: readonly Tag[] = []): readonly Tag[] {
  const all = new Map(before.map(({ key, value }) => [key, value]));
  for (const { Key = "", Value = "" } of tags) {
    if (Key.length < 1 || Key.length > 128) throw errors.parameter("Tag keys must be between 1 and 128 characters long.");
    if (Value.length > 256) throw errors.parameter("Tag values must be at most 256 characters long.");
    if (/^aws:/i.test(Key)) throw errors.parameter(`Tag keys can't start with 'aws:': ${Key}`);
    all.set(Key, Value);
  }
  if (all.size > mostTags) throw errors.parameter(`A secret can have at most ${mostTags} tags.`);
  return [...all].map(([key, value]) => ({ key, value }));
}

/** Throws InvalidParameterException for a MaxResults that is not between 1 and `most`. */
export function limitOf(given: number | undefined, most: number): number {
  if (given !== undefined && (!Number.isInteger(given) || given < 1 || given > most))
    throw errors.parameter(`MaxResults must be between 1 and ${most}.`);
  return given ?? most;
}
