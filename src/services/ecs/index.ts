import type { Handler, RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { EcsOperations } from "#api/generated/ecs.types.ts";
import type { Handlers } from "#api/handlers.ts";
import type { CallHook } from "#reconcilers/services/hooks.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { createCapacityReconciler } from "#reconcilers/capacity/reconciler.ts";
import { createMeter } from "#reconcilers/meter/meter.ts";
import { createWriter } from "#store/unit.ts";
import { deleteAccountSetting, listAccountSettings, putAccountSetting, putAccountSettingDefault } from "./account-settings.ts";
import { createCapacityProvider, deleteCapacityProvider, describeCapacityProviders, updateCapacityProvider } from "./capacity-providers.ts";
import {
  createCluster,
  deleteCluster,
  describeClusters,
  listClusters,
  putClusterCapacityProviders,
  updateCluster,
  updateClusterSettings,
} from "./clusters/clusters.ts";
import { connectedQuestion } from "./agent-endpoint/connected.ts";
import { agentCredentialsQuestion } from "./agent-endpoint/credentials.ts";
import { deleteAttributes, listAttributes, putAttributes } from "./container-instances/attributes.ts";
import {
  deregisterContainerInstance,
  describeContainerInstances,
  listContainerInstances,
  updateContainerAgent,
  updateContainerInstancesState,
} from "./container-instances/instances.ts";
import { registerContainerInstance } from "./container-instances/register.ts";
import type { EcsDeps } from "./context.ts";
import { ecsFacts } from "./facts.ts";
import { connectQuestion } from "./agent-endpoint/connect-totals.ts";
import { joinRoute } from "./machines/join.ts";
import { machineQuestions } from "./machines/own.ts";
import { tokenQuestions } from "./machines/tokens.ts";
import { nodesQuestion } from "./nodes.ts";
import { costQuestion } from "./cost.ts";
import { survivingMachines } from "./survivors.ts";
import { listTagsForResource, tagResource, untagResource } from "./tag-operations.ts";
import { listTaskDefinitionFamilies, listTaskDefinitions } from "./task-definitions/list.ts";
import { deleteTaskDefinitions, deregisterTaskDefinition, describeTaskDefinition } from "./task-definitions/operations.ts";
import { registerTaskDefinition } from "./task-definitions/register.ts";
import { createDefinitionSweep } from "./task-definitions/sweep.ts";
import { waitingRequestOf } from "./tasks/placement.ts";
import { createEcsServices } from "./services/index.ts";
import { createEcsTasks, type EcsTasks } from "./tasks/index.ts";
import { ServiceIndex } from "#reconcilers/services/index.ts";

export interface Ecs extends EcsTasks {
  /** A service's tasks that run and are to. Undefined: not all has been read yet. */
  running(scope: Scope, cluster: string, service: string): number | undefined;
}

/** Amazon ECS: clusters, definitions and instances here; tasks and the agents' doors in tasks/, services in services/. `callHook`: what lifecycle hooks call, instead of the configured URLs. */
export function createEcs(serverDeps: ServerDeps & { readonly callHook?: CallHook }): Ecs {
  const deps: EcsDeps & { readonly callHook?: CallHook } = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const tasks = createEcsTasks(serverDeps, deps.writer);
  const index = new ServiceIndex(deps.config.lostSeconds * 1000);
  const services = createEcsServices(deps, index);
  const capacity = createCapacityReconciler({
    ...deps,
    log: deps.log.child({ part: "capacity" }),
    publicPool: deps.config.publicPool,
    scaleInAfterMs: deps.config.scaleInSeconds * 1000,
    requestOf: waitingRequestOf,
    publish: ({ scope, cluster, capacityProvider, value, at }) =>
      deps.metrics?.put(scope, "AWS/ECS/ManagedScaling", [
        {
          name: "CapacityProviderReservation",
          unit: "Percent",
          dimensions: { CapacityProviderName: capacityProvider, ClusterName: cluster },
          at,
          values: [value],
        },
      ]),
  });
  const sweep = createDefinitionSweep(deps);
  const meter = createMeter({ ...deps, log: deps.log.child({ part: "meter" }) });
  const operation =
    <I, O>(handle: (deps: EcsDeps, input: I, context: RequestContext) => O) =>
    (input: I, context: RequestContext): O =>
      handle(deps, input, context);
  const handlers = {
    CreateCluster: operation(createCluster),
    DescribeClusters: operation(describeClusters),
    ListClusters: operation(listClusters),
    UpdateCluster: operation(updateCluster),
    UpdateClusterSettings: operation(updateClusterSettings),
    PutClusterCapacityProviders: operation(putClusterCapacityProviders),
    DeleteCluster: operation(deleteCluster),
    CreateCapacityProvider: operation(createCapacityProvider),
    DescribeCapacityProviders: operation(describeCapacityProviders),
    UpdateCapacityProvider: operation(updateCapacityProvider),
    DeleteCapacityProvider: operation(deleteCapacityProvider),
    PutAccountSetting: operation(putAccountSetting),
    PutAccountSettingDefault: operation(putAccountSettingDefault),
    DeleteAccountSetting: operation(deleteAccountSetting),
    ListAccountSettings: operation(listAccountSettings),
    RegisterTaskDefinition: operation(registerTaskDefinition),
    DescribeTaskDefinition: operation(describeTaskDefinition),
    DeregisterTaskDefinition: operation(deregisterTaskDefinition),
    DeleteTaskDefinitions: operation(deleteTaskDefinitions),
    ListTaskDefinitions: operation(listTaskDefinitions),
    ListTaskDefinitionFamilies: operation(listTaskDefinitionFamilies),
    RegisterContainerInstance: operation(registerContainerInstance),
    DescribeContainerInstances: operation(describeContainerInstances),
    ListContainerInstances: operation(listContainerInstances),
    UpdateContainerInstancesState: operation(updateContainerInstancesState),
    DeregisterContainerInstance: operation(deregisterContainerInstance),
    UpdateContainerAgent: operation(updateContainerAgent),
    PutAttributes: operation(putAttributes),
    DeleteAttributes: operation(deleteAttributes),
    ListAttributes: operation(listAttributes),
    TagResource: operation(tagResource),
    UntagResource: operation(untagResource),
    ListTagsForResource: operation(listTagsForResource),
  } satisfies Handlers<EcsOperations>;
  return {
    ...tasks,
    running: (scope, cluster, service) => index.running(scope, cluster, service),
    registrations: [
      {
        service: "ecs",
        handlers: { ...(handlers as Readonly<Record<string, Handler>>), ...services.handlers, ...tasks.registrations![0]!.handlers },
      },
    ],
    resources: [ecsFacts(deps.store)],
    questions: [
      ...services.questions,
      nodesQuestion(deps.store),
      costQuestion(deps),
      connectQuestion(tasks.tcs.connect),
      agentCredentialsQuestion(deps),
      connectedQuestion(deps.store),
      ...tokenQuestions(deps),
      ...machineQuestions(deps),
    ],
    routes: [joinRoute(deps)],
    async start() {
      await tasks.start?.();
      services.reconciler.start();
      capacity.start();
      sweep.start();
      meter.start();
    },
    async stop() {
      await meter.stop();
      await sweep.stop();
      await capacity.stop();
      await services.reconciler.stop();
      await tasks.stop?.();
    },
    async survivors() {
      const joined = (await deps.store.list("/machines/")).entries.map(({ key, value }) => ({ put: key, value }));
      return [...joined, ...(await survivingMachines(deps.store, deps.clock.now())), ...((await tasks.survivors?.()) ?? [])];
    },
    async reset() {
      await services.reconciler.startOver();
      await tasks.reset?.();
    },
    async idle() {
      await services.reconciler.idle();
      await tasks.idle();
    },
  };
}
