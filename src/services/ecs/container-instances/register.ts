import type { RegisterContainerInstanceRequest, RegisterContainerInstanceResponse, Resource } from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord, Resources } from "#model/ecs-records.ts";
import { clientTokenRetentionMs } from "#reconcilers/limits.ts";
import { putInstance } from "#reconcilers/nodes.ts";
import type { Unit } from "#store/unit.ts";
import { newCluster } from "../clusters/clusters.ts";
import { type EcsDeps, scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { clusterName } from "../tasks/lookup.ts";
import { checkTags } from "../tasks/tags.ts";
import { checkAttributes } from "./attributes.ts";
import { machineIdentity } from "./identity-document.ts";
import { instanceIn } from "./instance-name.ts";
import { checkOnlyOne } from "./one-only.ts";
import { checkClaims, nextOwner } from "./owner.ts";
import { instanceView, readInstanceState } from "./view.ts";

/** The SDK's model lacks the token that agents send. */
type Registration = RegisterContainerInstanceRequest & { readonly clientToken?: string };

/**
 * Called by agents. With the ARN of an instance that is known, the instance keeps its identity and takes the new resources; the
 * answer echoes every attribute as it was sent, or the standard agent stops for good. A clientToken makes a repeated first registration one.
 */
export async function registerContainerInstance(
  deps: EcsDeps,
  input: Registration,
  context: RequestContext,
): Promise<RegisterContainerInstanceResponse> {
  const scope = scopeOf(context);
  const cluster = clusterName(scope, input.cluster);
  if (cluster === undefined) throw ecsErrors.clusterNotFound();
  checkTags(input.tags);
  checkAttributes(input.attributes);
  const resources = resourcesOf(input.totalResources);
  const machine = machineIdentity(input.instanceIdentityDocument);
  checkClaims(context.principal, machine, input.attributes ?? []);
  await checkOnlyOne(deps.store, scope, context.principal, input.containerInstanceArn);
  const record = await deps.writer.run("ecs-clusters", async (unit) => {
    const clusterKey = ecsKeys.cluster(scope, cluster);
    const known = await unit.get<ClusterRecord>(clusterKey);
    if (known?.status !== "ACTIVE") {
      // The agent's own default cluster comes into being with its first instance; any other must be made first.
      if (cluster !== "default") throw ecsErrors.clusterNotFound();
      unit.put(clusterKey, newCluster(scope, cluster, context.now));
    }
    const id = (await earlierIdentity(scope, cluster, input, unit)) ?? deps.random.hex(16);
    const key = ecsKeys.containerInstance(scope, cluster, id);
    const before = await unit.get<ContainerInstanceRecord>(key);
    const sent = (input.attributes ?? []).map(({ name = "", value }) => (value === undefined ? { name } : { name, value }));
    const typeBefore = before?.attributes.find(({ name }) => name === instanceType)?.value;
    const type = sent.find(({ name }) => name === instanceType)?.value ?? machine.instanceType;
    // The standard agent knows this sentence: it then registers as a new instance.
    if (typeBefore !== undefined && type !== undefined && type !== typeBefore)
      throw ecsErrors.client(
        `Container instance type changes are not supported. Container instance ${id} was previously registered as ${typeBefore}.`,
      );
    const next: ContainerInstanceRecord = {
      arn: ecsArn.containerInstance(scope, cluster, id),
      id,
      cluster,
      ec2InstanceId: machine.instanceId ?? before?.ec2InstanceId ?? `mi-${id.slice(0, 17)}`,
      status: before?.status === "DRAINING" ? "DRAINING" : "ACTIVE",
      registeredAt: before?.registeredAt ?? context.now,
      registeredResources: resources,
      attributes: mergeAttributes(sent, machine.attributes, before?.attributes ?? []),
      versionInfo: { ...input.versionInfo },
      tags: input.tags?.length ? input.tags.map(({ key: tagKey = "", value = "" }) => ({ key: tagKey, value })) : (before?.tags ?? []),
      owner: nextOwner(context.principal, before),
      version: (before?.version ?? 0) + 1,
    };
    await putInstance(unit, scope, next);
    if (input.clientToken) {
      const tokenKey = ecsKeys.clientToken(scope, operation, input.clientToken);
      unit.put(tokenKey, { id, cluster });
      unit.put(ecsKeys.expiry("client-token", context.now + clientTokenRetentionMs, deps.random.hex(16)), { keys: [tokenKey] });
    }
    return next;
  });
  return { containerInstance: instanceView(record, await readInstanceState(deps.store, scope, record), ["TAGS"]) };
}

const operation = "RegisterContainerInstance";
const instanceType = "ecs.instance-type";

type Attributes = ContainerInstanceRecord["attributes"];

/** What the agent sent, exactly; then what its machine adds; then what users put on the instance, which outlives the agent's restart. */
function mergeAttributes(sent: Attributes, ofMachine: Attributes, before: Attributes): Attributes {
  const merged = [...sent];
  const names = new Set(sent.map(({ name }) => name));
  for (const attribute of [...ofMachine, ...before.filter(({ name }) => !isAgents(name))]) {
    if (names.has(attribute.name)) continue;
    names.add(attribute.name);
    merged.push(attribute);
  }
  return merged;
}

/** Attributes of these names are the agent's: it sends all that are true at each registration. */
const isAgents = (name: string) => name.startsWith("com.amazonaws.ecs.capability.") || name.startsWith("ecs.capability.");

/**
 * The id of the instance that registers again: by the ARN that it was given, or by the token of a request that it repeats. Undefined for
 * a new one, and for one that was deregistered: that never comes back. An ARN that nobody knows (the store was emptied) keeps its id,
 * because a standard agent goes on by the ARN that it remembers, whatever the answer says.
 */
async function earlierIdentity(scope: Scope, cluster: string, input: Registration, unit: Pick<Unit, "get">): Promise<string | undefined> {
  const id = input.containerInstanceArn ? ofArn(scope, cluster, input.containerInstanceArn) : await ofToken(scope, cluster, input, unit);
  if (id === undefined) return undefined;
  const before = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, id));
  return before?.status === "INACTIVE" ? undefined : id;
}

function ofArn(scope: Scope, cluster: string, text: string): string | undefined {
  const arn = parseArn(text);
  if (arn?.account !== scope.account || arn.region !== scope.region) throw ecsErrors.invalid("Invalid container instance ARN.");
  return instanceIn(text, cluster);
}

async function ofToken(scope: Scope, cluster: string, { clientToken }: Registration, unit: Pick<Unit, "get">): Promise<string | undefined> {
  if (!clientToken) return undefined;
  const earlier = await unit.get<{ id: string; cluster: string }>(ecsKeys.clientToken(scope, operation, clientToken));
  return earlier?.cluster === cluster ? earlier.id : undefined;
}

function resourcesOf(resources: readonly Resource[] | undefined): Resources {
  const find = (name: string) => resources?.find((resource) => resource.name === name);
  const integer = (name: string) => {
    const value = find(name)?.integerValue ?? 0;
    if (!Number.isInteger(value) || value < 0) throw ecsErrors.invalid(`Invalid value for the resource ${name}: ${value}`);
    return value;
  };
  const ports = (name: string) =>
    (find(name)?.stringSetValue ?? []).map((text) => {
      const port = Number(text);
      if (!Number.isInteger(port) || port < 1 || port > 65535) throw ecsErrors.invalid(`Invalid port in the resource ${name}: ${text}`);
      return port;
    });
  const gpus = [...new Set(find("GPU")?.stringSetValue)];
  return {
    cpu: integer("CPU"),
    memory: integer("MEMORY"),
    portsTcp: ports("PORTS"),
    portsUdp: ports("PORTS_UDP"),
    ...(gpus.length > 0 ? { gpus } : {}),
  };
}
