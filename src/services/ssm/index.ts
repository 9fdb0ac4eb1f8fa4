import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { SsmOperations } from "#api/generated/ssm.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { asking, type Change, changing, type Records } from "#reconcilers/secrets/records.ts";
import type { ExecOpener } from "#reconcilers/exec/opener.ts";
import { createWriter } from "#store/unit.ts";
import { parameterFacts } from "./access.ts";
import * as get from "./get.ts";
import * as operations from "./operations.ts";
import { putParameter } from "./put.ts";
import * as sessions from "./sessions.ts";

/** AWS Systems Manager: Parameter Store, and with `exec` the sessions of ECS Exec. Source: AWS Systems Manager API Reference and User Guide. */
export function createSsm(serverDeps: ServerDeps & { readonly exec?: ExecOpener }): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, "ssm", operation);
  const ask = <I, O>(operation: (records: Records, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    PutParameter: change(putParameter),
    GetParameter: ask(get.getParameter),
    GetParameters: ask(get.getParameters),
    GetParametersByPath: ask(get.getParametersByPath),
    GetParameterHistory: ask(get.getParameterHistory),
    DescribeParameters: ask(operations.describeParameters),
    DeleteParameter: change(operations.deleteParameter),
    DeleteParameters: change(operations.deleteParameters),
    LabelParameterVersion: change(operations.labelParameterVersion),
    UnlabelParameterVersion: change(operations.unlabelParameterVersion),
    AddTagsToResource: change(operations.addTagsToResource),
    RemoveTagsFromResource: change(operations.removeTagsFromResource),
    ListTagsForResource: ask(operations.listTagsForResource),
  } satisfies Handlers<SsmOperations>;
  return {
    resources: [parameterFacts(deps)],
    registrations: [
      {
        service: "ssm",
        handlers: {
          ...(handlers as Readonly<Record<string, Handler>>),
          ...(serverDeps.exec ? sessionHandlers({ ...serverDeps, exec: serverDeps.exec }) : {}),
        },
      },
    ],
  };
}

function sessionHandlers(deps: sessions.SessionDeps): Readonly<Record<string, Handler>> {
  const operation =
    <I, O>(handle: (deps: sessions.SessionDeps, input: I, context: RequestContext) => O) =>
    (input: I, context: RequestContext): O =>
      handle(deps, input, context);
  const handlers = {
    StartSession: operation(sessions.startSession),
    ResumeSession: operation(sessions.resumeSession),
    TerminateSession: operation(sessions.terminateSession),
    DescribeSessions: operation(sessions.describeSessions),
  } satisfies Handlers<SsmOperations>;
  return handlers as Readonly<Record<string, Handler>>;
}
