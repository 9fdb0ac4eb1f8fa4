import type { Health } from "../task/state.ts";

/** A container health check, times in milliseconds. Source: ECS API Reference, HealthCheck; Docker's HEALTHCHECK. */
export interface HealthCheck {
  readonly args: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  /** Failures within this time from the start don't count until a probe has succeeded once. */
  readonly startPeriodMs: number;
}

export interface HealthCount {
  readonly health: Health;
  readonly failures: number;
}

export interface Probe {
  readonly exitCode: number;
  readonly output: string;
  readonly at: number;
}

/** The health after one more probe. Pure. */
export function judge(check: HealthCheck, startedAt: number, before: HealthCount, probe: Probe): HealthCount {
  const { status } = before.health;
  if (probe.exitCode === 0) return { failures: 0, health: change(before.health, "HEALTHY", probe) };
  const starting = status === "UNKNOWN" && probe.at - startedAt < check.startPeriodMs;
  const failures = starting ? 0 : before.failures + 1;
  return { failures, health: change(before.health, failures >= check.retries ? "UNHEALTHY" : status, probe) };
}

function change(before: Health, status: Health["status"], probe: Probe): Health {
  return { status, since: status === before.status ? before.since : probe.at, exitCode: probe.exitCode, output: probe.output };
}
