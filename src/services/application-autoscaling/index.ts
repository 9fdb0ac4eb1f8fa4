import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { ApplicationAutoscalingOperations } from "#api/generated/application-autoscaling.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { tagFacts } from "#api/tag-facts.ts";
import type { MetricStore } from "#metrics/metric-store.ts";
import { scalingKeys, type Scope } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord } from "#model/application-autoscaling/records.ts";
import type { AlarmActions } from "#reconcilers/alarms/actions.ts";
import { createScalingReconciler } from "#reconcilers/application-autoscaling/reconciler.ts";
import { createWriter } from "#store/unit.ts";
import { asking, changing, filterOf, type Question, type ScalingDeps } from "./context.ts";
import { page } from "./page.ts";
import { deletePolicy, describePolicies, putPolicy } from "./policies.ts";
import { deleteAction, describeActions, putAction } from "./scheduled-actions.ts";
import { listTags, tagResource, untagResource } from "./tags.ts";
import { deregisterTarget, describeTargets, registerTarget } from "./targets.ts";
import { activityView } from "./views.ts";

/** What CloudWatch's part lends: who carries out the alarms' actions, and the data points that they are about. */
export interface Watched {
  readonly actions: AlarmActions;
  metrics(): MetricStore;
}

/** What ECS's part lends: how many tasks of a service run and are to. Undefined: not known yet. */
export interface Counting {
  running(scope: Scope, cluster: string, service: string): number | undefined;
}

export interface ApplicationAutoScalingPart extends ServerPart {
  /** Tests: what was asked so far is done. */
  idle(): Promise<void>;
}

/** Application Auto Scaling of ECS services. Source: Application Auto Scaling API Reference. */
export function createApplicationAutoScaling(given: ServerDeps, watched: Watched, counting: Counting): ApplicationAutoScalingPart {
  const { store, config } = given;
  const log = given.log.child({ part: "application-autoscaling" });
  const deps: ScalingDeps = {
    ...given,
    log,
    writer: createWriter(store),
    pace: { highPeriods: Math.max(1, Math.round(config.scaleOutSeconds / 60)), lowSeconds: config.scaleInSeconds },
  };
  const reconciler = createScalingReconciler({ ...deps, metrics: () => watched.metrics(), running: (...of) => counting.running(...of) });
  watched.actions.onAlarm("arn:aws:autoscaling:", (notice) => reconciler.onAlarm(notice), { repeat: true });
  const handlers = {
    RegisterScalableTarget: changing(deps, registerTarget),
    DeregisterScalableTarget: changing(deps, deregisterTarget),
    DescribeScalableTargets: asking(deps, describeTargets),
    PutScalingPolicy: changing(deps, putPolicy),
    DeleteScalingPolicy: changing(deps, deletePolicy),
    DescribeScalingPolicies: asking(deps, describePolicies),
    PutScheduledAction: changing(deps, putAction),
    DeleteScheduledAction: changing(deps, deleteAction),
    DescribeScheduledActions: asking(deps, describeActions),
    DescribeScalingActivities: asking(deps, describeActivities),
    ListTagsForResource: asking(deps, listTags),
    TagResource: changing(deps, tagResource),
    UntagResource: changing(deps, untagResource),
  } satisfies Handlers<ApplicationAutoscalingOperations>;
  return {
    registrations: [{ service: "application-autoscaling", handlers: handlers as Readonly<Record<string, Handler>> }],
    resources: [
      tagFacts(store, "application-autoscaling", (arn) => {
        const [, id] = /^scalable-target\/(.+)$/.exec(arn.resource) ?? [];
        return id === undefined ? undefined : scalingKeys.tags(arn, id);
      }),
    ],
    async start() {
      reconciler.start();
    },
    stop: () => reconciler.stop(),
    idle: () => reconciler.idle(),
  };
}

/** The newest first. */
async function describeActivities(
  question: Question,
  input: Sdk.DescribeScalingActivitiesRequest,
): Promise<Sdk.DescribeScalingActivitiesResponse> {
  const { scope, deps } = question;
  const resource = filterOf(input);
  const prefix = resource ? scalingKeys.activitiesOf(scope, resource) : scalingKeys.activities(scope);
  const all = (await deps.store.list<ActivityRecord>(prefix)).entries.map(({ value }) => value);
  const wanted = all.filter(({ notScaled }) => !notScaled || input.IncludeNotScaledActivities);
  // Limits that were set are older than the count that follows from them.
  const order = ({ startedAt, to, id }: ActivityRecord) =>
    `${String(1e15 - startedAt).padStart(16, "0")}-${to === undefined ? 1 : 0}-${id}`;
  const { items, NextToken } = page(question, "DescribeScalingActivities", wanted, order, input, 50);
  return { ScalingActivities: items.map(activityView), NextToken };
}
