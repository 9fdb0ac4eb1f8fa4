import type {
  Attribute,
  DeleteAttributesRequest,
  DeleteAttributesResponse,
  ListAttributesRequest,
  ListAttributesResponse,
  PutAttributesRequest,
  PutAttributesResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { putInstance } from "#reconcilers/nodes.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { checkLimit, type EcsDeps, scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { clusterOf } from "../tasks/lookup.ts";
import { instanceIn } from "./instance-name.ts";

/** Source: ECS API Reference, Attribute. */
export function checkAttributes(attributes: readonly Attribute[] | undefined): void {
  for (const { name = "", value = "" } of attributes ?? []) {
    if (!/^[A-Za-z0-9_./\\-]{1,128}$/.test(name)) throw ecsErrors.invalid(`Invalid attribute name: ${name.slice(0, 140)}`);
    if (value.length > 128 || value !== value.trim() || !/^[A-Za-z0-9_.@:/\\ -]*$/.test(value))
      throw ecsErrors.invalid(`Invalid value of the attribute ${name}: ${value.slice(0, 140)}`);
  }
}

export function putAttributes(deps: EcsDeps, input: PutAttributesRequest, context: RequestContext): Promise<PutAttributesResponse> {
  checkAttributes(input.attributes);
  return change(deps, input, context, (known, { name = "", value }) => {
    const next = [...known.filter((each) => each.name !== name), value === undefined ? { name } : { name, value }];
    if (isCustom(name) && next.filter((each) => isCustom(each.name)).length > mostCustom) throw ecsErrors.attributeLimit();
    return next;
  });
}

/** AWS's own names are those that the agent and the service set. */
const isCustom = (name: string) => !/^(com\.amazonaws\.)?ecs\./.test(name);
const mostCustom = 10;

export function deleteAttributes(
  deps: EcsDeps,
  input: DeleteAttributesRequest,
  context: RequestContext,
): Promise<DeleteAttributesResponse> {
  return change(deps, input, context, (known, { name, value }) => {
    const found = known.some((each) => each.name === name && (value === undefined || each.value === value));
    if (!found) throw ecsErrors.targetNotFound(`the attribute ${name}`);
    return known.filter((each) => each.name !== name);
  });
}

type Known = ContainerInstanceRecord["attributes"];

async function change(
  deps: EcsDeps,
  input: PutAttributesRequest | DeleteAttributesRequest,
  context: RequestContext,
  apply: (known: Known, attribute: Attribute) => Known,
): Promise<{ attributes: Attribute[] }> {
  const scope = scopeOf(context);
  const { name: cluster } = await clusterOf(deps.store, scope, input.cluster);
  const attributes = input.attributes ?? [];
  if (attributes.length < 1 || attributes.length > 10) throw ecsErrors.invalid("Between 1 and 10 attributes can be given at once.");
  return deps.writer.run(clusterQueue(scope, cluster), async (unit) => {
    const done: Attribute[] = [];
    for (const attribute of attributes) {
      if (attribute.targetType !== undefined && attribute.targetType !== "container-instance")
        throw ecsErrors.invalid(`Invalid targetType: ${String(attribute.targetType)}`);
      const id = instanceIn(attribute.targetId ?? "", cluster);
      const key = ecsKeys.containerInstance(scope, cluster, id ?? "");
      const record = id ? await unit.get<ContainerInstanceRecord>(key) : undefined;
      if (!record || record.status === "INACTIVE") throw ecsErrors.targetNotFound(attribute.targetId ?? "no targetId was given");
      await putInstance(unit, scope, { ...record, attributes: apply(record.attributes, attribute), version: record.version + 1 });
      done.push({ name: attribute.name, value: attribute.value, targetType: "container-instance", targetId: record.arn });
    }
    return { attributes: done };
  });
}

export async function listAttributes(
  deps: EcsDeps,
  input: ListAttributesRequest,
  context: RequestContext,
): Promise<ListAttributesResponse> {
  const scope = scopeOf(context);
  const { name: cluster } = await clusterOf(deps.store, scope, input.cluster);
  if (input.targetType !== "container-instance") throw ecsErrors.invalid(`Invalid targetType: ${String(input.targetType)}`);
  if (input.attributeValue !== undefined && input.attributeName === undefined)
    throw ecsErrors.invalid("attributeName must be specified when attributeValue is specified.");
  const { entries } = await deps.store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster));
  const all = entries
    .filter(({ value }) => value.status !== "INACTIVE")
    .flatMap(({ value: record }) =>
      record.attributes.map((attribute): Attribute => ({ ...attribute, targetType: "container-instance", targetId: record.arn })),
    )
    .filter(
      ({ name, value }) =>
        (input.attributeName === undefined || name === input.attributeName) &&
        (input.attributeValue === undefined || value === input.attributeValue),
    )
    .toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const limit = checkLimit(input.maxResults, 100);
  const token = `ListAttributes/${ecsKeys.root(scope)}/${cluster}/${input.attributeName ?? ""}/${input.attributeValue ?? ""}`;
  const { items, nextToken } = pageOf(deps.sealer, all, position, {
    scope: token,
    limit,
    token: input.nextToken,
    badToken: ecsErrors.badToken,
  });
  return { attributes: [...items], nextToken };
}

const position = ({ targetId = "", name = "" }: Attribute) => `${targetId}\n${name}`;
