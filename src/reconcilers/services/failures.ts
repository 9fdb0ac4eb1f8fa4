import type { DeploymentConfigurationRecord } from "#model/service-records.ts";
import { settledMs, type TaskFacts } from "./facts.ts";

const longestPauseMs = 15 * 60 * 1000;

export interface Failures {
  /** Since a task of the deployment last did well. */
  readonly count: number;
  readonly lastAt: number;
}

/**
 * How often tasks of a deployment have failed in a row. A task that is HEALTHY by its checks, or has run for ten seconds, ends the row. Derived from
 * the tasks alone, so that no failure is counted twice and none is lost with a server.
 */
export function failuresOf(tasks: readonly TaskFacts[], group: string, now: number, options: { readonly reset: boolean }): Failures {
  const own = tasks.filter((task) => task.group === group);
  let good = -1;
  if (options.reset) {
    for (const { phase, startedAt, healthy, failedAt } of own) {
      if (startedAt === undefined || failedAt !== undefined) continue;
      const settledAt = startedAt + settledMs;
      const ran = phase === "running" ? healthy && now >= settledAt : phase === "stopped" || phase === "stopping";
      if (ran) good = Math.max(good, settledAt);
    }
  }
  let count = 0;
  let lastAt = 0;
  for (const { failedAt } of own) {
    if (failedAt === undefined || failedAt <= good) continue;
    count++;
    lastAt = Math.max(lastAt, failedAt);
  }
  return { count, lastAt };
}

/**
 * When the next task may be started: at once as long as no more have failed than are wanted, then 1 s later, twice as long with each further round, at most
 * 15 minutes. Source: ECS Developer Guide, "Amazon ECS service throttle logic".
 */
export function startAfter({ count, lastAt }: Failures, wanted: number): number {
  const rounds = Math.floor(count / Math.max(1, wanted));
  return rounds === 0 ? 0 : lastAt + Math.min(longestPauseMs, 1000 * 2 ** (rounds - 1));
}

/** Failed tasks that trip the circuit breaker. Source: ECS Developer Guide, "How the Amazon ECS deployment circuit breaker detects failures". */
export function breakerThreshold({ deploymentCircuitBreaker: breaker }: DeploymentConfigurationRecord, desiredCount: number): number {
  const { type = "BOUNDED_PERCENT", value = 50 } = breaker?.thresholdConfiguration ?? {};
  if (type === "COUNT") return Math.max(1, value);
  const share = Math.ceil((desiredCount * value) / 100);
  return type === "UNBOUNDED_PERCENT" ? Math.max(1, share) : Math.min(200, Math.max(3, share));
}
