import type {
  CreateTaskSetRequest,
  CreateTaskSetResponse,
  DeleteTaskSetRequest,
  DeleteTaskSetResponse,
  DescribeTaskSetsRequest,
  DescribeTaskSetsResponse,
  Scale,
  TaskDefinition,
  TaskSet,
  UpdateServicePrimaryTaskSetRequest,
  UpdateServicePrimaryTaskSetResponse,
  UpdateTaskSetRequest,
  UpdateTaskSetResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ServiceRecord, ServiceStateRecord, TaskSetRecord } from "#model/service-records.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import type { Unit } from "#store/unit.ts";
import { scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { networkWish, readerOf } from "../tasks/launch-rules.ts";
import { clusterOf, taskDefinitionOf } from "../tasks/lookup.ts";
import { checkTags } from "../tasks/tags.ts";
import type { ServiceDeps } from "./context.ts";
import { digits, findService, serviceArns, serviceErrors } from "./names.ts";
import { checkConnections } from "./load-balancers.ts";
import { revisionSpec } from "./revision.ts";
import { checkRevision } from "./rules.ts";
import { readCounts, taskSetView } from "./view.ts";
import { activeService } from "./update.ts";

const mostTaskSets = 5;

interface Named {
  readonly cluster?: string;
  readonly service?: string;
}

async function serviceOf(deps: ServiceDeps, scope: Scope, input: Named): Promise<ServiceRecord> {
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const service = await findService(deps.store, scope, cluster.name, input.service ?? "");
  if (service.status !== "ACTIVE") throw serviceErrors.notActive();
  if (service.deploymentController !== "EXTERNAL")
    throw ecsErrors.invalid("Task sets are for services with the EXTERNAL or CODE_DEPLOY deployment controller.");
  return service;
}

/** `ecs-svc/…` or the ARN of a task set of this service. */
function taskSetId(service: ServiceRecord, text: string): string {
  if (!text.startsWith("arn:")) return text;
  const [kind, cluster, name, id] = parseArn(text)?.resource.split("/") ?? [];
  return kind === "task-set" && cluster === service.cluster && name === service.name && id ? id : "";
}

function checkScale(scale: Scale | undefined): TaskSetRecord["scale"] {
  const { value = 100, unit = "PERCENT" } = scale ?? {};
  if (unit !== "PERCENT") throw ecsErrors.invalid("The unit of a scale must be PERCENT.");
  if (!(value >= 0 && value <= 100)) throw ecsErrors.invalid("The value of a scale must be between 0 and 100.");
  return { value, unit };
}

async function viewOf(
  deps: ServiceDeps,
  scope: Scope,
  service: ServiceRecord,
  record: TaskSetRecord,
  include: readonly string[],
): Promise<TaskSet> {
  const state = await deps.store.get<ServiceStateRecord>(ecsKeys.serviceState(scope, service.cluster, service.name));
  return taskSetView(scope, service, record, readCounts(deps, scope, service), state?.value, include);
}

export async function createTaskSet(
  deps: ServiceDeps,
  input: CreateTaskSetRequest,
  context: RequestContext,
): Promise<CreateTaskSetResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const service = await serviceOf(deps, scope, input);
  const definition = await taskDefinitionOf(deps.store, scope, input.taskDefinition ?? "");
  checkTags(input.tags);
  checkRevision(input, cluster, definition);
  await networkWish(readerOf(deps.store), scope, input.networkConfiguration);
  await checkConnections(deps.store, scope, input, definition?.definition as TaskDefinition | undefined);
  const scale = checkScale(input.scale);
  const spec = revisionSpec(
    input.capacityProviderStrategy?.length ? input : { ...input, launchType: input.launchType ?? "EC2" },
    definition.arn,
  );
  const record = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    await activeService(unit, scope, service);
    const sets = await unit.list<TaskSetRecord>(ecsKeys.taskSets(scope, cluster.name, service.name));
    if (sets.size >= mostTaskSets) throw ecsErrors.invalid(`A service can have at most ${mostTaskSets} task sets.`);
    const id = `ecs-svc/${digits(deps.random, 19)}`;
    const made: TaskSetRecord = {
      id,
      arn: serviceArns.taskSet(scope, cluster.name, service.name, id),
      status: "ACTIVE",
      version: 1,
      ...(input.externalId ? { externalId: input.externalId } : {}),
      scale,
      createdAt: context.now,
      updatedAt: context.now,
      tags: (input.tags ?? []).map(({ key = "", value = "" }) => ({ key, value })),
      ...spec,
    };
    unit.put(ecsKeys.taskSet(scope, cluster.name, service.name, id), made);
    return made;
  });
  return { taskSet: await viewOf(deps, scope, service, record, []) };
}

async function changeSet(
  deps: ServiceDeps,
  scope: Scope,
  service: ServiceRecord,
  text: string,
  change: (known: TaskSetRecord, unit: Unit) => Promise<TaskSetRecord> | TaskSetRecord,
): Promise<TaskSetRecord> {
  return deps.writer.run(clusterQueue(scope, service.cluster), async (unit) => {
    await activeService(unit, scope, service);
    const key = ecsKeys.taskSet(scope, service.cluster, service.name, taskSetId(service, text));
    const known = await unit.get<TaskSetRecord>(key);
    if (!known) throw serviceErrors.taskSetNotFound();
    const next = await change(known, unit);
    unit.put(key, next);
    return next;
  });
}

export async function updateTaskSet(
  deps: ServiceDeps,
  input: UpdateTaskSetRequest,
  context: RequestContext,
): Promise<UpdateTaskSetResponse> {
  const scope = scopeOf(context);
  const service = await serviceOf(deps, scope, input);
  const scale = checkScale(input.scale);
  const record = await changeSet(deps, scope, service, input.taskSet ?? "", (known) => ({
    ...known,
    scale,
    version: known.version + 1,
    updatedAt: context.now,
  }));
  return { taskSet: await viewOf(deps, scope, service, record, []) };
}

export async function updateServicePrimaryTaskSet(
  deps: ServiceDeps,
  input: UpdateServicePrimaryTaskSetRequest,
  context: RequestContext,
): Promise<UpdateServicePrimaryTaskSetResponse> {
  const scope = scopeOf(context);
  const service = await serviceOf(deps, scope, input);
  const record = await changeSet(deps, scope, service, input.primaryTaskSet ?? "", async (known, unit) => {
    if (known.status === "DRAINING") throw ecsErrors.invalid("A task set that is draining can't become the primary one.");
    for (const key of (await unit.list<TaskSetRecord>(ecsKeys.taskSets(scope, service.cluster, service.name))).keys()) {
      const other = await unit.get<TaskSetRecord>(key);
      if (other?.status === "PRIMARY" && other.id !== known.id)
        unit.put(key, { ...other, status: "ACTIVE", version: other.version + 1, updatedAt: context.now } satisfies TaskSetRecord);
    }
    const owner = await activeService(unit, scope, service);
    unit.put(ecsKeys.service(scope, service.cluster, service.name), {
      ...owner,
      primaryTaskSet: known.id,
      version: owner.version + 1,
    } satisfies ServiceRecord);
    return { ...known, status: "PRIMARY", version: known.version + 1, updatedAt: context.now } satisfies TaskSetRecord;
  });
  return { taskSet: await viewOf(deps, scope, service, record, []) };
}

/** It drains: the reconciler stops its tasks, then deletes it. */
export async function deleteTaskSet(
  deps: ServiceDeps,
  input: DeleteTaskSetRequest,
  context: RequestContext,
): Promise<DeleteTaskSetResponse> {
  const scope = scopeOf(context);
  const service = await serviceOf(deps, scope, input);
  const record = await changeSet(deps, scope, service, input.taskSet ?? "", (known) => {
    if (!input.force && known.scale.value > 0) throw ecsErrors.invalid("The task set cannot be deleted while it is scaled above 0.");
    return { ...known, status: "DRAINING", version: known.version + 1, updatedAt: context.now };
  });
  return { taskSet: await viewOf(deps, scope, service, record, []) };
}

export async function describeTaskSets(
  deps: ServiceDeps,
  input: DescribeTaskSetsRequest,
  context: RequestContext,
): Promise<DescribeTaskSetsResponse> {
  const scope = scopeOf(context);
  const service = await serviceOf(deps, scope, input);
  const { entries } = await deps.store.list<TaskSetRecord>(ecsKeys.taskSets(scope, service.cluster, service.name));
  const all = entries.map(({ value }) => value);
  const taskSets: TaskSet[] = [];
  const failures: DescribeTaskSetsResponse["failures"] = [];
  const asked = input.taskSets?.length ? input.taskSets : all.map(({ id }) => id);
  for (const text of asked) {
    const id = taskSetId(service, text);
    const record = all.find((each) => each.id === id || each.id === `ecs-svc/${id}`);
    if (record) taskSets.push(await viewOf(deps, scope, service, record, input.include ?? []));
    else failures.push({ arn: text, reason: "MISSING" });
  }
  return { taskSets, failures };
}
