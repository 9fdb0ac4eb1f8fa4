import type {
  CreateLogStreamCommandInput,
  DeleteLogStreamCommandInput,
  DescribeLogStreamsCommandInput,
  DescribeLogStreamsCommandOutput,
  LogStream,
} from "@aws-sdk/client-cloudwatch-logs";
import type { RequestContext } from "#api/contract.ts";
import { errors } from "./errors.ts";
import { findGroup } from "./groups.ts";
import { expiry, groupArn, keys } from "./records.ts";
import type { GroupRecord, Scope, StreamRecord } from "./records.ts";
import { checkEnum, checkGroupName, checkNumber, checkStreamName, groupNameOf } from "./rules.ts";
import type { LogsState } from "./state.ts";
import { eventId } from "./tokens.ts";

type Output<T> = Omit<T, "$metadata">;

export async function findStream(state: LogsState, scope: Scope, group: GroupRecord, name: string): Promise<StreamRecord> {
  const entry = await state.deps.store.get<StreamRecord>(keys.stream(scope, group.id, name));
  if (!entry) throw errors.streamMissing();
  return entry.value;
}

export async function createLogStream(state: LogsState, input: CreateLogStreamCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  checkStreamName(input.logStreamName!);
  for (;;) {
    const group = await findGroup(state, context, input.logGroupName!);
    const key = keys.stream(context, group.value.id, input.logStreamName!);
    const stream: StreamRecord = { id: state.deps.random.hex(16), name: input.logStreamName!, created: context.now };
    const result = await state.deps.store.transaction({
      // The group must not go while its stream comes.
      compare: [
        { key: group.key, revision: group.revision },
        { key, revision: 0 },
      ],
      writes: [{ put: key, value: stream }],
    });
    if (result.ok) return {};
    if (result.conflicts.includes(key)) throw errors.streamExists();
  }
}

export async function deleteLogStream(state: LogsState, input: DeleteLogStreamCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  checkStreamName(input.logStreamName!);
  const { value: group } = await findGroup(state, context, input.logGroupName!);
  if (group.deletionProtection) throw errors.protectedGroup();
  const key = keys.stream(context, group.id, input.logStreamName!);
  const entry = await state.deps.store.get<StreamRecord>(key);
  const result = entry && (await state.deps.store.transaction({ compare: [{ key, revision: entry.revision }], writes: [{ delete: key }] }));
  if (!entry || !result?.ok) throw errors.streamMissing();
  await state.files.removeStream({ group: group.id, stream: entry.value.id });
  return {};
}

interface Described {
  readonly record: StreamRecord;
  /** 0 when the order is by name, or the stream has no events. */
  readonly lastEvent: number;
}

const compareNames = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const compare = (a: Described, b: Described) => a.lastEvent - b.lastEvent || compareNames(a.record.name, b.record.name);

export async function describeLogStreams(
  state: LogsState,
  input: DescribeLogStreamsCommandInput,
  context: RequestContext,
): Promise<Output<DescribeLogStreamsCommandOutput>> {
  const groupName = groupNameOf(context, input.logGroupName, input.logGroupIdentifier);
  const { logStreamNamePrefix: prefix, orderBy = "LogStreamName", descending = false, limit = 50, nextToken } = input;
  if (prefix !== undefined) checkStreamName(prefix, "logStreamNamePrefix");
  checkEnum("orderBy", orderBy, ["LogStreamName", "LastEventTime"]);
  checkNumber("limit", limit, 1, 50);
  const byTime = orderBy === "LastEventTime";
  if (byTime && prefix !== undefined) throw errors.invalid("Cannot order by LastEventTime with a logStreamNamePrefix.");
  const { value: group } = await findGroup(state, context, groupName);

  const { entries } = await state.deps.store.list<StreamRecord>(keys.stream(context, group.id, prefix ?? ""));
  const described: Described[] = [];
  for (const { value: record } of entries) {
    const stats = byTime ? await state.files.use({ group: group.id, stream: record.id }, (log) => log.stats) : undefined;
    described.push({ record, lastEvent: stats?.last ?? 0 });
  }
  const sign = descending ? -1 : 1;
  described.sort((a, b) => sign * compare(a, b));

  // A token names the last stream of its page, with the time it had: streams that come or go in between hide no others.
  const scope = JSON.stringify(["DescribeLogStreams", group.id, prefix, orderBy, descending]);
  let start = 0;
  if (nextToken !== undefined) {
    const behind = state.deps.sealer.open(scope, nextToken) as Described | undefined;
    if (!behind) throw errors.badToken();
    start = described.findIndex((one) => sign * compare(one, behind) > 0);
    if (start < 0) start = described.length;
  }
  const page = described.slice(start, start + limit);
  const last = page.at(-1);
  const logStreams: LogStream[] = [];
  for (const { record } of page) logStreams.push(await viewStream(state, context, group, record));
  return { logStreams, nextToken: last && start + limit < described.length ? state.deps.sealer.seal(scope, last) : undefined };
}

async function viewStream(state: LogsState, context: RequestContext, group: GroupRecord, record: StreamRecord): Promise<LogStream> {
  const stats = await state.files.use({ group: group.id, stream: record.id }, (log) => log.stats);
  const alive = stats && stats.last >= expiry(group, context.now);
  return {
    logStreamName: record.name,
    creationTime: record.created,
    ...(alive && {
      firstEventTimestamp: stats.first,
      lastEventTimestamp: stats.last,
      lastIngestionTime: stats.lastIngestion,
      uploadSequenceToken: eventId({ timestamp: stats.lastIngestion, sequence: 0 }, record.id),
    }),
    arn: `${groupArn(context, group.name)}:log-stream:${record.name}`,
    storedBytes: 0,
  };
}
