import type { DeploymentRecord, ServiceStateRecord } from "#model/service-records.ts";
import { failuresOf, startAfter } from "./failures.ts";
import { bakesUntil, withAlarms } from "./deployment-alarms.ts";
import { decideShift } from "./decide-shift.ts";
import { distrusted, type ServiceSnapshot } from "./facts.ts";
import { decideDaemon, decideReplica, sortTasks, type Moves, type Stop } from "./decide-tasks.ts";
import { phaseOf } from "./phase.ts";
import * as say from "./messages.ts";
import { changedOnly, complete, earliest, isDone, isOver, lastGood, resets, timesOf, turn, withPhase } from "./rollout.ts";
import type { Weights } from "./traffic.ts";

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
  /** What listeners are to forward. */
  readonly traffic?: readonly Weights[];
  /** Look again then, even if nothing changes. */
  readonly wakeAt: number | undefined;
}

export function decideService(snapshot: ServiceSnapshot, now: number): Decision {
  const { service, deployments } = snapshot;
  if (service.deploymentController === "EXTERNAL") return decideTaskSets(snapshot, now);
  const primary = deployments.find(({ id }) => id === service.deployment);
  const shifting = service.status === "ACTIVE" && primary?.rolloutState === "IN_PROGRESS" && primary.shift;
  return shifting ? decideShift(snapshot, primary, shifting, now) : decideDeployments(snapshot, now);
}

function decideDeployments(found: ServiceSnapshot, now: number): Decision {
  const snapshot = alarmed(found);
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
  let bakes = 0;
  if (primary && !draining) {
    const others = tasks.filter(({ phase, lost, group }) => phase !== "stopped" && !lost && group !== primary.id).length;
    const whole = primary.rolloutState === "IN_PROGRESS" && isDone(primary, count, moves, others);
    bakes = whole ? bakesUntil(primary, now) : 0;
    if (bakes > 0 && primary.alarms?.bakingSince === undefined)
      deployments = deployments.map((each) =>
        each.id === primary.id ? { ...each, alarms: { ...primary.alarms!, bakingSince: now }, updatedAt: now } : each,
      );
    const done = whole && bakes === 0;
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
        : bakes > 0
          ? "all tasks are healthy; its alarms are watched for a while"
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
    deployments: changedOnly(found.deployments, deployments),
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
      bakes,
      ...timesOf(snapshot, failures.count > 0 ? primary?.id : undefined),
    ]),
  };
}

/** Once its alarms were looked at for the first time, the deployment remembers whether they count. */
function alarmed(snapshot: ServiceSnapshot): ServiceSnapshot {
  const { service, deployments, alarms } = snapshot;
  const primary = deployments.find(({ id }) => id === service.deployment);
  const watched = primary && withAlarms(primary, alarms);
  return watched === primary ? snapshot : { ...snapshot, deployments: deployments.map((each) => (each === primary ? watched! : each)) };
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
