import type {
  ContinueServiceDeploymentRequest,
  ContinueServiceDeploymentResponse,
  StopServiceDeploymentRequest,
  StopServiceDeploymentResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { DeploymentRecord } from "#model/service-records.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import type { ServiceDeps } from "./context.ts";
import { findDeployment } from "./deployments.ts";
import { serviceErrors } from "./names.ts";

/** Asks for it; the reconciler stops, or rolls back to the last deployment that completed. */
export async function stopServiceDeployment(
  deps: ServiceDeps,
  input: StopServiceDeploymentRequest,
  context: RequestContext,
): Promise<StopServiceDeploymentResponse> {
  const scope = scopeOf(context);
  const arn = input.serviceDeploymentArn ?? "";
  const found = await findDeployment(deps, scope, arn);
  if (!found) throw serviceErrors.deploymentNotFound();
  const stop = input.stopType ?? "ROLLBACK";
  if (stop !== "ROLLBACK" && stop !== "ABORT") throw ecsErrors.invalid("stopType must be one of ROLLBACK, ABORT.");
  const { cluster, name } = found.service;
  await deps.writer.run(clusterQueue(scope, cluster), async (unit) => {
    const key = ecsKeys.deployment(scope, cluster, name, found.deployment.id);
    const known = await unit.get<DeploymentRecord>(key);
    if (!known) throw serviceErrors.deploymentNotFound();
    if (known.stop !== undefined) return;
    if (known.outcome !== "IN_PROGRESS" && known.outcome !== "PENDING")
      throw serviceErrors.conflict(`The service deployment can't be stopped: its status is ${known.outcome}.`);
    if (known.shift?.stage === "CLEAN_UP")
      throw serviceErrors.conflict(
        "The service deployment can't be stopped: all traffic has shifted, and the tasks before it are cleaned up.",
      );
    const others = await unit.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster, name));
    const good = ({ id, outcome, status, rolloutState }: DeploymentRecord) =>
      id !== known.id && (outcome === "SUCCESSFUL" || (status === "ACTIVE" && rolloutState !== "FAILED"));
    const back = known.shift ? known.shift.blue !== undefined : [...others.values()].some(good);
    if (stop === "ROLLBACK" && !back)
      throw serviceErrors.conflict("The service deployment can't be rolled back: no earlier deployment has completed.");
    const outcome = stop === "ROLLBACK" ? ("ROLLBACK_REQUESTED" as const) : ("STOP_REQUESTED" as const);
    unit.put(key, { ...known, stop, outcome, version: known.version + 1, updatedAt: context.now } satisfies DeploymentRecord);
  });
  return { serviceDeploymentArn: arn };
}

/** Lets a deployment go on that waits at a PAUSE hook, or sends it back. */
export async function continueServiceDeployment(
  deps: ServiceDeps,
  input: ContinueServiceDeploymentRequest,
  context: RequestContext,
): Promise<ContinueServiceDeploymentResponse> {
  const scope = scopeOf(context);
  const arn = input.serviceDeploymentArn ?? "";
  const found = await findDeployment(deps, scope, arn);
  if (!found) throw serviceErrors.deploymentNotFound();
  const action = input.action ?? "CONTINUE";
  if (action !== "CONTINUE" && action !== "ROLLBACK") throw ecsErrors.invalid("action must be one of CONTINUE, ROLLBACK.");
  const { cluster, name } = found.service;
  await deps.writer.run(clusterQueue(scope, cluster), async (unit) => {
    const key = ecsKeys.deployment(scope, cluster, name, found.deployment.id);
    const known = await unit.get<DeploymentRecord>(key);
    const hook = known?.rolloutState === "IN_PROGRESS" ? known.shift?.hooks.find(({ id }) => id === input.hookId) : undefined;
    if (!known?.shift || hook?.targetType !== "PAUSE" || hook.status !== "AWAITING_ACTION")
      throw ecsErrors.invalid(`The service deployment is not paused at a lifecycle hook with the hookId ${input.hookId ?? ""}.`);
    const decided =
      action === "CONTINUE"
        ? { ...hook, status: "SUCCEEDED" as const }
        : { ...hook, status: "FAILED" as const, reason: "rollback requested by user" };
    const hooks = known.shift.hooks.map((each) => (each === hook ? decided : each));
    const changed: DeploymentRecord = { ...known, shift: { ...known.shift, hooks }, version: known.version + 1, updatedAt: context.now };
    unit.put(key, changed);
  });
  return { serviceDeploymentArn: arn };
}
