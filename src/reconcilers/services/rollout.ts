import type { DeploymentRecord, ShiftRecord } from "#model/service-records.ts";
import { detected } from "./deployment-alarms.ts";
import { breakerThreshold, failuresOf } from "./failures.ts";
import { readyMs, settledMs, type ServiceSnapshot, type TaskFacts } from "./facts.ts";
import type { Moves } from "./decide-tasks.ts";
import * as say from "./messages.ts";
import { hookFailure } from "./stages.ts";

/** How deployments end: completed, stopped, failed, rolled back. Pure. */

export interface Turn {
  readonly deployments: readonly DeploymentRecord[];
  readonly primary: string | undefined;
  readonly events: readonly string[];
}

/** Failing, stopping and rolling back: which deployment is the PRIMARY from here on. */
export function turn({ service, deployments, tasks, trafficProblem, alarms }: ServiceSnapshot, now: number): Turn {
  const none: Turn = { deployments, primary: service.deployment, events: [] };
  const primary = deployments.find(({ id }) => id === service.deployment);
  if (!primary || service.status !== "ACTIVE" || primary.rolloutState !== "IN_PROGRESS") return none;
  const rollingBack = deployments.find(
    ({ outcome, rollback }) => outcome === "ROLLBACK_IN_PROGRESS" && rollback?.deployment === primary.id,
  );
  // From here on there is no way back; only of what was gone back to it may still turn out that it does not run.
  const cleaning = primary.shift?.stage === "CLEAN_UP";
  if (cleaning && primary.shift?.blue !== undefined) return none;
  if (primary.stop && !cleaning) {
    const what = primary.stop === "ROLLBACK" ? "rollback requested" : "deployment stopped";
    return fail(
      none,
      tasks,
      primary,
      { rollback: primary.stop === "ROLLBACK", why: `Service deployment ${what} by user.`, by: "user" },
      now,
    );
  }
  const broken = primary.shift && !cleaning ? (hookFailure(primary.shift) ?? trafficProblem) : undefined;
  if (broken !== undefined) return fail(none, tasks, primary, { rollback: true, why: broken, by: "stage" }, now);
  const triggered = cleaning ? [] : detected(primary, alarms);
  if (triggered.length > 0)
    return fail(
      none,
      tasks,
      { ...primary, alarms: { ...primary.alarms!, triggered } },
      {
        rollback: (primary.configuration.alarms?.rollback ?? false) && !rollingBack,
        why: "ECS deployment failed: alarm detected.",
        by: "alarm",
      },
      now,
    );
  const breaker = service.deploymentConfiguration.deploymentCircuitBreaker;
  if (!breaker?.enable) return none;
  const failures = failuresOf(tasks, primary.id, now, { reset: resets(primary) });
  if (failures.count < breakerThreshold(service.deploymentConfiguration, service.desiredCount)) return none;
  // A rollback that fails has nowhere to go.
  return fail(
    none,
    tasks,
    primary,
    {
      rollback: breaker.rollback && !rollingBack,
      why: "ECS deployment circuit breaker: tasks failed to start.",
      by: "breaker",
      failedTasks: failures.count,
    },
    now,
  );
}

const causes = {
  user: { event: () => "stopped by user", rollback: "ECS deployment stopped" },
  alarm: { event: () => "alarm detected", rollback: "ECS deployment alarms" },
  breaker: { event: () => "tasks failed to start", rollback: "ECS deployment circuit breaker" },
  stage: { event: (why: string) => why.replace(/\.$/, ""), rollback: "ECS deployment failed" },
} as const;

function fail(
  { deployments }: Turn,
  tasks: readonly TaskFacts[],
  primary: DeploymentRecord,
  {
    rollback,
    why,
    by,
    failedTasks = primary.failedTasks,
  }: { rollback: boolean; why: string; by: keyof typeof causes; failedTasks?: number },
  now: number,
): Turn {
  const stopped = by === "user" && !rollback;
  // Traffic is never left half shifted: what is stopped goes back, too.
  const goesBack = rollback || (stopped && primary.shift !== undefined);
  const source = goesBack ? sourceOf(deployments, primary, tasks) : undefined;
  const rollsBack = source !== undefined && rollback;
  const failed: DeploymentRecord = {
    ...primary,
    failedTasks,
    rolloutState: "FAILED",
    rolloutStateReason: why,
    outcome: rollsBack
      ? "ROLLBACK_IN_PROGRESS"
      : stopped
        ? "STOPPED"
        : rollback || by === "breaker" || by === "alarm"
          ? "ROLLBACK_FAILED"
          : "STOPPED",
    outcomeReason: why,
    updatedAt: now,
    ...(source ? { status: "ACTIVE" as const } : {}),
    ...(rollsBack ? { rollback: { reason: why, startedAt: now, revision: source.revision, deployment: source.id } } : { finishedAt: now }),
    ...(stopped ? { stoppedAt: now } : {}),
    ...(source && primary.shift ? { shift: { ...primary.shift, production: 0, test: 0 } } : {}),
  };
  const name = primary.serviceDeploymentArn.split("/").at(-2) ?? "";
  const events = [say.deploymentFailed(name, primary.id, causes[by].event(why))];
  if (!source) {
    const outer = deployments.map((each) =>
      each.id === primary.id
        ? failed
        : each.rollback?.deployment === primary.id && each.outcome === "ROLLBACK_IN_PROGRESS"
          ? { ...each, outcome: "ROLLBACK_FAILED" as const, finishedAt: now, updatedAt: now }
          : each,
    );
    return { deployments: outer, primary: primary.id, events };
  }
  events.push(say.rollingBack(name, source.id));
  const again: DeploymentRecord = {
    ...source,
    status: "PRIMARY",
    rolloutState: "IN_PROGRESS",
    rolloutStateReason: `${causes[by].rollback}: rolling back to deploymentId ${source.id}.`,
    updatedAt: now,
    failedTasks: 0,
    alarms: { watched: false, bakeMs: 0 },
    ...(primary.shift ? { shift: wayBack(primary.shift, now) } : {}),
  };
  return {
    deployments: deployments.map((each) => (each.id === primary.id ? failed : each.id === source.id ? again : each)),
    primary: source.id,
    events,
  };
}

/** Rollback in one step: all traffic is the other side's again, and what failed is cleaned up. */
function wayBack({ routes }: ShiftRecord, now: number): ShiftRecord {
  return {
    stage: "CLEAN_UP",
    since: now,
    step: 0,
    production: 100,
    test: 100,
    routes: routes.map((route) => ({ ...route, targetGroup: route.otherTargetGroup, otherTargetGroup: route.targetGroup })),
    hooks: [],
  };
}

/** Where a deployment goes back to. */
function sourceOf(
  deployments: readonly DeploymentRecord[],
  primary: DeploymentRecord,
  tasks: readonly TaskFacts[],
): DeploymentRecord | undefined {
  return primary.shift ? deployments.find(({ id }) => id === primary.shift!.blue) : lastGood(deployments, primary, tasks);
}

/** The newest deployment before `primary` that completed; without one, the newest that still has tasks doing well. */
export function lastGood(
  deployments: readonly DeploymentRecord[],
  primary: DeploymentRecord,
  tasks: readonly TaskFacts[],
): DeploymentRecord | undefined {
  const earlier = deployments.filter(
    ({ id, createdAt, rolloutState }) => id !== primary.id && createdAt <= primary.createdAt && rolloutState !== "FAILED",
  );
  const completed = earlier.filter(({ outcome }) => outcome === "SUCCESSFUL").toSorted((a, b) => (b.finishedAt ?? 0) - (a.finishedAt ?? 0));
  const serving = (id: string) => tasks.some((task) => task.group === id && task.healthy && !task.lost);
  return (
    completed[0] ?? earlier.filter(({ id, status }) => status === "ACTIVE" && serving(id)).toSorted((a, b) => b.createdAt - a.createdAt)[0]
  );
}

export function isDone(primary: DeploymentRecord, count: number, moves: Moves, others: number): boolean {
  const early = primary.configuration.earlySuccessCriteria;
  if (early?.enable) {
    const enough = moves.healthy >= Math.ceil((count * (early.healthyPercent ?? 100)) / 100);
    return enough && (early.sourceServiceRevisionCleanup === "DEFERRED" || others === 0);
  }
  return moves.kept === count && moves.healthy === count && others === 0;
}

/** The PRIMARY has completed: what it replaced is over, and a rollback that it was has succeeded. */
export function complete(deployments: readonly DeploymentRecord[], primary: DeploymentRecord, now: number): DeploymentRecord[] {
  return deployments.map((each) => {
    if (each.id === primary.id) {
      const reason = `ECS deployment ${each.id} completed.`;
      const first = each.outcome !== "SUCCESSFUL";
      return {
        ...each,
        rolloutState: "COMPLETED",
        rolloutStateReason: reason,
        updatedAt: now,
        outcome: "SUCCESSFUL",
        ...(first ? { finishedAt: now } : {}),
      } as const;
    }
    if (each.status === "INACTIVE") return each;
    const rolledBack = each.rollback?.deployment === primary.id && each.outcome === "ROLLBACK_IN_PROGRESS";
    const replaced = each.outcome === "IN_PROGRESS" || each.outcome === "PENDING";
    return {
      ...each,
      status: "INACTIVE",
      updatedAt: now,
      ...(rolledBack ? { outcome: "ROLLBACK_SUCCESSFUL" as const, finishedAt: now } : {}),
      ...(replaced
        ? { outcome: "STOPPED" as const, stoppedAt: now, finishedAt: now, outcomeReason: "Replaced by a newer deployment." }
        : {}),
    } as const;
  });
}

/** A deployment that is neither wanted nor rolled back any more, and has no task left. */
export function isOver(each: DeploymentRecord, primary: DeploymentRecord, tasks: readonly TaskFacts[]): boolean {
  if (each.id === primary.id || each.status !== "ACTIVE" || each.outcome === "ROLLBACK_IN_PROGRESS") return false;
  return primary.rolloutState === "COMPLETED" && !tasks.some(({ group, phase, lost }) => group === each.id && phase !== "stopped" && !lost);
}

export const resets = ({ configuration }: DeploymentRecord) => configuration.deploymentCircuitBreaker?.resetOnHealthyTask ?? true;

export function withPhase(deployment: DeploymentRecord, phase: string | undefined, now: number): DeploymentRecord {
  const { timeline } = deployment;
  if (phase === undefined || timeline.at(-1)?.phase === phase) return deployment;
  // Of a deployment that goes on for days the beginning and the end are kept.
  const kept = timeline.length < 200 ? timeline : [...timeline.slice(0, 20), ...timeline.slice(-179)];
  return { ...deployment, timeline: [...kept, { at: now, phase }] };
}

/** When a fact that a decision rests on changes by time alone. `failing`: the deployment whose tasks are distrusted. */
export function timesOf({ service, tasks }: ServiceSnapshot, failing: string | undefined): (number | undefined)[] {
  const grace = (service.healthCheckGracePeriodSeconds ?? 0) * 1000;
  return tasks.flatMap(({ phase, protectedUntil, startedAt = 0, group, healthy, ready, settlesAt }) => {
    if (phase !== "running") return [];
    return [
      protectedUntil,
      grace > 0 ? startedAt + grace : undefined,
      healthy && !ready ? (settlesAt ?? startedAt + readyMs) : undefined,
      group === failing ? startedAt + settledMs : undefined,
    ];
  });
}

export function earliest(now: number, times: readonly (number | undefined)[]): number | undefined {
  let best: number | undefined;
  for (const time of times) if (time !== undefined && time > now && (best === undefined || time < best)) best = time;
  return best;
}

export function changedOnly(before: readonly DeploymentRecord[], after: readonly DeploymentRecord[]): DeploymentRecord[] {
  return after.filter((each) => !before.includes(each)).map((each) => ({ ...each, version: each.version + 1 }));
}
