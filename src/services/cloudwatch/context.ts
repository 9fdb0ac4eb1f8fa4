import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { MetricStore } from "#metrics/metric-store.ts";
import type { Writer } from "#store/unit.ts";

/** What CloudWatch's operations work on. */
export interface CloudWatch {
  readonly deps: ServerDeps;
  readonly writer: Writer;
  /** Open once the part has started. */
  metrics(): MetricStore;
  /** Something about these alarms changed: judge them soon. */
  wake(): void;
}

export type Operation<I, O> = (cloudwatch: CloudWatch, input: I, context: RequestContext) => Promise<O>;
