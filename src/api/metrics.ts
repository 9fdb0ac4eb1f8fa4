/** Counts of the front door, in Prometheus's text format. */
export interface Metrics {
  observe(service: string, operation: string, status: number, seconds: number): void;
  text(): string;
}

const escape = (value: string) => value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));

export function createMetrics(startedAt: number): Metrics {
  const counts = new Map<string, number>();
  const durations = new Map<string, { sum: number; count: number }>();
  return {
    observe(service, operation, status, seconds) {
      const labels = `service="${escape(service)}",operation="${escape(operation)}"`;
      const key = `${labels},status="${status}"`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      const duration = durations.get(labels) ?? { sum: 0, count: 0 };
      duration.sum += seconds;
      duration.count += 1;
      durations.set(labels, duration);
    },
    text() {
      const memory = process.memoryUsage();
      const lines = ["# HELP gantry_requests_total Requests answered.", "# TYPE gantry_requests_total counter"];
      for (const [labels, count] of counts) lines.push(`gantry_requests_total{${labels}} ${count}`);
      lines.push(
        "# HELP gantry_request_duration_seconds Time from a request's arrival to its answer.",
        "# TYPE gantry_request_duration_seconds summary",
      );
      for (const [labels, { sum, count }] of durations)
        lines.push(`gantry_request_duration_seconds_sum{${labels}} ${sum}`, `gantry_request_duration_seconds_count{${labels}} ${count}`);
      lines.push(
        "# HELP process_resident_memory_bytes Resident memory.",
        "# TYPE process_resident_memory_bytes gauge",
        `process_resident_memory_bytes ${memory.rss}`,
      );
      lines.push(
        "# HELP nodejs_heap_used_bytes Heap in use.",
        "# TYPE nodejs_heap_used_bytes gauge",
        `nodejs_heap_used_bytes ${memory.heapUsed}`,
      );
      lines.push(
        "# HELP process_start_time_seconds Start of the process.",
        "# TYPE process_start_time_seconds gauge",
        `process_start_time_seconds ${startedAt / 1000}`,
      );
      return `${lines.join("\n")}\n`;
    },
  };
}
