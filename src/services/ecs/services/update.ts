import type {
  DeleteServiceRequest,
  DeleteServiceResponse,
  TaskDefinition,
  UpdateServiceRequest,
  UpdateServiceResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import { shiftsTraffic } from "#model/lifecycle-stages.ts";
import type { ClusterRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord, ServiceRevisionRecord, TaskSetRecord } from "#model/service-records.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import type { Unit } from "#store/unit.ts";
import { scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { networkWish, readerOf } from "../tasks/launch-rules.ts";
import { clusterOf, findTaskDefinition, taskDefinitionOf } from "../tasks/lookup.ts";
import type { ServiceDeps } from "./context.ts";
import { findService, serviceErrors } from "./names.ts";
import { checkConnections } from "./load-balancers.ts";
import { checkNamespace, checkServiceConnect, resolveConnect, withNamespace } from "./service-connect.ts";
import { deploy, revisionSpec, sameSpec, specOf } from "./revision.ts";
import { checkDesiredCount, checkGrace, checkPlacementOf, checkRebalancing, checkRevision, deploymentConfiguration } from "./rules.ts";
import { checkHookTargets, checkStrategyWithConnect } from "./strategy-rules.ts";
import { describeService } from "./view.ts";

/** What belongs to a revision is deployed; everything else takes effect at once. */
export async function updateService(
  deps: ServiceDeps,
  input: UpdateServiceRequest,
  context: RequestContext,
): Promise<UpdateServiceResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const found = await findService(deps.store, scope, cluster.name, input.service ?? "");
  if (found.status !== "ACTIVE") throw serviceErrors.notActive();
  const definition = input.taskDefinition === undefined ? undefined : await taskDefinitionOf(deps.store, scope, input.taskDefinition);
  const given: UpdateServiceRequest = { ...input, serviceConnectConfiguration: withNamespace(input.serviceConnectConfiguration, cluster) };
  checkUpdate(found, given);
  await checkHookTargets(deps.config, given.deploymentConfiguration);
  await checkChange(deps, scope, cluster, found, given, definition);
  const record = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    const known = await activeService(unit, scope, found);
    await checkStrategyChange(unit, scope, known, input.deploymentConfiguration?.strategy);
    const configuration = deploymentConfiguration(input.deploymentConfiguration, known.schedulingStrategy, known.deploymentConfiguration);
    checkRebalancing(
      { availabilityZoneRebalancing: input.availabilityZoneRebalancing ?? known.availabilityZoneRebalancing },
      input.placementStrategy ?? [...known.placementStrategy].map((each) => ({ ...each }) as { type: "spread"; field: string }),
      configuration.maximumPercent,
    );
    const next: ServiceRecord = {
      ...known,
      version: known.version + 1,
      desiredCount: input.desiredCount ?? known.desiredCount,
      deploymentConfiguration: configuration,
      placementConstraints: input.placementConstraints ?? known.placementConstraints,
      placementStrategy: input.placementStrategy ?? known.placementStrategy,
      healthCheckGracePeriodSeconds: input.healthCheckGracePeriodSeconds ?? known.healthCheckGracePeriodSeconds,
      availabilityZoneRebalancing: input.availabilityZoneRebalancing ?? known.availabilityZoneRebalancing,
      enableECSManagedTags: input.enableECSManagedTags ?? known.enableECSManagedTags,
      propagateTags: (input.propagateTags as ServiceRecord["propagateTags"] | undefined) ?? known.propagateTags,
      enableExecuteCommand: input.enableExecuteCommand ?? known.enableExecuteCommand,
    };
    const deployment = await redeploy(deps, unit, scope, next, given, definition?.arn, context.now);
    const whole: ServiceRecord = deployment === undefined ? next : { ...next, deployment };
    unit.put(ecsKeys.service(scope, known.cluster, known.name), whole);
    return whole;
  });
  return { service: await describeService(deps, scope, record, []) };
}

/** The service, still ACTIVE when the unit is committed. */
export async function activeService(unit: Unit, scope: Scope, { cluster, name }: ServiceRecord): Promise<ServiceRecord> {
  const known = await unit.get<ServiceRecord>(ecsKeys.service(scope, cluster, name));
  if (!known) throw serviceErrors.notFound();
  if (known.status !== "ACTIVE") throw serviceErrors.notActive();
  return known;
}

/** Between rolling updates and those that shift traffic a service changes at rest only. Source: ECS Developer Guide, "Update the Amazon ECS deployment strategy". */
async function checkStrategyChange(unit: Unit, scope: Scope, service: ServiceRecord, strategy: string | undefined): Promise<void> {
  if (strategy === undefined || shiftsTraffic(strategy) === shiftsTraffic(service.deploymentConfiguration.strategy)) return;
  if (service.deploymentController === "EXTERNAL")
    throw ecsErrors.invalid(`The ${strategy} deployment strategy is supported with the ECS deployment controller only.`);
  if (service.deployment === undefined) return;
  const key = ecsKeys.deployment(scope, service.cluster, service.name, service.deployment);
  const current = await unit.get<DeploymentRecord>(key);
  if (current?.rolloutState === "IN_PROGRESS")
    throw ecsErrors.invalid("The deployment strategy cannot be changed while a service deployment is in progress.");
}

function checkUpdate(service: ServiceRecord, input: UpdateServiceRequest): void {
  checkDesiredCount(input.desiredCount);
  checkGrace(input.healthCheckGracePeriodSeconds);
  checkPlacementOf(input);
  if (service.schedulingStrategy === "DAEMON") {
    if (input.desiredCount !== undefined) throw ecsErrors.invalid("The daemon scheduling strategy does not support a desired count.");
    if (input.placementStrategy?.length) throw ecsErrors.invalid("The daemon scheduling strategy does not support placement strategies.");
  }
  if (input.deploymentController && input.deploymentController.type !== service.deploymentController)
    throw ecsErrors.notYet("changing the deployment controller of a service");
  if (service.deploymentController === "EXTERNAL") {
    const barred = (
      [
        "taskDefinition",
        "forceNewDeployment",
        "networkConfiguration",
        "platformVersion",
        "capacityProviderStrategy",
        "loadBalancers",
      ] as const
    ).find((member) => input[member] !== undefined && input[member] !== false);
    if (barred)
      throw ecsErrors.invalid(`Cannot update ${barred} of a service with the EXTERNAL deployment controller: it belongs to the task sets.`);
  }
}

const ofRevision = [
  "taskDefinition",
  "loadBalancers",
  "serviceRegistries",
  "serviceConnectConfiguration",
  "networkConfiguration",
  "capacityProviderStrategy",
  "platformVersion",
  "monitoring",
  "forceNewDeployment",
] as const;

/** What is given together with what stays has to make sense. */
async function checkChange(
  deps: ServiceDeps,
  scope: Scope,
  cluster: ClusterRecord,
  service: ServiceRecord,
  input: UpdateServiceRequest,
  given: TaskDefinitionRecord | undefined,
): Promise<void> {
  const { deployment: id, name } = service;
  const read = readerOf(deps.store);
  const current = id === undefined ? undefined : await read<DeploymentRecord>(ecsKeys.deployment(scope, cluster.name, name, id));
  const revision = current && (await read<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster.name, name, current.revision)));
  const spec = revisionSpec(input, given?.arn, revision ? specOf(revision) : {});
  const { launchType, capacityProviderStrategy } = spec;
  const changes = ofRevision.some((member) => input[member] !== undefined && input[member] !== false);
  const arn = changes ? spec.taskDefinition : undefined;
  const definition = given ?? (arn === undefined ? undefined : await taskDefinitionOf(deps.store, scope, arn));
  const launch = { launchType, capacityProviderStrategy: capacityProviderStrategy?.map((item) => ({ ...item })) };
  const networkConfiguration = spec.networkConfiguration as UpdateServiceRequest["networkConfiguration"];
  checkRevision({ ...input, ...launch, networkConfiguration }, cluster, definition);
  await networkWish(readerOf(deps.store), scope, input.networkConfiguration);
  const connect = spec.serviceConnectConfiguration as UpdateServiceRequest["serviceConnectConfiguration"];
  checkServiceConnect(connect, definition?.definition as TaskDefinition | undefined, service.deploymentController === "EXTERNAL");
  if (changes) await checkNamespace(deps.store, scope, connect);
  const strategy = input.deploymentConfiguration?.strategy ?? service.deploymentConfiguration.strategy;
  checkStrategyWithConnect(strategy, connect);
  const { loadBalancers, serviceRegistries } =
    changes || input.deploymentConfiguration?.strategy
      ? (spec as Pick<UpdateServiceRequest, "loadBalancers" | "serviceRegistries">)
      : input;
  const connections = { loadBalancers, serviceRegistries };
  await checkConnections(deps.store, scope, connections, definition?.definition as TaskDefinition | undefined, strategy);
}

async function redeploy(
  deps: ServiceDeps,
  unit: Unit,
  scope: Scope,
  service: ServiceRecord,
  input: UpdateServiceRequest,
  definitionArn: string | undefined,
  now: number,
): Promise<string | undefined> {
  if (service.deployment === undefined) return undefined;
  const { cluster, name } = service;
  const current = await unit.get<DeploymentRecord>(ecsKeys.deployment(scope, cluster, name, service.deployment));
  const revision = current && (await unit.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster, name, current.revision)));
  const before = revision ? specOf(revision) : {};
  const spec = revisionSpec(input, definitionArn, before);
  if (!input.forceNewDeployment && sameSpec(spec, before)) return undefined;
  const definition = await findTaskDefinition(deps.store, scope, spec.taskDefinition ?? "");
  const body = definition?.definition as TaskDefinition | undefined;
  const connect = body && (await resolveConnect(unit, scope, service, spec, body, { random: deps.random, now }));
  return deploy(unit, scope, service, spec, deps.random, now, connect);
}

/** The service drains: its tasks are stopped, then it is INACTIVE, and after an hour forgotten. */
export async function deleteService(
  deps: ServiceDeps,
  input: DeleteServiceRequest,
  context: RequestContext,
): Promise<DeleteServiceResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const found = await findService(deps.store, scope, cluster.name, input.service ?? "");
  const record = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    const known = await unit.get<ServiceRecord>(ecsKeys.service(scope, found.cluster, found.name));
    if (!known || known.status === "INACTIVE") throw serviceErrors.notFound();
    if (known.status === "DRAINING") return known;
    if (!input.force) {
      if (known.schedulingStrategy === "REPLICA" && known.deploymentController === "ECS" && known.desiredCount > 0)
        throw ecsErrors.invalid("The service cannot be stopped while it is scaled above 0.");
      const sets = await unit.list<TaskSetRecord>(ecsKeys.taskSets(scope, known.cluster, known.name));
      if (sets.size > 0)
        throw ecsErrors.invalid("The service cannot be deleted while it has task sets. Delete these first, or use the force option.");
    }
    const next: ServiceRecord = { ...known, status: "DRAINING", desiredCount: 0, version: known.version + 1 };
    unit.put(ecsKeys.service(scope, known.cluster, known.name), next);
    return next;
  });
  return { service: await describeService(deps, scope, record, []) };
}
