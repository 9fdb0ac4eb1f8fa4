import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export const run = promisify(execFile);
export const repository = new URL("..", import.meta.url).pathname;

/** One case of a benchmark: the ratio is ours / peer for times (smaller is better) and for rates (larger is better). */
export interface Result {
  readonly bench: string;
  readonly ours: number;
  /** Undefined: an absolute bound of the issue, no peer. */
  readonly peer: number | undefined;
  readonly peerName: string;
  readonly unit: string;
  /** The promise: the ratio (or `ours` where there is no peer) is at most, or at least, this. */
  readonly bound: { readonly most: number } | { readonly least: number };
}

/** Prints the case for people, then as the JSON line that `./gantry bench` collects. */
export function report(result: Result): void {
  const ratio = result.peer === undefined ? undefined : result.ours / result.peer;
  const value = ratio ?? result.ours;
  const ok = "most" in result.bound ? value <= result.bound.most : value >= result.bound.least;
  const bound = "most" in result.bound ? `at most ${result.bound.most}` : `at least ${result.bound.least}`;
  const peer = result.peer === undefined ? "" : `, ${result.peerName} ${round(result.peer)} ${result.unit}: ratio ${round(ratio ?? 0)}`;
  process.stdout.write(`${ok ? "ok  " : "MISS"} ${result.bench}: ours ${round(result.ours)} ${result.unit}${peer} (${bound})\n`);
  process.stdout.write(`${JSON.stringify({ ...result, ratio, ok })}\n`);
}

/** Says that a peer is not on this machine: the case is not measured, never assumed. */
export function missing(bench: string, peerName: string): void {
  process.stdout.write(`---- ${bench}: peer ${peerName} is not installed here, not measured\n`);
  process.stdout.write(`${JSON.stringify({ bench, peerName, missing: true })}\n`);
}

export const round = (value: number) => Number(value.toPrecision(3));

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function temporary(name: string): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), `gantry-bench-${name}-`));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Asks every 2 ms until `url` answers at all, or fails after `timeoutMs`. Returns the milliseconds it took. */
export async function answers(url: string, timeoutMs: number): Promise<number> {
  const start = performance.now();
  for (;;) {
    try {
      await (await fetch(url)).arrayBuffer();
      return performance.now() - start;
    } catch (error) {
      if (performance.now() - start > timeoutMs) throw new Error(`${url} did not answer within ${timeoutMs} ms`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

/** Ends a process that the benchmark started, and waits until it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await gone;
  clearTimeout(late);
}

export interface Gantry {
  readonly home: string;
  readonly port: number;
  readonly endpoint: string;
  readonly env: Readonly<Record<string, string>>;
  /** Process ids of server and agent. */
  pids(): Promise<{ readonly server: number; readonly agent: number }>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A whole Gantry of the benchmark's own: `./gantry up --detach --open`, ended with `down --all`. */
export async function startGantry(more: Readonly<Record<string, string>> = {}): Promise<Gantry> {
  const home = await temporary("home");
  const port = await freePort();
  const env = {
    ...(process.env as Record<string, string>),
    GANTRY_HOME: home.path,
    GANTRY_PORT: String(port),
    GANTRY_LOG_LEVEL: "warn",
    ...more,
  };
  const gantry = (...args: string[]) => run(join(repository, "gantry"), args, { env, timeout: 120_000, maxBuffer: 1 << 24 });
  await gantry("up", "--detach", "--open");
  return {
    home: home.path,
    port,
    endpoint: `http://127.0.0.1:${port}`,
    env,
    async pids() {
      const status = JSON.parse((await gantry("status", "--json")).stdout) as { parts: { name: string; pid?: number }[] };
      const pid = (name: string) => status.parts.find((part) => part.name === name)?.pid ?? 0;
      return { server: pid("server"), agent: pid("agent") };
    },
    async [Symbol.asyncDispose]() {
      await gantry("down", "--all");
      await home[Symbol.asyncDispose]();
    },
  };
}

export interface Server {
  readonly endpoint: string;
  readonly pid: number;
  readonly readyMs: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The server alone, in a child process of this one, in open mode. */
export async function startServer(nodeOptions: readonly string[] = []): Promise<Server> {
  const home = await temporary("server");
  const port = await freePort();
  const started = performance.now();
  const child = spawn(process.execPath, [...nodeOptions, join(repository, "src/server/main.ts")], {
    env: {
      ...process.env,
      GANTRY_HOME: home.path,
      GANTRY_PORT: String(port),
      GANTRY_OPEN: "1",
      NODE_COMPILE_CACHE: join(repository, ".tools/compile-cache"),
      GANTRY_LOG_LEVEL: "warn",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  await answers(`http://127.0.0.1:${port}/healthz`, 10_000);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    readyMs: performance.now() - started,
    async [Symbol.asyncDispose]() {
      await end(child);
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Headers of an AWS JSON request whose signature nobody checks (open mode): its scope only says service and region. */
export function openHeaders(service: string, target: string): Record<string, string> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  return {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": target,
    "x-amz-date": date,
    authorization: `AWS4-HMAC-SHA256 Credential=test/${date.slice(0, 8)}/us-east-1/${service}/aws4_request, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`,
  };
}

/** What a process has used so far: processor time of all its threads in seconds, and the most memory that was resident in MiB. */
export async function usageOf(pid: number): Promise<{ readonly cpuSeconds: number; readonly peakMiB: number }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  // Linux counts in 1/100 s for user space on every architecture that we run on.
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
    peakMiB: Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024,
  };
}

/** Resident memory of a process in MiB. */
export async function residentMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

/** Whether a command is on the PATH. */
export async function has(command: string): Promise<boolean> {
  return run("sh", ["-c", `command -v ${command}`]).then(
    () => true,
    () => false,
  );
}
