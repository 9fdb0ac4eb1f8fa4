import type {
  ContainerInstance,
  DeregisterContainerInstanceRequest,
  DeregisterContainerInstanceResponse,
  DescribeContainerInstancesRequest,
  DescribeContainerInstancesResponse,
  Failure,
  ListContainerInstancesRequest,
  ListContainerInstancesResponse,
  UpdateContainerAgentRequest,
  UpdateContainerAgentResponse,
  UpdateContainerInstancesStateRequest,
  UpdateContainerInstancesStateResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { parseQuery, QueryError } from "#model/query-language.ts";
import { isHidden, putInstance } from "#reconcilers/nodes.ts";
import { writeInstanceUsage } from "#reconcilers/meter/record.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { type EcsDeps, scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { clusterOf } from "../tasks/lookup.ts";
import { instanceId, instanceIn } from "./instance-name.ts";
import { querySubject } from "./query-subject.ts";
import { instanceView, readInstanceState } from "./view.ts";

async function read(deps: EcsDeps, scope: Scope, cluster: string, text: string): Promise<ContainerInstanceRecord | undefined> {
  const id = instanceIn(text, cluster);
  if (id === undefined) return undefined;
  const record = (await deps.store.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, id)))?.value;
  return record && isHidden(record) ? undefined : record;
}

const failure = (scope: Scope, cluster: string, text: string): Failure => ({
  arn: text.startsWith("arn:") ? text : ecsArn.containerInstance(scope, cluster, text),
  reason: "MISSING",
});

export async function describeContainerInstances(
  deps: EcsDeps,
  input: DescribeContainerInstancesRequest,
  context: RequestContext,
): Promise<DescribeContainerInstancesResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const asked = input.containerInstances ?? [];
  if (asked.length === 0) throw ecsErrors.invalid("Container instances cannot be empty.");
  if (asked.length > 100) throw ecsErrors.invalid("Container instances cannot have more than 100 elements.");
  const containerInstances: ContainerInstance[] = [];
  const failures: Failure[] = [];
  for (const text of asked) {
    const record = await read(deps, scope, name, text);
    if (!record) failures.push(failure(scope, name, text));
    else containerInstances.push(instanceView(record, await readInstanceState(deps.store, scope, record), input.include ?? []));
  }
  return { containerInstances, failures };
}

export async function listContainerInstances(
  deps: EcsDeps,
  input: ListContainerInstancesRequest,
  context: RequestContext,
): Promise<ListContainerInstancesResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const query = input.filter ? queryOf(input.filter) : undefined;
  const { entries } = await deps.store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, name));
  const arns: string[] = [];
  for (const { value } of entries) {
    // Without a status, AWS lists all but those that were deregistered.
    if (isHidden(value)) continue;
    if (input.status ? value.status !== input.status : value.status === "INACTIVE") continue;
    if (query && !query(querySubject(value, await readInstanceState(deps.store, scope, value)))) continue;
    arns.push(value.arn);
  }
  const page = textPage(
    deps,
    `ListContainerInstances/${ecsKeys.root(scope)}/${name}/${input.status ?? ""}/${input.filter ?? ""}`,
    arns,
    input,
  );
  return { containerInstanceArns: [...page.items], nextToken: page.nextToken };
}

export function queryOf(filter: string) {
  try {
    return parseQuery(filter);
  } catch (error) {
    if (error instanceof QueryError) throw ecsErrors.invalid(`Invalid filter expression: ${error.message}`);
    throw error;
  }
}

export async function updateContainerInstancesState(
  deps: EcsDeps,
  input: UpdateContainerInstancesStateRequest,
  context: RequestContext,
): Promise<UpdateContainerInstancesStateResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const { status } = input;
  if (status !== "ACTIVE" && status !== "DRAINING")
    throw ecsErrors.invalid("Container instance status should be one of [ACTIVE, DRAINING].");
  const asked = input.containerInstances ?? [];
  if (asked.length < 1 || asked.length > 10) throw ecsErrors.invalid("Between 1 and 10 container instances can be updated at once.");
  const containerInstances: ContainerInstance[] = [];
  const failures: Failure[] = [];
  for (const text of asked) {
    const id = instanceIn(text, name);
    const record =
      id === undefined
        ? undefined
        : await deps.writer.run(clusterQueue(scope, name), async (unit) => {
            const key = ecsKeys.containerInstance(scope, name, id);
            const known = await unit.get<ContainerInstanceRecord>(key);
            if (!known || known.status === "INACTIVE") return known;
            const next = { ...known, status, version: known.version + 1 };
            await putInstance(unit, scope, next);
            return next;
          });
    if (!record) failures.push(failure(scope, name, text));
    else if (record.status === "INACTIVE") failures.push({ arn: record.arn, reason: "INACTIVE" });
    else containerInstances.push(instanceView(record, await readInstanceState(deps.store, scope, record), []));
  }
  return { containerInstances, failures };
}

/** The instance becomes INACTIVE. With tasks on it only by force; the reconciler then ends them on the books, and its agent is told. */
export async function deregisterContainerInstance(
  deps: EcsDeps,
  input: DeregisterContainerInstanceRequest,
  context: RequestContext,
): Promise<DeregisterContainerInstanceResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const id = instanceId(input.containerInstance ?? "", name);
  const record = await deps.writer.run(clusterQueue(scope, name), async (unit) => {
    const key = ecsKeys.containerInstance(scope, name, id);
    const known = await unit.get<ContainerInstanceRecord>(key);
    if (!known || known.status === "INACTIVE") throw ecsErrors.invalid("Referenced container instance not found.");
    const allocation = await unit.get<{ tasks: object }>(ecsKeys.allocation(scope, name, id));
    if (!input.force && Object.keys(allocation?.tasks ?? {}).length > 0) throw ecsErrors.invalid("Found running tasks on the instance.");
    const next: ContainerInstanceRecord = { ...known, status: "INACTIVE", version: known.version + 1 };
    await putInstance(unit, scope, next);
    writeInstanceUsage(unit, scope, known, context.now);
    return next;
  });
  return { containerInstance: instanceView(record, await readInstanceState(deps.store, scope, record), ["TAGS"]) };
}

/** Gantry's agent is updated with Gantry; a standard agent by whoever installed it. AWS's own error for an agent that it cannot update. */
export async function updateContainerAgent(
  deps: EcsDeps,
  input: UpdateContainerAgentRequest,
  context: RequestContext,
): Promise<UpdateContainerAgentResponse> {
  const scope = scopeOf(context);
  const { name } = await clusterOf(deps.store, scope, input.cluster);
  const id = instanceId(input.containerInstance ?? "", name);
  if (!(await deps.store.get(ecsKeys.containerInstance(scope, name, id))))
    throw ecsErrors.invalid("Referenced container instance not found.");
  throw ecsErrors.noUpdate();
}
