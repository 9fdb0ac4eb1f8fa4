import type {
  FilteredLogEvent,
  FilterLogEventsCommandInput,
  FilterLogEventsCommandOutput,
  GetLogEventsCommandInput,
  GetLogEventsCommandOutput,
  OutputLogEvent,
  PutLogEventsCommandInput,
  PutLogEventsCommandOutput,
} from "@aws-sdk/client-cloudwatch-logs";
import type { RequestContext } from "#api/contract.ts";
import { constraint, errors } from "./errors.ts";
import { findGroup } from "./groups.ts";
import { measure } from "./metric-filters.ts";
import { PatternError } from "./pattern/errors.ts";
import { parsePattern } from "./pattern/pattern.ts";
import type { Matcher } from "./pattern/pattern.ts";
import { expiry, keys } from "./records.ts";
import type { GroupRecord, Scope, StreamRecord } from "./records.ts";
import { acceptEvents, checkGroupName, checkNumber, checkStreamName, checkText, groupNameOf, MOST_BYTES, MOST_EVENTS } from "./rules.ts";
import type { LogsState } from "./state.ts";
import type { StoredEvent } from "./storage/frames.ts";
import { scan } from "./storage/scan.ts";
import type { Position } from "./storage/scan.ts";
import type { Source } from "./storage/stretches.ts";
import { StreamGone } from "./storage/stream-log.ts";
import { findStream } from "./streams.ts";
import { directionToken, eventId, readDirectionToken } from "./tokens.ts";

type Output<T> = Omit<T, "$metadata">;

const messageOf = ({ buffer, start, end }: StoredEvent) => buffer.toString("utf8", start, end);

export async function putLogEvents(
  state: LogsState,
  input: PutLogEventsCommandInput,
  context: RequestContext,
): Promise<Output<PutLogEventsCommandOutput>> {
  checkGroupName(input.logGroupName!);
  checkStreamName(input.logStreamName!);
  const { value: group } = await findGroup(state, context, input.logGroupName!);
  const record = await findStream(state, context, group, input.logStreamName!);
  const { events, rejected } = acceptEvents(input.logEvents!, context.now, expiry(group, context.now));
  if (events.length > 0) {
    try {
      await state.files.append({ group: group.id, stream: record.id }, events, context.now);
    } catch (error) {
      if (error instanceof StreamGone) throw errors.streamMissing();
      if ((error as NodeJS.ErrnoException).code === "ENOSPC") throw errors.unavailable("no space is left where the logs are kept");
      throw error;
    }
  }
  await measure(state, context, group, events, context.now).catch((error: unknown) =>
    context.log.warn({ err: error }, "events were not measured"),
  );
  // Sequence tokens are ignored today, and still answered for old clients.
  return { nextSequenceToken: eventId({ timestamp: context.now, sequence: 0 }, record.id), rejectedLogEventsInfo: rejected };
}

export async function getLogEvents(
  state: LogsState,
  input: GetLogEventsCommandInput,
  context: RequestContext,
): Promise<Output<GetLogEventsCommandOutput>> {
  const groupName = groupNameOf(context, input.logGroupName, input.logGroupIdentifier);
  checkStreamName(input.logStreamName!);
  const limit = input.limit ?? MOST_EVENTS;
  checkNumber("limit", limit, 1, MOST_EVENTS);
  checkTimes(input.startTime, input.endTime);
  const token = input.nextToken === undefined ? undefined : readDirectionToken(input.nextToken);
  if (input.nextToken !== undefined && !token) throw errors.badToken();
  const { value: group } = await findGroup(state, context, groupName);
  const record = await findStream(state, context, group, input.logStreamName!);
  const segments = await state.files.use({ group: group.id, stream: record.id }, (log) => log.segments);

  const from = Math.max(input.startTime ?? 0, expiry(group, context.now));
  const backward = token ? token.backward : !(input.startFromHead ?? false);
  const page = new PageBudget(limit);
  const events: OutputLogEvent[] = [];
  const positions: Position[] = [];
  await scan(
    [{ stream: record, segments }],
    { from, to: (input.endTime ?? Infinity) - 1, backward, behind: token?.behind, budget: Infinity, signal: context.signal },
    (event) => {
      if (!page.takes(event.end - event.start)) return false;
      events.push({ timestamp: event.timestamp, message: messageOf(event), ingestionTime: event.ingestion });
      positions.push({ timestamp: event.timestamp, sequence: event.sequence });
      return true;
    },
  );
  if (backward) {
    events.reverse();
    positions.reverse();
  }
  return { events, ...tokensAround(positions, token, input.nextToken, from) };
}

/** The tokens of a page. An empty one gives back the token that led to it, and one that turns round without losing an event. */
function tokensAround(
  found: readonly Position[],
  token: { readonly backward: boolean; readonly behind: Position } | undefined,
  text: string | undefined,
  from: number,
): { nextForwardToken: string; nextBackwardToken: string } {
  const first = found[0];
  const last = found.at(-1);
  if (first && last) return { nextForwardToken: directionToken(false, last), nextBackwardToken: directionToken(true, first) };
  if (!token || text === undefined) {
    const start = { timestamp: Math.max(from, 0), sequence: 0 };
    return { nextForwardToken: directionToken(false, start), nextBackwardToken: directionToken(true, start) };
  }
  const { timestamp, sequence } = token.behind;
  return token.backward
    ? { nextForwardToken: directionToken(false, { timestamp, sequence: Math.max(0, sequence - 1) }), nextBackwardToken: text }
    : { nextForwardToken: text, nextBackwardToken: directionToken(true, { timestamp, sequence: sequence + 1 }) };
}

/** Bytes that one FilterLogEvents reads before it answers with what it has and a token to go on. */
const FILTER_BUDGET = 64 * 1024 * 1024;
const EARLIEST_BACKWARD = Date.UTC(2024, 0, 1);

export async function filterLogEvents(
  state: LogsState,
  input: FilterLogEventsCommandInput,
  context: RequestContext,
): Promise<Output<FilterLogEventsCommandOutput>> {
  const groupName = groupNameOf(context, input.logGroupName, input.logGroupIdentifier);
  const limit = input.limit ?? MOST_EVENTS;
  checkNumber("limit", limit, 1, MOST_EVENTS);
  checkTimes(input.startTime, input.endTime);
  const startFromHead = input.startFromHead ?? true;
  if (!startFromHead && input.startTime !== undefined && input.startTime < EARLIEST_BACKWARD)
    throw errors.invalid("startFromHead can only be false when startTime is on or after January 1, 2024 00:00:00 UTC.");
  const matches = compile(input.filterPattern ?? "");
  const { value: group } = await findGroup(state, context, groupName);
  const sources = await sourcesOf(state, context, group, input);

  const { startTime, endTime, filterPattern, logStreamNames, logStreamNamePrefix } = input;
  const scope = JSON.stringify(["FilterLogEvents", group.id, startTime, endTime, filterPattern, logStreamNames, logStreamNamePrefix]);
  let token: { readonly backward: boolean; readonly behind: Position } = { backward: !startFromHead, behind: NOWHERE };
  if (input.nextToken !== undefined) {
    const opened = state.deps.sealer.open(scope, input.nextToken);
    if (opened === undefined) throw errors.badToken();
    token = opened as typeof token;
  }

  const page = new PageBudget(limit);
  const events: FilteredLogEvent[] = [];
  /** Everything up to here was looked at, and what matched is on the page. */
  let reached: Position = token.behind;
  const end = await scan(
    sources,
    {
      from: Math.max(startTime ?? 0, expiry(group, context.now)),
      to: endTime ?? Infinity,
      backward: token.backward,
      behind: token.behind === NOWHERE ? undefined : token.behind,
      budget: FILTER_BUDGET,
      signal: context.signal,
    },
    (event, stream) => {
      const message = messageOf(event);
      if (matches(message)) {
        if (!page.takes(event.end - event.start)) return false;
        const { timestamp, ingestion: ingestionTime } = event;
        events.push({ logStreamName: stream.name, timestamp, message, ingestionTime, eventId: eventId(event, stream.id) });
      }
      reached = { timestamp: event.timestamp, sequence: event.sequence };
      return true;
    },
  );
  const nextToken = end === "end" ? undefined : state.deps.sealer.seal(scope, { backward: token.backward, behind: reached });
  return { events, searchedLogStreams: [], nextToken };
}

const NOWHERE: Position = { timestamp: -1, sequence: -1 };

async function sourcesOf(
  state: LogsState,
  scope: Scope,
  group: GroupRecord,
  input: FilterLogEventsCommandInput,
): Promise<Source<StreamRecord>[]> {
  const { logStreamNames: names, logStreamNamePrefix: prefix } = input;
  if (names && prefix !== undefined) throw errors.invalid("Cannot specify both logStreamNamePrefix and logStreamNames.");
  if (prefix !== undefined) checkStreamName(prefix, "logStreamNamePrefix");
  const records: StreamRecord[] = [];
  if (names) {
    if (names.length === 0) throw constraint("logStreamNames", "[]", "have length greater than or equal to 1");
    if (names.length > 100) throw constraint("logStreamNames", `[${names.length} names]`, "have length less than or equal to 100");
    for (const name of new Set(names)) {
      checkStreamName(name, "logStreamNames");
      records.push(await findStream(state, scope, group, name));
    }
  } else {
    const { entries } = await state.deps.store.list<StreamRecord>(keys.stream(scope, group.id, prefix ?? ""));
    records.push(...entries.map(({ value }) => value));
  }
  const sources: Source<StreamRecord>[] = [];
  for (const record of records) {
    const segments = await state.files.use({ group: group.id, stream: record.id }, (log) => log.segments);
    sources.push({ stream: record, segments });
  }
  return sources;
}

function compile(pattern: string): Matcher {
  checkText("filterPattern", pattern, { min: 0, max: 1024 });
  try {
    return parsePattern(pattern);
  } catch (error) {
    if (error instanceof PatternError) throw errors.invalid(error.message);
    throw error;
  }
}

function checkTimes(start: number | undefined, end: number | undefined): void {
  checkNumber("startTime", start, 0, Number.MAX_SAFE_INTEGER);
  checkNumber("endTime", end, 0, Number.MAX_SAFE_INTEGER);
}

/** A page holds so many events, and so many that fit into 1 MiB; one always fits. */
class PageBudget {
  #events: number;
  #bytes = MOST_BYTES;
  #empty = true;

  constructor(limit: number) {
    this.#events = limit;
  }

  takes(bytes: number): boolean {
    if (this.#events === 0 || (!this.#empty && bytes > this.#bytes)) return false;
    this.#events--;
    this.#bytes -= bytes;
    this.#empty = false;
    return true;
  }
}
