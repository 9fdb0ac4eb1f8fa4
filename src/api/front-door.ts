import { createServer, type Server, STATUS_CODES, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { arrivalOf, isForeign, requestFacts, splitTarget } from "./arrival.ts";
import { createAttempts } from "./attempts.ts";
import { accountOf, type AuditedCall, originOf } from "./audit.ts";
import { authenticate, type Authenticated } from "./authenticate.ts";
import { createAuthorizer } from "./authorize.ts";
import {
  ApiError,
  type Handler,
  type Principal,
  type Question,
  type RawRequestInfo,
  type RawRoute,
  type ServerPart,
  type UpgradeRoute,
} from "./contract.ts";
import type { CredentialSource } from "./credentials.ts";
import type { ServerDeps } from "./deps.ts";
import { drain } from "./body.ts";
import type { Need } from "./authorization/table.ts";
import { dispatch, type DispatchOptions } from "./dispatch.ts";
import { commonErrors } from "./errors.ts";
import { createMetrics } from "./metrics.ts";
import { ownRoutes, reply } from "./own-routes.ts";
import { writeError } from "./protocols.ts";
import { parseSignature } from "./sigv4.ts";
import { emptyHash } from "./sigv4-sign.ts";
import { createThrottle } from "./throttle.ts";

export interface FrontDoorOptions {
  readonly deps: Pick<ServerDeps, "config" | "clock" | "random" | "log">;
  readonly credentials: CredentialSource;
  readonly parts: readonly ServerPart[];
  /** PEM. Undefined: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Empties Gantry; served at `POST /_gantry/reset` in open mode. */
  readonly reset: () => Promise<void>;
}

export interface FrontDoor {
  /** Resolves when requests are answered. Port 0 in the configuration lets the kernel choose. */
  listen(): Promise<{ readonly port: number }>;
  /** Shows another certificate from the next connection on. Only with TLS. */
  renew(tls: { readonly cert: string; readonly key: string }): void;
  /** No new connections; answers what is under way, `graceMs` at most. */
  close(graceMs?: number): Promise<void>;
}

/** The one port: every AWS API, the parts' raw routes and websockets, health, metrics, reset. */
export function createFrontDoor({ deps, credentials, parts, reset, tls }: FrontDoorOptions): FrontDoor {
  const { config, clock, random, log } = deps;
  const handlers = new Map<string, Record<string, Handler>>();
  const registrations = parts.flatMap((part) => part.registrations ?? []);
  for (const { service, handlers: more } of registrations) handlers.set(service, { ...handlers.get(service), ...more });
  const routes = byLength(parts.flatMap((part) => part.routes ?? []));
  const upgrades = byLength(parts.flatMap((part) => part.upgrades ?? []));
  const tokenDoors = parts.flatMap((part) => part.tokenDoors ?? []);
  const questions = new Map(parts.flatMap((part) => part.questions ?? []).map((question) => [question.path, question]));
  const metrics = createMetrics(clock.now());
  const authorizer = createAuthorizer({
    open: config.open,
    policies: parts.find((part) => part.policies)?.policies,
    resourcePolicies: parts.flatMap((part) => part.resourcePolicies ?? []),
    resources: parts.flatMap((part) => part.resources ?? []),
  });
  const auditor = parts.find((part) => part.auditor)?.auditor;
  const attempts = createAttempts();
  const options: DispatchOptions = {
    authorizer,
    auditor,
    attempts,
    credentials,
    open: config.open,
    account: config.account,
    region: config.region,
    handlers,
    anonymous: new Set(registrations.flatMap(({ service, anonymous = [] }) => anonymous.map((operation) => `${service}:${operation}`))),
    throttle: createThrottle(config.requestsPerSecond, clock),
  };
  const own = ownRoutes(parts, metrics.text, config.open ? reset : undefined);
  const sockets = new Set<Duplex>();

  const settings = {
    keepAlive: true,
    // Bodies have their own time limit: a registry upload may take hours.
    requestTimeout: 0,
    headersTimeout: 60_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: 64 * 1024,
    // Some HTTP clients (Java's) offer h2c with every request: they are answered as if they had not.
    shouldUpgradeCallback: (request: IncomingMessage) => request.headers.upgrade?.toLowerCase() === "websocket",
  };
  const secure = tls && createTlsServer({ ...settings, ...tls, ...tlsRules });
  const server: Server | TlsServer = secure ?? createServer(settings);
  server.on("request", (request, response) => void answer(request, response, undefined));
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    void answer(request, response, () => response.writeContinue());
  });
  server.on("upgrade", (request, socket, head) => void upgrade(request, socket, head));
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const status = malformed[error.code ?? ""] ?? "400 Bad Request";
    if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
    else socket.destroy();
  });

  async function answer(request: IncomingMessage, response: ServerResponse, goOn: (() => void) | undefined): Promise<void> {
    const began = performance.now();
    const requestId = random.uuid();
    const target = splitTarget(request.url ?? "/");
    const endpoint = `${secure ? "https" : "http"}://${request.headers.host ?? `127.0.0.1:${config.port}`}`;
    const base = { requestId, now: clock.now(), endpoint, log };
    response.setHeader("x-amzn-requestid", requestId);
    try {
      const route = own.has(target.path) ? undefined : pick(routes, target.path);
      const handle = own.get(target.path) ?? route?.handle.bind(route);
      if (isForeign(request, handle !== undefined)) {
        response.shouldKeepAlive = false;
        reply(response, 403, JSON.stringify({ __type: foreign.code, message: foreign.message }));
        return;
      }
      if (handle) {
        goOn?.();
        const where = route?.prefix ?? target.path;
        response.once("close", () => metrics.observe("http", where, response.statusCode, (performance.now() - began) / 1000));
        const denial = (principal: Principal, need: Need, region: string) =>
          authorizer.denial(principal, need, plainFacts(request, base.now, region));
        const audit: RawRequestInfo["audit"] = (call) =>
          auditor?.record({ ...originOf(request, call.principal?.accessKeyId), requestId, at: base.now, ...call });
        await handle(request, response, { ...base, path: target.path, query: new URLSearchParams(target.query), denial, audit, attempts });
        return;
      }
      const question = questions.get(target.path);
      if (question) {
        await answerQuestion(question, request, response, target, requestId);
        return;
      }
      const answered = await dispatch(options, arrivalOf(request, response, target, { ...base, continue: goOn }));
      const { status, headers, body } = answered;
      metrics.observe(answered.service, answered.operation, status, (performance.now() - began) / 1000);
      if (answered.unread) response.shouldKeepAlive = false;
      headers["content-length"] = String(Buffer.byteLength(body));
      response.writeHead(status, headers);
      response.end(request.method === "HEAD" ? undefined : body);
      if (answered.unread) drain(request, 64 * 1024 * 1024, 5000);
    } catch (error) {
      if (!request.destroyed && !response.destroyed) log.error({ err: error, requestId, path: target.path }, "a request failed");
      if (response.headersSent) response.destroy();
      else reply(response, 500, '{"__type":"InternalFailure","message":"The server failed; its log has the cause."}');
    }
  }

  /** Who signed a request for ECS that has no body. Throws ApiError. */
  function askerOf(request: IncomingMessage, target: { readonly path: string; readonly query: string }) {
    const signed = { method: request.method ?? "GET", rawPath: target.path, rawQuery: target.query, headers: request.headers };
    const claim = {
      request: signed,
      signature: parseSignature(signed),
      source: request.socket.remoteAddress ?? "",
      payloadHash: () => emptyHash,
      signingName: "ecs",
      protocol: "awsJson1_1",
    } as const;
    return authenticate(options, claim, clock.now());
  }

  /** A call that is no operation of the tables: a question of ours, or an agent's websocket that was refused. */
  function auditOther(
    request: IncomingMessage,
    requestId: string,
    action: string,
    who: Authenticated | undefined,
    more: Pick<AuditedCall, "input" | "error">,
  ): void {
    const [service = "", operation = ""] = action.split(":");
    const { principal, region = config.region } = who ?? {};
    const claimed = parseSignature({
      method: "GET",
      rawPath: "/",
      rawQuery: splitTarget(request.url ?? "/").query,
      headers: request.headers,
    });
    const origin = originOf(request, "problem" in claimed ? undefined : claimed.accessKeyId);
    const account = accountOf(principal, config.account);
    auditor?.record({ ...origin, requestId, at: clock.now(), service, operation, principal, account, region, output: undefined, ...more });
  }

  async function answerQuestion(
    question: Question,
    request: IncomingMessage,
    response: ServerResponse,
    target: ReturnType<typeof splitTarget>,
    requestId: string,
  ) {
    const query = new URLSearchParams(target.query);
    const input = Object.fromEntries([...query].filter(([name]) => !name.startsWith("X-Amz-")));
    let who: Authenticated | undefined;
    try {
      const method = question.method ?? "GET";
      if (request.method !== method) throw new ApiError("MethodNotAllowed", `${method} ${question.path}`, 405);
      who = await askerOf(request, target);
      const { principal, region } = who;
      const need = { action: question.action, resources: ["*"], account: principal.account, keys: {} };
      const denied = await authorizer.denial(principal, need, plainFacts(request, clock.now(), region));
      if (denied !== undefined) throw commonErrors.accessDenied("awsJson1_1", denied);
      const asker = { account: principal.account, region, now: clock.now(), principal };
      reply(response, 200, JSON.stringify(await question.answer(query, asker)));
      if (!question.quiet) auditOther(request, requestId, question.action, who, { input, error: undefined });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      auditOther(request, requestId, question.action, who, { input, error });
      reply(response, error.status, JSON.stringify({ __type: error.code, message: error.message }));
    }
  }

  async function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const requestId = random.uuid();
    const target = splitTarget(request.url ?? "/");
    socket.on("error", () => socket.destroy());
    let who: Authenticated | undefined;
    const route = pick(upgrades, target.path);
    const query = new URLSearchParams(target.query);
    try {
      const tokenDoor = route ? undefined : tokenDoors.find(({ prefix }) => target.path.startsWith(prefix));
      if (!route && !tokenDoor) throw new ApiError("NotFound", "No such websocket.", 404);
      if (isForeign(request, false)) throw foreign;
      if (!route) return tokenDoor?.accept(request, socket, head, target.path);
      who = await askerOf(request, target);
      const asker = who;
      const refused = (error: { readonly code: string; readonly message: string }) =>
        auditOther(request, requestId, need.action, asker, { input: { resources: need.resources }, error });
      const info = { requestId, path: target.path, query, log, refused };
      const need = route.need(info.query, { account: who.principal.account, region: who.region });
      const denied = await authorizer.denial(who.principal, need, plainFacts(request, clock.now(), who.region));
      if (denied !== undefined) throw commonErrors.accessDenied("awsJson1_1", denied);
      route.upgrade(request, socket, head, { ...info, principal: who.principal, region: who.region });
    } catch (error) {
      if (!(error instanceof ApiError)) log.error({ err: error, requestId, path: target.path }, "an upgrade failed");
      else if (route) {
        const { action, resources } = route.need(query, {
          account: who?.principal.account ?? config.account,
          region: who?.region ?? config.region,
        });
        auditOther(request, requestId, action, who, { input: { resources }, error });
      }
      refuse(socket, error instanceof ApiError ? error : new ApiError("ServerException", "The server failed.", 500), requestId);
    }
  }

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(config.port, config.bind, () => resolve({ port: (server.address() as AddressInfo).port }));
      }),
    renew: (next) => secure?.setSecureContext({ ...next, ...tlsRules }),
    close: (graceMs = 2000) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
}

const tlsRules = { minVersion: "TLSv1.2" } as const;

/** Of a request that is no AWS operation. */
const plainFacts = (request: IncomingMessage, now: number, region: string) =>
  requestFacts({ now, region, sourceIp: request.socket.remoteAddress ?? "", userAgent: request.headers["user-agent"] ?? "" }, request);

const foreign = new ApiError("AccessDeniedException", "Requests from pages of other origins are refused.", 403);

/** What Node's parser refuses before there is a request. */
const malformed: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

const byLength = <T extends RawRoute | UpgradeRoute>(routes: readonly T[]): readonly T[] =>
  routes.toSorted((a, b) => b.prefix.length - a.prefix.length);

/** `/v2/` answers `/v2` too. */
const pick = <T extends RawRoute | UpgradeRoute>(routes: readonly T[], path: string): T | undefined =>
  routes.find(({ prefix }) => path.startsWith(prefix) || (path.length === prefix.length - 1 && prefix === `${path}/`));

function refuse(socket: Duplex, error: ApiError, requestId: string): void {
  const { status, body, headers } = writeError("awsJson1_1", undefined, error, requestId);
  const lines = Object.entries({
    ...headers,
    "x-amzn-requestid": requestId,
    "content-length": String(Buffer.byteLength(body)),
    connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines.join("")}\r\n${body as string}`);
}
