import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, request, type IncomingHttpHeaders, type RequestListener, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AccessRecord } from "#load-balancer/access-log.ts";
import type { Action, Listener, LoadBalancer, Rule, Snapshot, TargetGroup, TargetHealth } from "#load-balancer/config.ts";
import { createLoadBalancers, type LoadBalancers, type LoadBalancersOptions } from "#load-balancer/load-balancers.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { until } from "../support/until.ts";

export interface Bench {
  readonly balancers: LoadBalancers;
  readonly directory: string;
  readonly events: TargetHealth[];
  readonly access: AccessRecord[];
  /** A second driver over the same directory, as after a restart. */
  again(): LoadBalancers;
  /** Resolves when the target's state is this. */
  state(port: number, state: TargetHealth["state"]): Promise<TargetHealth>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function bench(options: Partial<LoadBalancersOptions> = {}): Bench {
  const directory = mkdtempSync(join(tmpdir(), "haproxy-lb-"));
  const events: TargetHealth[] = [];
  const access: AccessRecord[] = [];
  const make = () =>
    createLoadBalancers({
      directory,
      clock: systemClock,
      log: silentLogger,
      threads: 2,
      onHealth: (health) => void events.push(health),
      onAccess: (record) => void access.push(record),
      ...options,
    });
  let balancers = make();
  const bench_: Bench = {
    get balancers() {
      return balancers;
    },
    directory,
    events,
    access,
    again: () => (balancers = make()),
    state: (port, state) =>
      until(`${port} ${state}`, () => balancers.health().find((health) => health.port === port && health.state === state), { every: 5 }),
    async [Symbol.asyncDispose]() {
      await balancers.tearDown();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return bench_;
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export interface Web {
  readonly name: string;
  readonly port: number;
  readonly server: Server;
  readonly requests: { readonly url: string; readonly headers: IncomingHttpHeaders }[];
  /** What its health check answers; 0: nothing until `answer`. */
  health: number;
  /** Health checks that came. */
  checks: number;
  /** Answers the checks that wait, and those to come. */
  answer(health: number): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A real HTTP server that answers with its name, or by `handler`. */
export async function web(name: string, handler?: RequestListener): Promise<Web> {
  const requests: Web["requests"] = [];
  const held: ServerResponse[] = [];
  const server = createServer({ keepAliveTimeout: 30_000 }, (incoming, response) => {
    if (incoming.url === "/health") {
      made.checks++;
      if (made.health === 0) return void held.push(response);
      response.statusCode = made.health;
      response.end();
      return;
    }
    requests.push({ url: incoming.url ?? "", headers: incoming.headers });
    if (handler) handler(incoming, response);
    else response.end(name);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const answer = (health: number) => {
    made.health = health;
    for (const response of held.splice(0)) response.writeHead(health).end();
  };
  const made: Web = { name, port, server, requests, health: 200, checks: 0, answer, close, [Symbol.asyncDispose]: close };
  return made;
}

/** Its targets live in the test's process, which a busy machine may let wait for some seconds: that is no failure of theirs. */
export const quickCheck = { path: "/health", interval: 0.5, timeout: 20, healthyThreshold: 2, unhealthyThreshold: 3 } as const;

/** For tests in which nothing is to become unhealthy: HAProxy gives a connection for a check no longer than the interval, and may itself have to wait. */
export const patientCheck = { ...quickCheck, unhealthyThreshold: 20 } as const;

export function groupOf(id: string, webs: readonly { readonly port: number }[], more: Partial<TargetGroup> = {}): TargetGroup {
  const targets = webs.map(({ port }) => ({ address: "127.0.0.1", port }));
  return { id, protocol: "HTTP", healthCheck: quickCheck, deregistrationDelay: 5, targets, ...more };
}

export const forward = (...ids: readonly string[]): Action => ({ type: "forward", targetGroups: ids.map((id) => ({ id })) });

/** One application load balancer with one listener on a free port of 127.0.0.1. */
export function single(
  port: number,
  targetGroups: readonly TargetGroup[],
  listener: Partial<Listener> & { readonly rules?: readonly Rule[] } = {},
  balancer: Partial<LoadBalancer> = {},
): Snapshot {
  return {
    loadBalancers: [
      {
        id: "lb",
        name: "app/lb/0",
        kind: "application",
        addresses: ["127.0.0.1"],
        listeners: [{ id: "listener", port, protocol: "HTTP", defaultAction: forward(targetGroups[0]?.id ?? ""), ...listener }],
        ...balancer,
      },
    ],
    targetGroups,
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export function get(
  port: number,
  path = "/",
  options: {
    readonly method?: string;
    readonly headers?: Record<string, string | string[]>;
    readonly body?: string;
    readonly address?: string;
  } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: options.address ?? "127.0.0.1",
        port,
        path,
        method: options.method ?? "GET",
        headers: options.headers,
        agent: false,
        timeout: 60_000,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (body += part));
        response.once("error", reject);
        response.once("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      },
    );
    outgoing.once("error", reject);
    outgoing.once("timeout", () => outgoing.destroy(new Error("no answer within a minute")));
    outgoing.end(options.body);
  });
}

/** A self-signed certificate and its key for the names. */
export function certificate(directory: string, ...names: readonly string[]): { readonly id: string; readonly pem: string } {
  const path = join(directory, `${names[0]}-made`);
  const san = names.map((name) => `DNS:${name}`).join(",");
  const args = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    `/CN=${names[0]}`,
  ];
  execFileSync("openssl", [...args, "-addext", `subjectAltName=${san}`, "-keyout", `${path}.key`, "-out", `${path}.crt`], {
    stdio: "ignore",
  });
  return { id: `certificate/${names[0]}`, pem: readFileSync(`${path}.crt`, "utf8") + readFileSync(`${path}.key`, "utf8") };
}
