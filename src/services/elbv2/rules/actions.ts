import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import type { ListenerProtocol, RuleAction } from "#model/elb-records.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";

/** The actions of rules, checked as far as they tell by themselves. Pure. Source: User Guide for Application Load Balancers, "Action types for listener rules". */

const contentTypes = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

export function actionsOf(given: readonly Sdk.Action[], protocol: ListenerProtocol): RuleAction[] {
  const authentication = given.find(({ Type: type = "" }) => /^authenticate-|^jwt-validation$/.test(type));
  if (authentication) throw elbErrors.notYet(`actions of type '${authentication.Type}'`);
  if (given.length === 0) throw elbErrors.invalid("An action must be specified");
  if (given.length > 1) throw elbErrors.action("A rule must have exactly one of the actions 'forward', 'redirect' and 'fixed-response'");
  return given.map((action) => actionOf(action, protocol));
}

function actionOf(given: Sdk.Action, protocol: ListenerProtocol): RuleAction {
  const { Type: type = "", Order: order } = given;
  if (order !== undefined && (order < 1 || order > 50_000))
    throw elbErrors.invalid(`Action order '${order}' must be between '1' and '50000'`);
  const ordered = order === undefined ? {} : { order };
  const http = protocol === "HTTP" || protocol === "HTTPS";
  if (type === "forward") return { ...forwardOf(given, http), ...ordered };
  if (type !== "redirect" && type !== "fixed-response")
    throw elbErrors.invalid(
      `Action type '${type}' must be one of '[forward, authenticate-oidc, authenticate-cognito, redirect, fixed-response, jwt-validation]'`,
    );
  if (!http) throw elbErrors.action(`Actions of type '${type}' are not supported by listeners of protocol '${protocol}'`);
  if (given.TargetGroupArn !== undefined || given.ForwardConfig !== undefined)
    throw elbErrors.action(`A target group cannot be specified for an action of type '${type}'`);
  return type === "redirect"
    ? { ...redirectOf(given.RedirectConfig, protocol), ...ordered }
    : { ...fixedOf(given.FixedResponseConfig), ...ordered };
}

type Forward = Extract<RuleAction, { type: "forward" }>;

function forwardOf({ TargetGroupArn: arn, ForwardConfig: config, ...given }: Sdk.Action, http: boolean): Forward {
  if (given.RedirectConfig !== undefined || given.FixedResponseConfig !== undefined)
    throw elbErrors.action("Only a forward configuration can be specified for an action of type 'forward'");
  const tuples = config?.TargetGroups ?? [];
  if (tuples.length === 0 && arn === undefined) throw elbErrors.invalid("A target group ARN must be specified");
  if (tuples.length > 0 && arn !== undefined && (tuples.length > 1 || tuples[0]!.TargetGroupArn !== arn))
    throw elbErrors.invalid("You cannot specify both a target group ARN and a forward configuration with other target groups");
  const most = limits[`target-groups-per-action-on-${http ? "application" : "network"}-load-balancer`];
  if (tuples.length > most) throw elbErrors.action(`An action cannot forward to more than '${most}' target groups`);
  const groups = (tuples.length > 0 ? tuples : [{ TargetGroupArn: arn }]).map(
    ({ TargetGroupArn: each = "", Weight: weight = 1 }: Sdk.TargetGroupTuple) => {
      if (weight < 0 || weight > 999) throw elbErrors.invalid(`Target group weight '${weight}' must be between '0' and '999'`);
      return { id: each.slice(each.lastIndexOf("/") + 1), arn: each, weight };
    },
  );
  if (new Set(groups.map((each) => each.arn)).size < groups.length)
    throw elbErrors.action("A target group can be specified only once in an action");
  return { type: "forward", groups, ...stickinessOf(config?.TargetGroupStickinessConfig) };
}

function stickinessOf(given: Sdk.TargetGroupStickinessConfig | undefined): Pick<Forward, "stickiness"> {
  if (given === undefined) return {};
  const { Enabled: enabled = false, DurationSeconds: duration } = given;
  if (duration !== undefined && (duration < 1 || duration > 604_800))
    throw elbErrors.invalid(`Target group stickiness duration '${duration}' must be between '1' and '604800' seconds`);
  if (enabled && duration === undefined) throw elbErrors.invalid("A duration must be specified to enable target group stickiness");
  return { stickiness: { enabled, ...(duration === undefined ? {} : { durationSeconds: duration }) } };
}

type Redirect = Extract<RuleAction, { type: "redirect" }>;

function redirectOf(config: Sdk.RedirectActionConfig | undefined, listener: ListenerProtocol): Redirect {
  if (!config) throw elbErrors.invalid("A redirect configuration must be specified");
  const {
    Protocol: protocol = "#{protocol}",
    Host: host = "#{host}",
    Port: port = "#{port}",
    Path: path = "/#{path}",
    Query: query = "#{query}",
    StatusCode: statusCode,
  } = config;
  if (statusCode !== "HTTP_301" && statusCode !== "HTTP_302")
    throw elbErrors.invalid(`Redirect status code '${statusCode}' must be one of '[HTTP_301, HTTP_302]'`);
  if (!["HTTP", "HTTPS", "#{protocol}"].includes(protocol))
    throw elbErrors.invalid(`Redirect protocol '${protocol}' must be one of '[HTTP, HTTPS, #{protocol}]'`);
  if (listener === "HTTPS" && protocol === "HTTP") throw elbErrors.action("You cannot redirect HTTPS to HTTP");
  if (port !== "#{port}" && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    throw elbErrors.invalid(`Redirect port '${port}' must be between '1' and '65535' or '#{port}'`);
  part("host", host, /^[\w.#{}-]{1,128}$/, "host");
  part("path", path, /^\/[^\s?#]*$/, "host", "path", "port");
  part("query", query, /^[^\s#]*$/, "protocol", "host", "port", "path", "query");
  if (protocol === "#{protocol}" && host === "#{host}" && port === "#{port}" && path === "/#{path}" && query === "#{query}")
    throw elbErrors.action("The redirect configuration is not valid because it creates a loop.");
  return { type: "redirect", protocol, host, port, path, query, statusCode };
}

/** A part of a redirect's URI: at most 128 characters, with these keywords and no others. */
function part(name: string, value: string, allowed: RegExp, ...keywords: readonly string[]): void {
  const rest = keywords.reduce((text, keyword) => text.replaceAll(`#{${keyword}}`, keyword), value);
  if (value.length > 128 || !allowed.test(rest) || /#\{/.test(rest) || !/^[\x20-\x7e]*$/.test(value))
    throw elbErrors.invalid(`Redirect ${name} '${value}' is not valid`);
}

type Fixed = Extract<RuleAction, { type: "fixed-response" }>;

function fixedOf(config: Sdk.FixedResponseActionConfig | undefined): Fixed {
  if (!config) throw elbErrors.invalid("A fixed response configuration must be specified");
  const { StatusCode: statusCode = "", ContentType: contentType, MessageBody: messageBody } = config;
  if (!/^[245]\d\d$/.test(statusCode)) throw elbErrors.invalid(`Fixed response status code '${statusCode}' must be 2XX, 4XX or 5XX`);
  if (contentType !== undefined && !contentTypes.includes(contentType))
    throw elbErrors.invalid(`Fixed response content type '${contentType}' must be one of '[${contentTypes.join(", ")}]'`);
  if (messageBody !== undefined && Buffer.byteLength(messageBody) > 1024)
    throw elbErrors.invalid("Fixed response message body cannot be longer than '1024' characters");
  return {
    type: "fixed-response",
    statusCode,
    ...(contentType === undefined ? {} : { contentType }),
    ...(messageBody === undefined ? {} : { messageBody }),
  };
}

export function actionView(action: RuleAction): Sdk.Action {
  const { type, order: Order } = action;
  if (type === "redirect") {
    const { protocol: Protocol, host: Host, port: Port, path: Path, query: Query, statusCode: StatusCode } = action;
    return { Type: type, Order, RedirectConfig: { Protocol, Port, Host, Path, Query, StatusCode } };
  }
  if (type === "fixed-response") {
    const { statusCode: StatusCode, contentType: ContentType, messageBody: MessageBody } = action;
    return { Type: type, Order, FixedResponseConfig: { MessageBody, StatusCode, ContentType } };
  }
  const { groups, stickiness } = action;
  return {
    Type: type,
    Order,
    TargetGroupArn: groups.length === 1 ? groups[0]!.arn : undefined,
    ForwardConfig: {
      TargetGroups: groups.map(({ arn, weight }) => ({ TargetGroupArn: arn, Weight: weight })),
      TargetGroupStickinessConfig: { Enabled: stickiness?.enabled ?? false, DurationSeconds: stickiness?.durationSeconds },
    },
  };
}
