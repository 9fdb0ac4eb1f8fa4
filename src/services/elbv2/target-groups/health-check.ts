import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import type { HealthCheck, TargetGroupRecord } from "#model/elb-records.ts";
import { elbErrors } from "../errors.ts";
import { oneOf, within } from "../names.ts";

/** Health checks of target groups. Pure. Source: Elastic Load Balancing API Reference, "CreateTargetGroup", "ModifyTargetGroup". */

type Given = Pick<
  Sdk.ModifyTargetGroupInput,
  | "HealthCheckProtocol"
  | "HealthCheckPort"
  | "HealthCheckPath"
  | "HealthCheckEnabled"
  | "HealthCheckIntervalSeconds"
  | "HealthCheckTimeoutSeconds"
  | "HealthyThresholdCount"
  | "UnhealthyThresholdCount"
  | "Matcher"
>;

type Group = Pick<TargetGroupRecord, "protocol" | "protocolVersion" | "targetType">;

const isHttp = (protocol: string) => protocol === "HTTP" || protocol === "HTTPS";

/** What the request says, else what was so before, else the default of the group's protocol. */
export function healthCheckOf(group: Group, given: Given, before?: HealthCheck): HealthCheck {
  if (given.HealthCheckEnabled === false)
    throw elbErrors.configuration(`Health check enabled must be true for target groups with target type '${group.targetType}'`);
  const protocol = protocolOf(group, given.HealthCheckProtocol ?? before?.protocol);
  const grpc = group.protocolVersion === "GRPC";
  // What belongs to the protocol starts anew with another one.
  const same = before?.protocol === protocol || (before !== undefined && isHttp(before.protocol) && isHttp(protocol)) ? before : undefined;
  const check = {
    protocol,
    port: portOf(given.HealthCheckPort ?? before?.port ?? "traffic-port"),
    intervalSeconds: within(given.HealthCheckIntervalSeconds ?? before?.intervalSeconds ?? 30, 5, 300, "Health check interval"),
    timeoutSeconds: within(
      given.HealthCheckTimeoutSeconds ?? before?.timeoutSeconds ?? defaultTimeout(group, protocol),
      2,
      120,
      "Health check timeout",
    ),
    healthyThreshold: within(given.HealthyThresholdCount ?? before?.healthyThreshold ?? 5, 2, 10, "Healthy threshold count"),
    unhealthyThreshold: within(given.UnhealthyThresholdCount ?? before?.unhealthyThreshold ?? 2, 2, 10, "Unhealthy threshold count"),
  };
  if (isHttp(group.protocol) && check.timeoutSeconds >= check.intervalSeconds)
    throw elbErrors.invalid(`Health check timeout '${check.timeoutSeconds}' must be smaller than the interval '${check.intervalSeconds}'`);
  if (protocol === "TCP") {
    if (given.HealthCheckPath !== undefined || given.Matcher !== undefined)
      throw elbErrors.configuration("Health check path and matcher are not supported for health checks with protocol 'TCP'");
    return check;
  }
  const path = pathOf(given.HealthCheckPath ?? same?.path ?? (grpc ? "/AWS.ALB/healthcheck" : "/"));
  return { ...check, path, matcher: matcherOf(group, given.Matcher, same?.matcher) };
}

function protocolOf({ protocol: own, targetType }: Group, given: string | undefined): HealthCheck["protocol"] {
  const protocol = oneOf(
    given ?? (isHttp(own) || targetType === "alb" ? "HTTP" : "TCP"),
    ["HTTP", "HTTPS", "TCP"] as const,
    "healthCheckProtocol",
  );
  if (protocol === "TCP" && (isHttp(own) || targetType === "alb"))
    throw elbErrors.invalid(
      `Health check protocol 'TCP' is not supported for target groups with protocol '${own}' and target type '${targetType}'`,
    );
  return protocol;
}

function portOf(port: string): string {
  if (port === "traffic-port" || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) return port;
  throw elbErrors.invalid(`Health check port '${port}' must be 'traffic-port' or an integer between '1' and '65535'`);
}

const defaultTimeout = (group: Group, protocol: string) => (isHttp(group.protocol) ? 5 : protocol === "HTTP" ? 6 : 10);

function pathOf(path: string): string {
  if (path.length > 1024 || !/^\/[\x21-\x7e]*$/.test(path))
    throw elbErrors.invalid(`Health check path '${path}' must begin with '/' and have at most 1024 characters without spaces`);
  return path;
}

function matcherOf(
  { protocol, protocolVersion }: Group,
  given: Sdk.Matcher | undefined,
  before: HealthCheck["matcher"],
): HealthCheck["matcher"] {
  if (protocolVersion === "GRPC") {
    if (given?.HttpCode !== undefined)
      throw elbErrors.invalid("HTTP codes are not supported for target groups with protocol version 'GRPC'");
    if (given?.GrpcCode !== undefined) return { grpcCode: codes(given.GrpcCode, 0, 99) };
    return before && "grpcCode" in before ? before : { grpcCode: "12" };
  }
  if (given?.GrpcCode !== undefined)
    throw elbErrors.invalid("gRPC codes are only supported for target groups with protocol version 'GRPC'");
  if (given?.HttpCode !== undefined) return { httpCode: codes(given.HttpCode, 200, isHttp(protocol) ? 499 : 599) };
  return before && "httpCode" in before ? before : { httpCode: isHttp(protocol) ? "200" : "200-399" };
}

/** `200`, `200,202`, `200-299`, or several of these with commas between them. */
function codes(text: string, least: number, most: number): string {
  const wrong = () =>
    elbErrors.invalid(`Health check matcher '${text}' must have codes or ranges of codes between '${least}' and '${most}'`);
  for (const part of text.split(",")) {
    const [, first, last = first] = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(part) ?? [];
    if (first === undefined || Number(first) < least || Number(last) > most || Number(first) > Number(last)) throw wrong();
  }
  return text;
}

export function healthCheckView(check: HealthCheck): Partial<Sdk.TargetGroup> {
  const { matcher } = check;
  return {
    HealthCheckProtocol: check.protocol,
    HealthCheckPort: check.port,
    HealthCheckEnabled: true,
    HealthCheckIntervalSeconds: check.intervalSeconds,
    HealthCheckTimeoutSeconds: check.timeoutSeconds,
    HealthyThresholdCount: check.healthyThreshold,
    UnhealthyThresholdCount: check.unhealthyThreshold,
    HealthCheckPath: check.path,
    Matcher: matcher && ("grpcCode" in matcher ? { GrpcCode: matcher.grpcCode } : { HttpCode: matcher.httpCode }),
  };
}
