import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { RequestContext } from "#api/contract.ts";
import { apiDestinationArn, type ApiDestinationRecord, connectionArn, type ConnectionRecord, eventKeys } from "#model/events/records.ts";
import { checkName, type Events, listed, type Operation, page, reader, write } from "./context.ts";
import { errors } from "./errors.ts";

const methods = ["POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"];

type Read = <T>(key: string) => Promise<T | undefined>;

async function connectionOf(read: Read, context: RequestContext, arn: string): Promise<ConnectionRecord | undefined> {
  const record = await read<ConnectionRecord>(eventKeys.connection(context, arn.split("/")[1] ?? ""));
  return record && connectionArn(context, record) === arn ? record : undefined;
}

function check({
  InvocationEndpoint: endpoint,
  HttpMethod: method,
  InvocationRateLimitPerSecond: rate,
}: Sdk.UpdateApiDestinationRequest): void {
  // AWS takes https alone; on one's own machine and network plain http has its place.
  if (
    endpoint !== undefined &&
    (!/^https?:\/\/[^\s/?#]+/.test(endpoint) || endpoint.length > 2048 || !URL.canParse(endpoint.replaceAll("*", "x")))
  )
    throw errors.constraint("invocationEndpoint", endpoint, "be an http or https URL");
  if (method !== undefined && !methods.includes(method))
    throw errors.constraint("httpMethod", method, `satisfy enum value set: [${methods.join(", ")}]`);
  if (rate !== undefined && (!Number.isInteger(rate) || rate < 1))
    throw errors.constraint("invocationRateLimitPerSecond", String(rate), "have value greater than or equal to 1");
}

async function stateOf(events: Events, context: RequestContext, record: ApiDestinationRecord): Promise<"ACTIVE" | "INACTIVE"> {
  return (await connectionOf(reader(events), context, record.connectionArn))?.state === "AUTHORIZED" ? "ACTIVE" : "INACTIVE";
}

async function brief(events: Events, context: RequestContext, record: ApiDestinationRecord) {
  return {
    ApiDestinationArn: apiDestinationArn(context, record),
    ApiDestinationState: await stateOf(events, context, record),
    CreationTime: new Date(record.createdAt),
    LastModifiedTime: new Date(record.updatedAt),
  };
}

async function view(events: Events, context: RequestContext, record: ApiDestinationRecord) {
  return {
    ...(await brief(events, context, record)),
    Name: record.name,
    ConnectionArn: record.connectionArn,
    InvocationEndpoint: record.endpoint,
    HttpMethod: record.method as Sdk.ApiDestinationHttpMethod,
    InvocationRateLimitPerSecond: record.ratePerSecond,
  };
}

export const createApiDestination: Operation<Sdk.CreateApiDestinationRequest, Sdk.CreateApiDestinationResponse> = async (
  events,
  input,
  context,
) => {
  const { Name: name = "", Description: description, ConnectionArn = "", InvocationEndpoint = "", HttpMethod = "POST" } = input;
  checkName("name", name);
  check(input);
  const key = eventKeys.apiDestination(context, name);
  const record = await write(events, async (unit) => {
    if (await unit.get(key)) throw errors.exists(`An api-destination '${name}' already exists.`);
    if (!(await connectionOf(unit.get, context, ConnectionArn))) throw errors.missing(`Connection '${ConnectionArn}' does not exist.`);
    const fresh: ApiDestinationRecord = {
      name,
      id: events.deps.random.uuid(),
      ...(description === undefined ? {} : { description }),
      connectionArn: ConnectionArn,
      endpoint: InvocationEndpoint,
      method: HttpMethod,
      ratePerSecond: input.InvocationRateLimitPerSecond ?? 300,
      createdAt: context.now,
      updatedAt: context.now,
    };
    unit.put(key, fresh);
    return fresh;
  });
  return brief(events, context, record);
};

async function needDestination(read: Read, context: RequestContext, name: string): Promise<ApiDestinationRecord> {
  const record = await read<ApiDestinationRecord>(eventKeys.apiDestination(context, name));
  if (!record) throw errors.missing(`Failed to describe the api-destination(s). An api-destination '${name}' does not exist.`);
  return record;
}

export const updateApiDestination: Operation<Sdk.UpdateApiDestinationRequest, Sdk.UpdateApiDestinationResponse> = async (
  events,
  input,
  context,
) => {
  check(input);
  const record = await write(events, async (unit) => {
    const before = await needDestination(unit.get, context, input.Name ?? "");
    if (input.ConnectionArn !== undefined && !(await connectionOf(unit.get, context, input.ConnectionArn)))
      throw errors.missing(`Connection '${input.ConnectionArn}' does not exist.`);
    const next: ApiDestinationRecord = {
      ...before,
      ...(input.Description === undefined ? {} : { description: input.Description }),
      connectionArn: input.ConnectionArn ?? before.connectionArn,
      endpoint: input.InvocationEndpoint ?? before.endpoint,
      method: input.HttpMethod ?? before.method,
      ratePerSecond: input.InvocationRateLimitPerSecond ?? before.ratePerSecond,
      updatedAt: context.now,
    };
    unit.put(eventKeys.apiDestination(context, before.name), next);
    return next;
  });
  return brief(events, context, record);
};

export const describeApiDestination: Operation<Sdk.DescribeApiDestinationRequest, Sdk.DescribeApiDestinationResponse> = async (
  events,
  { Name = "" },
  context,
) => {
  const record = await needDestination(reader(events), context, Name);
  return { ...(await view(events, context, record)), Description: record.description };
};

export const listApiDestinations: Operation<Sdk.ListApiDestinationsRequest, Sdk.ListApiDestinationsResponse> = async (
  events,
  input,
  context,
) => {
  const all = await listed<ApiDestinationRecord>(events, eventKeys.apiDestinations(context));
  const wanted = all.filter((record) => input.ConnectionArn === undefined || record.connectionArn === input.ConnectionArn);
  const { items, NextToken } = page(events, context, `ListApiDestinations ${input.ConnectionArn}`, wanted, input);
  return { ApiDestinations: await Promise.all(items.map((record) => view(events, context, record))), NextToken };
};

export const deleteApiDestination: Operation<Sdk.DeleteApiDestinationRequest, object> = async (events, { Name = "" }, context) => {
  await write(events, async (unit) => {
    await needDestination(unit.get, context, Name);
    unit.delete(eventKeys.apiDestination(context, Name));
  });
  return {};
};
