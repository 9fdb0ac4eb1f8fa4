/** How often and how long a target is tried. Source: EventBridge User Guide, "How EventBridge retries delivering events"; EventBridge Scheduler User Guide, the same. */
export interface RetryPolicy {
  readonly MaximumEventAgeInSeconds?: number;
  readonly MaximumRetryAttempts?: number;
}

const oldestSeconds = 86_400;
const mostAttempts = 185;

export const maximumAgeMs = ({ MaximumEventAgeInSeconds }: RetryPolicy = {}): number => (MaximumEventAgeInSeconds ?? oldestSeconds) * 1000;

const firstMs = 1000;
const longestMs = 10 * 60_000;

/**
 * When the target is tried again after `failures` calls that failed, or undefined: never. `random`: 0 to 1.
 * Exponential with jitter; with AWS's own numbers the last attempt is a day after the first.
 */
export function nextAttempt(
  policy: RetryPolicy | undefined,
  { failures, createdAt, now, random, waitMs = 0 }: { failures: number; createdAt: number; now: number; random: number; waitMs?: number },
): number | undefined {
  if (failures > (policy?.MaximumRetryAttempts ?? mostAttempts)) return undefined;
  const pause = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 20));
  const at = Math.ceil(now + Math.max(waitMs, pause / 2 + (pause / 2) * random));
  return at - createdAt > maximumAgeMs(policy) ? undefined : at;
}

/** What is wrong with it, or undefined. */
export function problemOfRetry({ MaximumEventAgeInSeconds: age, MaximumRetryAttempts: attempts }: RetryPolicy): string | undefined {
  const outside = (value: number, least: number, most: number) => !Number.isInteger(value) || value < least || value > most;
  if (age !== undefined && outside(age, 60, oldestSeconds))
    return `Value '${age}' at 'retryPolicy.maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value ${age < 60 ? "greater than or equal to 60" : "less than or equal to 86400"}`;
  if (attempts !== undefined && outside(attempts, 0, mostAttempts))
    return `Value '${attempts}' at 'retryPolicy.maximumRetryAttempts' failed to satisfy constraint: Member must have value ${attempts < 0 ? "greater than or equal to 0" : "less than or equal to 185"}`;
  return undefined;
}
