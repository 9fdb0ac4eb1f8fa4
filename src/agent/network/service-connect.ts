import { bridgeRange } from "#model/service-connect.ts";
import { command } from "./commands.ts";

/** What a container's namespace needs so that a task's aliases lead to its proxy. Each is safe to repeat, and goes with the namespace. */
export type ConnectRoute =
  /** Mode bridge, the proxy: it has the aliases' addresses. */
  | { readonly kind: "proxy" }
  /** Mode bridge, the others: they reach these addresses through the proxy's on the bridge. */
  | { readonly kind: "client"; readonly proxy: string }
  /** Mode awsvpc: the namespace is the proxy's too, and connections to an alias go to a port of it. */
  | { readonly kind: "redirect"; readonly redirects: readonly { readonly address: string; readonly port: number; readonly to: number }[] };

export async function connectNamespace(namespace: string, route: ConnectRoute): Promise<void> {
  const ip = (...args: string[]) => command("ip", ["-n", namespace, ...args]);
  if (route.kind === "proxy") await ip("route", "replace", "local", bridgeRange, "dev", "lo");
  else if (route.kind === "client") await ip("route", "replace", bridgeRange, "via", route.proxy);
  else if (route.redirects.length > 0) await command("ip", ["netns", "exec", namespace, "nft", "-f", "-"], redirectText(route.redirects));
}

/** Pure. */
export function redirectText(redirects: readonly { readonly address: string; readonly port: number; readonly to: number }[]): string {
  const elements = redirects.map(({ address, port, to }) => `${address} . ${port} : 127.0.0.1 . ${to}`).join(", ");
  return `add table ip service_connect
delete table ip service_connect
table ip service_connect {
  map aliases { type ipv4_addr . inet_service : ipv4_addr . inet_service; elements = { ${elements} } }
  chain output { type nat hook output priority -100; policy accept;
    dnat ip to ip daddr . tcp dport map @aliases
  }
}
`;
}
