import type {
  DeploymentConfiguration,
  DescribeServiceDeploymentsRequest,
  DescribeServiceDeploymentsResponse,
  DescribeServiceRevisionsRequest,
  DescribeServiceRevisionsResponse,
  ListServiceDeploymentsRequest,
  ListServiceDeploymentsResponse,
  NetworkConfiguration,
  ServiceDeployment,
  ServiceDeploymentBrief,
  ServiceRevision,
  TaskDefinition,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, HookRecord, ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { breakerThreshold } from "#reconcilers/services/failures.ts";
import { chosenLoadBalancers } from "#reconcilers/task-targets.ts";
import { scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import { clusterOf, findTaskDefinition } from "../tasks/lookup.ts";
import type { ServiceDeps } from "./context.ts";
import { findService, parseServicePart, serviceArns } from "./names.ts";
import { none, readCounts, revisionSummary } from "./view.ts";

async function deploymentsOf(deps: ServiceDeps, scope: Scope, cluster: string, service: string): Promise<DeploymentRecord[]> {
  const { entries } = await deps.store.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster, service));
  return entries.map(({ value }) => value).sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
}

export async function findDeployment(deps: ServiceDeps, scope: Scope, arn: string) {
  const part = parseServicePart(scope, "service-deployment", arn);
  if (!part) return undefined;
  const service = (await deps.store.get<ServiceRecord>(ecsKeys.service(scope, part.cluster, part.service)))?.value;
  const deployment = (await deploymentsOf(deps, scope, part.cluster, part.service)).find(
    ({ serviceDeploymentArn }) => serviceDeploymentArn === arn,
  );
  return service && deployment && { service, deployment };
}

const date = (time: number | undefined) => (time === undefined ? undefined : new Date(time));

/** Newest first. */
export async function listServiceDeployments(
  deps: ServiceDeps,
  input: ListServiceDeploymentsRequest,
  context: RequestContext,
): Promise<ListServiceDeploymentsResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const service = await findService(deps.store, scope, cluster.name, input.service ?? "");
  const { before, after } = input.createdAt ?? {};
  const matching = (await deploymentsOf(deps, scope, cluster.name, service.name)).filter(
    ({ outcome, createdAt }) =>
      (!input.status?.length || input.status.includes(outcome)) &&
      (before === undefined || createdAt < before.getTime()) &&
      (after === undefined || createdAt > after.getTime()),
  );
  const byPlace = new Map(
    matching.map((each) => [`${String(Number.MAX_SAFE_INTEGER - each.createdAt).padStart(16, "0")}/${each.id}`, each]),
  );
  const page = textPage(
    deps,
    `ListServiceDeployments/${service.arn}/${JSON.stringify([input.status, before, after])}`,
    [...byPlace.keys()].toSorted(),
    input,
  );
  return { serviceDeployments: page.items.map((place) => briefOf(scope, service, byPlace.get(place)!)), nextToken: page.nextToken };
}

function briefOf(scope: Scope, service: ServiceRecord, record: DeploymentRecord): ServiceDeploymentBrief {
  return {
    serviceDeploymentArn: record.serviceDeploymentArn,
    serviceArn: service.arn,
    clusterArn: ecsArn.cluster(scope, service.cluster),
    startedAt: new Date(record.createdAt),
    createdAt: new Date(record.createdAt),
    finishedAt: date(record.finishedAt),
    targetServiceRevisionArn: serviceArns.revision(scope, service.cluster, service.name, record.revision),
    status: record.outcome,
    ...(record.outcomeReason ? { statusReason: record.outcomeReason } : {}),
  };
}

export async function describeServiceDeployments(
  deps: ServiceDeps,
  input: DescribeServiceDeploymentsRequest,
  context: RequestContext,
): Promise<DescribeServiceDeploymentsResponse> {
  const scope = scopeOf(context);
  const asked = input.serviceDeploymentArns ?? [];
  if (asked.length < 1 || asked.length > 20) throw ecsErrors.invalid("Between 1 and 20 service deployments can be described at once.");
  const serviceDeployments: ServiceDeployment[] = [];
  const failures: DescribeServiceDeploymentsResponse["failures"] = [];
  for (const arn of asked) {
    const found = await findDeployment(deps, scope, arn);
    if (found) serviceDeployments.push(deploymentOf(deps, scope, found.service, found.deployment));
    else failures.push({ arn, reason: "MISSING" });
  }
  return { serviceDeployments, failures };
}

function deploymentOf(deps: ServiceDeps, scope: Scope, service: ServiceRecord, record: DeploymentRecord): ServiceDeployment {
  const counts = readCounts(deps, scope, service);
  const arnOf = (revision: string) => serviceArns.revision(scope, service.cluster, service.name, revision);
  const breaker = record.configuration.deploymentCircuitBreaker;
  const over = record.outcome !== "IN_PROGRESS" && record.outcome !== "PENDING";
  const alarmed = record.alarms?.triggered ?? [];
  const failed = record.rollback !== undefined || (record.rolloutState === "FAILED" && record.outcome !== "STOPPED");
  const { alarms } = record.configuration;
  const { shift } = record;
  const tripped = failed && alarmed.length === 0;
  return {
    ...briefOf(scope, service, record),
    stoppedAt: date(record.stoppedAt),
    updatedAt: new Date(record.updatedAt),
    sourceServiceRevisions: record.sources.map(({ revision, deployment, tasks }) => ({
      ...revisionSummary(arnOf(revision), tasks, counts.get(deployment) ?? none, shift ? 0 : over ? 0 : 100),
      ...(shift?.blue === deployment ? weightsOf(100 - shift.production, 100 - shift.test) : {}),
    })),
    targetServiceRevision: {
      ...revisionSummary(arnOf(record.revision), service.desiredCount, counts.get(record.id) ?? none, 100),
      ...(shift ? weightsOf(shift.production, shift.test) : {}),
    },
    lifecycleStage: stageOf(record),
    ...(shift && shift.hooks.length > 0 && record.rolloutState === "IN_PROGRESS"
      ? { lifecycleHookDetails: shift.hooks.map(hookDetail) }
      : {}),
    deploymentConfiguration: record.configuration as DeploymentConfiguration,
    ...(record.rollback
      ? {
          rollback: {
            reason: record.rollback.reason,
            startedAt: new Date(record.rollback.startedAt),
            serviceRevisionArn: arnOf(record.rollback.revision),
          },
        }
      : {}),
    deploymentCircuitBreaker: {
      status: !breaker?.enable ? "DISABLED" : tripped ? "TRIGGERED" : over ? "MONITORING_COMPLETE" : "MONITORING",
      failureCount: record.failedTasks,
      threshold: breakerThreshold(record.configuration, service.desiredCount),
    },
    alarms: {
      status:
        alarmed.length > 0
          ? "TRIGGERED"
          : !alarms?.enable || record.alarms?.watched === false
            ? "DISABLED"
            : over
              ? "MONITORING_COMPLETE"
              : "MONITORING",
      ...(alarms ? { alarmNames: [...alarms.alarmNames], triggeredAlarmNames: [...alarmed] } : {}),
    },
  };
}

/** Of the API's stages; one that has failed is cleaned up. */
function stageOf({ status, rolloutState, shift }: DeploymentRecord): ServiceDeployment["lifecycleStage"] {
  if (status === "INACTIVE" || rolloutState !== "IN_PROGRESS") return "CLEAN_UP";
  const stage = shift?.stage ?? "SCALE_UP";
  return stage === "PRE_PRODUCTION_TRAFFIC_SHIFT" ? "PRODUCTION_TRAFFIC_SHIFT" : stage;
}

const weightsOf = (production: number, test: number) => ({
  requestedProductionTrafficWeight: production,
  requestedTestTrafficWeight: test,
});

const hookDetail = ({ id, targetType, targetArn, status, expiresAt, timeoutAction }: HookRecord) => ({
  hookId: id,
  targetType,
  ...(targetArn === undefined ? {} : { targetArn }),
  status,
  expiresAt: new Date(expiresAt),
  timeoutAction,
});

export async function describeServiceRevisions(
  deps: ServiceDeps,
  input: DescribeServiceRevisionsRequest,
  context: RequestContext,
): Promise<DescribeServiceRevisionsResponse> {
  const scope = scopeOf(context);
  const asked = input.serviceRevisionArns ?? [];
  if (asked.length < 1 || asked.length > 20) throw ecsErrors.invalid("Between 1 and 20 service revisions can be described at once.");
  const serviceRevisions: ServiceRevision[] = [];
  const failures: DescribeServiceRevisionsResponse["failures"] = [];
  for (const arn of asked) {
    const part = parseServicePart(scope, "service-revision", arn);
    const record =
      part && (await deps.store.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, part.cluster, part.service, part.id)))?.value;
    if (!part || !record) failures.push({ arn, reason: "MISSING" });
    else serviceRevisions.push(revisionOf(scope, part, record, await findTaskDefinition(deps.store, scope, record.taskDefinition ?? "")));
  }
  return { serviceRevisions, failures };
}

function revisionOf(
  scope: Scope,
  { cluster, service }: { cluster: string; service: string },
  record: ServiceRevisionRecord,
  definition: TaskDefinitionRecord | undefined,
): ServiceRevision {
  const containers = (definition?.definition as TaskDefinition | undefined)?.containerDefinitions ?? [];
  return {
    serviceRevisionArn: record.arn,
    serviceArn: serviceArns.service(scope, cluster, service),
    clusterArn: ecsArn.cluster(scope, cluster),
    taskDefinition: record.taskDefinition,
    ...(record.capacityProviderStrategy ? { capacityProviderStrategy: record.capacityProviderStrategy.map((each) => ({ ...each })) } : {}),
    ...(record.launchType ? { launchType: record.launchType } : {}),
    ...(record.platformVersion ? { platformVersion: record.platformVersion } : {}),
    loadBalancers: (record.loadBalancers ?? []) as ServiceRevision["loadBalancers"],
    serviceRegistries: (record.serviceRegistries ?? []) as ServiceRevision["serviceRegistries"],
    ...(record.networkConfiguration ? { networkConfiguration: record.networkConfiguration as NetworkConfiguration } : {}),
    ...(record.serviceConnectConfiguration
      ? { serviceConnectConfiguration: record.serviceConnectConfiguration as ServiceRevision["serviceConnectConfiguration"] }
      : {}),
    ...(record.monitoring ? { monitoring: record.monitoring as ServiceRevision["monitoring"] } : {}),
    containerImages: containers.map(({ name, image }) => ({ containerName: name, image })),
    guardDutyEnabled: false,
    ...(record.targetGroups
      ? {
          resolvedConfiguration: {
            loadBalancers: chosenLoadBalancers(record).map(({ targetGroupArn, advancedConfiguration }) => ({
              targetGroupArn,
              ...(advancedConfiguration?.productionListenerRule
                ? { productionListenerRule: advancedConfiguration.productionListenerRule }
                : {}),
            })),
          },
        }
      : {}),
    createdAt: new Date(record.createdAt),
  };
}
