/**
 * HAProxy's line for a request, and Application Load Balancer's:
 * https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html. Pure.
 */
import { quoted } from "./text.ts";

const common = {
  mark: "A",
  frontend: "%f",
  client: "%ci:%cp",
  listener: "%fi:%fp",
  backend: "%b",
  target: "%si:%sp",
  end: "%[date(0,ms)]",
  receive: "%TR",
  wait: "%Tw",
  connect: "%Tc",
  answer: "%Tr",
  active: "%Ta",
  termination: "%ts",
  received: "%U",
  sent: "%B",
} as const;
const http = {
  status: "%ST",
  targetStatus: "%[var(txn.up)]",
  priority: "%[var(txn.p)]",
  method: "%HM",
  uri: "%HU",
  version: "%HV",
  agent: "%[var(txn.agent)]",
  trace: "%[var(txn.traced)]",
  host: "%[var(txn.hostport)]",
  location: "%[var(txn.location)]",
} as const;
const tls = { tlsVersion: "%sslv", cipher: "%sslc", sni: "%[ssl_fc_sni]" } as const;
type Field = keyof typeof common | keyof typeof http | keyof typeof tls;

/** Network load balancers have no request: times are the connection's. */
const tcp = { ...common, receive: "0", answer: "-1", active: "%Tt" };

/** HAProxy writes control characters that a client sent as `#XX`, so that a tab stands between fields only. */
const separator = "\t";
const commonNames = Object.keys(common) as Field[];
const httpNames = [...commonNames, ...(Object.keys(http) as Field[])];
const names = (isHttp: boolean, secure: boolean) => [
  ...(isHttp ? httpNames : commonNames),
  ...(secure ? (Object.keys(tls) as Field[]) : []),
];

/** What the line needs and HAProxy forgets before it writes it. */
export const accessLines: readonly string[] = [
  "http-request set-var(txn.agent) req.fhdr(User-Agent)",
  "http-request set-var(txn.traced) req.fhdr(X-Amzn-Trace-Id)",
  "http-request set-var(txn.hostport) req.hdr(Host)",
  "http-after-response set-var(txn.location) res.hdr(Location)",
];

export function accessFormat(kind: "application" | "network", secure: boolean): string {
  const texts: Record<string, string> = kind === "application" ? { ...common, ...http, ...tls } : { ...tcp, ...tls };
  return quoted(
    names(kind === "application", secure)
      .map((name) => texts[name])
      .join(separator),
  );
}

/** The short line of a request that was answered with 5xx, where there is no access log. */
export const failureFormat = quoted(["F", common.frontend, http.status, http.targetStatus].join(separator));

/** The listener's frontend and the status, where the load balancer answered with 5xx itself: of either line. */
export function readFailure(
  message: string,
  record: AccessRecord | undefined,
): { readonly frontend: string; readonly status: number } | undefined {
  const parts = message.split(separator, 4);
  const [mark, frontend = ""] = parts;
  if (mark === "A")
    return record?.status !== undefined && record.status >= 500 && record.targetStatus === undefined
      ? { frontend, status: record.status }
      : undefined;
  const status = Number(parts[2]);
  return mark === "F" && status >= 500 && parts[3] === "-" ? { frontend, status } : undefined;
}

export interface AccessRecord {
  readonly loadBalancerId: string;
  readonly listenerId: string;
  readonly targetGroupId: string | undefined;
  /** `address:port` of the target that answered or should have. */
  readonly target: string | undefined;
  /** Milliseconds since the epoch, when the answer was complete. */
  readonly at: number;
  /** Of the answer to the client, and the target's own. Network load balancers have none. */
  readonly status: number | undefined;
  readonly targetStatus: number | undefined;
  /** Seconds from sending the request to the target until its answer began. */
  readonly targetSeconds: number | undefined;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** ALB's line, without a line end; for a network load balancer that of its TLS listeners in short. */
  readonly line: string;
}

/** What the names in HAProxy's line stand for. */
export interface Known {
  readonly listener: (frontend: string) =>
    | {
        readonly loadBalancerId: string;
        readonly loadBalancerName: string;
        readonly listenerId: string;
        readonly secure: boolean;
        readonly application: boolean;
        readonly certificateId: string | undefined;
        readonly actionOf: (priority: number) => string;
      }
    | undefined;
  readonly group: (backend: string) => string | undefined;
}

export function readAccess(message: string, known: Known): AccessRecord | undefined {
  const parts = message.split(separator);
  const listener = known.listener(parts[1] ?? "");
  if (parts[0] !== "A" || !listener || parts.length !== names(listener.application, listener.secure).length) return undefined;
  const value = Object.fromEntries(
    names(listener.application, listener.secure).map((name, index) => [name, parts[index] ?? "-"]),
  ) as Record<Field, string>;
  const number = (name: Field) => {
    const parsed = Number(value[name]);
    return Number.isFinite(parsed) && value[name] !== "" && value[name] !== "-" ? parsed : undefined;
  };
  const duration = (name: Field) => Math.max(-1, number(name) ?? -1);
  const targetGroupId = known.group(value.backend);
  const target = targetGroupId === undefined || value.target.startsWith("-") || value.target.startsWith("<") ? undefined : value.target;
  const at = number("end") ?? 0;
  const answer = duration("answer");
  const connect = duration("connect");
  const active = duration("active");
  const seconds = (ms: number) => (ms < 0 ? "-1" : (ms / 1000).toFixed(3));
  const before = Math.max(0, duration("receive")) + Math.max(0, duration("wait")) + Math.max(0, connect);
  const record = {
    loadBalancerId: listener.loadBalancerId,
    listenerId: listener.listenerId,
    targetGroupId,
    target,
    at,
    status: listener.application ? number("status") : undefined,
    targetStatus: listener.application ? number("targetStatus") : undefined,
    targetSeconds: target && answer >= 0 ? answer / 1000 : undefined,
    receivedBytes: number("received") ?? 0,
    sentBytes: number("sent") ?? 0,
  };
  if (!listener.application) {
    const fields = [
      "tcp",
      isoMicro(at),
      listener.loadBalancerName,
      value.client,
      value.listener,
      seconds(active),
      record.receivedBytes,
      record.sentBytes,
    ];
    return {
      ...record,
      line: [...fields, target ?? "-", listener.secure ? value.cipher : "-", listener.secure ? value.tlsVersion : "-"].join(" "),
    };
  }
  const priority = number("priority");
  const dash = (text: string | undefined) => (text === undefined || text === "" ? "-" : text);
  const inQuotes = (text: string | undefined) => `"${dash(text).replaceAll('"', "%22")}"`;
  const http2 = value.version.startsWith("HTTP/2");
  const scheme = listener.secure ? "https" : "http";
  const url = value.uri.startsWith("/") ? `${scheme}://${withPort(value.host, value.listener)}${value.uri}` : value.uri;
  const line = [
    http2 ? "h2" : scheme,
    isoMicro(at),
    listener.loadBalancerName,
    value.client,
    dash(target),
    target ? seconds(before) : "-1",
    target ? seconds(answer) : "-1",
    target && answer >= 0 ? seconds(Math.max(0, active - before - answer)) : "-1",
    // A client that left before any answer: AWS's 460.
    value.termination.startsWith("C") && record.targetStatus === undefined ? "460" : value.status,
    dash(value.targetStatus),
    value.received,
    value.sent,
    inQuotes(`${value.method} ${url} ${value.version}`),
    inQuotes(value.agent),
    listener.secure ? value.cipher : "-",
    listener.secure ? value.tlsVersion : "-",
    dash(targetGroupId),
    inQuotes(value.trace),
    inQuotes(listener.secure ? value.sni : undefined),
    inQuotes(listener.certificateId),
    priority === undefined || priority > 50_000 ? "0" : String(priority),
    isoMicro(at - Math.max(0, active)),
    inQuotes(listener.actionOf(priority ?? 50_001)),
    inQuotes(target ? undefined : value.location),
    '"-"',
    inQuotes(target),
    inQuotes(value.targetStatus),
    '"-"',
    '"-"',
    "-",
  ].join(" ");
  return { ...record, line };
}

const isoMicro = (ms: number) => new Date(ms).toISOString().replace("Z", "000Z");

function withPort(host: string, listener: string): string {
  return host.includes(":") ? host : `${host === "" || host === "-" ? listener.split(":")[0] : host}:${listener.split(":").at(-1)}`;
}
