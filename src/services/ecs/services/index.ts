import type { Handler, Question, RequestContext } from "#api/contract.ts";
import type { EcsOperations } from "#api/generated/ecs.types.ts";
import type { Handlers } from "#api/handlers.ts";
import type { ServiceIndex } from "#reconcilers/services/index.ts";
import type { CallHook } from "#reconcilers/services/hooks.ts";
import { createServiceReconciler, type ServiceReconciler } from "#reconcilers/services/reconciler.ts";
import type { EcsDeps } from "../context.ts";
import type { ServiceDeps } from "./context.ts";
import { createService } from "./create.ts";
import { describeServiceDeployments, describeServiceRevisions, listServiceDeployments } from "./deployments.ts";
import { continueServiceDeployment, stopServiceDeployment } from "./stop-deployment.ts";
import { describeServices, listServices, listServicesByNamespace } from "./describe.ts";
import { getTaskProtection, updateTaskProtection } from "./protection.ts";
import { createTaskSet, deleteTaskSet, describeTaskSets, updateServicePrimaryTaskSet, updateTaskSet } from "./task-sets.ts";
import { createCallHook } from "./lifecycle-hooks.ts";
import { roleProblem } from "../tasks/roles.ts";
import { createTaskOf } from "./task.ts";
import { deleteService, updateService } from "./update.ts";
import { whyQuestion } from "./why.ts";

export interface EcsServices {
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly questions: readonly Question[];
  readonly reconciler: ServiceReconciler;
}

/** Services of ECS: the operations, and the reconciler that keeps them. */
export function createEcsServices(deps: EcsDeps & { readonly callHook?: CallHook }, index: ServiceIndex): EcsServices {
  const { store, writer, clock, random } = deps;
  const serviceDeps: ServiceDeps = { ...deps, index };
  const operation =
    <I, O>(handle: (deps: ServiceDeps, input: I, context: RequestContext) => O) =>
    (input: I, context: RequestContext): O =>
      handle(serviceDeps, input, context);
  const handlers = {
    CreateService: operation(createService),
    UpdateService: operation(updateService),
    DeleteService: operation(deleteService),
    DescribeServices: operation(describeServices),
    ListServices: operation(listServices),
    ListServicesByNamespace: operation(listServicesByNamespace),
    ListServiceDeployments: operation(listServiceDeployments),
    DescribeServiceDeployments: operation(describeServiceDeployments),
    DescribeServiceRevisions: operation(describeServiceRevisions),
    StopServiceDeployment: operation(stopServiceDeployment),
    ContinueServiceDeployment: operation(continueServiceDeployment),
    CreateTaskSet: operation(createTaskSet),
    UpdateTaskSet: operation(updateTaskSet),
    DeleteTaskSet: operation(deleteTaskSet),
    DescribeTaskSets: operation(describeTaskSets),
    UpdateServicePrimaryTaskSet: operation(updateServicePrimaryTaskSet),
    UpdateTaskProtection: operation(updateTaskProtection),
    GetTaskProtection: operation(getTaskProtection),
  } satisfies Handlers<EcsOperations>;
  const log = deps.log.child({ part: "ecs-services" });
  const reconciler = createServiceReconciler({
    ...{ store, writer, clock, random, log, index },
    taskOf: createTaskOf(random),
    roleProblem: async (scope, definition, now) => (deps.config.open ? undefined : roleProblem(store, definition, {}, scope, now)),
    publicPool: deps.config.publicPool,
    callHook: deps.callHook ?? createCallHook(deps.config),
  });
  return { handlers: handlers as Readonly<Record<string, Handler>>, questions: [whyQuestion(serviceDeps)], reconciler };
}
