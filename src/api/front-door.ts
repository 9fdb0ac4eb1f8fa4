import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { authenticate } from "./authenticate.ts";
import { ApiError, type Handler, type RawRoute, type ServerPart, type UpgradeRoute } from "./contract.ts";
import type { CredentialSource } from "./credentials.ts";
import type { ServerDeps } from "./deps.ts";
import { dispatch, type DispatchOptions } from "./dispatch.ts";
import { createMetrics } from "./metrics.ts";
import { writeError } from "./protocols.ts";
import { sha256 } from "./sigv4.ts";
import { createThrottle } from "./throttle.ts";

export interface FrontDoorOptions {
  readonly deps: Pick<ServerDeps, "config" | "clock" | "random" | "log">;
  readonly credentials: CredentialSource;
  readonly parts: readonly ServerPart[];
  /** Empties Gantry; served at `POST /_gantry/reset` in open mode. */
  readonly reset: () => Promise<void>;
}

export interface FrontDoor {
  /** Resolves when requests are answered. Port 0 in the configuration lets the kernel choose. */
  listen(): Promise<{ readonly port: number }>;
  /** No new connections; answers what is under way, `graceMs` at most. */
  close(graceMs?: number): Promise<void>;
}

/** The one port: every AWS API, the parts' raw routes and websockets, health, metrics, reset. */
export function createFrontDoor({ deps, credentials, parts, reset }: FrontDoorOptions): FrontDoor {
  const { config, clock, random, log } = deps;
  const handlers = new Map<string, Record<string, Handler>>();
  for (const { service, handlers: more } of parts.flatMap((part) => part.registrations ?? []))
    handlers.set(service, { ...handlers.get(service), ...more });
  const routes = parts.flatMap((part) => part.routes ?? []).toSorted((a, b) => b.prefix.length - a.prefix.length);
  const upgrades = parts.flatMap((part) => part.upgrades ?? []).toSorted((a, b) => b.prefix.length - a.prefix.length);
  const metrics = createMetrics(clock.now());
  const options: DispatchOptions = {
    credentials,
    open: config.open,
    account: config.account,
    region: config.region,
    handlers,
    throttle: createThrottle(config.requestsPerSecond, clock),
  };
  const own = ownRoutes(parts, metrics.text, config.open ? reset : undefined);
  let sockets = new Set<Duplex>();

  const server = createServer({
    keepAlive: true,
    requestTimeout: 0,
    headersTimeout: 60_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: 64 * 1024,
  });
  server.on("request", (request, response) => void answer(request, response));
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue();
    void answer(request, response);
  });
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket, head));
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const began = performance.now();
    const requestId = random.uuid();
    const [rawPath, rawQuery] = splitTarget(request.url ?? "/");
    const now = clock.now();
    const endpoint = `http://${request.headers.host ?? `127.0.0.1:${config.port}`}`;
    response.setHeader("x-amzn-requestid", requestId);
    try {
      const route = pick(own, rawPath) ?? pick(routes, rawPath);
      if (route) {
        await route.handle(request, response, { requestId, path: rawPath, query: new URLSearchParams(rawQuery), endpoint, now, log });
        return;
      }
      const gone = new AbortController();
      response.once("close", () => gone.abort());
      const base = {
        requestId,
        now,
        endpoint,
        sourceIp: request.socket.remoteAddress ?? "",
        userAgent: String(request.headers["user-agent"] ?? ""),
        signal: gone.signal,
        log,
      };
      const { status, headers, body, service, operation, unread } = await dispatch(options, request, rawPath, rawQuery, base);
      metrics.observe(service, operation, status, (performance.now() - began) / 1000);
      if (unread) response.shouldKeepAlive = false;
      response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
      response.end(request.method === "HEAD" ? undefined : body);
      if (unread) response.once("finish", () => request.destroy());
    } catch (error) {
      if (!request.destroyed && !response.destroyed) log.error({ err: error, requestId, path: rawPath }, "a request failed");
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { "content-length": 0 }).end();
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const requestId = random.uuid();
    const [rawPath, rawQuery] = splitTarget(request.url ?? "/");
    socket.on("error", () => socket.destroy());
    const route = pick(upgrades, rawPath);
    if (!route) {
      refuse(socket, new ApiError("NotFound", "No such websocket.", 404), requestId);
      return;
    }
    try {
      const signed = { method: "GET", rawPath, rawQuery, headers: request.headers };
      const who = await authenticate(options, signed, () => sha256(""), clock.now(), "awsJson1_1");
      route.upgrade(request, socket, head, {
        requestId,
        path: rawPath,
        query: new URLSearchParams(rawQuery),
        principal: who.principal,
        region: who.region,
        log,
      });
    } catch (error) {
      if (!(error instanceof ApiError)) log.error({ err: error, requestId, path: rawPath }, "an upgrade failed");
      refuse(socket, error instanceof ApiError ? error : new ApiError("ServerException", "The server failed.", 500), requestId);
    }
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(config.port, config.bind, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    close: (graceMs = 2000) =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        const cancel = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
          sockets = new Set();
        }, graceMs);
        server.once("close", () => clearTimeout(cancel));
      }),
  };
}

function splitTarget(target: string): [string, string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at + 1)];
}

function pick<T extends RawRoute | UpgradeRoute>(candidates: readonly T[], path: string): T | undefined {
  return candidates.find(({ prefix }) => path.startsWith(prefix) || path === prefix.replace(/\/$/, ""));
}

function refuse(socket: Duplex, error: ApiError, requestId: string): void {
  const { status, body, headers } = writeError("awsJson1_1", undefined, error, requestId);
  const lines = Object.entries({
    ...headers,
    "x-amzn-requestid": requestId,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join("")}\r\n${body as string}`);
}

function ownRoutes(parts: readonly ServerPart[], metrics: () => string, reset: (() => Promise<void>) | undefined): readonly RawRoute[] {
  const reply = (response: ServerResponse, status: number, type: string, body: string) => {
    response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
  };
  const health = async () => {
    const all = await Promise.all(parts.map(async (part) => part.status?.()));
    const known = all.filter((each) => each !== undefined);
    return { ok: known.every(({ problem }) => problem === undefined), pid: process.pid, parts: known };
  };
  const statusRoute = (prefix: string): RawRoute => ({
    prefix,
    async handle(_request, response) {
      const now = await health();
      reply(response, now.ok ? 200 : 503, "application/json", JSON.stringify(now));
    },
  });
  return [
    statusRoute("/healthz"),
    statusRoute("/_gantry/status"),
    {
      prefix: "/metrics",
      handle: async (_request, response) => reply(response, 200, "text/plain; version=0.0.4; charset=utf-8", metrics()),
    },
    {
      prefix: "/_gantry/reset",
      async handle(request, response) {
        if (request.method !== "POST")
          return reply(response, 405, "application/json", '{"message":"POST /_gantry/reset empties everything."}');
        if (!reset)
          return reply(
            response,
            403,
            "application/json",
            '{"message":"Reset is for --open mode only: this Gantry was started without it."}',
          );
        await reset();
        reply(response, 200, "application/json", "{}");
      },
    },
  ];
}
