import type { PayloadConnectAlias, PayloadServiceConnect } from "#agent-protocol/service-connect.ts";

/** HAProxy's configuration of a task's proxy: a frontend and a backend for each alias, whose servers are slots that proxy.lua fills. Pure. */
export interface ProxyOptions {
  /** Inside the container. */
  readonly directory: string;
  /** Where the alias of this index is listened for. */
  readonly bind: (alias: PayloadConnectAlias, index: number) => string;
  /** Servers prepared for each alias. */
  readonly slots: (alias: PayloadConnectAlias) => number;
}

/** Source: ECS API Reference, TimeoutConfiguration; Developer Guide, "Service Connect". */
const defaults = { requestSeconds: 15, httpIdleSeconds: 300, tcpIdleSeconds: 3600 };
/** HAProxy's longest. */
const never = 2_147_483;

export const isTcp = ({ protocol }: PayloadConnectAlias): boolean => protocol === "tcp";

export function proxyConfiguration({ aliases, ingress }: PayloadServiceConnect, options: ProxyOptions): string {
  const { directory } = options;
  return [
    "global",
    "  nbthread 1",
    "  maxconn 8000",
    // Else it sets its own limit of processes to 0, and in gVisor one container's limit is all containers'.
    "  insecure-fork-wanted",
    // The task's other containers have ended by then.
    "  hard-stop-after 1s",
    "  log stdout format raw local0",
    `  setenv GANTRY_CONNECT ${directory}`,
    `  lua-load ${directory}/proxy.lua`,
    "",
    "defaults",
    "  log global",
    "  option dontlog-normal",
    "  option redispatch 1",
    "  retries 2",
    "  timeout connect 2s",
    "  timeout check 2s",
    "",
    // HAProxy does not run without a listener; a namespace may have no names.
    "listen none",
    "  mode tcp",
    "  timeout client 1s",
    "  timeout server 1s",
    "  bind abns@service-connect",
    "",
    ...aliases.flatMap((alias, index) => aliasLines(alias, index, options)),
    ...ingress.flatMap(({ port, containerPort }, index) => [
      `listen i${index}`,
      "  mode tcp",
      ...["client", "server"].map((side) => `  timeout ${side} ${defaults.tcpIdleSeconds}s`),
      `  bind *:${port}`,
      `  server own 127.0.0.1:${containerPort}`,
      "",
    ]),
  ].join("\n");
}

function aliasLines(alias: PayloadConnectAlias, index: number, { bind, slots }: ProxyOptions): string[] {
  const tcp = isTcp(alias);
  const idle = alias.idleTimeoutSeconds ?? (tcp ? defaults.tcpIdleSeconds : defaults.httpIdleSeconds);
  const request = tcp ? idle : (alias.perRequestTimeoutSeconds ?? defaults.requestSeconds);
  const h2 = alias.protocol === "http2" || alias.protocol === "grpc";
  const count = slots(alias);
  return [
    `frontend f${index}`,
    `  mode ${tcp ? "tcp" : "http"}`,
    `  timeout client ${seconds(idle)}`,
    ...(tcp ? [] : ["  option httplog"]),
    `  bind ${bind(alias, index)}`,
    `  default_backend b${index}`,
    "",
    `backend b${index}`,
    `  mode ${tcp ? "tcp" : "http"}`,
    "  balance roundrobin",
    `  timeout server ${seconds(request)}`,
    `  timeout tunnel ${seconds(idle)}`,
    ...(tcp
      ? []
      : [
          "  retry-on conn-failure empty-response 502 503 504",
          // A request that changes something may have done so before it failed.
          "  http-request disable-l7-retry unless { method GET HEAD OPTIONS TRACE PUT DELETE }",
        ]),
    // The checks are for nothing but coming back, which proxy.lua decides: none ever runs.
    `  default-server check inter 24h rise 1 fall 1 observe ${tcp ? "layer4" : "layer7"} error-limit 5 on-error mark-down init-addr none disabled${h2 ? " proto h2" : ""}`,
    ...Array.from({ length: count }, (_, slot) => `  server s${slot + 1} 0.0.0.0:1`),
    "",
  ];
}

const seconds = (value: number) => `${value === 0 ? never : value}s`;

/** What proxy.lua reads: a line for each endpoint of each backend. Pure. */
export function endpointsText(
  aliases: readonly PayloadConnectAlias[],
  endpointsOf: (service: string) => readonly { readonly address: string; readonly port: number }[],
): string {
  return aliases
    .flatMap(({ service }, index) => endpointsOf(service).map(({ address, port }) => `b${index} ${address} ${port}\n`))
    .join("");
}
