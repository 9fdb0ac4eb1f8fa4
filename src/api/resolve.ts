import { ApiError } from "./contract.ts";
import { unknownOperation } from "./errors.ts";
import { type Call } from "./protocols.ts";
import { parseForm } from "./query-codec.ts";
import { matchRest } from "./rest.ts";
import { type Protocol, serviceTable } from "./schema.ts";
import { serviceBySigningName, serviceByTarget, services } from "./services.ts";

export interface Unresolved {
  readonly protocol: Protocol;
  readonly error: ApiError;
}

/**
 * Finds service, protocol and operation. In this order: the CBOR path, X-Amz-Target, a form with an Action (the service from the
 * credential scope, else the first service that knows action and version), a REST path of the signed service.
 */
export function resolveCall(
  method: string,
  rawPath: string,
  query: URLSearchParams,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  signingName: string | undefined,
  body: Uint8Array,
): Call | Unresolved {
  const contentType = String(headers["content-type"] ?? "");
  const queryMode = headers["x-amzn-query-mode"] === "true";

  const cbor = /^\/service\/([^/]+)\/operation\/([^/]+)\/?$/.exec(rawPath);
  if (cbor) {
    const known = serviceByTarget.get(cbor[1]!) ?? serviceBySigningName.get(signingName ?? "");
    if (!known) return { protocol: "rpcV2Cbor", error: unknownOperation("rpcV2Cbor", cbor[2]!, "") };
    return checked({ table: serviceTable(known.service), protocol: "rpcV2Cbor", operation: cbor[2]!, queryMode });
  }

  const target = headers["x-amz-target"];
  if (typeof target === "string") {
    const protocol = contentType.includes("x-amz-json-1.0") ? "awsJson1_0" : "awsJson1_1";
    const dot = target.lastIndexOf(".");
    const known = serviceByTarget.get(target.slice(0, dot));
    if (!known) return { protocol, error: unknownOperation(protocol, target, "") };
    return checked({ table: serviceTable(known.service), protocol, operation: target.slice(dot + 1), queryMode });
  }

  const isForm = contentType.startsWith("application/x-www-form-urlencoded") || query.has("Action");
  if (isForm) {
    let fields: Map<string, string>;
    try {
      fields = parseForm(query.has("Action") ? query.toString() : Buffer.from(body).toString("utf8"));
    } catch (error) {
      return { protocol: "awsQuery", error: error as ApiError };
    }
    const action = fields.get("Action");
    const version = fields.get("Version") ?? "";
    const known = serviceBySigningName.get(signingName ?? "")?.service ?? guessService(action ?? "", version);
    const protocol = known === "ec2" ? "ec2Query" : "awsQuery";
    if (!action) return { protocol, error: new ApiError("MissingAction", "The request must contain the parameter Action", 400) };
    if (!known) return { protocol, error: unknownOperation(protocol, action, version) };
    return checked({ table: serviceTable(known), protocol, operation: action, fields });
  }

  const candidates = services.filter((each) => each.rest && (signingName === undefined || each.signingName === signingName));
  for (const { service } of candidates) {
    const table = serviceTable(service);
    try {
      const rest = matchRest(service, method, rawPath, query);
      if (rest) return { table, protocol: table.protocol, operation: rest.operation, rest };
    } catch (error) {
      return { protocol: table.protocol, error: error as ApiError };
    }
  }
  const signed = serviceBySigningName.get(signingName ?? "");
  const protocol = signed ? serviceTable(signed.service).protocol : "awsJson1_1";
  return { protocol, error: unknownOperation(protocol, "", "") };
}

function checked(call: Call): Call | Unresolved {
  if (Object.hasOwn(call.table.operations, call.operation)) return call;
  return { protocol: call.protocol, error: unknownOperation(call.protocol, call.operation, call.table.version) };
}

function guessService(action: string, version: string): string | undefined {
  const speakers = ["sts", "iam", "ec2", "elbv2", "autoscaling", "cloudwatch"];
  return speakers.find((service) => {
    const table = serviceTable(service);
    return table.version === version && Object.hasOwn(table.operations, action);
  });
}
