import type { DeploymentRecord, ShiftRecord } from "#model/service-records.ts";
import type { Decision } from "./decide.ts";
import { withAlarms } from "./deployment-alarms.ts";
import { decideReplica, type Moves } from "./decide-tasks.ts";
import { distrusted, type ServiceSnapshot, type TaskFacts } from "./facts.ts";
import { failuresOf, startAfter } from "./failures.ts";
import * as say from "./messages.ts";
import { phaseOf } from "./phase.ts";
import { changedOnly, complete, earliest, resets, timesOf, turn, withPhase } from "./rollout.ts";
import { advance, expireHooks, openHooks, stageEndsAt } from "./stages.ts";
import { trafficOf } from "./traffic.ts";

/** Until here the new revision has no tasks. */
const unscaled: readonly ShiftRecord["stage"][] = ["RECONCILE_SERVICE", "PRE_SCALE_UP"];

/**
 * A deployment that shifts traffic, while it is open. Both revisions have the whole desired count until CLEAN_UP; traffic follows the
 * stage; anything that fails gives all of it back to the one before. Source: ECS Developer Guide, "Amazon ECS blue/green service deployments workflow".
 */
export function decideShift(before: ServiceSnapshot, found: DeploymentRecord, foundShift: ShiftRecord, now: number): Decision {
  const expired = expireHooks(foundShift, now);
  const watched = withAlarms(found, before.alarms);
  const known = expired === foundShift ? watched : { ...watched, shift: expired, updatedAt: now };
  const snapshot = { ...before, deployments: before.deployments.map((each) => (each === found ? known : each)) };
  const { service, state, tasks } = snapshot;
  const turned = turn(snapshot, now);
  const ended = turned.deployments.find(({ id }) => id === turned.primary)!;
  // One step: the transaction that ends it moves the traffic. Tasks follow in the next pass.
  if (turned.deployments !== snapshot.deployments)
    return {
      ...nothing,
      deployments: changedOnly(before.deployments, turned.deployments),
      ...(ended.id === found.id ? {} : { primary: ended.id, traffic: ended.shift ? trafficOf(ended.shift) : [] }),
      state: { steady: false, ...(state?.stuck ? { stuck: true } : {}) },
      events: turned.events,
      wakeAt: undefined,
    };

  const primary = known;
  const shift = expired;
  const count = service.desiredCount;
  const blue = shift.stage === "CLEAN_UP" ? undefined : shift.blue;
  const failures = failuresOf(tasks, primary.id, now, { reset: resets(primary) });
  const unscaledNow = unscaled.includes(shift.stage);
  // Where both revisions run there is time to see whether the new one stays.
  const trusted = tasks.map((task) => (task.group === primary.id ? distrusted(task, now) : task));
  // What belongs to neither revision leaves as in a rolling update: as soon as the one that stays can do without.
  const green = movesOf(
    snapshot,
    blue === undefined ? trusted : trusted.filter(({ group }) => group === primary.id),
    primary.id,
    count,
    now,
  );
  const kept =
    blue === undefined
      ? undefined
      : movesOf(
          snapshot,
          trusted.filter(({ group }) => group !== primary.id),
          blue,
          count,
          now,
        );
  const stays = kept ?? green;
  const others = tasks.filter(({ phase, lost, group }) => phase !== "stopped" && !lost && group !== primary.id).length;

  const pausedUntil = startAfter(failures, count);
  const paused = pausedUntil > now;
  const blueAt = blue === undefined ? 0 : startAfter(failuresOf(tasks, blue, now, { reset: true }), count);
  const starts = [...(kept && blueAt <= now ? kept.starts : []), ...(paused || unscaledNow ? [] : green.starts)];
  const ready = green.kept === count && green.healthy === count;
  const facts = { configuration: primary.configuration, deployment: primary.id.slice(primary.id.lastIndexOf("/") + 1), ready };
  // A protected one is in a target group that is to have this revision's tasks: it has to be gone first.
  const held = tasks.some(
    ({ group, phase, lost, protectedUntil }) =>
      phase !== "stopped" && !lost && group !== primary.id && group !== blue && protectedUntil > now,
  );
  const next = advance(shift, { ...facts, reconciled: stays.stops.length === 0 && stays.stopping === 0 && !held }, now);

  const done = shift.stage === "CLEAN_UP" && ready && others === 0;
  const phase = done
    ? "completed"
    : `${next.stage}: ${whatOf(next, green, { count, paused, pausedUntil, failures: failures.count, state, now })}`;
  const changed: DeploymentRecord = {
    ...primary,
    ...(next === shift && failures.count === primary.failedTasks ? {} : { updatedAt: now }),
    shift: next,
    failedTasks: failures.count,
  };
  const unchanged = known === found && next === shift && failures.count === primary.failedTasks;
  let deployments: readonly DeploymentRecord[] = unchanged
    ? snapshot.deployments
    : snapshot.deployments.map((each) => (each.id === primary.id ? changed : each));
  if (done)
    deployments = complete(
      deployments,
      deployments.find(({ id }) => id === primary.id)!,
      now,
    );
  deployments = deployments.map((each) => (each.id === primary.id ? withPhase(each, phase, now) : each));

  const wasImpaired = state?.impaired === primary.id && failures.count > 0;
  const isImpaired = wasImpaired || (failures.count >= 3 && paused);
  const waiting = openHooks(next);
  return {
    ...nothing,
    starts,
    stops: [...(kept?.stops ?? []), ...green.stops],
    deployments: changedOnly(before.deployments, deployments),
    traffic: trafficOf(next),
    state: { steady: false, ...(isImpaired ? { impaired: primary.id } : {}) },
    events: [
      ...(done ? [say.deploymentCompleted(service.name, primary.id)] : []),
      ...(isImpaired && !wasImpaired ? [say.impaired(service.name)] : []),
    ],
    wakeAt: earliest(now, [
      paused ? pausedUntil : undefined,
      blueAt,
      stageEndsAt(next, primary.configuration),
      ...waiting.flatMap(({ callAt, expiresAt }) => [callAt, expiresAt]),
      ...timesOf(snapshot, primary.id),
    ]),
  };
}

const nothing = { starts: [], stops: [], deployments: [], deletedTaskSets: [], inactive: false, events: [] } as const;

/** Each revision is looked after by itself. */
function movesOf(
  { service, state, rules }: ServiceSnapshot,
  tasks: readonly TaskFacts[],
  group: string,
  count: number,
  now: number,
): Moves {
  const { minimumHealthyPercent, maximumPercent } = service.deploymentConfiguration;
  return decideReplica(tasks, {
    ...{ group, count, minimumHealthyPercent, rules, now },
    // It speaks of rolling updates; here both revisions have all that is wanted.
    maximumPercent: Math.max(200, maximumPercent),
    frozen: false,
    noCapacity: state?.placement !== undefined,
    rebalancing: undefined,
  });
}

function whatOf(shift: ShiftRecord, moves: Moves, more: Omit<Parameters<typeof phaseOf>[0], "moves" | "done" | "frozen">): string {
  const traffic = shift.production > 0 && shift.production < 100 ? `${shift.production} % of production traffic; ` : "";
  const hooks = openHooks(shift);
  const waits = hooks.map(({ targetType, targetArn }) => (targetType === "PAUSE" ? "ContinueServiceDeployment" : targetArn)).join(", ");
  const tasks = unscaled.includes(shift.stage) ? undefined : phaseOf({ ...more, moves, done: false, frozen: false });
  return `${traffic}${waits === "" ? (tasks ?? "all tasks are healthy") : `waiting for ${waits}`}`;
}
