import type {
  Failure,
  GetTaskProtectionRequest,
  GetTaskProtectionResponse,
  ProtectedTask,
  UpdateTaskProtectionRequest,
  UpdateTaskProtectionResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { TaskProtectionRecord } from "#model/service-records.ts";
import { desiredStatus } from "#model/task-state.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import type { Unit } from "#store/unit.ts";
import { scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn, parseTaskName } from "../tasks/identifiers.ts";
import { clusterOf } from "../tasks/lookup.ts";
import type { ServiceDeps } from "./context.ts";

const defaultMinutes = 120;
const mostMinutes = 2880;

/** Source: ECS API Reference, UpdateTaskProtection. Protection is for tasks of services only, and ends by itself. */
export async function updateTaskProtection(
  deps: ServiceDeps,
  input: UpdateTaskProtectionRequest,
  context: RequestContext,
): Promise<UpdateTaskProtectionResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const asked = input.tasks ?? [];
  if (asked.length < 1 || asked.length > 10) throw ecsErrors.invalid("Between 1 and 10 tasks can be protected at once.");
  const minutes = input.expiresInMinutes ?? defaultMinutes;
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > mostMinutes)
    throw ecsErrors.invalid(`expiresInMinutes must be between 1 and ${mostMinutes}.`);
  const expiresAt = context.now + minutes * 60_000;
  return deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    const protectedTasks: ProtectedTask[] = [];
    const failures: Failure[] = [];
    for (const text of asked) {
      const found = await serviceTask(unit, scope, cluster.name, text);
      if ("failure" in found) {
        failures.push(found.failure);
        continue;
      }
      const key = ecsKeys.taskProtection(scope, cluster.name, found.task.id);
      if (input.protectionEnabled) unit.put(key, { expiresAt } satisfies TaskProtectionRecord);
      else unit.delete(key);
      const expiry = input.protectionEnabled ? { expirationDate: new Date(expiresAt) } : {};
      protectedTasks.push({ taskArn: found.task.arn, protectionEnabled: input.protectionEnabled ?? false, ...expiry });
    }
    return { protectedTasks, failures };
  });
}

async function serviceTask(unit: Unit, scope: Scope, cluster: string, text: string): Promise<{ task: TaskRecord } | { failure: Failure }> {
  const { id, cluster: named } = parseTaskName(text);
  const task = named !== undefined && named !== cluster ? undefined : await unit.get<TaskRecord>(ecsKeys.task(scope, cluster, id));
  const arn = task?.arn ?? (text.startsWith("arn:") ? text : ecsArn.task(scope, cluster, id));
  if (!task) return { failure: { arn, reason: "TASK_NOT_VALID", detail: "The task was not found." } };
  if (!task.group.startsWith("service:"))
    return { failure: { arn, reason: "TASK_NOT_VALID", detail: "The task does not belong to a service." } };
  const observation = await unit.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id));
  if (desiredStatus(task, observation) === "STOPPED")
    return { failure: { arn, reason: "TASK_NOT_VALID", detail: "The task is stopping or has stopped." } };
  return { task };
}

/** Without `tasks`: every protected task of the cluster. */
export async function getTaskProtection(
  deps: ServiceDeps,
  input: GetTaskProtectionRequest,
  context: RequestContext,
): Promise<GetTaskProtectionResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const asked = input.tasks ?? [];
  if (asked.length > 100) throw ecsErrors.invalid("Tasks cannot have more than 100 elements.");
  const protectedTasks: ProtectedTask[] = [];
  const failures: Failure[] = [];
  const found = deps.index.cluster(scope, cluster.name);
  const ids = asked.length > 0 ? asked.map((text) => parseTaskName(text).id) : [...(found?.protections.keys() ?? [])];
  for (const id of ids) {
    const task = (await deps.store.get<TaskRecord>(ecsKeys.task(scope, cluster.name, id)))?.value;
    const arn = task?.arn ?? ecsArn.task(scope, cluster.name, id);
    if (!task) {
      failures.push({ arn, reason: "MISSING" });
      continue;
    }
    const record = (await deps.store.get<TaskProtectionRecord>(ecsKeys.taskProtection(scope, cluster.name, id)))?.value;
    const enabled = record !== undefined && record.expiresAt > context.now;
    if (asked.length > 0 || enabled)
      protectedTasks.push({ taskArn: arn, protectionEnabled: enabled, ...(enabled ? { expirationDate: new Date(record.expiresAt) } : {}) });
  }
  return { protectedTasks, failures };
}
