import { ecsKeys } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord, FamilyRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";

export const scope = { account: "000000000000", region: "us-east-1" };
const arn = (resource: string) => `arn:aws:ecs:us-east-1:000000000000:${resource}`;

/** Records as the operations of clusters, task definitions and container instances write them. */
export function clusterRecord(name: string): ClusterRecord {
  return {
    arn: arn(`cluster/${name}`),
    name,
    status: "ACTIVE",
    createdAt: 0,
    settings: [],
    capacityProviders: [],
    defaultCapacityProviderStrategy: [],
    tags: [],
  };
}

export function instanceRecord(
  cluster: string,
  id: string,
  options: { cpu?: number; memory?: number; zone?: string; gpus?: string[]; attributes?: Record<string, string> } = {},
): ContainerInstanceRecord {
  const { cpu = 2048, memory = 4096, zone = "us-east-1a", gpus, attributes = {} } = options;
  const all = { "ecs.availability-zone": zone, "ecs.cpu-architecture": "x86_64", "ecs.os-type": "linux", ...attributes };
  return {
    arn: arn(`container-instance/${cluster}/${id}`),
    id,
    cluster,
    ec2InstanceId: `i-${id.slice(-8)}`,
    status: "ACTIVE",
    registeredAt: 0,
    registeredResources: { cpu, memory, portsTcp: [22, 2375, 2376, 51678, 51679], portsUdp: [], ...(gpus ? { gpus } : {}) },
    attributes: Object.entries(all).map(([name, value]) => ({ name, value })),
    versionInfo: { agentVersion: "1.0.0" },
    tags: [],
    version: 1,
  };
}

export function definitionRecord(family: string, revision: number, definition: Record<string, unknown>): TaskDefinitionRecord {
  return {
    arn: arn(`task-definition/${family}:${revision}`),
    family,
    revision,
    status: "ACTIVE",
    registeredAt: 0,
    registeredBy: "arn:aws:iam::000000000000:root",
    definition: { family, networkMode: "bridge", volumes: [], placementConstraints: [], ...definition },
    compatibilities: definition.networkMode === "awsvpc" ? ["EC2", "FARGATE"] : ["EC2"],
    requiresAttributes: [],
    tags: [],
  };
}

export const hex = (n: number) => n.toString(16).padStart(32, "0");

/** The revisions of a family, as RegisterTaskDefinition writes them. */
export function definitionWrites(family: string, ...definitions: Record<string, unknown>[]): { put: string; value: unknown }[] {
  const count = definitions.length;
  return [
    ...definitions.map((definition, index) => ({
      put: ecsKeys.taskDefinition(scope, family, index + 1),
      value: definitionRecord(family, index + 1, definition),
    })),
    { put: ecsKeys.family(scope, family), value: { revision: count, active: count, kept: count } satisfies FamilyRecord },
  ];
}
