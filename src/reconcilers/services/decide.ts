import type { DeploymentRecord, ServiceStateRecord } from "#model/service-records.ts";
import { breakerThreshold, failuresOf, startAfter } from "./failures.ts";
import { distrusted, readyMs, settledMs, type ServiceSnapshot, type TaskFacts } from "./facts.ts";
import { decideDaemon, decideReplica, sortTasks, type Moves, type Stop } from "./decide-tasks.ts";
import { phaseOf } from "./phase.ts";
import * as say from "./messages.ts";

/** What to write for a service. Nothing in it is an order that must not be repeated: it is decided anew from the records each time. */
export interface Decision {
  readonly starts: Moves["starts"];
  readonly stops: readonly Stop[];
  /** Whole records, changed. */
  readonly deployments: readonly DeploymentRecord[];
  readonly deletedTaskSets: readonly string[];
  /** The id of the deployment that is to be PRIMARY, when it changes. */
  readonly primary?: string;
  /** DRAINING is over. */
  readonly inactive: boolean;
  readonly state: Omit<ServiceStateRecord, "events" | "placement">;
  readonly events: readonly string[];
  /** Look again then, even if nothing changes. */
  readonly wakeAt: number | undefined;
}

export function decideService(snapshot: ServiceSnapshot, now: number): Decision {
  return snapshot.service.deploymentController === "EXTERNAL" ? decideTaskSets(snapshot, now) : decideDeployments(snapshot, now);
}

function decideDeployments(snapshot: ServiceSnapshot, now: number): Decision {
  const { service, state, tasks: known, homes } = snapshot;
  const turned = turn(snapshot, now);
  const primary = turned.deployments.find(({ id }) => id === turned.primary);
  const daemon = service.schedulingStrategy === "DAEMON";
  const draining = service.status !== "ACTIVE";
  const count = draining ? 0 : daemon ? (homes?.length ?? 0) : service.desiredCount;
  const { minimumHealthyPercent, maximumPercent } = service.deploymentConfiguration;
  const failures = primary ? failuresOf(known, primary.id, now, { reset: resets(primary) }) : { count: 0, lastAt: 0 };
  const tasks = failures.count > 0 ? known.map((task) => (task.group === primary?.id ? distrusted(task, now) : task)) : known;
  const pausedUntil = startAfter(failures, count);
  const frozen = primary?.rolloutState === "FAILED";
  const rebalancing = draining || daemon ? undefined : rebalance(snapshot, primary, count, now);
  const previous = !primary || primary.rolloutState === "COMPLETED" || daemon ? undefined : lastGood(turned.deployments, primary, tasks);
  const previousAt = previous ? startAfter(failuresOf(tasks, previous.id, now, { reset: true }), count) : 0;
  const wanted = {
    group: draining ? undefined : primary?.id,
    count,
    frozen,
    minimumHealthyPercent,
    maximumPercent,
    noCapacity: state?.placement !== undefined,
    rebalancing,
    rules: snapshot.rules,
    ...(previous && !draining ? { previous: { group: previous.id, since: primary!.createdAt } } : {}),
    now: draining ? Number.POSITIVE_INFINITY : now,
  };
  const moves = daemon && !draining ? decideDaemon(tasks, homes ?? [], wanted) : decideReplica(tasks, wanted);
  const paused = pausedUntil > now;
  const starts = moves.starts.filter(({ group }) => (group === previous?.id ? previousAt <= now : !paused));
  const events = [...turned.events];

  let deployments = turned.deployments;
  if (primary && !draining) {
    const others = tasks.filter(({ phase, lost, group }) => phase !== "stopped" && !lost && group !== primary.id).length;
    const done = primary.rolloutState === "IN_PROGRESS" && isDone(primary, count, moves, others);
    if (done) {
      deployments = complete(deployments, primary, now);
      events.push(say.deploymentCompleted(service.name, primary.id));
    }
    deployments = deployments.map((each) =>
      each.id === primary.id && each.failedTasks !== failures.count && each.rolloutState === "IN_PROGRESS"
        ? { ...each, failedTasks: failures.count, updatedAt: now }
        : each,
    );
    // A deployment that is over has nothing more to account for.
    const open = primary.rolloutState === "IN_PROGRESS" || primary.timeline.length === 0 || turned.primary !== service.deployment;
    const phase =
      !open && !frozen
        ? undefined
        : phaseOf({ moves: { ...moves, starts }, count, done, frozen, paused, pausedUntil, failures: failures.count, state, now });
    deployments = deployments.map((each) => (each.id === primary.id ? withPhase(each, phase, now) : each));
    // A failed deployment is forgotten once its last task is gone.
    deployments = deployments.map((each) =>
      isOver(each, primary, tasks) ? { ...each, status: "INACTIVE" as const, updatedAt: now } : each,
    );
  }

  // Of a silent machine nobody knows when its tasks end: they hold nothing up.
  const live = tasks.filter(({ phase, lost }) => phase !== "stopped" && !lost);
  const steady = !draining && moves.kept === count && moves.healthy === count && live.length === count && starts.length === 0;
  const wasSteady = state?.steady ?? false;
  if (steady && !wasSteady) events.push(say.steadyState(service.name));
  // Said once: it lasts until a task does well, not only for one pause.
  const wasImpaired = primary !== undefined && state?.impaired === primary.id && failures.count > 0;
  const isImpaired = wasImpaired || (primary !== undefined && failures.count >= 3 && paused);
  if (isImpaired && !wasImpaired) events.push(say.impaired(service.name));
  if (moves.stuck && !state?.stuck) events.push(say.stuck(service.name));
  const inactive = service.status === "DRAINING" && live.length === 0;
  return {
    starts,
    stops: moves.stops,
    deployments: changedOnly(snapshot.deployments, deployments),
    deletedTaskSets: [],
    ...(turned.primary !== service.deployment && turned.primary !== undefined ? { primary: turned.primary } : {}),
    inactive,
    state: {
      // A task that ended disturbs; what was only looked at again does not.
      steady: steady || (wasSteady && live.length === count && moves.kept === count && starts.length === 0 && moves.stops.length === 0),
      ...(daemon ? { daemonDesired: count } : {}),
      ...(isImpaired ? { impaired: primary!.id } : {}),
      ...(moves.stuck ? { stuck: true } : {}),
      ...(rebalancing !== undefined ? { rebalancing } : {}),
    },
    events,
    wakeAt: earliest(now, [
      paused ? pausedUntil : undefined,
      previousAt,
      ...timesOf(snapshot, failures.count > 0 ? primary?.id : undefined),
    ]),
  };
}

interface Turn {
  readonly deployments: readonly DeploymentRecord[];
  readonly primary: string | undefined;
  readonly events: readonly string[];
}

/** Failing, stopping and rolling back: which deployment is the PRIMARY from here on. */
function turn({ service, deployments, tasks }: ServiceSnapshot, now: number): Turn {
  const none: Turn = { deployments, primary: service.deployment, events: [] };
  const primary = deployments.find(({ id }) => id === service.deployment);
  if (!primary || service.status !== "ACTIVE" || primary.rolloutState !== "IN_PROGRESS") return none;
  const rollingBack = deployments.find(
    ({ outcome, rollback }) => outcome === "ROLLBACK_IN_PROGRESS" && rollback?.deployment === primary.id,
  );
  if (primary.stop) {
    const what = primary.stop === "ROLLBACK" ? "rollback requested" : "deployment stopped";
    return fail(
      none,
      tasks,
      primary,
      { rollback: primary.stop === "ROLLBACK", why: `Service deployment ${what} by user.`, by: "user" },
      now,
    );
  }
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

function fail(
  { deployments }: Turn,
  tasks: readonly TaskFacts[],
  primary: DeploymentRecord,
  {
    rollback,
    why,
    by,
    failedTasks = primary.failedTasks,
  }: { rollback: boolean; why: string; by: "user" | "breaker"; failedTasks?: number },
  now: number,
): Turn {
  const source = rollback ? lastGood(deployments, primary, tasks) : undefined;
  const stopped = by === "user" && !rollback;
  const failed: DeploymentRecord = {
    ...primary,
    failedTasks,
    rolloutState: "FAILED",
    rolloutStateReason: why,
    outcome: source ? "ROLLBACK_IN_PROGRESS" : stopped ? "STOPPED" : rollback || by === "breaker" ? "ROLLBACK_FAILED" : "STOPPED",
    outcomeReason: why,
    updatedAt: now,
    ...(source ? { status: "ACTIVE" as const } : { finishedAt: now }),
    ...(stopped ? { stoppedAt: now } : {}),
    ...(source ? { rollback: { reason: why, startedAt: now, revision: source.revision, deployment: source.id } } : {}),
  };
  const name = primary.serviceDeploymentArn.split("/").at(-2) ?? "";
  const events = [say.deploymentFailed(name, primary.id, by === "breaker" ? "tasks failed to start" : "stopped by user")];
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
    rolloutStateReason: `ECS deployment ${by === "breaker" ? "circuit breaker" : "stopped"}: rolling back to deploymentId ${source.id}.`,
    updatedAt: now,
    failedTasks: 0,
  };
  return {
    deployments: deployments.map((each) => (each.id === primary.id ? failed : each.id === source.id ? again : each)),
    primary: source.id,
    events,
  };
}

/** The newest deployment before `primary` that completed; without one, the newest that still has tasks doing well. */
function lastGood(
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

function isDone(primary: DeploymentRecord, count: number, moves: Moves, others: number): boolean {
  const early = primary.configuration.earlySuccessCriteria;
  if (early?.enable) {
    const enough = moves.healthy >= Math.ceil((count * (early.healthyPercent ?? 100)) / 100);
    return enough && (early.sourceServiceRevisionCleanup === "DEFERRED" || others === 0);
  }
  return moves.kept === count && moves.healthy === count && others === 0;
}

/** The PRIMARY has completed: what it replaced is over, and a rollback that it was has succeeded. */
function complete(deployments: readonly DeploymentRecord[], primary: DeploymentRecord, now: number): DeploymentRecord[] {
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
function isOver(each: DeploymentRecord, primary: DeploymentRecord, tasks: readonly TaskFacts[]): boolean {
  if (each.id === primary.id || each.status !== "ACTIVE" || each.outcome === "ROLLBACK_IN_PROGRESS") return false;
  return primary.rolloutState === "COMPLETED" && !tasks.some(({ group, phase, lost }) => group === each.id && phase !== "stopped" && !lost);
}

const resets = ({ configuration }: DeploymentRecord) => configuration.deploymentCircuitBreaker?.resetOnHealthyTask ?? true;

function withPhase(deployment: DeploymentRecord, phase: string | undefined, now: number): DeploymentRecord {
  const { timeline } = deployment;
  if (phase === undefined || timeline.at(-1)?.phase === phase) return deployment;
  // Of a deployment that goes on for days the beginning and the end are kept.
  const kept = timeline.length < 200 ? timeline : [...timeline.slice(0, 20), ...timeline.slice(-179)];
  return { ...deployment, timeline: [...kept, { at: now, phase }] };
}

/** The task that goes so that one may start in a zone with at least two fewer. Only of a service at rest, and with room above the desired count. */
function rebalance(
  { service, state, tasks, openZones }: ServiceSnapshot,
  primary: DeploymentRecord | undefined,
  count: number,
  now: number,
): string | undefined {
  if (service.availabilityZoneRebalancing !== "ENABLED" || primary?.rolloutState !== "COMPLETED" || !openZones) return undefined;
  const { current, leaving, stopping } = sortTasks(tasks, primary.id, undefined);
  if (state?.rebalancing !== undefined && current.some(({ id }) => id === state.rebalancing)) return state.rebalancing;
  if (Math.floor((count * service.deploymentConfiguration.maximumPercent) / 100) <= count) return undefined;
  if (leaving.length + stopping.length > 0 || current.length !== count || current.some(({ healthy }) => !healthy)) return undefined;
  const zones = new Map([...openZones()].map((zone) => [zone, 0]));
  const open = new Set(zones.keys());
  for (const { zone } of current) zones.set(zone, (zones.get(zone) ?? 0) + 1);
  const least = Math.min(...[...zones].filter(([zone]) => open.has(zone)).map(([, size]) => size));
  const [fullest, size] = [...zones].reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  if (!Number.isFinite(least) || size - least < 2) return undefined;
  const movable = current.filter(({ zone, protectedUntil }) => zone === fullest && protectedUntil <= now);
  return movable.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1))[0]?.id;
}

function decideTaskSets(snapshot: ServiceSnapshot, now: number): Decision {
  const { service, state, tasks, taskSets } = snapshot;
  const draining = service.status !== "ACTIVE";
  const starts: { group: string; count: number }[] = [];
  const stops: Stop[] = [];
  const unsteady: string[] = [];
  const known = new Set(taskSets.map(({ id }) => id));
  for (const { id, scale, status } of taskSets) {
    const gone = draining || status === "DRAINING";
    const count = gone ? 0 : Math.ceil((service.desiredCount * scale.value) / 100);
    const own = tasks.filter(({ group }) => group === id);
    const wanted = {
      group: gone ? undefined : id,
      count,
      frozen: false,
      minimumHealthyPercent: 100,
      maximumPercent: 200,
      noCapacity: false,
      rebalancing: undefined,
      rules: snapshot.rules,
      now: gone ? Number.POSITIVE_INFINITY : now,
    };
    const moves = decideReplica(own, wanted);
    if (startAfter(failuresOf(own, id, now, { reset: true }), count) <= now) starts.push(...moves.starts);
    stops.push(...moves.stops);
    if (moves.kept !== count || moves.healthy !== count || moves.stopping > 0 || moves.leaving > 0) unsteady.push(id);
  }
  const orphans = tasks.filter(({ phase, group }) => (phase === "pending" || phase === "running") && !known.has(group));
  for (const task of orphans)
    stops.push({ id: task.id, group: task.group, why: "deployment", reason: `Scaling activity initiated by (deployment ${task.group})` });
  const live = tasks.filter(({ phase, lost }) => phase !== "stopped" && !lost);
  const deletedTaskSets = taskSets
    .filter(({ id, status }) => (status === "DRAINING" || draining) && !live.some(({ group }) => group === id))
    .map(({ id }) => id);
  const steady = !draining && unsteady.length === 0 && orphans.length === 0;
  const pauses = taskSets.map(({ id, scale }) =>
    startAfter(failuresOf(tasks, id, now, { reset: true }), Math.ceil((service.desiredCount * scale.value) / 100)),
  );
  return {
    starts,
    stops,
    deployments: [],
    deletedTaskSets,
    inactive: service.status === "DRAINING" && live.length === 0,
    state: { steady, unsteadyTaskSets: unsteady },
    events: steady && !(state?.steady ?? false) ? [say.steadyState(service.name)] : [],
    wakeAt: earliest(now, [...pauses, ...timesOf(snapshot, undefined)]),
  };
}

/** When a fact that a decision rests on changes by time alone. `failing`: the deployment whose tasks are distrusted. */
function timesOf({ service, tasks }: ServiceSnapshot, failing: string | undefined): (number | undefined)[] {
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

function earliest(now: number, times: readonly (number | undefined)[]): number | undefined {
  let best: number | undefined;
  for (const time of times) if (time !== undefined && time > now && (best === undefined || time < best)) best = time;
  return best;
}

function changedOnly(before: readonly DeploymentRecord[], after: readonly DeploymentRecord[]): DeploymentRecord[] {
  return after.filter((each) => !before.includes(each)).map((each) => ({ ...each, version: each.version + 1 }));
}
