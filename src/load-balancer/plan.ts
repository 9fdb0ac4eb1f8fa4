/**
 * A snapshot as what HAProxy must hold: text that only a reload changes, maps and servers that the runtime API changes. Pure.
 */
import type { LoadBalancer, Listener, Snapshot, TargetGroup } from "./config.ts";
import { routeOf } from "./actions.ts";
import { backend, serverTexts, type ServerTexts } from "./backends.ts";
import { certificateList, eventsFd, frontend, isSecure, type Paths } from "./frontends.ts";
import { fileName, groupName, listenerName, serverName } from "./names.ts";
import { errorLines, noTarget } from "./pages.ts";
import { actionsOf, groupsOf } from "./problems.ts";
import { defaultPriority, fillTables } from "./rules.ts";

export type MapName = "exact" | "prefix" | "routes" | "shares" | "limits";
export const mapNames: readonly MapName[] = ["exact", "prefix", "routes", "shares", "limits"];

export interface PlannedServer {
  readonly group: TargetGroup;
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly texts: ServerTexts;
}

export interface Plan {
  /** Frontends and backends without the servers; with the servers' settings, as comments. A difference takes a reload. */
  readonly sections: readonly (readonly string[])[];
  /** Files that the sections name, below the directory: certificates and bodies, named by what they hold. */
  readonly files: ReadonlyMap<string, string>;
  readonly maps: Readonly<Record<MapName, ReadonlyMap<string, string>>>;
  /** By the server's name, those wanted as registered. */
  readonly servers: ReadonlyMap<string, PlannedServer>;
  /** By the backend's name. */
  readonly groups: ReadonlyMap<string, TargetGroup>;
  readonly listeners: ReadonlyMap<string, { readonly balancer: LoadBalancer; readonly listener: Listener }>;
}

export function pathsBelow(directory: string): Paths {
  const map = (name: MapName) => `${directory}/${name}.map`;
  return {
    exact: map("exact"),
    prefix: map("prefix"),
    routes: map("routes"),
    shares: map("shares"),
    limits: map("limits"),
    certificates: `${directory}/files`,
  };
}

export function plan(snapshot: Snapshot, directory: string, hostNamespace: string | undefined): Plan {
  const paths = pathsBelow(directory);
  const files = new Map<string, string>();
  const maps = {
    exact: new Map<string, string>(),
    prefix: new Map<string, string>(),
    routes: new Map<string, string>(),
    shares: new Map<string, string>(),
    limits: new Map<string, string>(),
  };
  const listeners = new Map<string, { balancer: LoadBalancer; listener: Listener }>();
  const own = new Map<string, readonly string[]>();
  const users = new Map<string, LoadBalancer>();
  const sections: (readonly string[])[] = [];
  const keep = (body: string) => {
    const name = `${fileName(body)}.body`;
    files.set(name, body);
    return `${paths.certificates}/${name}`;
  };
  for (const balancer of snapshot.loadBalancers)
    for (const listener of balancer.listeners) {
      const name = listenerName(listener.id);
      listeners.set(name, { balancer, listener });
      if (balancer.addresses.length > 0) sections.push(frontend(balancer, listener, paths, balancer.network ? hostNamespace : undefined));
      for (const [index, action] of actionsOf(listener).entries()) {
        const routed = routeOf(action, isSecure(listener), keep);
        const priority = index === 0 ? defaultPriority : listener.rules?.[index - 1]?.priority;
        maps.routes.set(`${name}|${priority}`, routed.route);
        for (const [key, value] of routed.shares ?? []) maps.shares.set(key, value);
        for (const [key, value] of routed.limits ?? []) maps.limits.set(key, value);
        if (routed.backend) own.set(routed.route, routed.backend);
      }
      fillTables(maps, listener);
      for (const id of groupsOf(listener)) users.set(id, balancer);
      keepCertificates(listener, paths, files);
    }
  for (const [name, lines] of own) sections.push([`backend ${name}`, "  mode http", ...lines.map((line) => `  ${line}`)]);
  const servers = new Map<string, PlannedServer>();
  const groups = new Map<string, TargetGroup>();
  for (const group of snapshot.targetGroups) {
    const balancer = users.get(group.id);
    if (!balancer) continue;
    const name = groupName(group.id);
    groups.set(name, group);
    sections.push(backend(group, balancer));
    const textsOf = serverTexts(group, balancer.network?.source);
    for (const { address, port, weight = 100, wanted } of group.targets) {
      if (wanted === "deregistered") continue;
      const server = serverName(group.id, address, port);
      const texts = textsOf(address, port, weight);
      servers.set(server, { group, backend: name, name: server, address, port, weight, texts });
    }
  }
  return { sections, files, maps, servers, groups, listeners };
}

function keepCertificates(listener: Listener, paths: Paths, files: Map<string, string>): void {
  if (!listener.certificates?.length) return;
  const list = listener.certificates.map(({ pem }) => {
    const name = `${fileName(pem)}.pem`;
    // An empty line would end it for the runtime API.
    files.set(name, `${pem.replaceAll("\r", "").replaceAll(/\n\n+/g, "\n").trim()}\n`);
    return `${paths.certificates}/${name}`;
  });
  files.set(`${certificateList(listener)}.list`, `${list.join("\n")}\n`);
}

export interface Settings {
  readonly statsSocket: string;
  readonly threads: number;
  readonly openFiles: number;
  /** Whom HAProxy becomes once it has bound its ports. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/** The servers that a configuration begins with, and how: a new process takes them as they stood. */
export interface ServerStart {
  readonly server: PlannedServer;
  /** Whether it takes traffic from the first moment. */
  readonly up: boolean;
  /** Whether it may take traffic when no target is healthy: not before its first checks are through. */
  readonly open: boolean;
}

export function configuration({ sections }: Pick<Plan, "sections">, settings: Settings, servers: readonly ServerStart[]): string {
  const byBackend = Map.groupBy(servers, ({ server }) => server.backend);
  const lines = [
    "global",
    `  stats socket ${settings.statsSocket} mode 600 level admin expose-fd listeners`,
    "  stats timeout 1m",
    `  nbthread ${settings.threads}`,
    `  ulimit-n ${settings.openFiles}`,
    `  maxconn ${Math.max(1000, Math.floor((settings.openFiles - 6000) / 2))}`,
    `  log fd@${eventsFd} len 16384 format raw local0`,
    "  ssl-default-bind-options prefer-client-ciphers",
    "  ssl-server-verify none",
    "  tune.ssl.default-dh-param 2048",
    // Checks of a group are spread over their interval by when its targets came; nothing more is needed.
    "  spread-checks 0",
    ...(settings.user ? [`  uid ${settings.user.uid}`, `  gid ${settings.user.gid}`] : []),
    "defaults",
    "  timeout connect 10s",
    "  timeout client 60s",
    "  timeout server 60s",
    "  option http-keep-alive",
    "  option dontlognull",
    ...errorLines.map((line) => `  ${line}`),
    "backend none",
    "  mode http",
    `  ${noTarget}`,
    "backend none-tcp",
    "  mode tcp",
  ];
  for (const section of sections) {
    lines.push(...section);
    const name = section[0]!.startsWith("backend ") ? section[0]!.slice("backend ".length) : "";
    for (const { server, up, open } of byBackend.get(name) ?? []) {
      lines.push(`  server ${server.name} ${up ? server.texts.main : server.texts.without}`);
      lines.push(`  server ${server.name}.o ${server.texts.open}${open ? "" : " disabled"}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

export const mapText = (map: ReadonlyMap<string, string>) => [...map].map(([key, value]) => `${key} ${value}\n`).join("");

/**
 * The maps to put in place one after the other, so that at no moment one names what another lacks. Undefined: rules have changed places, and only a
 * reload changes all of them in one moment.
 */
export function mapChanges(
  from: Plan["maps"],
  to: Plan["maps"],
): { readonly name: MapName; readonly map: ReadonlyMap<string, string> }[] | undefined {
  const differs = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>) =>
    a.size !== b.size || [...b].some(([key, value]) => a.get(key) !== value);
  const rules = (["exact", "prefix"] as const).filter((name) => differs(from[name], to[name]));
  const moved = [...to.routes].some(
    ([key, value]) => !key.endsWith(`|${defaultPriority}`) && from.routes.has(key) && from.routes.get(key) !== value,
  );
  if (moved && rules.length > 0) return undefined;
  const named = (["shares", "limits", "routes"] as const).map((name) => ({ name, all: new Map([...from[name], ...to[name]]) }));
  return [
    ...named.filter(({ name, all }) => differs(from[name], all)).map(({ name, all }) => ({ name, map: all })),
    ...rules.map((name) => ({ name, map: to[name] })),
    ...named.filter(({ name, all }) => differs(all, to[name])).map(({ name }) => ({ name, map: to[name] })),
  ];
}
