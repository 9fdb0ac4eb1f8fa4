import { ApiError, type Question } from "#api/contract.ts";
import { type Resource, scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { DeploymentRecord, ServiceRevisionRecord, ServiceStateRecord } from "#model/service-records.ts";
import { isStopped } from "#model/task-state.ts";
import { isHealthReason } from "#reconcilers/services/facts.ts";
import { clusterOf } from "../tasks/lookup.ts";
import type { ServiceDeps } from "./context.ts";
import { findService } from "./names.ts";
import { desiredOf, none, readCounts } from "./view.ts";

/** What `./gantry why <service>` shows: times are milliseconds since the epoch. */
export interface WhyService {
  readonly service: string;
  readonly cluster: string;
  readonly status: string;
  readonly desired: number;
  readonly running: number;
  readonly pending: number;
  readonly steady: boolean;
  readonly now: number;
  readonly deployments: readonly {
    readonly id: string;
    readonly status: string;
    readonly state: string;
    readonly reason: string;
    readonly taskDefinition?: string;
    readonly running: number;
    readonly pending: number;
    readonly failedTasks: number;
    readonly createdAt: number;
    readonly finishedAt?: number;
    /** Each phase with how long it took; the last one of an open deployment lasts until now. */
    readonly timeline: readonly { readonly at: number; readonly ms: number; readonly phase: string }[];
  }[];
  /** What was not placed, and what each instance lacked. */
  readonly placement?: ServiceStateRecord["placement"];
  /** The last tasks that ended by themselves, newest first. */
  readonly failed: readonly { readonly task: string; readonly at: number; readonly code: string; readonly reason: string }[];
  readonly events: readonly { readonly at: number; readonly message: string }[];
  /** Of a service that Application Auto Scaling scales: the newest activities first. */
  readonly scaling?: {
    readonly min: number;
    readonly max: number;
    readonly activities: readonly { readonly at: number; readonly description: string; readonly cause: string; readonly message: string }[];
  };
}

export function whyQuestion(deps: ServiceDeps): Question {
  return {
    path: "/_gantry/why",
    action: "ecs:DescribeServices",
    async answer(query, { account, region, now }): Promise<WhyService> {
      const scope = { account, region };
      const name = query.get("service");
      if (!name) throw new ApiError("InvalidParameterException", "Name a service: ?service=<name or ARN>&cluster=<name>.");
      const cluster = await clusterOf(deps.store, scope, query.get("cluster") ?? undefined);
      const record = await findService(deps.store, scope, cluster.name, name);
      const { store } = deps;
      const [state, deployments, revisions] = await Promise.all([
        store.get<ServiceStateRecord>(ecsKeys.serviceState(scope, cluster.name, record.name)),
        store.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster.name, record.name)),
        store.list<ServiceRevisionRecord>(ecsKeys.serviceRevisions(scope, cluster.name, record.name)),
      ]);
      const counts = readCounts(deps, scope, record);
      const definitions = new Map(revisions.entries.map(({ value }) => [value.id, value.taskDefinition]));
      const all = [...counts.values()];
      return {
        service: record.name,
        cluster: cluster.name,
        status: record.status,
        desired: desiredOf(record, state?.value),
        running: all.reduce((sum, { running }) => sum + running, 0),
        pending: all.reduce((sum, { pending }) => sum + pending, 0),
        steady: state?.value.steady ?? false,
        now,
        deployments: deployments.entries
          .map(({ value }) => value)
          .sort((a, b) => b.createdAt - a.createdAt)
          .slice(0, 5)
          .map((each) => ({
            id: each.id,
            status: each.status,
            state: each.rolloutState,
            reason: each.rolloutStateReason,
            taskDefinition: definitions.get(each.revision),
            ...(counts.get(each.id) ?? none),
            failedTasks: each.failedTasks,
            createdAt: each.createdAt,
            finishedAt: each.finishedAt,
            timeline: timed(each, now),
          })),
        placement: state?.value.placement,
        failed: failedTasks(deps, scope, cluster.name, record.name),
        scaling: await scalingOf(deps, scope, { cluster: cluster.name, service: record.name }),
        events: (state?.value.events ?? []).slice(0, 10).map(({ createdAt, message }) => ({ at: createdAt, message })),
      };
    },
  };
}

async function scalingOf({ store }: ServiceDeps, scope: Scope, resource: Resource): Promise<WhyService["scaling"]> {
  const target = (await store.get<TargetRecord>(scalingKeys.target(scope, resource)))?.value;
  if (!target) return undefined;
  const { entries } = await store.list<ActivityRecord>(scalingKeys.activitiesOf(scope, resource));
  const newest = entries.slice(-5).map(({ value }) => value);
  return {
    min: target.min,
    max: target.max,
    activities: newest
      .toReversed()
      .map(({ startedAt, description, cause, statusMessage }) => ({ at: startedAt, description, cause, message: statusMessage })),
  };
}

function timed({ timeline, rolloutState }: DeploymentRecord, now: number): { at: number; ms: number; phase: string }[] {
  return timeline.map(({ at, phase }, index) => {
    const end = timeline[index + 1]?.at ?? (rolloutState === "IN_PROGRESS" ? now : at);
    return { at, ms: end - at, phase };
  });
}

function failedTasks({ index }: ServiceDeps, scope: Parameters<ServiceDeps["index"]["cluster"]>[0], cluster: string, service: string) {
  const found = index.cluster(scope, cluster);
  return [...(found?.services.get(service)?.tasks.values() ?? [])]
    .flatMap((task) => {
      const observation = found?.observed.get(task.id);
      if (!observation || !isStopped(observation)) return [];
      const code = observation.stopCode ?? task.stop?.code ?? "";
      const reason = task.stop?.reason ?? observation.reason ?? "";
      if ((code === "ServiceSchedulerInitiated" && !isHealthReason(reason)) || code === "UserInitiated") return [];
      return [{ task: task.id, at: observation.stoppedAt ?? 0, code, reason }];
    })
    .sort((a, b) => b.at - a.at)
    .slice(0, 3);
}
