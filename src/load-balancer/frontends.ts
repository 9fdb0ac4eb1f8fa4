/** A listener as a frontend of HAProxy. Pure. */
import { fileName, listenerName } from "./names.ts";
import type { Listener, LoadBalancer } from "./config.ts";
import { accessFormat, accessLines, failureFormat } from "./access-log.ts";
import { routeOf, shareGroups, shareTotal } from "./actions.ts";
import { connectionFailed } from "./pages.ts";
import { defaultPriority, ruleLines } from "./rules.ts";

export interface Paths {
  readonly exact: string;
  readonly prefix: string;
  readonly routes: string;
  readonly shares: string;
  readonly limits: string;
  readonly certificates: string;
}

/** Where HAProxy finds its logs: one for what it says of its targets, which no flood of requests must crowd out. */
export const eventsFd = 3;
export const accessFd = 4;

export const isSecure = (listener: Listener) => listener.protocol === "HTTPS" || listener.protocol === "TLS";
export const idleSeconds = ({ kind, idleTimeout }: LoadBalancer) => idleTimeout ?? (kind === "application" ? 60 : 350);
export const certificateList = (listener: Listener) =>
  fileName(JSON.stringify(["list", ...(listener.certificates ?? []).map(({ pem }) => pem)]));

/** A listener without rules whose action is one group is told so plainly, which costs a request nothing; another action takes a reload then. */
function fixedRoute({ rules, defaultAction }: Listener): string | undefined {
  const { route } = routeOf(defaultAction, false, () => "");
  return rules?.length || !route.startsWith("g-") ? undefined : route;
}

function useBackend(listener: Listener): string {
  const route = fixedRoute(listener);
  return route === undefined ? "use_backend %[var(txn.be)]" : `use_backend ${route}`;
}

const cookieLines = [
  'http-response add-header Set-Cookie "AWSALBTG=%[var(txn.be)]; Expires=%[date,add(txn.sticky),http_date]; Path=/" if { var(txn.sticky) -m found }',
  'http-response add-header Set-Cookie "AWSALBTGCORS=%[var(txn.be)]; Expires=%[date,add(txn.sticky),http_date]; Path=/; SameSite=None; Secure" if { var(txn.sticky) -m found }',
];

/** `hostNamespace` names this machine's own network where HAProxy itself runs in a VPC's. */
export function frontend(balancer: LoadBalancer, listener: Listener, paths: Paths, hostNamespace: string | undefined): string[] {
  const http = balancer.kind === "application";
  const idle = idleSeconds(balancer);
  const lines = [
    `frontend ${listenerName(listener.id)}`,
    `  mode ${http ? "http" : "tcp"}`,
    ...balancer.addresses.map((address) => `  bind ${address}:${listener.port}${bindOptions(balancer, listener, paths, hostNamespace)}`),
    ...(balancer.network?.addresses ?? []).map(
      (address) => `  bind ${address}:${listener.port}${bindOptions(balancer, listener, paths, undefined)}`,
    ),
    `  timeout client ${idle}s`,
    `  default_backend ${http ? "none" : "none-tcp"}`,
  ];
  const log = `  log fd@${accessFd} len 16384 format raw local0`;
  if (balancer.accessLog) lines.push(log, `  log-format ${accessFormat(balancer.kind, isSecure(listener))}`);
  // Which of them a load balancer answered itself no counter tells: of 5xx, and only of them, there is a line in any case.
  else if (http) lines.push(log, "  option dontlog-normal", `  log-format ${failureFormat}`);
  return [...lines, ...(http ? httpLines(balancer, listener, paths) : tcpLines(listener, paths))];
}

function bindOptions(balancer: LoadBalancer, listener: Listener, paths: Paths, hostNamespace: string | undefined): string {
  let text = hostNamespace ? ` namespace ${hostNamespace}` : "";
  if (!isSecure(listener)) return text;
  const http2 = balancer.attributes?.http2 ?? true;
  const alpn = balancer.kind === "application" ? (http2 ? ["h2", "http/1.1"] : ["http/1.1"]) : (listener.alpn ?? []);
  text += ` ssl crt-list ${paths.certificates}/${certificateList(listener)}.list ssl-min-ver ${oldestTls(listener.sslPolicy)}`;
  return alpn.length ? `${text} alpn ${alpn.join(",")}` : text;
}

/** AWS's policies carry the oldest version in their names; `2016-08` and those without one begin with TLS 1.0. */
export function oldestTls(policy = "ELBSecurityPolicy-TLS13-1-2-2021-06"): string {
  const named = /TLS13-1-([0-3])/.exec(policy) ?? /TLS-1-([0-3])/.exec(policy) ?? /-1-([0-3])-/.exec(policy);
  return `TLSv1.${named?.[1] ?? "0"}`;
}

function httpLines(balancer: LoadBalancer, listener: Listener, paths: Paths): string[] {
  const name = listenerName(listener.id);
  const { xffMode = "append", xffClientPort, tlsHeaders, dropInvalidHeaderFields } = balancer.attributes ?? {};
  const idle = idleSeconds(balancer);
  const lines = [
    `timeout http-keep-alive ${Math.min(idle, balancer.clientKeepAlive ?? 3600)}s`,
    `timeout http-request ${idle}s`,
    "option idle-close-on-response",
    ...traceLines(name),
    `http-request set-header X-Forwarded-Proto ${isSecure(listener) ? "https" : "http"}`,
    `http-request set-header X-Forwarded-Port ${listener.port}`,
  ];
  if (dropInvalidHeaderFields) lines.push("http-request del-header '[^-A-Za-z0-9]' -m reg");
  if (tlsHeaders && isSecure(listener))
    lines.push(
      "http-request set-header X-Amzn-Tls-Version %[ssl_fc_protocol]",
      "http-request set-header X-Amzn-Tls-Cipher-Suite %[ssl_fc_cipher]",
    );
  if (listener.rules?.length) {
    lines.push(
      "http-request set-var(txn.h) req.hdr(host),host_only,lower",
      `http-request set-var(txn.path) path`,
      `http-request set-var(txn.k) str(${name}|),concat(,txn.h,|),concat(,txn.path)`,
      `http-request set-var(txn.w) str(${name}|*|),concat(,txn.path)`,
      `http-request set-var(txn.p) var(txn.k),map_str_int(${paths.exact})`,
      `http-request set-var(txn.p) var(txn.k),map_beg_int(${paths.prefix},${defaultPriority}) if !{ var(txn.p) -m found }`,
      `http-request set-var(txn.o) var(txn.w),map_str_int(${paths.exact})`,
      `http-request set-var(txn.o) var(txn.w),map_beg_int(${paths.prefix},${defaultPriority}) if !{ var(txn.o) -m found }`,
      "http-request set-var(txn.p) var(txn.o) if { var(txn.o),sub(txn.p) -m int lt 0 }",
      ...ruleLines(listener),
      `http-request set-var(txn.be) str(${name}|),concat(,txn.p),map_str(${paths.routes},none)`,
    );
  } else if (!fixedRoute(listener))
    lines.push(`http-request set-var(txn.be) str(${name}|${defaultPriority}),map_str(${paths.routes},none)`);
  if (balancer.accessLog) lines.push(...accessLines);
  if (!fixedRoute(listener)) lines.push(...shareLines("http-request", paths), ...cookieLines);
  lines.push(
    ...forwardedLines(xffMode, xffClientPort ?? false),
    // A target's answer, not one of ours.
    `http-response set-var(txn.up) status${balancer.accessLog ? "" : " if { status ge 500 }"}`,
    connectionFailed,
    useBackend(listener),
  );
  return lines.map((line) => `  ${line}`);
}

const randomHex = "%[rand(4294967295),hex,bytes(8,8)]";
/** A request without a root gets one; where there is one, this load balancer's own mark goes before it. The listener's eight digits stand for as many drawn ones, each of which costs HAProxy time. */
function traceLines(name: string): string[] {
  const id = `1-%[date,hex,bytes(8,8)]-${name.slice(-8)}${randomHex}${randomHex}`;
  return [
    `http-request set-header X-Amzn-Trace-Id "Self=${id};%[req.fhdr(X-Amzn-Trace-Id)]" if { req.fhdr(X-Amzn-Trace-Id) -m sub Root= }`,
    `http-request set-header X-Amzn-Trace-Id "Root=${id}" unless { req.fhdr(X-Amzn-Trace-Id) -m sub Root= }`,
  ];
}

/**
 * One header where the request had at most one, else a line more, which means the same. These end a frontend's rules: most requests have no such header, and
 * HAProxy's own option adds it with less work than rules.
 */
function forwardedLines(mode: "append" | "preserve" | "remove", port: boolean): string[] {
  if (mode === "preserve") return [];
  if (mode === "remove") return ["http-request del-header X-Forwarded-For"];
  const own = port ? "%[src]:%[src_port]" : "%[src]";
  const rules = [
    `http-request set-header X-Forwarded-For "%[req.fhdr(X-Forwarded-For)], ${own}" if { req.fhdr_cnt(X-Forwarded-For) eq 1 }`,
    `http-request add-header X-Forwarded-For ${own} unless { req.fhdr_cnt(X-Forwarded-For) eq 1 }`,
  ];
  return port ? rules : ["option forwardfor if-none", "http-request allow unless { req.fhdr(X-Forwarded-For) -m found }", ...rules];
}

function tcpLines(listener: Listener, paths: Paths): string[] {
  return [
    `tcp-request content set-var(txn.be) str(${listenerName(listener.id)}|${defaultPriority}),map_str(${paths.routes},none)`,
    ...shareLines("tcp-request content", paths),
    "use_backend %[var(txn.be)] if { var(txn.be) -m beg g- }",
  ].map((line) => `  ${line}`);
}

/** A route that begins with `w-` is shared: by the client's cookie, or drawn by weight. */
function shareLines(rule: "http-request" | "tcp-request content", { shares, limits }: Paths): string[] {
  const when = "if { var(txn.s) -m found }";
  const open = `${when} { var(txn.be) -m beg w- }`;
  const lines = [`set-var(txn.s) var(txn.be) if { var(txn.be) -m beg w- }`, `set-var(txn.n) rand(${shareTotal}) ${when}`];
  if (rule === "http-request")
    lines.push(
      `set-var(txn.sticky) var(txn.s),concat(.s),map_str_int(${limits}) ${when}`,
      `set-var(txn.c) req.cook(AWSALBTG) if { var(txn.sticky) -m found }`,
      `set-var(txn.be) var(txn.c) if { var(txn.c) -m found } { var(txn.s),concat(.,txn.c),map_str(${shares}) -m found }`,
    );
  for (let k = 1; k <= shareGroups; k++)
    lines.push(
      `set-var(txn.t) var(txn.s),concat(.${k}),map_str_int(${limits},0) ${open}`,
      `set-var(txn.be) var(txn.s),concat(.${k}),map_str(${shares},none) ${open} { var(txn.n),sub(txn.t) -m int lt 0 }`,
    );
  return lines.map((line) => `${rule} ${line}`);
}
