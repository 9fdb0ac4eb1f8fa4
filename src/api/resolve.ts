import { ApiError } from "./contract.ts";
import { unknownOperation } from "./errors.ts";
import type { Call } from "./protocols.ts";
import { parseForm } from "./query-codec.ts";
import { matchRest } from "./rest-match.ts";
import { type Protocol, serviceTable, type ServiceTable } from "./schema.ts";
import { serviceBySigningName, serviceByTarget, serviceByVersion, services } from "./services.ts";

/** Nothing that we can answer, and how to say so. */
export interface Unresolved {
  readonly protocol: Protocol;
  readonly table?: ServiceTable;
  readonly operation?: undefined;
  readonly error: ApiError;
}

export interface Addressed {
  readonly method: string;
  readonly rawPath: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The service in the credential scope; undefined for unsigned requests. */
  readonly signingName: string | undefined;
  readonly body: Uint8Array;
}

/**
 * Finds service, protocol and operation. In this order: the CBOR path, X-Amz-Target, a form with an Action (the service from the
 * credential scope, the Host, or the version), a REST path of the signed service.
 */
export function resolveCall(request: Addressed): Call | Unresolved {
  const { rawPath, headers } = request;
  const queryMode = headers["x-amzn-query-mode"] === "true";
  const target = headers["x-amz-target"];
  if (typeof target === "string") {
    const protocol = String(headers["content-type"]).includes("x-amz-json-1.0") ? "awsJson1_0" : "awsJson1_1";
    const dot = target.lastIndexOf(".");
    const prefix = target.slice(0, dot);
    // botocore puts CloudTrail's Java package before it.
    const service = serviceByTarget.get(prefix) ?? serviceByTarget.get(prefix.slice(prefix.lastIndexOf(".") + 1));
    return named(protocol, service?.service, target.slice(dot + 1), queryMode, target);
  }
  const cbor = /^\/service\/([^/]+)\/operation\/([^/]+)\/?$/.exec(rawPath);
  if (cbor) {
    const known = serviceByTarget.get(cbor[1]!) ?? serviceBySigningName.get(request.signingName ?? "");
    return named("rpcV2Cbor", known?.service, cbor[2]!, queryMode, `${cbor[1]}.${cbor[2]}`);
  }
  const signed = serviceBySigningName.get(request.signingName ?? serviceOfHost(headers.host) ?? "")?.service;
  const isForm = String(headers["content-type"]).startsWith("application/x-www-form-urlencoded");
  if (isForm || request.query.has("Action")) return form(request, signed, isForm);
  return rest(request, signed);
}

function named(protocol: Protocol, service: string | undefined, operation: string, queryMode: boolean, asked: string): Call | Unresolved {
  if (service === undefined) return { protocol, error: unknownOperation(protocol, asked, "") };
  return known({ table: serviceTable(service), protocol, operation, queryMode });
}

function known(call: Call): Call | Unresolved {
  const { table, protocol, operation } = call;
  if (Object.hasOwn(table.operations, operation)) return call;
  return { protocol, table, error: unknownOperation(protocol, operation, table.version) };
}

function form({ query, body }: Addressed, signed: string | undefined, isForm: boolean): Call | Unresolved {
  const text = isForm ? Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8") : "";
  let fields: Map<string, string>;
  try {
    fields = parseForm(query.size > 0 ? `${query.toString()}&${text}` : text);
  } catch (error) {
    return { protocol: signed === "ec2" ? "ec2Query" : "awsQuery", error: error as ApiError };
  }
  const action = fields.get("Action");
  const version = fields.get("Version") ?? "";
  const service = signed ?? serviceByVersion.get(version)?.service;
  const protocol = service === "ec2" ? "ec2Query" : "awsQuery";
  if (!action) return { protocol, error: new ApiError("MissingAction", "The request must contain the parameter Action", 400) };
  if (service === undefined) return { protocol, error: unknownOperation(protocol, action, version) };
  return known({ table: serviceTable(service), protocol, operation: action, fields });
}

function rest({ method, rawPath, query }: Addressed, signed: string | undefined): Call | Unresolved {
  for (const { service } of services.filter((each) => each.rest && (signed === undefined || each.service === signed))) {
    const table = serviceTable(service);
    try {
      const match = matchRest(service, method, rawPath, query);
      if (match) return { table, protocol: table.protocol, operation: match.operation, rest: match };
    } catch (error) {
      return { protocol: table.protocol, table, error: error as ApiError };
    }
  }
  const table = signed === undefined ? undefined : serviceTable(signed);
  const protocol = table?.protocol ?? "awsJson1_1";
  return { protocol, table, error: unknownOperation(protocol, "", "") };
}

/** `ecs.us-east-1.amazonaws.com`, `api.ecr.…`, `sts.localhost`: for requests that nobody signed. */
function serviceOfHost(host: string | undefined | string[]): string | undefined {
  return String(host ?? "")
    .split(".", 2)
    .find((label) => serviceBySigningName.has(label));
}
