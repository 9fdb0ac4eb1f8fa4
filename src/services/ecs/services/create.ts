import type { CreateServiceRequest, CreateServiceResponse, TaskDefinition } from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord } from "#model/ecs-records.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import { deleteServiceParts } from "#reconcilers/services/apply.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { fingerprint } from "../tasks/client-token.ts";
import { networkWish, readerOf } from "../tasks/launch-rules.ts";
import { clusterOf, taskDefinitionOf } from "../tasks/lookup.ts";
import { checkTags } from "../tasks/tags.ts";
import type { ServiceDeps } from "./context.ts";
import { serviceArns } from "./names.ts";
import { checkConnections } from "./load-balancers.ts";
import { deploy, revisionSpec } from "./revision.ts";
import { checkCreate, checkRevision, deploymentConfiguration } from "./rules.ts";
import { describeService } from "./view.ts";

/** What a clientToken of CreateService stands for. */
interface ServiceToken {
  readonly request: string;
  readonly service: string;
}

/** The reconciler, which watches the records, does the rest. */
export async function createService(
  deps: ServiceDeps,
  input: CreateServiceRequest,
  context: RequestContext,
): Promise<CreateServiceResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const definition = input.taskDefinition === undefined ? undefined : await taskDefinitionOf(deps.store, scope, input.taskDefinition);
  checkCreate(input, definition?.definition as TaskDefinition | undefined);
  checkTags(input.tags);
  const scheduling = input.schedulingStrategy ?? "REPLICA";
  const configuration = deploymentConfiguration(input.deploymentConfiguration, scheduling);
  const useDefault = !input.launchType && !input.capacityProviderStrategy?.length && cluster.defaultCapacityProviderStrategy.length > 0;
  const strategy = cluster.defaultCapacityProviderStrategy as NonNullable<CreateServiceRequest["capacityProviderStrategy"]>;
  const given = useDefault ? { ...input, capacityProviderStrategy: strategy } : input;
  checkRevision(given, cluster, definition);
  await networkWish(readerOf(deps.store), scope, input.networkConfiguration);
  await checkConnections(deps.store, scope, input, definition?.definition as TaskDefinition | undefined);
  const name = input.serviceName!;
  const grace = input.healthCheckGracePeriodSeconds ?? (input.loadBalancers?.length ? 0 : undefined);
  const spec = revisionSpec(
    given.capacityProviderStrategy?.length ? given : { ...given, launchType: given.launchType ?? "EC2" },
    definition?.arn,
  );
  const record = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    const key = ecsKeys.service(scope, cluster.name, name);
    const known = await unit.get<ServiceRecord>(key);
    const earlier = input.clientToken && (await unit.get<ServiceToken>(tokenKey(scope, input.clientToken)));
    if (earlier && known && known.status !== "INACTIVE") {
      if (earlier.request !== fingerprint(input) || earlier.service !== known.arn)
        throw ecsErrors.invalid("Creation of service was not idempotent.");
      return known;
    }
    if ((await unit.get<ClusterRecord>(ecsKeys.cluster(scope, cluster.name)))?.status !== "ACTIVE") throw ecsErrors.clusterNotFound();
    if (known?.status === "DRAINING") throw ecsErrors.invalid("Unable to Start a service that is still Draining.");
    if (known?.status === "ACTIVE") throw ecsErrors.invalid("Creation of service was not idempotent.");
    // An INACTIVE service of the name makes room, with all that is remembered of it.
    if (known) await deleteServiceParts(unit, scope, cluster.name, name);
    const controller = input.deploymentController?.type === "EXTERNAL" ? "EXTERNAL" : "ECS";
    const made: ServiceRecord = {
      arn: serviceArns.service(scope, cluster.name, name),
      name,
      cluster: cluster.name,
      status: "ACTIVE",
      createdAt: context.now,
      createdBy: context.principal.arn,
      version: (known?.version ?? 0) + 1,
      schedulingStrategy: scheduling,
      deploymentController: controller,
      desiredCount: input.desiredCount ?? 0,
      deploymentConfiguration: configuration,
      placementConstraints: input.placementConstraints ?? [],
      placementStrategy: input.placementStrategy ?? [],
      ...(grace === undefined ? {} : { healthCheckGracePeriodSeconds: grace }),
      availabilityZoneRebalancing: input.availabilityZoneRebalancing ?? "DISABLED",
      enableECSManagedTags: input.enableECSManagedTags ?? false,
      propagateTags: (input.propagateTags as ServiceRecord["propagateTags"] | undefined) ?? "NONE",
      enableExecuteCommand: input.enableExecuteCommand ?? false,
      ...(input.role === undefined ? {} : { role: input.role }),
      tags: (input.tags ?? []).map(({ key: tag = "", value = "" }) => ({ key: tag, value })),
    };
    const deployment = controller === "ECS" ? { deployment: await deploy(unit, scope, made, spec, deps.random, context.now) } : {};
    const whole = { ...made, ...deployment };
    unit.put(key, whole);
    if (input.clientToken) {
      const token = tokenKey(scope, input.clientToken);
      unit.put(token, { request: fingerprint(input), service: made.arn } satisfies ServiceToken);
      unit.put(ecsKeys.expiry("client-token", context.now + 24 * 60 * 60 * 1000, deps.random.hex(8)), { keys: [token] });
    }
    return whole;
  });
  return { service: await describeService(deps, scope, record, ["TAGS"]) };
}

const tokenKey = (scope: Scope, token: string) => ecsKeys.clientToken(scope, "CreateService", token);
