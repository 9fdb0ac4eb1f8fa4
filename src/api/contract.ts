import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "#platform/log.ts";
import type { Write } from "#store/store.ts";
import type { Attempts } from "./attempts.ts";
import type { AuditedCall, Auditor } from "./audit.ts";
import type { Need } from "./authorization/table.ts";
import type { PolicySource, ResourceFacts, ResourcePolicySource } from "./authorize.ts";

/** Who signed the request. Always verified, except in `--open` mode, where any access key is taken. */
export interface Principal {
  /** 12 digits. */
  readonly account: string;
  /** e.g. `arn:aws:iam::000000000000:root`. */
  readonly arn: string;
  /** The `UserId` of GetCallerIdentity. */
  readonly userId: string;
  readonly accessKeyId: string;
  /** Undefined: the root user (all is allowed). */
  readonly identity?:
    | { readonly kind: "User"; readonly userName: string }
    | { readonly kind: "AssumedRole"; readonly roleName: string; readonly roleArn: string; readonly sessionName: string }
    /** `userName`: whose credentials asked for the token; undefined for the root user's. */
    | { readonly kind: "FederatedUser"; readonly name: string; readonly userName?: string }
    /**
     * Gantry's agent on the machine `node`, which may do what a container instance of `cluster` (`*`: any) may (src/identity/agents.ts), and become the machine's role: its ARN.
     * `machine`: it joined by a token; `instanceRegion`: it is the local EC2 instance `node` of that region.
     */
    | {
        readonly kind: "Agent";
        readonly node: string;
        readonly cluster: string;
        readonly roleArn: string;
        readonly instanceRole?: string;
        readonly machine?: string;
        readonly instanceRegion?: string;
      }
    /** e.g. `ecs-tasks.amazonaws.com`. */
    | { readonly kind: "AWSService"; readonly service: string }
    /** Nobody signed: operations of `ServiceRegistration.anonymous` only. */
    | { readonly kind: "Anonymous" };
  /** Of temporary credentials. */
  readonly session?: {
    /** JSON. None: the session is not limited. */
    readonly policies: readonly string[];
    readonly tags: Readonly<Record<string, string>>;
    readonly transitiveTagKeys: readonly string[];
    readonly sourceIdentity?: string;
    /** Milliseconds. */
    readonly issuedAt: number;
  };
  /** aws:PrincipalTag. */
  readonly tags?: Readonly<Record<string, string>>;
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
  /** Operations that nobody signs, because they are how one comes by credentials: who asks is their own matter. */
  readonly anonymous?: readonly string[];
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
  /** Asks the same evaluator as the AWS APIs do: undefined when it is allowed, else AWS's sentence. Everything is in open mode. */
  denial(principal: Principal, need: Need, region: string): Promise<string | undefined>;
  /** Slows down those who guess passwords. */
  readonly attempts: Attempts;
  /** Writes down that this request was a call of an AWS operation. */
  audit(call: Pick<AuditedCall, "service" | "operation" | "principal" | "account" | "region" | "input" | "output" | "error">): void;
}

/** A question of Gantry's own tools that no AWS operation answers: GET at exactly this path, signed for ECS. */
export interface Question {
  readonly path: string;
  /** What it takes, e.g. `ecs:DescribeContainerInstances`. */
  readonly action: string;
  /** POST for one that changes something. Default: GET. */
  readonly method?: "GET" | "POST";
  /** Asked all the time by Gantry itself: the trail has it only when it was refused. */
  readonly quiet?: true;
  /** The answer is JSON. Throws ApiError. */
  answer(query: URLSearchParams, asker: Asker): Promise<unknown>;
}

export interface Asker {
  readonly account: string;
  readonly region: string;
  readonly now: number;
  readonly principal: Principal;
}

/** A websocket door. The front door has verified SigV4 (service `ecs`) before `upgrade` is called; on failure it answered by itself. */
export interface UpgradeRoute {
  readonly prefix: string;
  /** What it takes to come in. */
  need(query: URLSearchParams, where: { readonly account: string; readonly region: string }): Need;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, info: UpgradeInfo): void;
}

/** A websocket door that no signature opens, but the token in its first message: it lets in whom it wants. Source: AWS, session-manager-plugin, OpenDataChannel. */
export interface TokenDoor {
  readonly prefix: string;
  /** `path`: undecoded, without the query. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, path: string): void;
}

export interface UpgradeInfo {
  readonly requestId: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly principal: Principal;
  readonly region: string;
  readonly log: Logger;
  /** Writes down that the route refused it. */
  refused(error: { readonly code: string; readonly message: string }): void;
}

/** A number of Prometheus's kind gauge. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly value: number;
  /** It only grows while the server lives. Default: a gauge. */
  readonly type?: "counter";
}

/** What one part of the server (a service, the registry) brings to the whole. */
export interface ServerPart {
  readonly registrations?: readonly ServiceRegistration[];
  readonly routes?: readonly RawRoute[];
  readonly upgrades?: readonly UpgradeRoute[];
  readonly tokenDoors?: readonly TokenDoor[];
  readonly questions?: readonly Question[];
  /** Who may do what: IAM's part has it. */
  readonly policies?: PolicySource;
  /** Policies that hang on this part's resources. */
  readonly resourcePolicies?: readonly ResourcePolicySource[];
  /** What policies may ask about this part's resources. */
  readonly resources?: readonly ResourceFacts[];
  /** Writes down who called what: CloudTrail's part has it. */
  readonly auditor?: Auditor;
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
