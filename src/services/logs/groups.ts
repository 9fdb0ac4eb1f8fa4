import type {
  CreateLogGroupCommandInput,
  DeleteLogGroupCommandInput,
  DeleteRetentionPolicyCommandInput,
  DescribeLogGroupsCommandInput,
  DescribeLogGroupsCommandOutput,
  LogGroup,
  PutLogGroupDeletionProtectionCommandInput,
  PutRetentionPolicyCommandInput,
} from "@aws-sdk/client-cloudwatch-logs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import type { Entry } from "#store/store.ts";
import { errors } from "./errors.ts";
import { groupArn, keys } from "./records.ts";
import type { GroupRecord, Scope } from "./records.ts";
import { checkEnum, checkGroupName, checkNumber, checkTags, checkText, groupNameOf, LOG_GROUP_CLASSES, RETENTION_DAYS } from "./rules.ts";
import type { LogsState } from "./state.ts";

type Output<T> = Omit<T, "$metadata">;

export async function findGroup({ deps }: LogsState, scope: Scope, name: string): Promise<Entry<GroupRecord>> {
  const entry = await deps.store.get<GroupRecord>(keys.group(scope, name));
  if (!entry) throw errors.groupMissing();
  return entry;
}

/** Writes what `change` makes of the group's record, from the newest one if others write at the same time. */
export async function updateGroup(
  state: LogsState,
  scope: Scope,
  name: string,
  change: (group: GroupRecord) => GroupRecord,
): Promise<GroupRecord> {
  for (;;) {
    const { key, value, revision } = await findGroup(state, scope, name);
    const group = change(value);
    const result = await state.deps.store.transaction({ compare: [{ key, revision }], writes: [{ put: key, value: group }] });
    if (result.ok) return group;
  }
}

export async function createLogGroup({ deps }: LogsState, input: CreateLogGroupCommandInput, context: RequestContext): Promise<object> {
  const name = input.logGroupName!;
  checkGroupName(name);
  checkEnum("logGroupClass", input.logGroupClass, LOG_GROUP_CLASSES);
  const tags = input.tags ?? {};
  checkTags(tags);
  if (Object.keys(tags).length > 50) throw errors.invalid("A log group can have no more than 50 tags.");
  // There is no KMS behind this endpoint: every key is one that does not exist.
  if (input.kmsKeyId !== undefined)
    throw errors.invalid(`The specified KMS key does not exist or is not allowed to be used with LogGroup '${groupArn(context, name)}'`);
  const logGroupClass = input.logGroupClass ?? "STANDARD";
  const group: GroupRecord = {
    id: deps.random.hex(16),
    name,
    created: context.now,
    logGroupClass,
    // Groups of the Delivery class keep their events for a day, whatever is asked.
    ...(logGroupClass === "DELIVERY" && { retentionInDays: 1 }),
    deletionProtection: input.deletionProtectionEnabled ?? false,
    tags,
  };
  const key = keys.group(context, name);
  const result = await deps.store.transaction({ compare: [{ key, revision: 0 }], writes: [{ put: key, value: group }] });
  if (!result.ok) throw errors.groupExists();
  return {};
}

export async function deleteLogGroup(state: LogsState, input: DeleteLogGroupCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  for (;;) {
    const { key, value, revision } = await findGroup(state, context, input.logGroupName!);
    if (value.deletionProtection) throw errors.protectedGroup();
    const result = await state.deps.store.transaction({
      compare: [{ key, revision }],
      writes: [{ delete: key }, { deletePrefix: keys.streams(context, value.id) }, { deletePrefix: keys.filters(context, value.id) }],
    });
    if (!result.ok) continue;
    await state.files.removeGroup(value.id);
    return {};
  }
}

export async function describeLogGroups(
  state: LogsState,
  input: DescribeLogGroupsCommandInput,
  context: RequestContext,
): Promise<Output<DescribeLogGroupsCommandOutput>> {
  const { logGroupNamePrefix: prefix, logGroupNamePattern: pattern, limit, nextToken } = input;
  if (prefix !== undefined) checkGroupName(prefix, "logGroupNamePrefix");
  if (pattern !== undefined) checkText("logGroupNamePattern", pattern, { min: 0, pattern: /^[\w#+=/:,.@-]*$/ });
  if (prefix !== undefined && pattern !== undefined)
    throw errors.invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  checkNumber("limit", limit, 1, 50);
  checkEnum("logGroupClass", input.logGroupClass, LOG_GROUP_CLASSES);
  const { entries } = await state.deps.store.list<GroupRecord>(keys.group(context, prefix ?? ""));
  const groups = entries
    .map(({ value }) => value)
    .filter(
      (group) =>
        (pattern === undefined || group.name.includes(pattern)) &&
        (input.logGroupClass === undefined || group.logGroupClass === input.logGroupClass) &&
        (!input.logGroupIdentifiers || input.logGroupIdentifiers.some((one) => groupNameOf(context, undefined, one) === group.name)),
    );
  const page = pageOf(state.deps.sealer, groups, ({ name }) => name, {
    scope: JSON.stringify(["DescribeLogGroups", context.account, context.region, prefix, pattern, input.logGroupClass]),
    limit: limit ?? 50,
    token: nextToken,
    badToken: errors.badToken,
  });
  const logGroups: LogGroup[] = [];
  for (const group of page.items) logGroups.push(await viewGroup(state, context, group, pattern !== undefined));
  return { logGroups, nextToken: page.nextToken };
}

async function viewGroup(state: LogsState, scope: Scope, group: GroupRecord, short: boolean): Promise<LogGroup> {
  const arn = groupArn(scope, group.name);
  const view: LogGroup = { logGroupName: group.name, creationTime: group.created, arn: `${arn}:*` };
  if (short) return view;
  return {
    ...view,
    retentionInDays: group.retentionInDays,
    metricFilterCount: (await state.deps.store.list(keys.filters(scope, group.id))).entries.length,
    storedBytes: await state.files.groupBytes(group.id),
    logGroupClass: group.logGroupClass as LogGroup["logGroupClass"],
    logGroupArn: arn,
    deletionProtectionEnabled: group.deletionProtection,
  };
}

export async function putRetentionPolicy(
  state: LogsState,
  input: PutRetentionPolicyCommandInput,
  context: RequestContext,
): Promise<object> {
  checkGroupName(input.logGroupName!);
  checkEnum("retentionInDays", input.retentionInDays, RETENTION_DAYS);
  await updateGroup(state, context, input.logGroupName!, (group) => ({ ...group, retentionInDays: input.retentionInDays }));
  return {};
}

export async function deleteRetentionPolicy(
  state: LogsState,
  input: DeleteRetentionPolicyCommandInput,
  context: RequestContext,
): Promise<object> {
  checkGroupName(input.logGroupName!);
  await updateGroup(state, context, input.logGroupName!, (group) => ({ ...group, retentionInDays: undefined }));
  return {};
}

export async function putLogGroupDeletionProtection(
  state: LogsState,
  input: PutLogGroupDeletionProtectionCommandInput,
  context: RequestContext,
): Promise<object> {
  const name = groupNameOf(context, undefined, input.logGroupIdentifier);
  await updateGroup(state, context, name, (group) => ({ ...group, deletionProtection: input.deletionProtectionEnabled! }));
  return {};
}
