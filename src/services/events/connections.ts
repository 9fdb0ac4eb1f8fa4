import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { RequestContext } from "#api/contract.ts";
import {
  connectionArn,
  type ConnectionRecord,
  type ConnectionSecrets,
  type ConnectionShown,
  eventKeys,
  type HttpParameter,
} from "#model/events/records.ts";
import { openSecrets } from "#reconcilers/events/connections.ts";
import { sealIn } from "#store/sealed.ts";
import { checkName, listed, type Operation, page, reader, write } from "./context.ts";
import { errors } from "./errors.ts";

/** What the user gives: what is open and what is secret of it. */
type Given = Sdk.CreateConnectionAuthRequestParameters | Sdk.UpdateConnectionAuthRequestParameters;

interface Settings {
  readonly shown: ConnectionShown;
  readonly secrets: ConnectionSecrets;
}

const nothing: Settings = { shown: { headers: [], query: [], body: [] }, secrets: { headers: {}, query: {}, body: {} } };

function checkMissing(input: Sdk.CreateConnectionRequest | Sdk.UpdateConnectionRequest): void {
  if (input.AuthorizationType === "OAUTH_CLIENT_CREDENTIALS" || input.AuthParameters?.OAuthParameters)
    throw errors.notYet("Gantry has connections of BASIC and API_KEY, none of OAUTH_CLIENT_CREDENTIALS.");
  if (input.KmsKeyIdentifier !== undefined)
    throw errors.notYet("Gantry keeps a connection's secrets in its vault: leave KmsKeyIdentifier out.");
  if (input.InvocationConnectivityParameters)
    throw errors.notYet("Gantry has no private connectivity of connections: leave InvocationConnectivityParameters out.");
  if (input.AuthorizationType !== undefined && !["BASIC", "API_KEY"].includes(input.AuthorizationType))
    throw errors.constraint(
      "authorizationType",
      input.AuthorizationType,
      "satisfy enum value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]",
    );
}

type Parameter = { readonly Key?: string | undefined; readonly Value?: string | undefined; readonly IsValueSecret?: boolean | undefined };

function parametersOf(
  given: readonly Parameter[] | undefined,
  before: readonly HttpParameter[],
  secretsBefore: Readonly<Record<string, string>>,
) {
  if (!given) return { shown: before, secrets: secretsBefore };
  const shown: HttpParameter[] = [];
  const secrets: Record<string, string> = {};
  for (const { Key = "", Value = "", IsValueSecret = false } of given) {
    shown.push({ Key, Value: IsValueSecret ? "" : Value, IsValueSecret });
    if (IsValueSecret) secrets[Key] = Value;
  }
  return { shown, secrets };
}

/** What is given counts; what is not stays as it was. */
function merged(type: "BASIC" | "API_KEY", given: Given | undefined, before: Settings): Settings {
  const http = given?.InvocationHttpParameters;
  const headers = parametersOf(http?.HeaderParameters, before.shown.headers, before.secrets.headers);
  const query = parametersOf(http?.QueryStringParameters, before.shown.query, before.secrets.query);
  const body = parametersOf(http?.BodyParameters, before.shown.body, before.secrets.body);
  const shown = { headers: headers.shown, query: query.shown, body: body.shown };
  const secrets = { headers: headers.secrets, query: query.secrets, body: body.secrets };
  if (type === "BASIC") {
    const username = given?.BasicAuthParameters?.Username ?? before.shown.username;
    const password = given?.BasicAuthParameters?.Password ?? before.secrets.password;
    if (username === undefined || password === undefined)
      throw errors.invalid("AuthParameters must have BasicAuthParameters for the authorization type BASIC.");
    return { shown: { ...shown, username }, secrets: { ...secrets, password } };
  }
  const apiKeyName = given?.ApiKeyAuthParameters?.ApiKeyName ?? before.shown.apiKeyName;
  const apiKeyValue = given?.ApiKeyAuthParameters?.ApiKeyValue ?? before.secrets.apiKeyValue;
  if (apiKeyName === undefined || apiKeyValue === undefined)
    throw errors.invalid("AuthParameters must have ApiKeyAuthParameters for the authorization type API_KEY.");
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(apiKeyName))
    throw errors.constraint("authParameters.apiKeyAuthParameters.apiKeyName", apiKeyName, "be the name of a header");
  return { shown: { ...shown, apiKeyName }, secrets: { ...secrets, apiKeyValue } };
}

const times = ({ createdAt, updatedAt, authorizedAt }: ConnectionRecord) => ({
  CreationTime: new Date(createdAt),
  LastModifiedTime: new Date(updatedAt),
  ...(authorizedAt === undefined ? {} : { LastAuthorizedTime: new Date(authorizedAt) }),
});
const brief = (context: RequestContext, record: ConnectionRecord) => ({
  ConnectionArn: connectionArn(context, record),
  ConnectionState: record.state,
  ...times(record),
});

export const createConnection: Operation<Sdk.CreateConnectionRequest, Sdk.CreateConnectionResponse> = async (events, input, context) => {
  checkMissing(input);
  const { Name: name = "", Description: description, AuthorizationType, AuthParameters } = input;
  checkName("name", name);
  const authorization = AuthorizationType as "BASIC" | "API_KEY";
  const { shown, secrets } = merged(authorization, AuthParameters, nothing);
  const key = eventKeys.connection(context, name);
  const record = await write(events, async (unit) => {
    if (await unit.get(key)) throw errors.exists(`Connection ${name} already exists.`);
    const fresh: ConnectionRecord = {
      name,
      id: events.deps.random.uuid(),
      ...(description === undefined ? {} : { description }),
      authorization,
      state: "AUTHORIZED",
      shown,
      sealed: await sealIn(events.deps.vault, unit, key, JSON.stringify(secrets)),
      createdAt: context.now,
      updatedAt: context.now,
      authorizedAt: context.now,
    };
    unit.put(key, fresh);
    return fresh;
  });
  return brief(context, record);
};

async function needConnection(
  read: <T>(key: string) => Promise<T | undefined>,
  context: RequestContext,
  name: string,
): Promise<ConnectionRecord> {
  const record = await read<ConnectionRecord>(eventKeys.connection(context, name));
  if (!record) throw errors.missing(`Failed to describe the connection(s). Connection '${name}' does not exist.`);
  return record;
}

export const updateConnection: Operation<Sdk.UpdateConnectionRequest, Sdk.UpdateConnectionResponse> = async (events, input, context) => {
  checkMissing(input);
  const key = eventKeys.connection(context, input.Name ?? "");
  const record = await write(events, async (unit) => {
    const { vault } = events.deps;
    const before = await needConnection(unit.get, context, input.Name ?? "");
    const secretsBefore = before.sealed === undefined ? nothing.secrets : openSecrets(vault, key, before.sealed);
    const authorization = (input.AuthorizationType ?? before.authorization) as "BASIC" | "API_KEY";
    const { shown, secrets } = merged(authorization, input.AuthParameters, { shown: before.shown, secrets: secretsBefore });
    const next: ConnectionRecord = {
      ...before,
      ...(input.Description === undefined ? {} : { description: input.Description }),
      authorization,
      state: "AUTHORIZED",
      shown,
      sealed: await sealIn(vault, unit, key, JSON.stringify(secrets)),
      updatedAt: context.now,
      authorizedAt: context.now,
    };
    unit.put(key, next);
    return next;
  });
  return brief(context, record);
};

export const describeConnection: Operation<Sdk.DescribeConnectionRequest, Sdk.DescribeConnectionResponse> = async (
  events,
  { Name = "" },
  context,
) => {
  const record = await needConnection(reader(events), context, Name);
  const { shown } = record;
  // A secret value is never told again.
  const open = (parameters: readonly HttpParameter[]) =>
    parameters.map(({ Key, Value, IsValueSecret }) => ({ Key, IsValueSecret, ...(IsValueSecret ? {} : { Value }) }));
  const hasHttp = [shown.headers, shown.query, shown.body].some((list) => list.length > 0);
  return {
    ...brief(context, record),
    Name: record.name,
    Description: record.description,
    AuthorizationType: record.authorization,
    AuthParameters: {
      ...(record.authorization === "BASIC"
        ? { BasicAuthParameters: { Username: shown.username } }
        : { ApiKeyAuthParameters: { ApiKeyName: shown.apiKeyName } }),
      ...(hasHttp
        ? {
            InvocationHttpParameters: {
              HeaderParameters: open(shown.headers),
              QueryStringParameters: open(shown.query),
              BodyParameters: open(shown.body),
            },
          }
        : {}),
    },
  };
};

export const listConnections: Operation<Sdk.ListConnectionsRequest, Sdk.ListConnectionsResponse> = async (events, input, context) => {
  const all = await listed<ConnectionRecord>(events, eventKeys.connections(context));
  const wanted = all.filter(({ state }) => input.ConnectionState === undefined || state === input.ConnectionState);
  const { items, NextToken } = page(events, context, `ListConnections ${input.ConnectionState}`, wanted, input);
  const Connections = items.map((record) => ({ ...brief(context, record), Name: record.name, AuthorizationType: record.authorization }));
  return { Connections, NextToken };
};

export const deauthorizeConnection: Operation<Sdk.DeauthorizeConnectionRequest, Sdk.DeauthorizeConnectionResponse> = async (
  events,
  { Name = "" },
  context,
) => {
  const record = await write(events, async (unit) => {
    const { sealed: _, ...before } = await needConnection(unit.get, context, Name);
    const next: ConnectionRecord = { ...before, state: "DEAUTHORIZED", updatedAt: context.now };
    unit.put(eventKeys.connection(context, Name), next);
    return next;
  });
  return brief(context, record);
};

export const deleteConnection: Operation<Sdk.DeleteConnectionRequest, Sdk.DeleteConnectionResponse> = async (
  events,
  { Name = "" },
  context,
) => {
  const record = await write(events, async (unit) => {
    const before = await needConnection(unit.get, context, Name);
    unit.delete(eventKeys.connection(context, Name));
    return before;
  });
  return { ...brief(context, record), ConnectionState: "DELETING" };
};
