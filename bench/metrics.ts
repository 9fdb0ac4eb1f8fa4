/**
 * CloudWatch's promises. In: a whole server on one core is sent a little more than 10,000 data points a second by its API for a minute, from 10,000 series; then
 * its memory; then what it takes when two clients send as fast as they can.
 * Storage: 10,000 series, one point a minute, each a random double (the worst case for the encoding), a day of them (days are files of their own;
 * GANTRY_BENCH_DAYS=15 writes all), then a day of one series read from the files.
 */
import { spawn } from "node:child_process";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { MetricStore } from "#metrics/metric-store.ts";
import { readPeriods } from "#metrics/read.ts";
import { serverCommand } from "#cli/commands.ts";
import { bundleOf } from "#model/metrics/bundle.ts";
import { readConfig } from "#platform/config.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { freePort, median, report, temporary } from "./support.ts";

const seriesCount = 10_000;
const seconds = Number(process.env.GANTRY_BENCH_SECONDS ?? "60");
const days = Number(process.env.GANTRY_BENCH_DAYS ?? "1");
const GiB = 2 ** 30;

await ingest();
await storage();

async function ingest(): Promise<void> {
  await using home = await temporary("metrics");
  const port = await freePort();
  const own = { GANTRY_HOME: home.path, GANTRY_PORT: String(port), GANTRY_OPEN: "1" };
  // As `up` starts it.
  const { file, args } = serverCommand(readConfig(own));
  const server = spawn("taskset", ["-c", "0", file, ...args], {
    env: { ...process.env, ...own },
    stdio: ["ignore", "ignore", "inherit"],
  });
  try {
    const url = `http://127.0.0.1:${port}/`;
    for (let tries = 0; tries < 200; tries++) {
      if (
        await fetch(`${url}healthz`).then(
          (response) => response.ok,
          () => false,
        )
      )
        break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const headers = {
      "content-type": "application/x-amz-json-1.0",
      "content-encoding": "gzip",
      "x-amz-target": "GraniteServiceVersion20100801.PutMetricData",
      authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request, SignedHeaders=host, Signature=0",
    };
    const body = (from: number, at: number) => {
      const MetricData = Array.from({ length: 1000 }, (_, i) => ({
        MetricName: "Requests",
        Dimensions: [
          { Name: "Service", Value: `service-${(from + i) % 100}` },
          { Name: "Task", Value: `task-${from + i}` },
        ],
        Timestamp: at / 1000,
        Value: Math.random() * 100,
        Unit: "Count",
      }));
      return gzipSync(JSON.stringify({ Namespace: "Bench", MetricData }), { level: 1 });
    };
    // A request has 1,000 points; `pace` is how many milliseconds stand between two.
    const sendFor = async (length: number, pace: number) => {
      let points = 0;
      const started = performance.now();
      const deadline = started + length * 1000;
      const send = async (worker: number) => {
        for (let turn = worker; performance.now() < deadline; turn += 2) {
          const due = started + turn * pace;
          if (due > performance.now()) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
          const minute = Math.floor(turn / (seriesCount / 1000)) % 60;
          const response = await fetch(url, {
            method: "POST",
            headers,
            body: body((turn * 1000) % seriesCount, Date.now() - minute * 60_000),
          });
          if (!response.ok) throw new Error(`PutMetricData answered ${response.status}: ${await response.text()}`);
          await response.arrayBuffer();
          points += 1000;
        }
      };
      await Promise.all([send(0), send(1)]);
      return points / ((performance.now() - started) / 1000);
    };
    const rate = await sendFor(seconds, 95);
    report({
      bench: `metrics: data points in, one core, ${seconds} s`,
      ours: rate,
      peer: undefined,
      peerName: "",
      unit: "points/s",
      bound: { least: 10_000 },
    });
    const rss = Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${server.pid}/status`, "utf8"))![1]) / 1024;
    report({
      bench: `metrics: resident memory of the server with ${seriesCount} series`,
      ours: rss,
      peer: undefined,
      peerName: "",
      unit: "MiB",
      bound: { most: 400 },
    });
    report({
      bench: "metrics: data points in, one core, as fast as they come, 10 s",
      ours: await sendFor(10, 0),
      peer: undefined,
      peerName: "",
      unit: "points/s",
      bound: { least: 10_000 },
    });
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
  }
}

async function storage(): Promise<void> {
  await using home = await temporary("metrics");
  const random = seededRandom(1);
  const start = Date.UTC(2026, 0, 1);
  const clock = new FakeClock(start);
  const scope = { account: "000000000000", region: "us-east-1" };
  const names = Array.from({ length: seriesCount }, (_, i) => ({
    ...scope,
    namespace: "Bench",
    name: "Cpu",
    dimensions: [{ name: "Task", value: `task-${i}` }],
    unit: "Percent",
  }));
  let store = await MetricStore.open({ directory: home.path, clock, log: silentLogger, flushMs: 2 ** 31 - 1 });
  for (let minute = 0; minute < days * 1440; minute++) {
    const slot = start / 1000 + minute * 60;
    await store.put(names.map((series) => ({ series, step: 60, slot, bundle: bundleOf(random.next() * 100) })));
    await clock.advance(60_000);
    if (minute % 60 === 59) await store.flush();
  }
  await clock.advance(2 * 3_600_000);
  await store.flush();
  await store.close();
  let bytes = 0;
  for (const entry of await readdir(home.path, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  const label = days === 15 ? "15 days" : `15 days, from ${days} measured`;
  report({
    bench: `metrics: ${seriesCount} series at a minute, ${label}`,
    ours: ((bytes / days) * 15) / GiB,
    peer: undefined,
    peerName: "",
    unit: "GiB",
    bound: { most: 2 },
  });

  store = await MetricStore.open({ directory: home.path, clock, log: silentLogger });
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const metric = names[Math.floor(random.next() * seriesCount)]!;
    const begun = performance.now();
    const { points } = await readPeriods(
      store,
      scope,
      metric,
      { start: start / 1000, end: start / 1000 + 86_400, now: clock.now() / 1000, anchor: "period" },
      60,
    );
    times.push(performance.now() - begun);
    if (points.length !== 1440) throw new Error(`${points.length} points of 1440`);
  }
  report({
    bench: "metrics: a day of one series, median",
    ours: median(times),
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 20 },
  });
  report({
    bench: "metrics: a day of one series, 198th of 200",
    ours: times.toSorted((a, b) => a - b)[197]!,
    peer: undefined,
    peerName: "",
    unit: "ms",
    bound: { most: 20 },
  });
  await store.close();
}
