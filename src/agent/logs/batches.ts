/** CloudWatch Logs' limits for one PutLogEvents (API reference): 10,000 events, 1 MiB counting 26 bytes more for each, 24 hours. */
export const limits = { events: 10_000, bytes: 1_048_576, overhead: 26, spanMs: 86_400_000, message: 262_144 - 26 } as const;

export interface LogEvent {
  readonly timestamp: number;
  readonly message: string;
}

/** The events in as few requests as the limits allow, order kept; timestamps must not fall. Pure. */
export function batchesOf(events: readonly LogEvent[]): readonly (readonly LogEvent[])[] {
  const batches: LogEvent[][] = [];
  let batch: LogEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = Buffer.byteLength(event.message) + limits.overhead;
    const first = batch[0];
    const full =
      batch.length >= limits.events || bytes + size > limits.bytes || (first && event.timestamp - first.timestamp >= limits.spanMs);
    if (full && batch.length > 0) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(event);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
