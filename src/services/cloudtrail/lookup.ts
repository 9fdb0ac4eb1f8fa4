import type { Event, LookupAttribute, LookupEventsRequest, LookupEventsResponse } from "@aws-sdk/client-cloudtrail";
import { ApiError, type RequestContext } from "#api/contract.ts";
import type { Sealer } from "#platform/sealer.ts";
import { type TrailRecord, userNameOf } from "./record.ts";
import type { TrailFiles } from "./trail-files.ts";

const mostEvents = 50;
/** What one page reads at most; then it ends with a token, however little it found. */
const mostBytes = 64 * 1024 * 1024;
const dayMs = 86_400_000;
const tokenScope = "cloudtrail-lookup";

const keys = ["EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId"];

interface Position {
  readonly query: string;
  readonly day: string;
  readonly before: number;
}

/** Events of the account and region that are asked, newest first. Source: AWS CloudTrail API Reference, LookupEvents. */
export async function lookupEvents(
  { files, sealer, days: kept }: { readonly files: TrailFiles; readonly sealer: Sealer; readonly days: number },
  input: LookupEventsRequest,
  { account, region, now }: Pick<RequestContext, "account" | "region" | "now">,
): Promise<LookupEventsResponse> {
  const limit = input.MaxResults ?? mostEvents;
  if (!Number.isInteger(limit) || limit < 1 || limit > mostEvents)
    throw new ApiError("InvalidMaxResultsException", `The MaxResults parameter must be between 1 and ${mostEvents}.`);
  const attribute = attributeOf(input.LookupAttributes);
  const start = Math.max(input.StartTime?.getTime() ?? 0, now - kept * dayMs);
  const end = input.EndTime?.getTime() ?? Number.MAX_SAFE_INTEGER;
  if (input.StartTime && input.EndTime && input.StartTime > input.EndTime)
    throw new ApiError("InvalidTimeRangeException", "The start time must be before the end time.");
  if (input.EventCategory !== undefined && input.EventCategory !== "insight")
    throw new ApiError("InvalidEventCategoryException", `The event category ${String(input.EventCategory)} is not valid.`);
  // Nobody computes insights here.
  if (input.EventCategory === "insight") return { Events: [] };
  const query = JSON.stringify([account, region, attribute, input.StartTime, input.EndTime]);
  const from = input.NextToken === undefined ? undefined : positionOf(sealer, input.NextToken, query);

  const Events: Event[] = [];
  let bytes = 0;
  let dayBefore = "";
  const place = { account, region };
  const first = new Date(start).toISOString().slice(0, 10);
  const last = end >= now + dayMs ? "9999-12-31" : new Date(end).toISOString().slice(0, 10);
  for (const day of await files.days(place)) {
    if (day < first) break;
    if (day > last || (from && day > from.day)) continue;
    dayBefore = day;
    for await (const { text, offset } of files.linesBackward(place, day, from?.day === day ? from.before : undefined)) {
      bytes += text.length;
      const record = matching(text, attribute);
      if (record) {
        const at = Date.parse(record.eventTime);
        if (at >= Math.floor(start / 1000) * 1000 && at <= end) Events.push(eventOf(record, text));
      }
      if (Events.length >= limit || bytes >= mostBytes)
        return { Events, NextToken: sealer.seal(tokenScope, { query, day: dayBefore, before: offset } satisfies Position) };
    }
  }
  return { Events };
}

function attributeOf(attributes: readonly LookupAttribute[] | undefined): { readonly key: string; readonly value: string } | undefined {
  if (!attributes || attributes.length === 0) return undefined;
  const [{ AttributeKey: key = "", AttributeValue: value = "" }] = attributes as [LookupAttribute];
  if (attributes.length > 1)
    throw new ApiError("InvalidLookupAttributesException", "You can only specify one lookup attribute per request.");
  if (!keys.includes(key)) throw new ApiError("InvalidLookupAttributesException", `The lookup attribute ${key} is not valid.`);
  if (value === "" || value.length > 2000)
    throw new ApiError("InvalidLookupAttributesException", `The value of the lookup attribute ${key} must have 1 to 2000 characters.`);
  return { key, value };
}

function positionOf(sealer: Sealer, token: string, query: string): Position {
  const position = sealer.open(tokenScope, token) as Position | undefined;
  if (position?.query !== query)
    throw new ApiError("InvalidNextTokenException", "The token is not valid, or it belongs to a call with other parameters.");
  return position;
}

/** The line's record if it has the attribute. Most lines do not have the value anywhere: they are not parsed. */
function matching(text: string, attribute: { readonly key: string; readonly value: string } | undefined): TrailRecord | undefined {
  // A name may stand at the end of an ARN, and a user's in one: all of them in full somewhere.
  const needle =
    attribute &&
    (attribute.key === "ReadOnly" ? `"readOnly":${attribute.value.toLowerCase()}` : JSON.stringify(attribute.value).slice(1, -1));
  if (needle !== undefined && !text.includes(needle)) return undefined;
  let record: TrailRecord;
  try {
    record = JSON.parse(text) as TrailRecord;
  } catch {
    // Torn by a crash.
    return undefined;
  }
  return !attribute || has(record, attribute.key, attribute.value) ? record : undefined;
}

function has(record: TrailRecord, key: string, value: string): boolean {
  switch (key) {
    case "EventId":
      return record.eventID === value;
    case "EventName":
      return record.eventName === value;
    case "ReadOnly":
      return String(record.readOnly) === value.toLowerCase();
    case "Username":
      return userNameOf(record) === value;
    case "EventSource":
      return record.eventSource === value;
    case "AccessKeyId":
      return record.userIdentity.accessKeyId === value;
    case "ResourceType":
      return (record.resources ?? []).some(({ type }) => type === value);
    default:
      return (record.resources ?? []).some(({ ARN }) => ARN === value || nameOf(ARN) === value);
  }
}

/** What follows the kind of the resource in its ARN. */
function nameOf(arn: string): string {
  const rest = arn.split(":").slice(5).join(":");
  const cut = rest.search(/[:/]/);
  return cut < 0 ? rest : rest.slice(cut + 1);
}

function eventOf(record: TrailRecord, text: string): Event {
  const name = userNameOf(record);
  const { accessKeyId } = record.userIdentity;
  return {
    EventId: record.eventID,
    EventName: record.eventName,
    ReadOnly: String(record.readOnly),
    ...(accessKeyId === undefined ? {} : { AccessKeyId: accessKeyId }),
    EventTime: new Date(record.eventTime),
    EventSource: record.eventSource,
    ...(name === undefined ? {} : { Username: name }),
    Resources: (record.resources ?? []).map(({ type, ARN }) => ({
      ...(type === undefined ? {} : { ResourceType: type }),
      ResourceName: nameOf(ARN),
    })),
    CloudTrailEvent: text,
  };
}
