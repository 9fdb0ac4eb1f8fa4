import { ApiError } from "./contract.ts";
import type { Protocol, Ref, ServiceTable } from "./schema.ts";

/** Whose habits an error follows. Source: AWS "Common Error Types" of each API; the statuses of JSON services are those that they send. */
type Family = "json" | "restJson" | "query" | "ec2";

const families: Readonly<Record<Protocol, Family>> = {
  awsJson1_0: "json",
  awsJson1_1: "json",
  rpcV2Cbor: "json",
  restJson1: "restJson",
  awsQuery: "query",
  restXml: "query",
  ec2Query: "ec2",
};

export const familyOf = (protocol: Protocol): Family => families[protocol];

type Kind = readonly [code: string, status: number];

function common(json: Kind, query: Kind, ec2: Kind, restJsonStatus = json[1]) {
  const kinds: Readonly<Record<Family, Kind>> = { json, query, ec2, restJson: [json[0], restJsonStatus] };
  return (protocol: Protocol, message: string): ApiError => {
    const [code, status] = kinds[familyOf(protocol)];
    return new ApiError(code, message, status);
  };
}

const authFailure: Kind = ["AuthFailure", 401];

/** Errors that any operation of any service may answer. */
export const commonErrors = {
  missingToken: common(["MissingAuthenticationTokenException", 400], ["MissingAuthenticationToken", 403], authFailure, 403),
  incompleteSignature: common(["IncompleteSignatureException", 400], ["IncompleteSignature", 400], authFailure, 403),
  unknownClient: common(["UnrecognizedClientException", 400], ["InvalidClientTokenId", 403], authFailure, 403),
  badSignature: common(["InvalidSignatureException", 400], ["SignatureDoesNotMatch", 403], authFailure, 403),
  accessDenied: common(["AccessDeniedException", 400], ["AccessDenied", 403], ["UnauthorizedOperation", 403], 403),
  expiredToken: common(["ExpiredTokenException", 400], ["ExpiredToken", 403], ["RequestExpired", 400], 403),
  expiredRequest: common(["RequestExpired", 400], ["RequestExpired", 400], ["RequestExpired", 400]),
  throttled: common(["ThrottlingException", 400], ["Throttling", 400], ["RequestLimitExceeded", 503], 429),
  internal: common(["InternalFailure", 500], ["InternalFailure", 500], ["InternalError", 500]),
  tooLarge: common(["RequestEntityTooLargeException", 413], ["RequestEntityTooLarge", 413], ["RequestEntityTooLarge", 413]),
  tooSlow: common(["RequestTimeoutException", 408], ["RequestTimeout", 408], ["RequestTimeout", 408]),
  malformed: common(["SerializationException", 400], ["MalformedInput", 400], ["InvalidParameterValue", 400]),
};

/** A known operation that nobody serves yet. It names itself, and stands in docs/coverage.md. */
export function notImplemented(serviceId: string, operation: string): ApiError {
  return new ApiError("NotImplemented", `${operation} of ${serviceId} is not implemented by Gantry yet. See docs/coverage.md.`, 501);
}

export function unknownOperation(protocol: Protocol, name: string, version: string): ApiError {
  if (familyOf(protocol) === "json" || familyOf(protocol) === "restJson")
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
  route53: "InvalidInput",
  servicediscovery: "InvalidInput",
};

/** Required members are absent. `paths` as in `containerDefinitions.1.member.name`, at least one. `input`: the operation's input shape. */
export function missingMembers(table: ServiceTable, protocol: Protocol, input: Ref, paths: readonly string[]): ApiError {
  const first = paths[0] ?? "";
  if (protocol === "ec2Query") return new ApiError("MissingParameter", `The request must contain the parameter ${first}`, 400);
  if (table.service === "ecs" && !first.includes(".")) return ecsMissing(table, input, first);
  const code = protocol === "awsQuery" ? "ValidationError" : (missingMemberCode[table.service] ?? "ValidationException");
  const each = paths
    .slice(0, 10)
    .map((path) => `Value null at '${lowerFirst(path)}' failed to satisfy constraint: Member must not be null`);
  return new ApiError(code, `${paths.length} validation error${paths.length > 1 ? "s" : ""} detected: ${each.join("; ")}`, 400);
}

/** ECS has sentences of its own, e.g. `Family can not be blank.` and `Tasks cannot be empty.` */
function ecsMissing(table: ServiceTable, input: Ref, name: string): ApiError {
  if (name === "containerDefinitions") return new ApiError("ClientException", "Container list cannot be empty.", 400);
  const shape = table.shapes[input];
  const member = shape && "s" in shape ? table.shapes[shape.s[name]?.[0] ?? ""] : undefined;
  const capitalized = name[0]!.toUpperCase() + name.slice(1);
  if (!member || !("l" in member)) return new ApiError("InvalidParameterException", `${capitalized} can not be blank.`, 400);
  const words = capitalized.replace(/[A-Z]/g, (letter, at: number) => (at > 0 ? ` ${letter.toLowerCase()}` : letter));
  return new ApiError("InvalidParameterException", `${words} cannot be empty.`, 400);
}

/** AWS names members in these messages as Java does, whatever their case on the wire. */
const lowerFirst = (path: string) => path.replace(/(^|\.)([A-Z])/g, (_all, dot: string, letter: string) => dot + letter.toLowerCase());
