import type { IncomingMessage } from "node:http";
import { authenticate, type AuthenticatorOptions } from "./authenticate.ts";
import { decodeAwsChunked } from "./aws-chunked.ts";
import { readBody } from "./body.ts";
import { ApiError, type Handler, type RequestContext } from "./contract.ts";
import { commonErrors, notImplemented } from "./errors.ts";
import { type Call, readInput, type WireAnswer, writeError, writeOutput } from "./protocols.ts";
import { resolveCall, type Unresolved } from "./resolve.ts";
import { parseSignature, sha256 } from "./sigv4.ts";
import type { Protocol, ServiceTable } from "./schema.ts";

/** AWS's own limits differ by service; ECR takes layer parts of 20 MiB in base64. */
const bodyLimit = 10 * 1024 * 1024;
const bodyLimits: Readonly<Record<string, number>> = { ecr: 48 * 1024 * 1024, "ecr-public": 48 * 1024 * 1024 };

export interface DispatchOptions extends AuthenticatorOptions {
  readonly handlers: ReadonlyMap<string, Readonly<Record<string, Handler>>>;
  readonly throttle: (account: string, operation: string) => boolean;
}

export interface DispatchedAnswer extends WireAnswer {
  readonly service: string;
  readonly operation: string;
  /** The body was not read to its end: the connection must close. */
  readonly unread?: boolean;
}

type Base = Omit<RequestContext, "account" | "region" | "principal">;

/** One AWS API request, from its bytes to the bytes of its answer. Never rejects but for a client that went away. */
export async function dispatch(
  options: DispatchOptions,
  request: IncomingMessage,
  rawPath: string,
  rawQuery: string,
  base: Base,
): Promise<DispatchedAnswer> {
  const query = new URLSearchParams(rawQuery);
  const method = request.method ?? "GET";
  const headers = request.headers;
  const signed = { method, rawPath, rawQuery, headers };
  const signature = parseSignature(signed);
  const signingName = "problem" in signature ? undefined : signature.service;
  const limit = bodyLimits[signingName ?? ""] ?? bodyLimit;
  const read = await readBody(request, limit);
  const empty = Buffer.alloc(0);
  let body: Uint8Array = read ?? empty;

  let call: Call | Unresolved = resolveCall(method, rawPath, query, headers, signingName, body);
  const protocol: Protocol = call.protocol;
  const table: ServiceTable | undefined = "table" in call ? call.table : undefined;
  const operation = "operation" in call ? call.operation : "";
  const answer = (wire: WireAnswer, extra: { unread?: boolean } = {}): DispatchedAnswer => ({
    ...wire,
    ...extra,
    service: table?.service ?? "",
    operation,
  });
  const queryMode = "queryMode" in call && call.queryMode === true;

  try {
    if (!read)
      return answer(
        writeError(
          protocol,
          table,
          commonErrors.tooLarge(protocol, `The request body is longer than ${limit} bytes.`),
          base.requestId,
          queryMode,
        ),
        { unread: true },
      );
    const declared = headers["x-amz-content-sha256"];
    const payloadHash = () =>
      typeof declared === "string" && (declared === "UNSIGNED-PAYLOAD" || declared.startsWith("STREAMING-")) ? declared : sha256(body);
    const who = await authenticate(options, signed, payloadHash, base.now, protocol);
    if (typeof declared === "string" && /^[0-9a-f]{64}$/.test(declared) && declared !== sha256(body))
      throw commonErrors.badSignature(protocol, "The provided 'x-amz-content-sha256' header does not match what was computed.");
    if ("error" in call) throw call.error;
    if (typeof declared === "string" && declared.startsWith("STREAMING-")) {
      const sealed = declared.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
      body = decodeAwsChunked(body, sealed ? who.signature : undefined, sealed ? who.signingKey : undefined);
      call = resolveCall(method, rawPath, query, headers, signingName, body) as Call;
    }
    const known = call as Call;
    const handler = options.handlers.get(known.table.service)?.[known.operation];
    if (!handler) throw notImplemented(known.table.serviceId, known.operation);
    if (!options.throttle(who.principal.account, `${known.table.service}:${known.operation}`))
      throw commonErrors.throttled(protocol, "Rate exceeded");
    const input = readInput(known, body, query, headers);
    const context: RequestContext = { ...base, account: who.principal.account, region: who.region, principal: who.principal };
    const output = (await handler(input as never, context)) as Record<string, unknown> | undefined;
    return answer(writeOutput(known, output ?? {}, base.requestId));
  } catch (error) {
    if (error instanceof ApiError) return answer(writeError(protocol, table, error, base.requestId, queryMode));
    base.log.error({ err: error, requestId: base.requestId, service: table?.service, operation }, "a handler failed");
    return answer(
      writeError(
        protocol,
        table,
        commonErrors.internal(
          protocol,
          `We encountered an internal error (request ${base.requestId}). Please try again; the server's log has the cause.`,
        ),
        base.requestId,
        queryMode,
      ),
    );
  }
}
