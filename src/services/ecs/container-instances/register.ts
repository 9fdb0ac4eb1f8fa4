import type { RegisterContainerInstanceRequest, RegisterContainerInstanceResponse, Resource } from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord, Resources } from "#model/ecs-records.ts";
import { newCluster } from "../clusters/clusters.ts";
import { type EcsDeps, scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { checkTags } from "../tasks/tags.ts";
import { checkAttributes } from "./attributes.ts";
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
  const cluster = clusterName(input.cluster);
  checkTags(input.tags);
  checkAttributes(input.attributes);
  const resources = resourcesOf(input.totalResources);
  const record = await deps.writer.run("ecs-clusters", async (unit) => {
    const clusterKey = ecsKeys.cluster(scope, cluster);
    const known = await unit.get<ClusterRecord>(clusterKey);
    if (known?.status !== "ACTIVE") {
      // The agent's own default cluster comes into being with its first instance; any other must be made first.
      if (cluster !== "default") throw ecsErrors.clusterNotFound();
      unit.put(clusterKey, newCluster(scope, cluster, context.now));
    }
    const id = await identityOf(deps, scope, cluster, input, unit);
    const key = ecsKeys.containerInstance(scope, cluster, id);
    const before = await unit.get<ContainerInstanceRecord>(key);
    const sent = (input.attributes ?? []).map(({ name = "", value }) => (value === undefined ? { name } : { name, value }));
    const names = new Set(sent.map(({ name }) => name));
    const next: ContainerInstanceRecord = {
      arn: ecsArn.containerInstance(scope, cluster, id),
      id,
      cluster,
      ec2InstanceId: instanceIdOf(input.instanceIdentityDocument) ?? before?.ec2InstanceId ?? `mi-${id.slice(0, 17)}`,
      status: before?.status === "DRAINING" ? "DRAINING" : "ACTIVE",
      registeredAt: before?.registeredAt ?? context.now,
      registeredResources: resources,
      // Attributes that users put on the instance outlive the agent's restart.
      attributes: [...sent, ...(before?.attributes ?? []).filter(({ name }) => !names.has(name) && !isAgents(name))],
      versionInfo: { ...input.versionInfo },
      tags: input.tags?.length ? input.tags.map(({ key: tagKey = "", value = "" }) => ({ key: tagKey, value })) : (before?.tags ?? []),
      version: (before?.version ?? 0) + 1,
    };
    unit.put(key, next);
    if (input.clientToken) unit.put(ecsKeys.clientToken(scope, "RegisterContainerInstance", input.clientToken), { id, cluster });
    return next;
  });
  return { containerInstance: instanceView(record, await readInstanceState(deps.store, scope, record), ["TAGS"]) };
}

/** Attributes of these names are the agent's: it sends all that are true at each registration. */
const isAgents = (name: string) => name.startsWith("com.amazonaws.ecs.capability.") || name.startsWith("ecs.capability.");

async function identityOf(
  deps: EcsDeps,
  scope: Scope,
  cluster: string,
  input: Registration,
  unit: { get<T>(key: string): Promise<T | undefined> },
): Promise<string> {
  if (input.containerInstanceArn) {
    const arn = parseArn(input.containerInstanceArn);
    const names = arn?.resource.split("/") ?? [];
    if (arn?.service !== "ecs" || names[0] !== "container-instance") throw ecsErrors.invalid("Invalid container instance ARN.");
    const id = names.at(-1)!;
    const before = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, id));
    if (before && before.status !== "INACTIVE") return id;
    // A deregistered instance that comes back is a new one; so is one of a store that was emptied.
    return deps.random.hex(16);
  }
  if (input.clientToken) {
    const earlier = await unit.get<{ id: string; cluster: string }>(
      ecsKeys.clientToken(scope, "RegisterContainerInstance", input.clientToken),
    );
    if (earlier?.cluster === cluster) return earlier.id;
  }
  return deps.random.hex(16);
}

function clusterName(text: string | undefined): string {
  if (!text) return "default";
  return text.startsWith("arn:") ? (parseArn(text)?.resource.replace(/^cluster\//, "") ?? text) : text;
}

/** The EC2 instance id of the identity document, which an external instance leaves empty. */
function instanceIdOf(document: string | undefined): string | undefined {
  if (!document) return undefined;
  try {
    const { instanceId } = JSON.parse(document) as { instanceId?: unknown };
    return typeof instanceId === "string" && /^m?i-[0-9a-f]{8,17}$/.test(instanceId) ? instanceId : undefined;
  } catch {
    throw ecsErrors.client("The instance identity document is not valid JSON.");
  }
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
  return { cpu: integer("CPU"), memory: integer("MEMORY"), portsTcp: ports("PORTS"), portsUdp: ports("PORTS_UDP") };
}
