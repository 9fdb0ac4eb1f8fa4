import { alarmKeys, type Scope } from "#model/alarms/keys.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import type { DeploymentRecord, ServiceRecord } from "#model/service-records.ts";
import type { Store } from "#store/store.ts";
import type { ServiceEntry } from "./index.ts";

/**
 * Alarms that fail a deployment. One that was in ALARM before the deployment began would fail also the one that mends it: then none of its alarms counts, and none counts for a
 * rollback. Once a rolling deployment has all its tasks, it is watched on for as long as its alarms need to notice. Source: ECS Developer Guide, "How
 * CloudWatch alarms detect Amazon ECS deployment failures".
 */
export interface AlarmFacts {
  /** Those in ALARM, and since when. */
  readonly inAlarm: readonly { readonly name: string; readonly since: number }[];
  /** How long the slowest of them takes to go into ALARM. */
  readonly bakeMs: number;
}

/** The alarms that may end the service's deployment; undefined: none is open, or it has none. */
export function openAlarms({ deployments }: ServiceEntry, { deployment: id, status }: ServiceRecord): readonly string[] | undefined {
  const primary = status === "ACTIVE" && id !== undefined ? deployments.get(id.slice(id.lastIndexOf("/") + 1)) : undefined;
  const alarms = primary?.rolloutState === "IN_PROGRESS" && primary.alarms?.watched !== false && primary.configuration.alarms;
  return alarms && alarms.enable && alarms.alarmNames.length > 0 ? alarms.alarmNames : undefined;
}

export const alarmStateKeys = (scope: Scope, names: readonly string[]): string[] => names.map((name) => alarmKeys.state(scope, name));

export async function readAlarms(store: Store, scope: Scope, names: readonly string[]): Promise<AlarmFacts> {
  const read = await Promise.all(
    names.map(async (name) => {
      const [state, alarm] = await Promise.all([
        store.get<AlarmStateRecord>(alarmKeys.state(scope, name)),
        store.get<AlarmRecord>(alarmKeys.alarm(scope, name)),
      ]);
      return { name, state: state?.value, alarm: alarm?.value };
    }),
  );
  return {
    inAlarm: read.flatMap(({ name, state }) => (state?.value === "ALARM" ? [{ name, since: state.transitioned }] : [])),
    bakeMs: Math.max(0, ...read.map(({ alarm }) => (alarm ? noticeMs(alarm) : 0))),
  };
}

function noticeMs({ metric }: AlarmRecord): number {
  // A composite alarm follows others at once.
  if (!metric) return 0;
  const periods = metric.metrics?.flatMap(({ period, stat }) => period ?? stat?.period ?? []) ?? [];
  return metric.evaluationPeriods * Math.max(0, metric.period ?? 0, ...periods) * 1000;
}

/** The deployment with its decision about its alarms, made when it is first looked at. Pure. */
export function withAlarms(deployment: DeploymentRecord, facts: AlarmFacts | undefined): DeploymentRecord {
  if (!facts || deployment.alarms || deployment.rolloutState !== "IN_PROGRESS") return deployment;
  const watched = !facts.inAlarm.some(({ since }) => since <= deployment.createdAt);
  return { ...deployment, alarms: { watched, bakeMs: facts.bakeMs } };
}

/** The alarms for which it fails. Pure. */
export function detected({ alarms }: DeploymentRecord, facts: AlarmFacts | undefined): readonly string[] {
  return alarms?.watched ? (facts?.inAlarm.map(({ name }) => name) ?? []) : [];
}

/** Of one whose tasks are all there: until when its alarms are watched on; 0: no longer. Pure. */
export function bakesUntil({ alarms }: DeploymentRecord, now: number): number {
  if (!alarms?.watched || alarms.bakeMs === 0) return 0;
  const end = (alarms.bakingSince ?? now) + alarms.bakeMs;
  return end > now ? end : 0;
}
