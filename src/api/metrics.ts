/** Counts of the front door, in Prometheus's text format. */
export interface Metrics {
  observe(service: string, operation: string, status: number, seconds: number): void;
  text(): string;
}

/** Seconds. */
const buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const escape = (value: string) => value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));

export function createMetrics(startedAt: number): Metrics {
  const counts = new Map<string, number>();
  const durations = new Map<string, { sum: number; count: number; within: number[] }>();
  return {
    observe(service, operation, status, seconds) {
      const labels = `service="${escape(service)}",operation="${escape(operation)}"`;
      const key = `${labels},status="${status}"`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      const duration = durations.get(labels) ?? { sum: 0, count: 0, within: buckets.map(() => 0) };
      duration.sum += seconds;
      duration.count += 1;
      buckets.forEach((limit, i) => seconds <= limit && (duration.within[i]! += 1));
      durations.set(labels, duration);
    },
    text() {
      const memory = process.memoryUsage();
      const lines = ["# HELP gantry_requests_total Requests answered.", "# TYPE gantry_requests_total counter"];
      for (const [labels, count] of counts) lines.push(`gantry_requests_total{${labels}} ${count}`);
      lines.push(
        "# HELP gantry_request_duration_seconds Time from a request's arrival to its answer.",
        "# TYPE gantry_request_duration_seconds histogram",
      );
      for (const [labels, { sum, count, within }] of durations) {
        buckets.forEach((limit, i) => lines.push(`gantry_request_duration_seconds_bucket{${labels},le="${limit}"} ${within[i]}`));
        lines.push(
          `gantry_request_duration_seconds_bucket{${labels},le="+Inf"} ${count}`,
          `gantry_request_duration_seconds_sum{${labels}} ${sum}`,
          `gantry_request_duration_seconds_count{${labels}} ${count}`,
        );
      }
      const { user, system } = process.cpuUsage();
      lines.push(
        "# HELP process_cpu_seconds_total Time of all cores.",
        "# TYPE process_cpu_seconds_total counter",
        `process_cpu_seconds_total ${(user + system) / 1e6}`,
        "# HELP nodejs_eventloop_utilization Share of the time since the start in which the event loop was busy.",
        "# TYPE nodejs_eventloop_utilization gauge",
        `nodejs_eventloop_utilization ${performance.eventLoopUtilization().utilization}`,
      );
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
