import { parseScalingKey, scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord, ScalingStateRecord, ScheduledActionRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import type { WatchEvent } from "#store/store.ts";
import type { AlarmNotice } from "../alarms/actions.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import { followChanges } from "../feed.ts";
import { createKeyQueue } from "../queue.ts";
import { activitiesKeptMs, settleActivity } from "./activities.ts";
import { onAlarm, runningOf, type ScalerDeps, scalingQueue } from "./on-alarm.ts";
import { removeTarget } from "./remove.ts";
import { dueOf, runAction } from "./scheduled.ts";

/**
 * Scales ECS services. Alarms tell `onAlarm`, at least once; everything else is looked at by target: scheduled actions whose time has come, a scaling whose
 * tasks run now, a service that is gone. What it decides on is read again in the transaction that it writes.
 */
export interface ScalingReconciler {
  /** Carries out the alarms' actions that name scaling policies. */
  onAlarm(notice: AlarmNotice): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  idle(): Promise<void>;
}

/** A scaling that waits for its tasks is looked at so often, at the latest. */
const settleMs = 10_000;
/** Clocks are changed: no time is waited for in one go. */
const longestMs = 3_600_000;

export function createScalingReconciler(deps: ScalerDeps): ScalingReconciler {
  const { store, writer, clock, random, log } = deps;
  const abort = new AbortController();
  /** Keys of the targets that there are. */
  const targets = new Set<string>();
  const timers = new KeyTimers(clock);
  let cancelTrim = () => {};
  const queue = createKeyQueue({ clock, log, name: "application auto scaling", concurrency: 4, handle: look });

  async function look(key: string): Promise<void> {
    timers.clear(key);
    const { scope, resource } = parseScalingKey(key)!;
    const target = (await store.get<TargetRecord>(key))?.value;
    if (!target || abort.signal.aborted) return;
    const service = (await store.get<ServiceRecord>(ecsKeys.service(scope, resource.cluster, resource.service)))?.value;
    if (!service || service.status === "INACTIVE") {
      log.info({ target: key }, "the service is gone: its scalable target is deregistered");
      await writer.run(scalingQueue(scope), async (unit) => {
        const current = await unit.get<TargetRecord>(key);
        const now = await unit.get<ServiceRecord>(ecsKeys.service(scope, resource.cluster, resource.service));
        if (current && (!now || now.status === "INACTIVE")) await removeTarget({ unit, scope, random, now: clock.now() }, current);
      });
      return;
    }
    const waits = [await runDue(key, target), await settle(key, service)].filter((ms) => ms !== undefined);
    if (waits.length > 0) timers.set(key, Math.min(...waits, longestMs), () => queue.add(key));
  }

  /** How long until the next scheduled action. */
  async function runDue(key: string, target: TargetRecord): Promise<number | undefined> {
    const { scope } = parseScalingKey(key)!;
    const { entries } = await store.list<ScheduledActionRecord>(scalingKeys.actionsOf(scope, target));
    if (entries.length === 0) return undefined;
    const now = clock.now();
    const state = (await store.get<ScalingStateRecord>(scalingKeys.state(scope, target)))?.value;
    const due = entries.map(({ value: action }) => ({ action, ...dueOf(action, state?.ran[action.name], now) }));
    const inOrder = due.filter((each) => each.due !== undefined).toSorted((a, b) => a.due! - b.due!);
    for (const { action, due: at } of inOrder)
      await writer.run(scalingQueue(scope), (unit) => runAction({ unit, scope, random, now }, action, at!));
    const next = Math.min(...due.map((each) => each.next ?? Infinity));
    return Number.isFinite(next) ? next - now : undefined;
  }

  /** How long until it is worth looking again. */
  async function settle(key: string, service: ServiceRecord): Promise<number | undefined> {
    const { scope, resource } = parseScalingKey(key)!;
    const open = (await store.get<ScalingStateRecord>(scalingKeys.state(scope, resource)))?.value.open;
    if (open === undefined) return undefined;
    const running = await runningOf(deps, scope, resource);
    if (running !== service.desiredCount && (await store.get<ActivityRecord>(open))?.value.to === service.desiredCount) return settleMs;
    await writer.run(scalingQueue(scope), async (unit) => {
      const current = await unit.get<ServiceRecord>(ecsKeys.service(scope, resource.cluster, resource.service));
      if (current) await settleActivity({ unit, scope, random, now: clock.now() }, resource, current, running === current.desiredCount);
    });
    return settleMs;
  }

  function changed(event: WatchEvent): void {
    const parsed = parseScalingKey(event.key);
    if (!parsed || parsed.kind === "activity" || parsed.kind === "policy") return;
    const key = scalingKeys.target(parsed.scope, parsed.resource);
    if (parsed.kind === "target") {
      if (event.type === "put") targets.add(key);
      else targets.delete(key);
    }
    if (targets.has(key)) queue.add(key);
  }

  /** A service, or how far it has come. */
  function serviceChanged({ key }: WatchEvent): void {
    const parsed = parseEcsKey(key);
    if (parsed?.kind !== "service" && parsed?.kind !== "service-state") return;
    const [cluster = "", service = ""] = parsed.names;
    const target = scalingKeys.target(parsed.scope, { cluster, service });
    if (targets.has(target)) queue.add(target);
  }

  async function everything(): Promise<number> {
    const page = await store.list(scalingKeys.allTargets);
    targets.clear();
    for (const { key } of page.entries) {
      targets.add(key);
      queue.add(key);
    }
    return page.revision;
  }

  async function trim(): Promise<void> {
    const old = (await store.list<ActivityRecord>(scalingKeys.allActivities)).entries.filter(
      ({ value }) => value.startedAt < clock.now() - activitiesKeptMs,
    );
    for (let from = 0; from < old.length; from += 200)
      await store.transaction({ writes: old.slice(from, from + 200).map(({ key }) => ({ delete: key })) });
  }

  function periodically(): void {
    cancelTrim = clock.after(longestMs, () => {
      void trim().catch((error: unknown) => log.warn({ err: error }, "old scaling activities were not forgotten"));
      periodically();
    });
  }

  let following: Promise<unknown> = Promise.resolve();
  return {
    onAlarm: (notice) => onAlarm(deps, notice),
    start() {
      const follow = { store, clock, log, signal: abort.signal, behind: everything };
      following = Promise.all([
        followChanges({ ...follow, prefix: scalingKeys.everything, changed }),
        followChanges({ ...follow, prefix: "/ecs/", changed: serviceChanged }),
      ]);
      periodically();
    },
    async stop() {
      abort.abort();
      cancelTrim();
      await queue.stop();
      timers.stop();
      await following;
    },
    idle: () => queue.idle(),
  };
}
