import { ecsKeys, type NodePlace, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type {
  DeploymentRecord,
  PlacementFailureRecord,
  ServiceRecord,
  ServiceRevisionRecord,
  ServiceStateRecord,
  TaskProtectionRecord,
} from "#model/service-records.ts";
import { isStopped } from "#model/task-state.ts";
import type { Random } from "#platform/random.ts";
import { obstacleOn } from "#scheduler/place.ts";
import type { PlacementRequest, Rejection } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import type { NetworkWish } from "../launch.ts";
import { writeWaitingTask } from "../capacity/waiting.ts";
import { fargateNodesOf, nodeOf, type Machine } from "../nodes.ts";
import { removeConnect, restoreConnect } from "../service-connect/records.ts";
import { reclaimSpot } from "../spot.ts";
import { VpcError } from "../vpc/errors.ts";
import { writeNewTask, writeStop as stopTask } from "../task-writes.ts";
import type { Decision } from "./decide.ts";
import type { Stop } from "./decide-tasks.ts";
import type { ServiceEntry } from "./index.ts";
import * as say from "./messages.ts";
import { writeTraffic } from "./traffic.ts";

/** A start with its place. */
export interface Placed {
  readonly group: string;
  readonly instance: string;
  readonly place: NodePlace;
  readonly request: PlacementRequest;
  readonly network: NetworkWish | undefined;
  readonly make: (machine: Machine) => TaskRecord;
}

export interface Placing {
  readonly placed: readonly Placed[];
  /** None: everything found its place, or nothing was to be placed. */
  readonly failure: Omit<PlacementFailureRecord, "at"> | undefined;
  readonly closest: { readonly instance: string; readonly reason: string } | undefined;
  /** Whether anything was to be placed at all. */
  readonly tried: boolean;
  /** Tasks for which Spot tasks are to make room. */
  readonly claims?: readonly { readonly request: PlacementRequest; readonly count: number }[];
  /** Tasks of capacity providers without room, which wait for it. */
  readonly waiting?: readonly TaskRecord[];
  /** Fargate had no room. */
  readonly capacity?: boolean;
  /** AWS's sentence about a role that the tasks cannot become. */
  readonly role?: string;
}

const mostEvents = 100;
const mostRejections = 50;
const keptDeployments = 20;

export function placingOf(placed: readonly Placed[], missing: number, rejections: readonly Rejection[]): Placing {
  const tried = placed.length + missing > 0;
  if (missing === 0) return { placed, failure: undefined, closest: undefined, tried };
  const close = rejections.find(({ reason }) => reason.startsWith("RESOURCE:")) ?? rejections[0];
  const shown = rejections.slice(0, mostRejections).map(({ node, reason, detail }) => ({ instance: node.ec2InstanceId, reason, detail }));
  return {
    placed,
    failure: { missing, rejections: shown, considered: rejections.length },
    closest: close && { instance: close.node.id, reason: close.reason },
    tried,
  };
}

/**
 * Writes a decision in one transaction, all or nothing, if the records that it rests on are still the same: "stale" otherwise, and it is decided anew. A task that has
 * ended meanwhile is not stopped again; an instance that has filled up meanwhile takes nothing.
 */
export async function applyDecision(
  unit: Unit,
  entry: ServiceEntry,
  service: ServiceRecord,
  decision: Decision,
  placing: Placing,
  { random, publicPool }: { readonly random: Random; readonly publicPool: string },
  now: number,
): Promise<"done" | "stale" | "again"> {
  const { scope, cluster, name } = entry;
  const current = await unit.get<ServiceRecord>(entry.key);
  if (current?.version !== service.version) return "stale";
  for (const changed of decision.deployments) {
    const before = await unit.get<DeploymentRecord>(ecsKeys.deployment(scope, cluster, name, changed.id));
    if (before?.version !== changed.version - 1) return "stale";
  }
  for (const changed of decision.deployments) unit.put(ecsKeys.deployment(scope, cluster, name, changed.id), changed);
  // Who is to be without traffic has none before its tasks go.
  if (decision.traffic?.length) await writeTraffic(unit, scope, decision.traffic);
  const stateKey = ecsKeys.serviceState(scope, cluster, name);
  const state = await unit.get<ServiceStateRecord>(stateKey);

  const started: string[] = [];
  const zones = zonesOf(entry);
  let again = false;
  let noAddress: string | undefined;
  for (const { instance: id, place, request, network, make } of placing.placed) {
    const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(place, place.cluster, id));
    const allocation = await unit.get<AllocationRecord>(ecsKeys.allocation(place, place.cluster, id));
    const connection = await unit.get<ConnectionRecord>(ecsKeys.connection(place, place.cluster, id));
    if (!instance || obstacleOn(nodeOf(instance, allocation, connection), request)) {
      again = true;
      continue;
    }
    try {
      const task = await writeNewTask(unit, scope, make({ instance, place }), network && { wish: network, zones, random, now, publicPool });
      started.push(task.id);
    } catch (error) {
      if (!(error instanceof VpcError)) throw error;
      noAddress = error.message;
    }
  }
  for (const task of placing.waiting ?? []) {
    if (!(await writeWaitingTask(unit, scope, task))) break;
    started.push(task.id);
  }
  if (placing.claims?.length) {
    const machines = await fargateNodesOf(unit);
    for (const { request, count } of placing.claims) await reclaimSpot(unit, machines, request, count, now);
  }
  const stopped: Stop[] = [];
  for (const stop of decision.stops) {
    if (current.status === "ACTIVE" && (await isProtected(unit, entry, stop, now))) again = true;
    else if (await writeStop(unit, entry, stop, now)) stopped.push(stop);
  }

  const messages = [...decision.events, ...eventsOf(name, started, stopped)];
  const failure = failureOf(state, noAddress === undefined ? withoutRole(placing) : withoutAddress(placing, noAddress), now);
  if (failure && !state?.placement)
    messages.push(
      noAddress !== undefined
        ? say.noInterface(name, noAddress)
        : placing.role !== undefined
          ? say.notLaunched(name, placing.role)
          : placing.capacity
            ? say.noCapacity(name)
            : say.unplaced(name, placing.closest, placing.failure?.considered ?? 0),
    );
  const next: ServiceStateRecord = {
    ...decision.state,
    events: withEvents(state?.events ?? [], messages, random, now),
    ...(failure ? { placement: failure } : {}),
  };
  if (!sameState(state, next)) unit.put(stateKey, next);

  if (decision.primary !== undefined) {
    unit.put(entry.key, { ...current, deployment: decision.primary, version: current.version + 1 } satisfies ServiceRecord);
    const deployment = await unit.get<DeploymentRecord>(ecsKeys.deployment(scope, cluster, name, decision.primary));
    const revision = ecsKeys.serviceRevision(scope, cluster, name, deployment?.revision ?? "");
    await restoreConnect(unit, scope, current, (await unit.get<ServiceRevisionRecord>(revision))?.serviceConnect);
  }
  for (const id of decision.deletedTaskSets) unit.delete(ecsKeys.taskSet(scope, cluster, name, id));
  if (decision.inactive) {
    writeInactive(unit, entry, current, now);
    await removeConnect(unit, scope, cluster, name);
  } else forgetOld(unit, entry);
  return again ? "again" : "done";
}

/** The tasks that a service has, by zone. */
function zonesOf({ tasks }: ServiceEntry): Map<string, number> {
  const zones = new Map<string, number>();
  for (const { availabilityZone = "", desiredStatus } of tasks.values())
    if (desiredStatus === "RUNNING") zones.set(availabilityZone, (zones.get(availabilityZone) ?? 0) + 1);
  return zones;
}

/** Placed, but no subnet had an address left. */
function withoutAddress(placing: Placing, message: string): Placing {
  const { missing = 0, rejections = [], considered = 0 } = placing.failure ?? {};
  const more = { instance: "", reason: "RESOURCE:ENI", detail: message };
  return { ...placing, failure: { missing: missing + 1, rejections: [...rejections, more], considered } };
}

/** Nothing is wrong with the machines. */
function withoutRole(placing: Placing): Placing {
  if (placing.role === undefined || !placing.failure) return placing;
  const rejections = [...placing.failure.rejections, { instance: "", reason: "ROLE", detail: placing.role }];
  return { ...placing, failure: { ...placing.failure, rejections } };
}

/** A failure stays until something was placed, or nothing is wanted any more; the same failure is not written again and again. */
function failureOf(state: ServiceStateRecord | undefined, { failure, tried }: Placing, now: number): PlacementFailureRecord | undefined {
  if (!tried || !failure) return undefined;
  const before = state?.placement;
  const next = { at: before?.at ?? now, ...failure };
  return before && same(before, next) ? before : next;
}

/** A protection that was acknowledged holds, even if it came after the decision. */
async function isProtected(unit: Unit, { scope, cluster }: ServiceEntry, { id, why }: Stop, now: number): Promise<boolean> {
  if (why === "unhealthy" || why === "lost") return false;
  const protection = await unit.get<TaskProtectionRecord>(ecsKeys.taskProtection(scope, cluster, id));
  return protection !== undefined && protection.expiresAt > now;
}

async function writeStop(unit: Unit, { scope, cluster }: ServiceEntry, { id, reason }: Stop, now: number): Promise<boolean> {
  const key = ecsKeys.task(scope, cluster, id);
  const task = await unit.get<TaskRecord>(key);
  const observation = await unit.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id));
  if (!task || task.desiredStatus === "STOPPED" || isStopped(observation)) return false;
  const stop = { at: now, code: "ServiceSchedulerInitiated", reason };
  await stopTask(unit, scope, task, observation, stop);
  unit.delete(ecsKeys.taskProtection(scope, cluster, id));
  return true;
}

function eventsOf(service: string, started: readonly string[], stopped: readonly Stop[]): string[] {
  const messages: string[] = [];
  for (let at = 0; at < started.length; at += 10) messages.push(say.started(service, started.slice(at, at + 10)));
  for (const { id, why, reason } of stopped) if (why === "unhealthy") messages.push(say.unhealthy(service, id, reason));
  const ids = stopped.map(({ id }) => id);
  for (let at = 0; at < ids.length; at += 10) messages.push(say.stopped(service, ids.slice(at, at + 10)));
  return messages;
}

function withEvents(
  events: ServiceStateRecord["events"],
  messages: readonly string[],
  random: Random,
  now: number,
): ServiceStateRecord["events"] {
  if (messages.length === 0) return events;
  const fresh = messages.slice(-mostEvents).map((message) => ({ id: random.uuid(), createdAt: now, message }));
  return [...fresh.toReversed(), ...events].slice(0, mostEvents);
}

/** Deletes what is left of a service whose time as INACTIVE is over. */
export async function forgetService(unit: Unit, { scope, cluster, name, key }: ServiceEntry, version: number): Promise<void> {
  if ((await unit.get<ServiceRecord>(key))?.version !== version) return;
  await deleteServiceParts(unit, scope, cluster, name);
  unit.delete(key);
}

/** All records of a service but its own. */
export async function deleteServiceParts(unit: Unit, scope: Scope, cluster: string, name: string): Promise<void> {
  const prefixes = [ecsKeys.deployments, ecsKeys.serviceRevisions, ecsKeys.taskSets].map((prefix) => prefix(scope, cluster, name));
  for (const prefix of prefixes) for (const each of (await unit.list(prefix)).keys()) unit.delete(each);
  await removeConnect(unit, scope, cluster, name);
  unit.delete(ecsKeys.serviceState(scope, cluster, name));
}

function writeInactive(unit: Unit, entry: ServiceEntry, service: ServiceRecord, now: number): void {
  unit.put(entry.key, { ...service, status: "INACTIVE", inactiveAt: now, version: service.version + 1 } satisfies ServiceRecord);
  for (const id of entry.taskSets.values()) unit.delete(ecsKeys.taskSet(entry.scope, entry.cluster, entry.name, id.id));
}

/** Deployments that are long over go, with the revisions that only they had. */
function forgetOld(unit: Unit, entry: ServiceEntry): void {
  const { scope, cluster, name } = entry;
  const over = [...entry.deployments.values()].filter(({ status }) => status === "INACTIVE").sort((a, b) => b.createdAt - a.createdAt);
  const old = over.slice(keptDeployments);
  if (old.length === 0) return;
  const kept = new Set(
    [...entry.deployments.values()]
      .filter((each) => !old.includes(each))
      .flatMap(({ revision, sources }) => [revision, ...sources.map((source) => source.revision)]),
  );
  for (const deployment of old) {
    unit.delete(ecsKeys.deployment(scope, cluster, name, deployment.id));
    if (!kept.has(deployment.revision)) unit.delete(ecsKeys.serviceRevision(scope, cluster, name, deployment.revision));
  }
}

/** Up to a hundred events are looked at only when there are new ones. */
function sameState(before: ServiceStateRecord | undefined, { events, ...next }: ServiceStateRecord): boolean {
  if (!before || before.events !== events) return false;
  const { events: _, ...rest } = before;
  return same(rest, next);
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
