import assert from "node:assert/strict";
import { parseEcsKey } from "#model/ecs-keys.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord } from "#model/service-records.ts";
import { desiredStatus, taskHealth } from "#model/task-state.ts";
import type { WatchBatch } from "#store/store.ts";
import type { Picture } from "./picture.ts";

/** So long after its agent fell silent, an instance's tasks may count for nothing. The scheduler is free to wait longer. */
const lostAfterMs = 15_000;
/** From here on it may do so: GANTRY_LOST_SECONDS, 8 by default, and a timer that comes early. */
const lostFromMs = 7_900;

/** What the checks count, so that a scenario can say what it has seen. */
export interface ServiceCounts {
  starts: number;
  stops: number;
  /** Healthy tasks stopped by the scheduler while the service stayed. */
  healthyStops: number;
  /** Deployments that failed and gave way to the one before. */
  rollbacks: number;
}

/**
 * The invariants of services, for one write. `picture`: before it. Several units may have gone into the one write, so each check takes the kinder of what was
 * before and what is after. Returns what is to be checked once the picture has it.
 */
export function checkServices(picture: Picture, { events }: WatchBatch, now: number, counts: ServiceCounts): () => void {
  const starts = new Map<string, TaskRecord[]>();
  const stops = new Map<string, TaskRecord[]>();
  const turns: (() => void)[] = [];
  const changed = new Set<string>();
  for (const event of events) {
    const parsed = parseEcsKey(event.key);
    if (parsed && /^(service|deployment|service-state)$/.test(parsed.kind)) changed.add(parsed.names[1]!);
    if (parsed?.kind === "deployment" && event.type === "put")
      turns.push(checkTurn(picture, parsed.names[1]!, event.entry.value as DeploymentRecord, counts));
    if (parsed?.kind !== "task" || event.type !== "put") continue;
    const task = event.entry.value as TaskRecord;
    const service = serviceOf(task);
    if (service === undefined) continue;
    const before = picture.tasks.get(task.id);
    if (!before) add(starts, service, task);
    else if (before.desiredStatus === "RUNNING" && task.desiredStatus === "STOPPED" && task.stop?.code === "ServiceSchedulerInitiated")
      add(stops, service, task);
  }
  if (starts.size + stops.size + changed.size === 0) return () => {};
  const before = new Map([...starts.keys(), ...stops.keys()].map((name) => [name, lookAt(picture, name, now)]));
  return () => {
    for (const name of changed) checkRecords(picture, name);
    for (const turn of turns) turn();
    for (const [name, tasks] of starts) {
      counts.starts += tasks.length;
      checkStarts(picture, name, tasks, before.get(name)!, lookAt(picture, name, now));
    }
    for (const [name, tasks] of stops) {
      counts.stops += tasks.length;
      checkStops(picture, name, tasks, before.get(name)!, lookAt(picture, name, now), now, counts);
    }
  };
}

export const serviceOf = ({ group }: Pick<TaskRecord, "group">): string | undefined => /^service:(.+)$/.exec(group)?.[1];

interface Look {
  readonly service: ServiceRecord | undefined;
  /** Neither STOPPED nor on an instance whose agent is away. */
  readonly present: ReadonlySet<string>;
  readonly healthy: ReadonlySet<string>;
  /** On an instance that may be given up by now: who stops them takes nothing down. */
  readonly lost: ReadonlySet<string>;
  readonly protectedUntil: ReadonlyMap<string, number>;
  /** Ended, or ceased to be healthy, at this very instant: a decision of the same instant may have come first. */
  readonly failedNow: number;
  /** Reported on at this very instant. */
  readonly news: ReadonlySet<string>;
}

function lookAt(picture: Picture, name: string, now: number): Look {
  const live = picture.liveOf(name);
  const away = (instance: string, afterMs: number) => {
    const connection = picture.connections.get(instance);
    return !picture.connected(instance) && !(connection && now - connection.since < afterMs);
  };
  const healthy = live.filter((task) => isHealthy(picture, task) && !away(task.containerInstanceId, lostAfterMs));
  return {
    service: picture.services.get(name),
    present: new Set(live.filter(({ containerInstanceId }) => isBack(picture, containerInstanceId, now)).map(({ id }) => id)),
    healthy: new Set(healthy.map(({ id }) => id)),
    lost: new Set(live.filter(({ containerInstanceId }) => away(containerInstanceId, lostFromMs)).map(({ id }) => id)),
    failedNow: picture.allOf(name).filter((task) => picture.changedAt.get(task.id) === now && !isHealthy(picture, task)).length,
    news: new Set(live.filter(({ id }) => picture.changedAt.get(id) === now).map(({ id }) => id)),
    protectedUntil: new Map(live.flatMap(({ id }) => (picture.protections.has(id) ? [[id, picture.protections.get(id)!.expiresAt]] : []))),
  };
}

/** Connected, and not only since this very instant. */
const isBack = (picture: Picture, instance: string, now: number) =>
  picture.connected(instance) && picture.connections.get(instance)!.since < now;

/** It runs, is not about to stop, and its checks and load balancers (if there are any) say that it is well. */
export function isHealthy(picture: Picture, task: TaskRecord): boolean {
  const observation = picture.observed.get(task.id);
  if (observation?.lastStatus !== "RUNNING" || desiredStatus(task, observation) === "STOPPED") return false;
  if (!picture.isReached(task)) return false;
  const checked = task.containers.some(({ essential, healthCheck }) => essential && healthCheck);
  return !checked || taskHealth(task, observation) === "HEALTHY";
}

const upper = (service: ServiceRecord | undefined) =>
  service ? Math.floor((service.desiredCount * service.deploymentConfiguration.maximumPercent) / 100) : 0;
const lower = (service: ServiceRecord | undefined) =>
  service?.status === "ACTIVE" ? Math.ceil((service.desiredCount * service.deploymentConfiguration.minimumHealthyPercent) / 100) : 0;

function checkStarts(picture: Picture, name: string, started: readonly TaskRecord[], before: Look, after: Look): void {
  const { service } = after;
  assert.ok(service ?? before.service, `${name}: a task was started for a service that is not there`);
  assert.ok(service?.status === "ACTIVE" || before.service?.status === "ACTIVE", `${name} is ${service?.status}, and a task was started`);
  for (const task of started) {
    const number = `${name}/${task.startedBy?.split("/").at(-1)}`;
    assert.ok(
      picture.deployments.has(number) || picture.taskSets.has(number),
      `${task.id} was started by ${task.startedBy}, which is not there`,
    );
    // It waits for an instance that a capacity provider brings.
    if (task.waiting) continue;
    const instance = picture.instances.get(task.containerInstanceId);
    assert.equal(instance?.status, "ACTIVE", `${task.id} was started on an instance that is ${instance?.status}`);
  }
  if (service?.schedulingStrategy === "DAEMON") {
    const startedIds = new Set(started.map(({ id }) => id));
    for (const task of started) {
      const others = picture
        .liveOf(name)
        .filter(({ id, containerInstanceId }) => containerInstanceId === task.containerInstanceId && id !== task.id);
      const blocking = others.filter(({ id }) => before.present.has(id) || startedIds.has(id));
      assert.equal(blocking.length, 0, `${name}: a second daemon on ${task.containerInstanceId}`);
    }
    return;
  }
  // Who was there before and is there after was there when the start was decided.
  const startedIds = new Set(started.map(({ id }) => id));
  const count = [...after.present].filter((id) => before.present.has(id) || startedIds.has(id)).length;
  // Each task set has its own share and limit.
  if (service?.deploymentController === "EXTERNAL") return;
  const limit = Math.max(upper(before.service), upper(service));
  if (picture.deploymentsOf(name).some(({ shift }) => shift)) {
    checkEachRevision(picture, name, started, before, after);
    return;
  }
  assert.ok(count <= limit, `${name}: ${count} tasks after a start, and the maximum percent allows ${limit}`);
}

/** Where traffic shifts, each revision may have all that is wanted. */
function checkEachRevision(picture: Picture, name: string, started: readonly TaskRecord[], before: Look, after: Look): void {
  const wanted = (service: ServiceRecord | undefined) => Math.max(upper(service), (service?.desiredCount ?? 0) * 2);
  const limit = Math.max(wanted(before.service), wanted(after.service));
  const startedIds = new Set(started.map(({ id }) => id));
  for (const group of new Set(started.map(({ startedBy }) => startedBy))) {
    const own = picture.liveOf(name).filter(({ startedBy }) => startedBy === group);
    const count = own.filter(({ id }) => after.present.has(id) && (before.present.has(id) || startedIds.has(id))).length;
    assert.ok(count <= limit, `${name}: ${count} tasks of ${group} after a start, and ${limit} are its most`);
  }
}

function checkStops(
  picture: Picture,
  name: string,
  stopped: readonly TaskRecord[],
  before: Look,
  after: Look,
  now: number,
  counts: ServiceCounts,
): void {
  const gone = after.service?.status !== "ACTIVE";
  for (const task of stopped) {
    assert.ok(task.stop!.reason, `${task.id} was stopped without a reason`);
    const protectedUntil = before.protectedUntil.get(task.id) ?? 0;
    if (gone || protectedUntil <= now || !before.present.has(task.id)) continue;
    const unhealthy = taskHealth(task, picture.observed.get(task.id)) === "UNHEALTHY";
    assert.ok(
      unhealthy,
      `${name}: ${task.id} is protected for ${protectedUntil - now} ms more, and the scheduler stopped it (${task.stop!.reason})`,
    );
  }
  if (gone || before.service?.status !== "ACTIVE") return;
  const stoppedIds = new Set(stopped.map(({ id }) => id));
  const victims = [...before.healthy].filter((id) => stoppedIds.has(id) && !before.news.has(id) && !before.lost.has(id));
  if (victims.length === 0) return;
  counts.healthyStops += victims.length;
  const daemon = after.service.schedulingStrategy === "DAEMON";
  if (daemon || after.service.deploymentController === "EXTERNAL") return;
  const left =
    after.healthy.size + before.failedNow + [...before.healthy].filter((id) => !stoppedIds.has(id) && !after.healthy.has(id)).length;
  const limit = Math.min(lower(before.service), lower(after.service));
  assert.ok(
    left >= limit,
    `${name}: ${left} healthy tasks after the scheduler stopped ${victims.length}, and the minimum percent asks for ${limit}`,
  );
}

/** One PRIMARY, events within AWS's number. */
function checkRecords(picture: Picture, name: string): void {
  const service = picture.services.get(name);
  if (!service) return;
  assert.ok((picture.states.get(name)?.events.length ?? 0) <= 100, `${name} has more than 100 events`);
  if (service.status !== "ACTIVE" || service.deploymentController !== "ECS") return;
  const primaries = picture.deploymentsOf(name).filter(({ status }) => status === "PRIMARY");
  assert.deepEqual(
    primaries.map(({ id }) => id),
    [service.deployment],
    `${name}: one PRIMARY deployment, which the service names`,
  );
}

/** A deployment that fails gives way to the last one that completed, where what failed it, circuit breaker or alarm, is to roll back. */
function checkTurn(picture: Picture, name: string, now: DeploymentRecord, counts: ServiceCounts): () => void {
  const before = picture.deployments.get(`${name}/${now.id.split("/").at(-1)}`);
  if (before?.rolloutState !== "IN_PROGRESS" || now.rolloutState !== "FAILED") return () => {};
  const service = picture.services.get(name);
  const earlier = picture.deploymentsOf(name);
  // Who was gone back to, by a rollback or because somebody stopped a shift of traffic, has nobody to go back to.
  const target =
    before.outcome === "SUCCESSFUL" ||
    earlier.some(({ rollback, outcome }) => rollback?.deployment === now.id && outcome === "ROLLBACK_IN_PROGRESS");
  const completed = earlier.filter(
    ({ id, outcome, revision }) => id !== now.id && outcome === "SUCCESSFUL" && picture.revisions.has(`${name}/${revision}`),
  );
  const rollsBack = (record: ServiceRecord | undefined) =>
    now.alarms?.triggered ? now.configuration.alarms?.rollback : record?.deploymentConfiguration.deploymentCircuitBreaker?.rollback;
  const expected = now.stop !== "ABORT" && !target && completed.length > 0 && rollsBack(service);
  return () => {
    const after = picture.services.get(name);
    if (after?.deployment !== now.id) counts.rollbacks++;
    if (!expected || !after || !rollsBack(after)) return;
    assert.ok(
      completed.some(({ id }) => id === after.deployment),
      `${name}: ${now.id} failed, and ${after.deployment} is none of those that had completed`,
    );
  };
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const all = map.get(key);
  if (all) all.push(value);
  else map.set(key, [value]);
}
