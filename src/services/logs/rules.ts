import type { InputLogEvent, RejectedLogEventsInfo } from "@aws-sdk/client-cloudwatch-logs";
import { parseArn } from "#model/arn.ts";
import { constraint, errors } from "./errors.ts";
import { groupArn } from "./records.ts";
import type { Scope } from "./records.ts";
import type { NewEvent } from "./storage/frames.ts";

/** What CloudWatch Logs demands of its input, from its API reference and quotas. Pure. */

export function checkText(
  member: string,
  value: string,
  { min = 1, max = 512, pattern }: { min?: number; max?: number; pattern?: RegExp } = {},
): void {
  if (value.length < min) throw constraint(member, value, `have length greater than or equal to ${min}`);
  if (value.length > max) throw constraint(member, value, `have length less than or equal to ${max}`);
  if (pattern && !pattern.test(value))
    throw constraint(member, value, `satisfy regular expression pattern: ${pattern.source.replace(/^\^(.*)\$$/, "$1")}`);
  if (!value.isWellFormed()) throw constraint(member, value, "be well-formed text");
}

// The pattern is AWS's own, escapes and all, for it stands in the error's message.
// oxlint-disable-next-line no-useless-escape
const GROUP_NAME = /^[\.\-_/#A-Za-z0-9]+$/;
const STREAM_NAME = /^[^:*]*$/;

export const checkGroupName = (value: string, member = "logGroupName") => checkText(member, value, { pattern: GROUP_NAME });
export const checkStreamName = (value: string, member = "logStreamName") => checkText(member, value, { pattern: STREAM_NAME });

export function checkNumber(member: string, value: number | undefined, min: number, max: number): void {
  if (value === undefined) return;
  if (value < min) throw constraint(member, value, `have value greater than or equal to ${min}`);
  if (value > max) throw constraint(member, value, `have value less than or equal to ${max}`);
}

export function checkEnum(member: string, value: string | number | undefined, allowed: readonly (string | number)[]): void {
  if (value !== undefined && !allowed.includes(value)) throw constraint(member, value, `satisfy enum value set: [${allowed.join(", ")}]`);
}

export const LOG_GROUP_CLASSES = ["STANDARD", "INFREQUENT_ACCESS", "ESSENTIALS", "DELIVERY"];
export const RETENTION_DAYS = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

export function checkTags(tags: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(tags)) {
    checkText("tags", key, { max: 128, pattern: /^([\p{L}\p{Z}\p{N}_.:/=+\-@]+)$/u });
    checkText("tags", value, { min: 0, max: 256, pattern: /^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$/u });
    if (/^aws:/i.test(key)) throw errors.invalid("Tag keys that begin with aws: are reserved for AWS use");
  }
}

/** The name of the group that a request means, by `logGroupName` or by `logGroupIdentifier` (a name or an ARN). */
export function groupNameOf(scope: Scope, name: string | undefined, identifier: string | undefined): string {
  if ((name === undefined) === (identifier === undefined))
    throw errors.invalid("Exactly one of logGroupName or logGroupIdentifier must be specified.");
  if (name !== undefined) {
    checkGroupName(name);
    return name;
  }
  checkText("logGroupIdentifier", identifier!, { max: 2048, pattern: /^[\w#+=/:,.@*-]*$/ });
  if (!identifier!.startsWith("arn:")) return identifier!;
  return groupNameOfArn(scope, identifier!.replace(/:\*$/, ""));
}

/** The group's name in its ARN (the form without `:*`); an ARN of elsewhere is of no group of ours. */
export function groupNameOfArn(scope: Scope, arn: string): string {
  const parsed = parseArn(arn);
  const name = parsed?.service === "logs" ? /^log-group:([^:]+)$/.exec(parsed.resource)?.[1] : undefined;
  if (name === undefined) throw errors.invalid(`Invalid ARN: ${arn}`);
  if (arn !== groupArn(scope, name)) throw errors.groupMissing();
  return name;
}

const HOUR_MS = 60 * 60 * 1000;
const EVENT_OVERHEAD = 26;
export const MOST_BYTES = 1024 * 1024;
export const MOST_EVENTS = 10_000;

/** The events of a PutLogEvents that are taken, and what is said of the others. Refuses what AWS refuses as a whole. */
export function acceptEvents(
  input: readonly InputLogEvent[],
  now: number,
  expired: number,
): { events: NewEvent[]; rejected: RejectedLogEventsInfo | undefined } {
  if (input.length === 0) throw constraint("logEvents", "[]", "have length greater than or equal to 1");
  if (input.length > MOST_EVENTS)
    throw constraint("logEvents", `[${input.length} events]`, `have length less than or equal to ${MOST_EVENTS}`);
  let bytes = 0;
  let last = -Infinity;
  const events = input.map(({ timestamp, message }, index): NewEvent => {
    const at = `logEvents.${index + 1}.member`;
    if (timestamp === undefined || message === undefined)
      throw errors.invalid(
        `1 validation error detected: Value null at '${at}.${timestamp === undefined ? "timestamp" : "message"}' failed to satisfy constraint: Member must not be null`,
      );
    if (message === "") throw constraint(`${at}.message`, "", "have length greater than or equal to 1");
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      throw constraint(`${at}.timestamp`, timestamp, "have value greater than or equal to 0");
    const encoded = Buffer.from(message);
    const size = encoded.length + EVENT_OVERHEAD;
    if (size > MOST_BYTES) throw errors.invalid(`Log event too large: ${size} bytes exceeds limit of ${MOST_BYTES}`);
    bytes += size;
    if (timestamp < last) throw errors.invalid("Log events in a single PutLogEvents request must be in chronological order.");
    last = timestamp;
    return { timestamp, message: encoded };
  });
  if (bytes > MOST_BYTES) throw errors.invalid(`Upload too large: ${bytes} bytes exceeds limit of ${MOST_BYTES}`);
  if (last - events[0]!.timestamp > 24 * HOUR_MS)
    throw errors.invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");

  const countBefore = (time: number) => events.filter(({ timestamp }) => timestamp < time).length;
  const tooOld = countBefore(now - 14 * 24 * HOUR_MS);
  const gone = countBefore(expired);
  const tooNew = events.findIndex(({ timestamp }) => timestamp > now + 2 * HOUR_MS);
  const rejected: RejectedLogEventsInfo = {
    ...(tooNew >= 0 && { tooNewLogEventStartIndex: tooNew }),
    ...(tooOld > 0 && { tooOldLogEventEndIndex: tooOld }),
    ...(gone > 0 && { expiredLogEventEndIndex: gone }),
  };
  return {
    events: events.slice(Math.max(tooOld, gone), tooNew >= 0 ? tooNew : undefined),
    rejected: Object.keys(rejected).length > 0 ? rejected : undefined,
  };
}
