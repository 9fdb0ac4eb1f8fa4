import type { ExecuteCommandRequest } from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import type { ExecOpener } from "#reconcilers/exec/opener.ts";
import { ecsErrors } from "../errors.ts";
import { scopeOf } from "../tasks/context.ts";
import { clusterOf } from "../tasks/lookup.ts";
import { type ExecDeps, executeCommand, openedView, openSession } from "./execute-command.ts";

/** ECS Exec: its operation, and what Systems Manager shares of it. */
export interface Exec extends ExecOpener {
  executeCommand(input: ExecuteCommandRequest, context: RequestContext): ReturnType<typeof executeCommand>;
}

export function createExec(deps: ExecDeps): Exec {
  return {
    hub: deps.hub,
    executeCommand: (input, context) => executeCommand(deps, input, context),
    async startOn(target, command, context) {
      // A cluster's name may have underscores, an id and a runtime id have none.
      const [, name, id = "", runtimeId] = /^ecs:(.+)_([^_]+)_([^_]+)$/.exec(target) ?? [];
      const cluster = await clusterOf(deps.store, scopeOf(context), name);
      const { session } = await openSession(deps, cluster, id, command, context, (_task, observation) => {
        const found = observation.containers.find((container) => container.runtimeId === runtimeId);
        if (!found) throw ecsErrors.invalid(`There is no container ${runtimeId} in the task.`);
        return found.name;
      });
      return openedView(deps, session, context);
    },
    again: (session, context) => openedView(deps, session, context),
  };
}
