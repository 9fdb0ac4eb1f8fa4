import type { CreateServiceRequest, CreateTaskSetRequest, UpdateServiceRequest } from "@aws-sdk/client-ecs";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import { shiftsTraffic } from "#model/lifecycle-stages.ts";
import type { DeploymentRecord, RevisionSpec, ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import type { ResolvedConnect } from "#model/service-connect.ts";
import { fargateProviders } from "#reconcilers/launch.ts";
import { firstStage } from "#reconcilers/services/stages.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { digits, serviceArns, shortId } from "./names.ts";
import { chooseTargetGroups, isOpen, servingOf } from "./target-groups.ts";

type Input = Pick<
  CreateServiceRequest & UpdateServiceRequest & CreateTaskSetRequest,
  | "launchType"
  | "capacityProviderStrategy"
  | "platformVersion"
  | "networkConfiguration"
  | "loadBalancers"
  | "serviceRegistries"
  | "serviceConnectConfiguration"
  | "volumeConfigurations"
  | "monitoring"
>;

/** What is given, over what was; `taskDefinition` is an ARN with its revision. */
export function revisionSpec(input: Input, taskDefinition: string | undefined, before: RevisionSpec = {}): RevisionSpec {
  const strategy = input.capacityProviderStrategy?.map(({ capacityProvider = "", weight = 0, base = 0 }) => ({
    capacityProvider,
    weight,
    base,
  }));
  const launchType = input.launchType as RevisionSpec["launchType"];
  const placed = strategy?.length
    ? { capacityProviderStrategy: strategy }
    : strategy || launchType
      ? { launchType: launchType ?? "EC2" }
      : { launchType: before.launchType, capacityProviderStrategy: before.capacityProviderStrategy };
  const fargate =
    placed.launchType === "FARGATE" || placed.capacityProviderStrategy?.some((item) => fargateProviders.includes(item.capacityProvider));
  const spec: RevisionSpec = {
    taskDefinition: taskDefinition ?? before.taskDefinition,
    ...placed,
    ...(fargate ? { platformVersion: input.platformVersion ?? before.platformVersion ?? "LATEST" } : {}),
    networkConfiguration: input.networkConfiguration ?? before.networkConfiguration,
    loadBalancers: input.loadBalancers ?? before.loadBalancers,
    serviceRegistries: input.serviceRegistries ?? before.serviceRegistries,
    serviceConnectConfiguration: input.serviceConnectConfiguration ?? before.serviceConnectConfiguration,
    volumeConfigurations: input.volumeConfigurations ?? before.volumeConfigurations,
    monitoring: (input.monitoring as RevisionSpec["monitoring"]) ?? before.monitoring,
  };
  return JSON.parse(JSON.stringify(spec)) as RevisionSpec;
}

export function sameSpec(a: RevisionSpec, b: RevisionSpec): boolean {
  const members = [...new Set([...Object.keys(a), ...Object.keys(b)])] as (keyof RevisionSpec)[];
  return members.every((member) => JSON.stringify(a[member]) === JSON.stringify(b[member]));
}

export function specOf(revision: ServiceRevisionRecord): RevisionSpec {
  const { id: _id, arn: _arn, createdAt: _at, targetGroups: _groups, serviceConnect: _connect, ...spec } = revision;
  return spec;
}

/**
 * Writes a revision and the deployment that brings it in; the one before steps back and is cut short if it was not done. Returns the new deployment's id,
 * which the caller puts into the service.
 */
export async function deploy(
  unit: Unit,
  scope: Scope,
  service: Pick<ServiceRecord, "cluster" | "name" | "deployment" | "desiredCount" | "deploymentConfiguration">,
  spec: RevisionSpec,
  random: Random,
  now: number,
  serviceConnect?: ResolvedConnect,
): Promise<string> {
  const { cluster, name } = service;
  const open: DeploymentRecord[] = [];
  const sources: { revision: string; deployment: string; tasks: number }[] = [];
  for (const key of (await unit.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster, name))).keys()) {
    const before = await unit.get<DeploymentRecord>(key);
    if (!before || before.status === "INACTIVE") continue;
    open.push(before);
    sources.push({ revision: before.revision, deployment: before.id, tasks: before.status === "PRIMARY" ? service.desiredCount : 0 });
    const cut = isOpen(before);
    const cleaning = cut && before.outcome === "IN_PROGRESS" && before.shift?.stage === "CLEAN_UP";
    unit.put(key, {
      ...before,
      status: "ACTIVE",
      version: before.version + 1,
      updatedAt: now,
      stop: undefined,
      ...(cleaning
        ? { outcome: "SUCCESSFUL" as const, finishedAt: now }
        : cut
          ? {
              outcome: "STOPPED" as const,
              stoppedAt: now,
              finishedAt: now,
              outcomeReason: "A newer service deployment has replaced this one.",
            }
          : {}),
    } satisfies DeploymentRecord);
  }
  const blue = servingOf(open, service.deployment);
  const blueRevision = blue && (await unit.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster, name, blue.revision)));
  const choice = chooseTargetGroups(spec, blueRevision, service.deploymentConfiguration.strategy);
  const revisionId = digits(random, 19);
  const revision: ServiceRevisionRecord = {
    id: revisionId,
    arn: serviceArns.revision(scope, cluster, name, revisionId),
    createdAt: now,
    ...spec,
    ...(choice.targetGroups ? { targetGroups: choice.targetGroups } : {}),
    ...(serviceConnect ? { serviceConnect } : {}),
  };
  unit.put(ecsKeys.serviceRevision(scope, cluster, name, revisionId), revision);
  const number = digits(random, 19);
  const configuration = service.deploymentConfiguration;
  const reconcile = open.some((each) => each !== blue);
  const begun = { routes: choice.routes, ...(blue ? { blue: blue.id } : {}) };
  const shift = shiftsTraffic(configuration.strategy)
    ? { shift: firstStage(begun, reconcile, { configuration, deployment: number }, now) }
    : {};
  const deployment: DeploymentRecord = {
    id: `ecs-svc/${number}`,
    serviceDeploymentArn: serviceArns.deployment(scope, cluster, name, shortId(random)),
    status: "PRIMARY",
    version: 1,
    revision: revisionId,
    sources,
    configuration: service.deploymentConfiguration,
    createdAt: now,
    updatedAt: now,
    rolloutState: "IN_PROGRESS",
    rolloutStateReason: `ECS deployment ecs-svc/${number} in progress.`,
    failedTasks: 0,
    outcome: "IN_PROGRESS",
    ...shift,
    timeline: [{ at: now, phase: "created" }],
  };
  unit.put(ecsKeys.deployment(scope, cluster, name, number), deployment);
  return deployment.id;
}
