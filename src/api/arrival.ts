import type { IncomingMessage, ServerResponse } from "node:http";
import type { RequestFacts } from "./authorize-context.ts";
import type { Principal, RequestContext } from "./contract.ts";
import type { Arrival } from "./dispatch.ts";

export interface Target {
  /** Undecoded. */
  readonly path: string;
  readonly query: string;
}

/** Path and query of a request line. A proxy's absolute form (`GET http://host/path`) counts by its path. */
export function splitTarget(url: string): Target {
  const origin = /^https?:\/\/[^/?#]*/i.exec(url)?.[0].length ?? 0;
  const target = url.slice(origin);
  const at = target.indexOf("?");
  const path = at < 0 ? target : target.slice(0, at);
  return { path: path === "" ? "/" : path, query: at < 0 ? "" : target.slice(at + 1) };
}

/**
 * A page of another site, in the browser of someone whose Gantry is open, could send forms here: browsers then name its origin. Pages of
 * our own console have ours, and no AWS tool sends these headers. `linkable`: whoever follows a link from elsewhere is welcome.
 */
export function isForeign({ headers }: IncomingMessage, linkable: boolean): boolean {
  const { origin } = headers;
  if (origin === undefined) return !linkable && headers["sec-fetch-site"] === "cross-site";
  return origin !== `http://${headers.host}` && origin !== `https://${headers.host}`;
}

/** What a request is before its service is known, and how its context is made once its sender is. */
export function arrivalOf(
  request: IncomingMessage,
  response: ServerResponse,
  { path, query }: Target,
  base: Pick<Arrival, "requestId" | "now" | "log" | "continue"> & { readonly endpoint: string },
): Arrival {
  const { endpoint, continue: goOn, ...rest } = base;
  const context = (principal: Principal, region: string): RequestContext => {
    let gone: AbortController | undefined;
    return {
      ...rest,
      endpoint,
      principal,
      region,
      account: principal.account,
      sourceIp: request.socket.remoteAddress ?? "",
      userAgent: request.headers["user-agent"] ?? "",
      // Few handlers look at it, and an AbortController for each request is dear.
      get signal() {
        gone ??= abortOnLeave(response);
        return gone.signal;
      },
    };
  };
  return { ...rest, request, rawPath: path, rawQuery: query, continue: goOn, context };
}

/** What conditions may ask about how a request came. */
export function requestFacts(
  { now, region, sourceIp, userAgent }: Omit<RequestFacts, "secure">,
  { socket }: IncomingMessage,
): RequestFacts {
  return { now, region, sourceIp, userAgent, secure: "encrypted" in socket && socket.encrypted === true };
}

function abortOnLeave(response: ServerResponse): AbortController {
  const gone = new AbortController();
  const leave = () => {
    if (!response.writableFinished) gone.abort();
  };
  if (response.closed) leave();
  else response.once("close", leave);
  return gone;
}
