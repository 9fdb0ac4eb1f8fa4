import { createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { imdsTree, type InstanceCredentials, type InstanceFacts, lookUp } from "./imds-tree.ts";
import { createHttpListeners, type HttpListeners } from "./listeners.ts";

/**
 * EC2's instance metadata service, version 2, and version 1 by choice. It knows nothing of where it is served: whoever listens says how far a caller is.
 * Sessions are tokens signed with a key of this process: nothing is kept of them, and a new process asks for new ones.
 * Source: EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
 */
export interface ImdsOptions {
  /** Of now; undefined: not known yet. */
  instance(): InstanceFacts | undefined;
  /** Of the instance's role, good for a while longer; undefined: none, or they cannot be had. */
  credentials(): Promise<InstanceCredentials | undefined>;
  /** `optional`: version 1 answers too. */
  readonly tokens: "required" | "optional";
  /** How many hops a token's answer may go: 1 is the machine itself, 2 a container behind a bridge. What needs no token goes any way, as with EC2. */
  readonly hopLimit: number;
  /** Default true. Else all is forbidden. This and the two above may be getters: each request asks anew. */
  readonly enabled?: boolean;
  /** At least 32 bytes that nobody else has. */
  readonly key: Uint8Array;
  /** Milliseconds. */
  now(): number;
}

export interface Imds {
  /** `hops`: how far away the caller is. One that is too far for a token gets no answer, as if the packet had died on its way. */
  handle(request: IncomingMessage, response: ServerResponse, hops: number): void;
}

const longestSeconds = 21_600;
const tokenHeader = "x-aws-ec2-metadata-token";
const ttlHeader = "x-aws-ec2-metadata-token-ttl-seconds";

export function createImds(options: ImdsOptions): Imds {
  const { key, now } = options;
  const sign = (until: string) => createHmac("sha256", key).update(until).digest("base64url");

  const isValid = (token: string): boolean => {
    const [until = "", signature = ""] = token.split(".");
    const [expected, given] = [Buffer.from(sign(until)), Buffer.from(signature)];
    return expected.length === given.length && timingSafeEqual(expected, given) && Number(until) > now();
  };

  const token = (request: IncomingMessage, response: ServerResponse, hops: number): void => {
    if (request.method !== "PUT") return answer(response, 405);
    if (hops > options.hopLimit) {
      request.socket.destroy();
      return;
    }
    // Proxies that pass on what others ask say so.
    if (request.headers["x-forwarded-for"] !== undefined) return answer(response, 403);
    const ttl = String(request.headers[ttlHeader] ?? "");
    if (!/^\d{1,5}$/.test(ttl) || Number(ttl) < 1 || Number(ttl) > longestSeconds) return answer(response, 400);
    const until = String(now() + Number(ttl) * 1000);
    answer(response, 200, `${until}.${sign(until)}`, { [ttlHeader]: ttl });
  };

  const data = async (request: IncomingMessage, response: ServerResponse, path: readonly string[]): Promise<void> => {
    if (request.method !== "GET" && request.method !== "HEAD") return answer(response, 405);
    const given = request.headers[tokenHeader];
    if (given === undefined ? options.tokens === "required" : !isValid(String(given))) return answer(response, 401);
    const facts = options.instance();
    if (!facts) return answer(response, 503);
    const secret = path[1] === "iam" ? await options.credentials() : undefined;
    const found = lookUp(imdsTree(facts, secret), path);
    if (found === undefined) return answer(response, 404);
    answer(response, 200, found);
  };

  return {
    handle(request, response, hops) {
      request.resume();
      if (options.enabled === false) return answer(response, 403);
      const [, version = "", ...path] = decoded((request.url ?? "").split("?")[0]!).split("/");
      if (version === "") return answer(response, 200, "latest");
      if (version !== "latest" && !/^\d{4}-\d\d-\d\d$/.test(version)) return answer(response, 404);
      if (path.join("/") === "api/token") return token(request, response, hops);
      data(request, response, path).catch(() => answer(response, 500));
    },
  };
}

/** A path that cannot be read stays what it is, and is not found. */
function decoded(path: string): string {
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

const titles: Readonly<Record<number, string>> = {
  400: "400 - Bad Request",
  401: "401 - Unauthorized",
  403: "403 - Forbidden",
  404: "404 - Not Found",
  405: "405 - Method Not Allowed",
};

function answer(
  response: ServerResponse,
  status: number,
  body?: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): void {
  const text = body ?? titles[status] ?? "";
  response
    .writeHead(status, { "content-type": "text/plain", "content-length": Buffer.byteLength(text), server: "EC2ws", ...headers })
    .end(text);
}

/** Where it is served: `hops` says how far a caller's address is, undefined for one that gets nothing. */
export function createImdsServer(imds: Imds, hops: (source: string) => number | undefined): HttpListeners {
  return createHttpListeners((request, response) => {
    const far = hops((request.socket.remoteAddress ?? "").replace(/^::ffff:/, ""));
    if (far === undefined) request.socket.destroy();
    else imds.handle(request, response, far);
  });
}
