/** A target group as a backend of HAProxy, and its targets as servers: in the configuration's text and for the runtime API alike. Pure. */
import type { LoadBalancer, TargetGroup } from "./config.ts";
import { idleSeconds } from "./frontends.ts";
import { groupName } from "./names.ts";
import { noTarget } from "./pages.ts";
import { timeLines } from "./statistics.ts";
import { quoted } from "./text.ts";

const isHttp = (group: TargetGroup) => group.protocol === "HTTP" || group.protocol === "HTTPS";
const isTls = (group: TargetGroup) => group.protocol === "HTTPS" || group.protocol === "TLS";
const isH2 = (group: TargetGroup) => isHttp(group) && (group.protocolVersion ?? "HTTP1") !== "HTTP1";
const checkProtocol = (group: TargetGroup) => group.healthCheck.protocol ?? (isHttp(group) ? group.protocol : "TCP");

export const thresholds = ({ healthCheck }: TargetGroup) => ({
  rise: healthCheck.healthyThreshold ?? 5,
  fall: healthCheck.unhealthyThreshold ?? 2,
  interval: (healthCheck.interval ?? 30) * 1000,
  timeout: (healthCheck.timeout ?? 5) * 1000,
});

export function backend(group: TargetGroup, balancer: LoadBalancer): string[] {
  const http = isHttp(group);
  const idle = idleSeconds(balancer);
  const { timeout } = thresholds(group);
  const lines = [
    `mode ${http ? "http" : "tcp"}`,
    `balance ${balance(group)}`,
    // Only when every target is down do the servers of the second row take traffic, all of them: AWS fails open.
    "option allbackups",
    "option redispatch 1",
    "retries 3",
    "timeout connect 10s",
    `timeout server ${idle}s`,
    `timeout tunnel ${idle}s`,
    `timeout check ${timeout}ms`,
    "log global",
    "option log-health-checks",
  ];
  if (group.stickiness?.type === "source_ip") lines.push("hash-type consistent");
  // Not `nbsrv`: that is 0 in a process that is ending, whose clients must still be served.
  if (http) lines.push(`${noTarget} if { be_conn_free(${groupName(group.id)}) eq 0 }`);
  if (http) lines.push(...timeLines);
  lines.push(...checkLines(group));
  if (http) lines.push(...stickyLines(group));
  // The servers' settings stand here too: with others, every server has to be made again.
  return [`backend ${groupName(group.id)}`, ...lines.map((line) => `  ${line}`), `  # ${serverOptions(group, balancer.network?.source)}`];
}

function balance(group: TargetGroup): string {
  if (group.stickiness?.type === "source_ip") return "source";
  switch (group.algorithm ?? "round_robin") {
    case "round_robin":
      return "roundrobin";
    case "least_outstanding_requests":
      return "leastconn";
    case "weighted_random":
      return "random";
  }
}

function checkLines(group: TargetGroup): string[] {
  const { healthCheck } = group;
  const protocol = checkProtocol(group);
  if (healthCheck.disabled || protocol === "TCP") return [];
  const grpc = group.protocolVersion === "GRPC";
  const path = healthCheck.path ?? (grpc ? "/AWS.ALB/healthcheck" : "/");
  const headers = "hdr Host '%[bc_dst]' hdr User-Agent ELB-HealthChecker/2.0";
  if (grpc)
    return [
      "option httpchk",
      // An empty message: AWS's check calls the method with none.
      `http-check send meth POST uri ${quoted(path)} ver HTTP/2 ${headers} hdr Content-Type application/grpc hdr TE trailers`,
      grpcExpectation(healthCheck.matcher ?? "12"),
    ];
  return [
    "option httpchk",
    `http-check send meth GET uri ${quoted(path)} ver HTTP/1.1 ${headers} hdr Accept-Encoding 'gzip, compressed'`,
    `http-check expect status ${(healthCheck.matcher ?? "200").replaceAll(" ", "")}`,
  ];
}

/** An answer with a message has its status in the trailers, which a check does not see: without one in the headers it counts as 0. */
function grpcExpectation(matcher: string): string {
  const codes = matcher.split(",").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  const expression = `^(${codes.join("|")})$`;
  return codes.includes(0)
    ? `http-check expect ! fhdr name grpc-status value -m reg '^(?!(${codes.join("|")})$)'`
    : `http-check expect fhdr name grpc-status value -m reg ${quoted(expression)}`;
}

/** The target in the cookie is tried first, unless it is unhealthy or drained: HAProxy passes over a server that is down. */
function stickyLines({ stickiness }: TargetGroup): string[] {
  if (!stickiness || stickiness.type === "source_ip") return [];
  const app = stickiness.type === "app_cookie";
  const cookie = app ? "AWSALBAPP-0" : "AWSALB";
  const cors = app ? "AWSALBAPP-0CORS" : "AWSALBCORS";
  const own = `{ req.cook(${cookie}) -m found }`;
  const value = `%[srv_name,field(1,.)]; Expires=%[date(${stickiness.seconds}),http_date]; Path=/`;
  const when = app ? ` if { res.cook(${stickiness.cookieName}) -m found }` : "";
  return [
    app
      ? `use-server %[req.cook(${cookie})] if ${own} { req.cook(${stickiness.cookieName}) -m found }`
      : `use-server %[req.cook(${cookie})] if ${own}`,
    `http-response add-header Set-Cookie "${cookie}=${value}"${when}`,
    `http-response add-header Set-Cookie "${cors}=${value}; SameSite=None; Secure"${when}`,
  ];
}

/** How traffic goes to a target. */
function trafficOptions(group: TargetGroup, source: string | undefined): string {
  return [
    isTls(group) ? "ssl verify none" : "",
    isTls(group) && isHttp(group) ? `alpn ${isH2(group) ? "h2" : "http/1.1"}` : "",
    isH2(group) ? "proto h2" : "",
    group.proxyProtocolV2 ? "send-proxy-v2" : "",
    source ? `source ${source}` : "",
  ]
    .filter(Boolean)
    .join(" ");
}

/** How health is checked; `port` is the target's own. */
function checkOptions(group: TargetGroup, port: number | undefined): string {
  if (group.healthCheck.disabled) return "";
  const { rise, fall } = thresholds(group);
  const secure = checkProtocol(group) === "HTTPS" || (checkProtocol(group) === "TCP" && isTls(group));
  return [
    `check port ${group.healthCheck.port ?? port ?? "own"} rise ${rise} fall ${fall}`,
    secure ? `check-ssl verify none${isHttp(group) ? ` check-alpn ${isH2(group) ? "h2" : "http/1.1"}` : ""}` : "",
    isH2(group) ? "check-proto h2" : "",
    group.proxyProtocolV2 && group.healthCheck.port === undefined ? "check-send-proxy" : "",
  ]
    .filter(Boolean)
    .join(" ");
}

function serverOptions(group: TargetGroup, source: string | undefined): string {
  return `${trafficOptions(group, source)} ${checkOptions(group, undefined)} inter ${thresholds(group).interval} slowstart ${group.slowStart ?? 0}`;
}

export interface ServerTexts {
  /** Takes traffic while it is healthy. */
  readonly main: string;
  /** The same without a share: HAProxy takes a server for up until it is told otherwise. */
  readonly without: string;
  /** Takes traffic while no target of the group is healthy; never checked. */
  readonly open: string;
  /** Makes the first check at once, and takes no traffic. */
  readonly first: string;
}

/** What comes behind `server <name>` or `add server <backend>/<name>`, for the targets of one group. */
export function serverTexts(
  group: TargetGroup,
  source: string | undefined,
): (address: string, port: number, weight: number) => ServerTexts {
  const traffic = trafficOptions(group, source);
  const end = traffic === "" ? "" : ` ${traffic}`;
  const slow = group.slowStart ? ` slowstart ${group.slowStart * 1000}` : "";
  const checks = checkOptions(group, 0);
  const { interval } = thresholds(group);
  return (address, port, weight) => {
    const at = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
    const check = checks.replace("check port 0 ", () => `check port ${port} `);
    const own = check === "" ? "" : ` ${check} inter ${interval}${slow}`;
    return {
      main: `${at}${own} weight ${weight}${end}`,
      without: `${at}${own} weight 0${end}`,
      open: `${at} backup weight ${weight}${end}`,
      first: `${at} ${check} inter 20 weight 0${end}`,
    };
  };
}
