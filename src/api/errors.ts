import { ApiError } from "./contract.ts";
import type { Protocol } from "./schema.ts";

/** Errors that any operation of any service may answer. Source: AWS "Common Error Types" of each API, and the JSON, Query and EC2 services' own forms. */
type Family = "json" | "query" | "ec2";

export function familyOf(protocol: Protocol): Family {
  if (protocol === "ec2Query") return "ec2";
  return protocol === "awsQuery" || protocol === "restXml" ? "query" : "json";
}

const pick = (family: Family, json: [string, number], query: [string, number], ec2: [string, number]) => ({ json, query, ec2 })[family];

function common(json: [string, number], query: [string, number], ec2: [string, number]) {
  return (protocol: Protocol, message: string): ApiError => {
    const [code, status] = pick(familyOf(protocol), json, query, ec2);
    return new ApiError(code, message, status);
  };
}

export const commonErrors = {
  missingToken: common(["MissingAuthenticationTokenException", 403], ["MissingAuthenticationToken", 403], ["AuthFailure", 401]),
  incompleteSignature: common(["IncompleteSignatureException", 403], ["IncompleteSignature", 403], ["AuthFailure", 401]),
  unknownClient: common(["UnrecognizedClientException", 400], ["InvalidClientTokenId", 403], ["AuthFailure", 401]),
  badSignature: common(["InvalidSignatureException", 403], ["SignatureDoesNotMatch", 403], ["AuthFailure", 401]),
  expiredRequest: common(["RequestExpired", 400], ["RequestExpired", 400], ["RequestExpired", 400]),
  throttled: common(["ThrottlingException", 400], ["Throttling", 400], ["RequestLimitExceeded", 503]),
  internal: common(["InternalFailure", 500], ["InternalFailure", 500], ["InternalError", 500]),
  tooLarge: common(["RequestEntityTooLargeException", 413], ["RequestEntityTooLarge", 413], ["RequestEntityTooLarge", 413]),
  malformed: common(["SerializationException", 400], ["MalformedInput", 400], ["InvalidParameterValue", 400]),
  unavailable: common(["ServiceUnavailableException", 503], ["ServiceUnavailable", 503], ["Unavailable", 503]),
};

/** A known operation that nobody serves yet. It names itself, and stands in docs/coverage.md. */
export function notImplemented(serviceId: string, operation: string): ApiError {
  return new ApiError("NotImplemented", `${operation} of ${serviceId} is not implemented by Gantry yet. See docs/coverage.md.`, 501);
}

export function unknownOperation(protocol: Protocol, name: string, version: string): ApiError {
  if (familyOf(protocol) === "json")
    return new ApiError("UnknownOperationException", name ? `The operation ${name} is not known.` : "The request names no operation.", 400);
  return new ApiError(
    "InvalidAction",
    `The action ${name} is not valid for this web service${version ? ` with version ${version}` : ""}.`,
    400,
  );
}

const missingMemberCode: Readonly<Record<string, string>> = {
  ecr: "InvalidParameterException",
  "ecr-public": "InvalidParameterException",
  ecs: "InvalidParameterException",
  logs: "InvalidParameterException",
};

/** A required member is absent. `path` as in `containerDefinitions.1.member.name`. */
export function missingMember(service: string, protocol: Protocol, path: string): ApiError {
  if (protocol === "ec2Query") return new ApiError("MissingParameter", `The request must contain the parameter ${path}`, 400);
  const code = protocol === "awsQuery" ? "ValidationError" : (missingMemberCode[service] ?? "ValidationException");
  return new ApiError(
    code,
    `1 validation error detected: Value null at '${path}' failed to satisfy constraint: Member must not be null`,
    400,
  );
}
