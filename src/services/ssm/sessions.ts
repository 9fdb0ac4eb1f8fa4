import type {
  DescribeSessionsRequest,
  DescribeSessionsResponse,
  ResumeSessionRequest,
  ResumeSessionResponse,
  Session,
  StartSessionRequest,
  StartSessionResponse,
  TerminateSessionRequest,
  TerminateSessionResponse,
} from "@aws-sdk/client-ssm";
import { ApiError, type RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import type { ExecSessionRecord } from "#model/exec-records.ts";
import type { ExecOpener } from "#reconcilers/exec/opener.ts";
import { errors } from "./errors.ts";

/** Session Manager, for sessions with containers of ECS. Source: AWS Systems Manager API Reference. */
export interface SessionDeps extends ServerDeps {
  readonly exec: ExecOpener;
}

const notConnected = (target: string) => new ApiError("TargetNotConnected", `${target} is not connected.`);
const notThere = (id: string) => new ApiError("DoesNotExistException", `Session ${id} does not exist.`);
const notYet = (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501);

/** A shell, or a command (AWS-StartInteractiveCommand), in a container that ECS Exec may reach. */
export async function startSession(
  { exec }: SessionDeps,
  { Target = "", DocumentName, Parameters = {} }: StartSessionRequest,
  context: RequestContext,
): Promise<StartSessionResponse> {
  if (!Target.startsWith("ecs:")) throw notConnected(Target);
  const plain = DocumentName === undefined || DocumentName === "SSM-SessionManagerRunShell";
  if (!plain && DocumentName !== "AWS-StartInteractiveCommand") throw notYet(`sessions of the document ${DocumentName}`);
  const command = plain ? "sh" : Parameters["command"]?.join(" ");
  if (!command?.trim()) throw new ApiError("InvalidParameters", "The document AWS-StartInteractiveCommand needs the parameter command.");
  try {
    const { sessionId, streamUrl, tokenValue } = await exec.startOn(Target, command, context);
    return { SessionId: sessionId, StreamUrl: streamUrl, TokenValue: tokenValue };
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) throw notConnected(Target);
    throw error;
  }
}

/** A session that has ended is answered without a token: the plugin takes that for its end. Not one of the last minute, whose client may have lost the last words with its connection. */
export async function resumeSession(
  { exec }: SessionDeps,
  { SessionId = "" }: ResumeSessionRequest,
  context: RequestContext,
): Promise<ResumeSessionResponse> {
  const record = await exec.hub.find(context, SessionId);
  if (!record) throw notThere(SessionId);
  if (!exec.hub.remembers(SessionId)) return { SessionId };
  const { streamUrl, tokenValue } = exec.again(record, context);
  return { SessionId, StreamUrl: streamUrl, TokenValue: tokenValue };
}

export async function terminateSession(
  { exec }: SessionDeps,
  { SessionId = "" }: TerminateSessionRequest,
  context: RequestContext,
): Promise<TerminateSessionResponse> {
  if (await exec.hub.find(context, SessionId)) await exec.hub.end(SessionId, "");
  return { SessionId };
}

export async function describeSessions(
  { exec, sealer }: SessionDeps,
  { State, Filters = [], MaxResults = 50, NextToken }: DescribeSessionsRequest,
  context: RequestContext,
): Promise<DescribeSessionsResponse> {
  const active = State === "Active";
  const tests = Filters.map(({ key = "", value = "" }) => {
    const test = filters[key];
    if (!test) throw new ApiError("InvalidFilterKey", `${key} is not a filter of sessions.`);
    return (session: Session) => test(session, value);
  });
  const sessions = (await exec.hub.list(context))
    .filter(({ endedAt }) => (endedAt === undefined) === active)
    .map((record) => viewOf(record, exec.hub.isConnected(record.id)))
    .filter((session) => tests.every((test) => test(session)));
  const position = ({ StartDate, SessionId }: Session) => `${String(9e15 - StartDate!.getTime()).padStart(16, "0")} ${SessionId}`;
  const found = pageOf(
    sealer,
    sessions.toSorted((a, b) => (position(a) < position(b) ? -1 : 1)),
    position,
    {
      scope: JSON.stringify(["ssm", "DescribeSessions", context.account, context.region, State, Filters]),
      limit: MaxResults,
      token: NextToken,
      badToken: errors.badToken,
    },
  );
  return { Sessions: [...found.items], ...(found.nextToken === undefined ? {} : { NextToken: found.nextToken }) };
}

/** Source: API Reference, SessionFilter. */
const filters: Readonly<Record<string, (session: Session, value: string) => boolean>> = {
  InvokedAfter: ({ StartDate }, value) => StartDate!.getTime() >= Date.parse(value),
  InvokedBefore: ({ StartDate }, value) => StartDate!.getTime() < Date.parse(value),
  Target: ({ Target }, value) => Target === value,
  Owner: ({ Owner }, value) => Owner === value,
  Status: ({ Status }, value) => Status === value,
  SessionId: ({ SessionId }, value) => SessionId === value,
};

function viewOf(record: ExecSessionRecord, connected: boolean): Session {
  const { endedAt } = record;
  return {
    SessionId: record.id,
    Target: record.target,
    Status: endedAt !== undefined ? (record.failed ? "Failed" : "Terminated") : connected ? "Connected" : "Disconnected",
    StartDate: new Date(record.startedAt),
    ...(endedAt === undefined ? {} : { EndDate: new Date(endedAt) }),
    Owner: record.owner,
    ...(record.output ? { Details: record.output } : {}),
    OutputUrl: {
      ...(record.bucket ? { S3OutputUrl: `s3://${record.bucket}` } : {}),
      ...(record.logGroup ? { CloudWatchOutputUrl: `${record.logGroup}/${record.id}` } : {}),
    },
    MaxSessionDuration: undefined,
  };
}
