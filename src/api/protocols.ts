import { cborDialect, formatCbor, parseCbor } from "./cbor.ts";
import { ApiError } from "./contract.ts";
import { familyOf, unknownOperation } from "./errors.ts";
import { decodeInput, encodeOutput, jsonDialect } from "./json-codec.ts";
import { decodeForm, parseForm } from "./query-codec.ts";
import { decodeRest, encodeRest } from "./rest.ts";
import type { RestMatch } from "./rest-match.ts";
import type { Protocol, ServiceTable, Structure } from "./schema.ts";
import { encodeMembers, escapeXml } from "./xml.ts";

/** Which operation a request asks for, in which of the service's protocols. */
export interface Call {
  readonly table: ServiceTable;
  readonly protocol: Protocol;
  readonly operation: string;
  readonly rest?: RestMatch;
  /** The parsed form of a Query request. */
  readonly fields?: ReadonlyMap<string, string>;
  /** A service whose errors once were Query errors wants their codes in a header. */
  readonly queryMode?: boolean;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
}

const json = jsonDialect(false);

/** The body → the operation's input, types and required members checked. Throws ApiError. */
export function readInput(
  call: Call,
  body: Uint8Array,
  query: URLSearchParams,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, unknown> {
  const { table, protocol, operation } = call;
  const known = table.operations[operation];
  if (!known) throw unknownOperation(protocol, operation, table.version);
  switch (protocol) {
    case "awsJson1_0":
    case "awsJson1_1":
      return decodeInput(table, protocol, json, known.i, parseJson(body));
    case "rpcV2Cbor":
      return decodeInput(table, protocol, cborDialect, known.i, body.length === 0 ? {} : cborOrError(body));
    case "awsQuery":
    case "ec2Query":
      return decodeForm({ ...table, protocol }, known.i, call.fields ?? parseForm(Buffer.from(body).toString("utf8")));
    default:
      return decodeRest(table, known.i, { labels: call.rest?.labels ?? {}, query, headers, body });
  }
}

function parseJson(body: Uint8Array): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8"));
  } catch {
    throw new ApiError("SerializationException", "The request body is not valid JSON.", 400);
  }
}

function cborOrError(body: Uint8Array): unknown {
  try {
    return parseCbor(body);
  } catch {
    throw new ApiError("SerializationException", "The request body is not valid CBOR.", 400);
  }
}

export function writeOutput(call: Call, output: Record<string, unknown>, requestId: string): WireAnswer {
  const { table, protocol, operation } = call;
  const { o } = table.operations[operation]!;
  switch (protocol) {
    case "awsJson1_0":
    case "awsJson1_1":
      return {
        status: 200,
        headers: { "content-type": jsonType(protocol) },
        body: o in table.shapes ? JSON.stringify(encodeOutput(table, json, o, output)) : "{}",
      };
    case "rpcV2Cbor":
      return { status: 200, headers: cborHeaders, body: formatCbor(encodeOutput(table, cborDialect, o, output) ?? {}) };
    case "awsQuery": {
      const result = table.shapes[o] ? `<${operation}Result>${encodeMembers({ ...table, protocol }, o, output)}</${operation}Result>` : "";
      return xmlAnswer(
        200,
        `<${operation}Response xmlns="${table.namespace}">${result}<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${operation}Response>`,
      );
    }
    case "ec2Query":
      return xmlAnswer(
        200,
        `<${operation}Response xmlns="${table.namespace}/"><requestId>${requestId}</requestId>${encodeMembers(table, o, output)}</${operation}Response>`,
      );
    default:
      return encodeRest(table, operation, output);
  }
}

const jsonType = (protocol: Protocol) => (protocol === "awsJson1_0" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1");
const cborHeaders = { "content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor" };

function xmlAnswer(status: number, body: string): WireAnswer {
  return { status, headers: { "content-type": "text/xml;charset=UTF-8" }, body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}` };
}

/** An error in the protocol's own form. `table` is absent when not even the service is known. */
export function writeError(
  protocol: Protocol,
  table: ServiceTable | undefined,
  error: ApiError,
  requestId: string,
  queryMode = false,
): WireAnswer {
  const sender = error.status < 500;
  const family = familyOf(protocol);
  if (family === "ec2")
    return xmlAnswer(
      error.status,
      `<Response><Errors><Error><Code>${escapeXml(error.code)}</Code><Message>${escapeXml(error.message)}</Message></Error></Errors><RequestID>${requestId}</RequestID></Response>`,
    );
  const shape = table?.shapes[error.code];
  if (family === "query") {
    const members = table && shape && "s" in shape ? encodeMembers({ ...table, protocol }, error.code, error.members) : "";
    const code = shape && "s" in shape ? ((shape as Structure).e?.[2] ?? error.code) : error.code;
    return xmlAnswer(
      error.status,
      `<ErrorResponse${table?.namespace ? ` xmlns="${table.namespace}"` : ""}><Error><Type>${sender ? "Sender" : "Receiver"}</Type><Code>${escapeXml(code)}</Code><Message>${escapeXml(error.message)}</Message>${members}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
    );
  }
  // Some services name the member `message`, some `Message`; CLI and SDKs read either.
  const messageName = shape && "s" in shape && "Message" in (shape as Structure).s ? "Message" : "message";
  const queryCode = shape && "s" in shape ? (shape as Structure).e?.[2] : undefined;
  const headers: Record<string, string> = queryMode
    ? { "x-amzn-query-error": `${queryCode ?? error.code};${sender ? "Sender" : "Receiver"}` }
    : {};
  if (protocol === "rpcV2Cbor") {
    const members = table && shape ? (encodeOutput(table, cborDialect, error.code, error.members) as object) : {};
    return {
      status: error.status,
      headers: { ...cborHeaders, ...headers },
      body: formatCbor({ __type: error.code, [messageName]: error.message, ...members }),
    };
  }
  const dialect = protocol === "restJson1" ? jsonDialect(true) : json;
  const members = table && shape ? (encodeOutput(table, dialect, error.code, error.members) as object) : {};
  return {
    status: error.status,
    headers: {
      ...headers,
      "content-type": protocol === "restJson1" ? "application/json" : jsonType(protocol),
      "x-amzn-errortype": error.code,
    },
    body: JSON.stringify({ __type: error.code, [messageName]: error.message, ...members }),
  };
}
