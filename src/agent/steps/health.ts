import type { Clock } from "#platform/clock.ts";
import type { Runtime } from "../runtime.ts";
import type { Health } from "../task/state.ts";
import { judge, type HealthCheck, type HealthCount } from "./health-state.ts";

/**
 * Probes a running container until `signal` aborts; the first probe comes one interval after the start, the next one interval
 * after the last has ended, as Docker does it.
 */
export function watchHealth(
  { runtime, clock }: { readonly runtime: Pick<Runtime, "exec">; readonly clock: Clock },
  check: HealthCheck,
  container: { readonly id: string; readonly startedAt: number; readonly health: Health | undefined },
  report: (health: Health) => void,
  signal: AbortSignal,
): void {
  let count: HealthCount = { failures: 0, health: container.health ?? { status: "UNKNOWN", since: container.startedAt } };
  let cancel = clock.after(check.intervalMs, probe);
  signal.addEventListener("abort", () => cancel(), { once: true });

  function probe(): void {
    void runtime
      .exec(container.id, { args: check.args, timeoutMs: check.timeoutMs })
      .then(
        ({ exitCode, output, timedOut }) =>
          timedOut ? { exitCode: -1, output: `Health check exceeded timeout (${check.timeoutMs / 1000}s)` } : { exitCode, output },
        (error: unknown) => ({ exitCode: -1, output: String(error) }),
      )
      .then((result) => {
        if (signal.aborted) return;
        const before = count.health;
        count = judge(check, container.startedAt, count, { ...result, at: clock.now() });
        if (count.health.status !== before.status || count.health.output !== before.output) report(count.health);
        cancel = clock.after(check.intervalMs, probe);
      });
  }
}
