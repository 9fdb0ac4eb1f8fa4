import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { AutoscalingOperations } from "#api/generated/autoscaling.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { createGroupReconciler } from "#reconcilers/autoscaling/reconciler.ts";
import { createWriter } from "#store/unit.ts";
import { asking, type Change, changing, type Question } from "./context.ts";
import { autoscalingFacts } from "./facts.ts";
import * as groups from "./groups.ts";
import * as hooks from "./hooks.ts";
import * as instances from "./instances.ts";
import * as views from "./views.ts";

/** Amazon EC2 Auto Scaling: groups of instances. Source: Amazon EC2 Auto Scaling API Reference. */
export function createAutoScaling(serverDeps: ServerDeps): ServerPart & { idle(): Promise<void> } {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const reconciler = createGroupReconciler({ ...deps, log: deps.log.child({ part: "autoscaling" }), publicPool: deps.config.publicPool });
  const change = <I extends object, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, operation);
  const ask = <I extends object, O>(operation: (question: Question, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateAutoScalingGroup: change(groups.createGroup),
    UpdateAutoScalingGroup: change(groups.updateGroup),
    DeleteAutoScalingGroup: change(groups.deleteGroup),
    DescribeAutoScalingGroups: ask(views.describeGroups),
    SetDesiredCapacity: change(groups.setDesiredCapacity),
    SuspendProcesses: change(groups.suspendResume(true)),
    ResumeProcesses: change(groups.suspendResume(false)),
    DescribeAutoScalingInstances: ask(views.describeInstances),
    DescribeScalingActivities: ask(views.describeActivities),
    SetInstanceProtection: change(instances.setInstanceProtection),
    SetInstanceHealth: change(instances.setInstanceHealth),
    TerminateInstanceInAutoScalingGroup: change(instances.terminateInstanceInGroup),
    AttachInstances: change(instances.attachInstances),
    DetachInstances: change(instances.detachInstances),
    PutLifecycleHook: change(hooks.putLifecycleHook),
    DeleteLifecycleHook: change(hooks.deleteLifecycleHook),
    DescribeLifecycleHooks: ask(hooks.describeLifecycleHooks),
    CompleteLifecycleAction: change(hooks.completeLifecycleAction),
    RecordLifecycleActionHeartbeat: change(hooks.recordLifecycleActionHeartbeat),
    CreateOrUpdateTags: change(views.createOrUpdateTags),
    DeleteTags: change(views.deleteTags),
    DescribeTags: ask(views.describeTags),
  } satisfies Handlers<AutoscalingOperations>;
  return {
    resources: [autoscalingFacts(deps.store)],
    registrations: [{ service: "autoscaling", handlers: handlers as Readonly<Record<string, Handler>> }],
    idle: () => reconciler.idle(),
    async start() {
      reconciler.start();
    },
    async stop() {
      await reconciler.stop();
    },
  };
}
