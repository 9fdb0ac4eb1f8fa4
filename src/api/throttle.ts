import type { Clock } from "#platform/clock.ts";

/** A token bucket for each account and operation: `rate` requests a second, bursts of as many. Rate 0 lets everything through. */
export function createThrottle(rate: number, clock: Clock): (account: string, operation: string) => boolean {
  if (rate === 0) return () => true;
  const buckets = new Map<string, { tokens: number; at: number }>();
  return (account, operation) => {
    const key = `${account}/${operation}`;
    const now = clock.now();
    const bucket = buckets.get(key) ?? { tokens: Math.max(1, rate), at: now };
    bucket.tokens = Math.min(Math.max(1, rate), bucket.tokens + ((now - bucket.at) / 1000) * rate);
    bucket.at = now;
    if (buckets.size > 10_000) buckets.clear();
    buckets.set(key, bucket);
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  };
}
