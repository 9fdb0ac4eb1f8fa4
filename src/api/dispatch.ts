import type { IncomingMessage } from "node:http";
import { gunzipSync } from "node:zlib";
import { requestFacts } from "./arrival.ts";
import { authenticate, type AuthenticatorOptions } from "./authenticate.ts";
import type { Authorizer } from "./authorize.ts";
import { decodeAwsChunked } from "./aws-chunked.ts";
import { readBody } from "./body.ts";
import { ApiError, type Handler, type Principal, type RequestContext } from "./contract.ts";
import { anonymousPrincipal } from "./credentials.ts";
import { commonErrors, notImplemented } from "./errors.ts";
import { type Call, readInput, type WireAnswer, writeError, writeOutput } from "./protocols.ts";
import { resolveCall, type Unresolved } from "./resolve.ts";
import type { Protocol, ServiceTable } from "./schema.ts";
import { parseSignature } from "./sigv4.ts";
import { sha256, signingKey } from "./sigv4-sign.ts";

/** AWS's own limits differ by service; ECR takes layer parts of 20 MiB in base64. */
const bodyLimit = 10 * 1024 * 1024;
const bodyLimits: Readonly<Record<string, number>> = { ecr: 48 * 1024 * 1024, "ecr-public": 48 * 1024 * 1024 };

export interface DispatchOptions extends AuthenticatorOptions {
  readonly handlers: ReadonlyMap<string, Readonly<Record<string, Handler>>>;
  /** `<service>:<operation>` of those that nobody signs. */
  readonly anonymous: ReadonlySet<string>;
  readonly throttle: (account: string, operation: string) => boolean;
  readonly authorizer: Authorizer;
}

/** A request as it came in. */
export interface Arrival extends Pick<RequestContext, "requestId" | "now" | "log"> {
  readonly request: IncomingMessage;
  readonly rawPath: string;
  readonly rawQuery: string;
  /** The client waits for `100 Continue` before it sends the body. */
  readonly continue: (() => void) | undefined;
  context(principal: Principal, region: string): RequestContext;
}

export interface DispatchedAnswer extends WireAnswer {
  /** Empty when the request could not be told to belong to one. */
  readonly service: string;
  readonly operation: string;
  /** The body was not read to its end: the connection must close. */
  readonly unread?: boolean;
}

/** One AWS API request, from its bytes to the bytes of its answer. Rejects only when the client went away. */
export async function dispatch(options: DispatchOptions, arrival: Arrival): Promise<DispatchedAnswer> {
  const { request, rawPath, rawQuery, requestId, now } = arrival;
  const { headers, method = "GET" } = request;
  const signed = { method, rawPath, rawQuery, headers };
  const signature = parseSignature(signed);
  const signingName = "problem" in signature ? undefined : signature.service;
  const query = new URLSearchParams(rawQuery);

  const limit = bodyLimits[signingName ?? ""] ?? bodyLimit;
  if (Number(headers["content-length"] ?? 0) <= limit) arrival.continue?.();
  const read = await readBody(request, limit);
  const received: Uint8Array = "bytes" in read ? read.bytes : Buffer.alloc(0);
  const unpacked = headers["content-encoding"] === "gzip" && received.length > 0 ? gunzip(received, limit) : received;
  let body: Uint8Array = unpacked ?? Buffer.alloc(0);
  const resolve = () => resolveCall({ method, rawPath, query, headers, signingName, body });

  let call: Call | Unresolved = resolve();
  const protocol: Protocol = call.protocol;
  const table: ServiceTable | undefined = call.table;
  const fail = (error: ApiError): DispatchedAnswer => ({
    ...writeError(protocol, table, error, requestId, headers["x-amzn-query-mode"] === "true"),
    service: table?.service ?? "",
    operation: call.operation ?? "",
    unread: "refused" in read,
  });

  try {
    if ("refused" in read)
      throw read.refused === "tooLarge"
        ? commonErrors.tooLarge(protocol, `The request body is longer than ${limit} bytes.`)
        : commonErrors.tooSlow(protocol, "The request body did not arrive in time.");
    if (!unpacked) throw commonErrors.malformed(protocol, `The request body is not gzip, or longer than ${limit} bytes when unpacked.`);
    const declared = headers["x-amz-content-sha256"];
    const streaming = typeof declared === "string" && declared.startsWith("STREAMING-");
    const unsigned = !("error" in call) && options.anonymous.has(`${call.table.service}:${call.operation}`);
    const who = unsigned
      ? { principal: anonymousPrincipal(options.account), region: options.region, proof: undefined }
      : await authenticate(
          options,
          {
            request: signed,
            signature,
            protocol,
            signingName: table?.signingName,
            payloadHash: () => payloadHash(declared, received, protocol),
          },
          now,
        );
    if (streaming) {
      const sealed = declared.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") ? who.proof : undefined;
      const proof = sealed && { signature: sealed.signature, key: signingKey(sealed.secretAccessKey, sealed.signature) };
      body = decodeAwsChunked(body, declared.endsWith("-TRAILER"), proof);
      call = resolve();
    }
    if ("error" in call) throw call.error;
    const handler = options.handlers.get(call.table.service)?.[call.operation];
    if (!handler) throw notImplemented(call.table.serviceId, call.operation);
    if (!options.throttle(who.principal.account, `${call.table.service}:${call.operation}`))
      throw commonErrors.throttled(protocol, "Rate exceeded");
    const input = readInput(call, body, query, headers);
    const context = arrival.context(who.principal, who.region);
    const asked = { service: call.table.service, operation: call.operation, protocol, input };
    await options.authorizer.authorize(who.principal, asked, requestFacts(context, request));
    const output = await handler(input as never, context);
    const wire = writeOutput(call, (output ?? {}) as Record<string, unknown>, requestId);
    return { ...wire, service: call.table.service, operation: call.operation };
  } catch (error) {
    if (error instanceof ApiError) return fail(error);
    arrival.log.error({ err: error, requestId, service: table?.service, operation: call.operation }, "a handler failed");
    const message = `We encountered an internal error (request ${requestId}). Please try again; the server's log has the cause.`;
    return fail(commonErrors.internal(protocol, message));
  }
}

/** Undefined when it is no gzip or grows beyond the limit of a body. */
function gunzip(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch {
    return undefined;
  }
}

/** What the client signed as its payload; a digest that it declared must be the body's. */
function payloadHash(declared: string | string[] | undefined, body: Uint8Array, protocol: Protocol): string {
  if (typeof declared === "string" && (declared === "UNSIGNED-PAYLOAD" || declared.startsWith("STREAMING-"))) return declared;
  const actual = sha256(body);
  if (typeof declared === "string" && declared !== actual)
    throw commonErrors.badSignature(protocol, "The provided 'x-amz-content-sha256' header does not match what was computed.");
  return actual;
}
