import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "#platform/log.ts";
import type { Write } from "#store/store.ts";

/** Who signed the request. Always verified, except in `--open` mode, where any access key is taken. */
export interface Principal {
  /** 12 digits. */
  readonly account: string;
  /** e.g. `arn:aws:iam::000000000000:root`. */
  readonly arn: string;
  /** The `UserId` of GetCallerIdentity. */
  readonly userId: string;
  readonly accessKeyId: string;
}

/** What a handler knows of its request besides the input. */
export interface RequestContext {
  readonly requestId: string;
  readonly account: string;
  readonly region: string;
  readonly principal: Principal;
  /** Milliseconds since the epoch at which the request arrived. */
  readonly now: number;
  /** `http://host:port` as the client reached us: the base of every URL that an answer carries. */
  readonly endpoint: string;
  readonly sourceIp: string;
  readonly userAgent: string;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * One operation. The input has the shape of the SDK's `…CommandInput`: types, required members and unknown operations were checked by
 * the front door; timestamps are Dates, blobs Uint8Arrays; members that the client did not send are absent. The output has the shape of
 * `…CommandOutput` without `$metadata`; undefined members are left out on the wire. Errors are thrown as ApiError.
 */
export type Handler<I = never, O = unknown> = (input: I, context: RequestContext) => O | Promise<O>;

/** One AWS service: what it is called in the schemas (`ecs`, `ecr`, `logs`, `sts` …) and the operations it answers. Every other operation answers 501 NotImplemented. */
export interface ServiceRegistration {
  readonly service: string;
  readonly handlers: Readonly<Record<string, Handler>>;
}

/** An HTTP door beside the AWS APIs (`/v2/`, `/_gantry/…`). It does its own authentication and answers every request it is given. */
export interface RawRoute {
  /** The path starts with this text. The longest match wins. */
  readonly prefix: string;
  handle(request: IncomingMessage, response: ServerResponse, info: RawRequestInfo): Promise<void>;
}

export interface RawRequestInfo {
  readonly requestId: string;
  /** The undecoded path without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly endpoint: string;
  readonly now: number;
  readonly log: Logger;
}

/** A websocket door. The front door has verified SigV4 (service `ecs`) before `upgrade` is called; on failure it answered by itself. */
/** A question of Gantry's own tools that no AWS operation answers: GET at exactly this path, signed for ECS. */
export interface Question {
  readonly path: string;
  /** The answer is JSON. Throws ApiError. */
  answer(query: URLSearchParams, asker: { readonly account: string; readonly region: string; readonly now: number }): Promise<unknown>;
}

export interface UpgradeRoute {
  readonly prefix: string;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, info: UpgradeInfo): void;
}

export interface UpgradeInfo {
  readonly requestId: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly principal: Principal;
  readonly region: string;
  readonly log: Logger;
}

/** A number of Prometheus's kind gauge. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: number;
}

/** What one part of the server (a service, the registry) brings to the whole. */
export interface ServerPart {
  readonly registrations?: readonly ServiceRegistration[];
  readonly routes?: readonly RawRoute[];
  readonly upgrades?: readonly UpgradeRoute[];
  readonly questions?: readonly Question[];
  /** Begins background work. Called once the front door listens. */
  start?(): Promise<void>;
  /** Ends background work and waits for it. */
  stop?(): Promise<void>;
  /** Records that outlive a reset because they describe machines, not work. */
  survivors?(): Promise<readonly Write[]>;
  /** Forgets everything kept outside the store (files, caches, sessions). Called by reset after the store was emptied. */
  reset?(): Promise<void>;
  /** What this part says in `/metrics`, beside the counts of requests. */
  gauges?(): readonly Gauge[];
  /** What `./gantry status` says of this part; `problem` is undefined when all is well. */
  status?(): Promise<{ readonly name: string; readonly detail: string; readonly problem?: string }>;
}

/** Whose fault an error is: the client's (4xx) or ours (5xx). */
export class ApiError extends Error {
  /** AWS's error code, e.g. `ClusterNotFoundException`. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** Further members of the error's shape, beside `message`. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, status = 400, members: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.members = members;
  }
}
