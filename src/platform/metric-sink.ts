/** Where a part of the server says what it measured. What is said appears in CloudWatch; nobody waits for it, and nothing fails for its sake. */
export interface MetricSink {
  put(scope: { readonly account: string; readonly region: string }, namespace: string, data: readonly Measurement[]): void;
}

export interface Measurement {
  readonly name: string;
  /** Name → value. */
  readonly dimensions: Readonly<Record<string, string>>;
  readonly unit: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Each value as often as `counts` says; once without. */
  readonly values: readonly number[];
  readonly counts?: readonly number[];
  /** Seconds; default 60. */
  readonly resolution?: 1 | 60;
}

/** Takes everything and keeps nothing. */
export const noMetrics: MetricSink = { put() {} };
