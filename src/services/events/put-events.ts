import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { RequestContext } from "#api/contract.ts";
import { type BusEvent, eventTime } from "#model/events/records.ts";
import { deliveriesOf } from "#reconcilers/events/deliveries.ts";
import { busOf, type Events, needBus, type Operation, reader } from "./context.ts";
import { errors } from "./errors.ts";

const mostEntries = 10;
const mostBytes = 1024 * 1024;

/** Each entry by itself: what is wrong with one keeps no other back. What rules' targets are to get is durable when this answers. */
export const putEvents: Operation<Sdk.PutEventsRequest, Sdk.PutEventsResponse> = async (
  events,
  { Entries: entries = [], EndpointId },
  context,
) => {
  if (EndpointId !== undefined) throw errors.notYet("Gantry has no global endpoints: leave EndpointId out.");
  if (entries.length === 0) throw errors.constraint("entries", "[]", "have length greater than or equal to 1");
  if (entries.length > mostEntries)
    throw errors.constraint("entries", `[${entries.length} entries]`, `have length less than or equal to ${mostEntries}`);
  if (entries.reduce((sum, entry) => sum + sizeOf(entry), 0) > mostBytes)
    throw errors.invalid("Total size of the entries in the request is over the limit.");
  await events.index.reached();
  const results: Sdk.PutEventsResultEntry[] = [];
  for (const entry of entries) results.push(await putEntry(events, entry, context));
  return { FailedEntryCount: results.filter(({ ErrorCode }) => ErrorCode !== undefined).length, Entries: results };
};

/** Source: EventBridge User Guide, "Calculating PutEvents event entry size". */
function sizeOf({ Time, Source, DetailType, Detail, Resources = [] }: Sdk.PutEventsRequestEntry): number {
  return [Source, DetailType, Detail, ...Resources].reduce((sum, text) => sum + Buffer.byteLength(text ?? ""), Time ? 14 : 0);
}

const refused = (ErrorCode: string, ErrorMessage: string): Sdk.PutEventsResultEntry => ({ ErrorCode, ErrorMessage });

async function putEntry(events: Events, entry: Sdk.PutEventsRequestEntry, context: RequestContext): Promise<Sdk.PutEventsResultEntry> {
  const { Source: source = "", DetailType: detailType = "", Detail: text = "", Resources: resources = [], Time: time } = entry;
  for (const [name, value] of Object.entries({ Source: source, DetailType: detailType, Detail: text }))
    if (value === "") return refused("InvalidArgument", `Parameter ${name} is not valid. Reason: ${name} is a required argument.`);
  if (source.startsWith("aws.")) return refused("NotAuthorizedForSourceException", "Not authorized for the source.");
  let detail: unknown;
  try {
    detail = JSON.parse(text);
  } catch {
    return refused("MalformedDetail", "Detail is malformed.");
  }
  if (typeof detail !== "object" || detail === null || Array.isArray(detail)) return refused("MalformedDetail", "Detail is malformed.");
  const { scope, bus } = busOf(context, entry.EventBusName);
  try {
    await needBus(reader(events), scope, bus);
  } catch {
    // AWS takes such an entry and drops it.
    return refused("ResourceNotFoundException", `Event bus ${bus} does not exist.`);
  }
  const { random, store } = events.deps;
  const event: BusEvent = {
    version: "0",
    id: random.uuid(),
    "detail-type": detailType,
    source,
    account: context.account,
    time: eventTime(time?.getTime() ?? context.now),
    region: context.region,
    resources,
    detail: detail as Readonly<Record<string, unknown>>,
  };
  const writes = deliveriesOf(scope, events.index.matching(scope, bus, event), event, { now: context.now, random });
  if (writes.length > 0) {
    if (events.full()) return refused("ThrottlingException", "Too many events wait for their targets.");
    await store.transaction({ writes });
  }
  return { EventId: event.id };
}
