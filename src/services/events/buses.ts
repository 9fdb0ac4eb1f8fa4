import type * as Sdk from "@aws-sdk/client-eventbridge";
import { busArn, defaultBus, type EventBusRecord, eventKeys } from "#model/events/records.ts";
import { parsePolicy } from "#model/policy/index.ts";
import { change, checkName, listed, needBus, type Operation, page, reader, tagsOf } from "./context.ts";
import { errors } from "./errors.ts";

const mostBuses = 100;

function checkMissing(input: Sdk.CreateEventBusRequest | Sdk.UpdateEventBusRequest): void {
  if ("EventSourceName" in input && input.EventSourceName !== undefined) throw errors.notYet("Gantry has no partner event sources.");
  if (input.KmsKeyIdentifier !== undefined)
    throw errors.notYet("Gantry encrypts no event buses with KMS keys: leave KmsKeyIdentifier out.");
  if (input.DeadLetterConfig?.Arn !== undefined) throw errors.notYet("Gantry has no queues: leave DeadLetterConfig out.");
  if (input.LogConfig !== undefined) throw errors.notYet("Gantry writes no logs of event buses: leave LogConfig out.");
  if ((input.Description ?? "").length > 512)
    throw errors.constraint("description", input.Description!, "have length less than or equal to 512");
}

export const createEventBus: Operation<Sdk.CreateEventBusRequest, Sdk.CreateEventBusResponse> = async (events, input, context) => {
  checkMissing(input);
  const { Name: name = "", Description: description } = input;
  checkName("name", name, 256);
  const tags = tagsOf(input.Tags);
  const key = eventKeys.bus(context, name);
  await change(events, async (unit) => {
    if (name === defaultBus || (await unit.get(key))) throw errors.exists(`Event bus ${name} already exists.`);
    if ((await unit.list(eventKeys.buses(context))).size >= mostBuses) throw errors.limit();
    const record: EventBusRecord = {
      name,
      createdAt: context.now,
      updatedAt: context.now,
      tags,
      ...(description === undefined ? {} : { description }),
    };
    unit.put(key, record);
  });
  return { EventBusArn: busArn(context, name), Description: description };
};

export const updateEventBus: Operation<Sdk.UpdateEventBusRequest, Sdk.UpdateEventBusResponse> = async (events, input, context) => {
  checkMissing(input);
  const name = input.Name ?? defaultBus;
  await change(events, async (unit) => {
    const { description: _, ...record } = await needBus(unit.get, context, name);
    const { Description: description } = input;
    unit.put(eventKeys.bus(context, name), {
      ...record,
      updatedAt: context.now,
      ...(description === undefined ? {} : { description }),
    } satisfies EventBusRecord);
  });
  return { Arn: busArn(context, name), Name: name, Description: input.Description };
};

export const deleteEventBus: Operation<Sdk.DeleteEventBusRequest, object> = async (events, { Name: name = "" }, context) => {
  if (name === defaultBus) throw errors.invalid("Cannot delete event bus default.");
  await change(events, async (unit) => {
    if ((await unit.list(eventKeys.rules(context, name))).size > 0)
      throw errors.invalid(`Cannot delete event bus ${name}: it has rules. Delete them first.`);
    const key = eventKeys.bus(context, name);
    if (await unit.get(key)) unit.delete(key);
  });
  return {};
};

const view = (
  scope: { readonly account: string; readonly region: string },
  { name, description, policy, createdAt, updatedAt }: EventBusRecord,
) => ({
  Name: name,
  Arn: busArn(scope, name),
  Description: description,
  Policy: policy,
  ...(createdAt > 0 ? { CreationTime: new Date(createdAt) } : {}),
  ...(updatedAt > 0 ? { LastModifiedTime: new Date(updatedAt) } : {}),
});

export const describeEventBus: Operation<Sdk.DescribeEventBusRequest, Sdk.DescribeEventBusResponse> = async (events, { Name }, context) => {
  const name = /:event-bus\/(.+)$/.exec(Name ?? "")?.[1] ?? Name ?? defaultBus;
  return view(context, await needBus(reader(events), context, name));
};

export const listEventBuses: Operation<Sdk.ListEventBusesRequest, Sdk.ListEventBusesResponse> = async (events, input, context) => {
  const records = await listed<EventBusRecord>(events, eventKeys.buses(context));
  const all = records.some(({ name }) => name === defaultBus) ? records : [await needBus(reader(events), context, defaultBus), ...records];
  const { items, NextToken } = page(events, context, "ListEventBuses", all, input);
  return { EventBuses: items.map((record) => view(context, record)), NextToken };
};

interface Policy {
  readonly Version: string;
  readonly Statement: readonly { readonly Sid?: string }[];
}

const longestPolicy = 10_240;

export const putPermission: Operation<Sdk.PutPermissionRequest, object> = async (events, input, context) => {
  const bus = input.EventBusName ?? defaultBus;
  await change(events, async (unit) => {
    const record = await needBus(unit.get, context, bus);
    const policy = input.Policy ?? JSON.stringify(withStatement(record.policy, input, busArn(context, bus)));
    if (policy.length > longestPolicy) throw errors.policyTooLong();
    const problem = problemOf(policy);
    if (problem !== undefined) throw errors.invalid(`This policy contains invalid Json: ${problem}`);
    unit.put(eventKeys.bus(context, bus), { ...record, policy, updatedAt: context.now } satisfies EventBusRecord);
  });
  return {};
};

function problemOf(policy: string): string | undefined {
  try {
    JSON.parse(policy);
  } catch (error) {
    return (error as Error).message;
  }
  return parsePolicy(policy, "resource").problem;
}

function withStatement(
  before: string | undefined,
  { Action, Principal, StatementId, Condition }: Sdk.PutPermissionRequest,
  arn: string,
): Policy {
  if (Action === undefined || Principal === undefined || StatementId === undefined)
    throw errors.invalid("Parameters Action, Principal and StatementId are required when Policy is not given.");
  if (Action !== "events:PutEvents") throw errors.invalid("Provided value in parameter 'action' is not supported.");
  if (Principal !== "*" && !/^\d{12}$/.test(Principal))
    throw errors.invalid("Parameter principal is not valid: it is a 12-digit account, or *.");
  if (!/^[a-zA-Z0-9-_]{1,64}$/.test(StatementId))
    throw errors.constraint("statementId", StatementId, "satisfy regular expression pattern: [a-zA-Z0-9-_]+");
  if (Condition && (Condition.Type !== "StringEquals" || Condition.Key !== "aws:PrincipalOrgID"))
    throw errors.invalid("A condition is StringEquals on aws:PrincipalOrgID.");
  const statement = {
    Sid: StatementId,
    Effect: "Allow",
    Principal: Principal === "*" ? "*" : { AWS: `arn:aws:iam::${Principal}:root` },
    Action,
    Resource: arn,
    ...(Condition ? { Condition: { [Condition.Type!]: { [Condition.Key!]: Condition.Value } } } : {}),
  };
  return { Version: "2012-10-17", Statement: [...statementsOf(before).filter(({ Sid }) => Sid !== StatementId), statement] };
}

function statementsOf(policy: string | undefined): Policy["Statement"] {
  if (policy === undefined) return [];
  const { Statement } = JSON.parse(policy) as { Statement: Policy["Statement"] | Policy["Statement"][number] };
  return Array.isArray(Statement) ? (Statement as Policy["Statement"]) : [Statement as Policy["Statement"][number]];
}

export const removePermission: Operation<Sdk.RemovePermissionRequest, object> = async (events, input, context) => {
  const bus = input.EventBusName ?? defaultBus;
  await change(events, async (unit) => {
    const { policy, ...record } = await needBus(unit.get, context, bus);
    if (policy === undefined) throw errors.missing("EventBus does not have a policy.");
    const statements = input.RemoveAllPermissions ? [] : statementsOf(policy).filter(({ Sid }) => Sid !== input.StatementId);
    if (statements.length === statementsOf(policy).length) throw errors.missing("Statement with the provided id does not exist.");
    const left = statements.length === 0 ? {} : { policy: JSON.stringify({ ...(JSON.parse(policy) as Policy), Statement: statements }) };
    unit.put(eventKeys.bus(context, bus), { ...record, ...left, updatedAt: context.now } satisfies EventBusRecord);
  });
  return {};
};
