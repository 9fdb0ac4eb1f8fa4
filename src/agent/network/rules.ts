import type { PortBinding } from "../task/state.ts";
import { balancerChains } from "./balancer-rules.ts";
import { portsOf } from "./ports.ts";

/** EC2's fixed address for it, which clouds of others use as well. */
export const instanceMetadata = "169.254.169.254";

/** The nftables table of one Gantry, as text for `nft -f -`. Pure. */
export interface RuleSet {
  readonly table: string;
  readonly bridge: string;
  readonly subnet: string;
  readonly metadataPort: number;
  /** Of the instance metadata; absent: nobody on the bridge reaches that of the machine, whoever answers there. */
  readonly instanceMetadataPort?: number | undefined;
  /** This machine answers at EC2's address itself, and judges who asks: no published port comes before it. */
  readonly isInstance?: boolean | undefined;
  /** Of the VPCs' resolver; absent: none listens. */
  readonly resolverPort?: number;
  /** Public address to the interface's address in the subnet. */
  readonly publicAddresses?: ReadonlyMap<string, string>;
}

/**
 * The whole table, replacing what stood there in one transaction. Host ports are map elements, so that one container's come and go
 * without touching another's. Loopback clients reach a host port too: their address is masqueraded, and nobody on the bridge can send to 127.0.0.0/8.
 */
export function tableText(
  { table, bridge, subnet, metadataPort, instanceMetadataPort, isInstance, resolverPort, publicAddresses = new Map() }: RuleSet,
  bindings: readonly Target[],
): string {
  const elements = (protocol: "tcp" | "udp") => {
    const list = elementsOf(bindings, protocol);
    return list.length > 0 ? `elements = { ${list.join(", ")} }` : "";
  };
  const toPorts = ["tcp", "udp"]
    .map((protocol) => `fib daddr type local dnat ip to ${protocol} dport map @${protocol}_ports`)
    .join("\n    ");
  const own = isInstance ? `    ip daddr ${instanceMetadata} accept\n` : "";
  return `add table ip ${table}
delete table ip ${table}
table ip ${table} {
  map tcp_ports { type inet_service : ipv4_addr . inet_service; ${elements("tcp")} }
  map udp_ports { type inet_service : ipv4_addr . inet_service; ${elements("udp")} }
  map public_in { type ipv4_addr : ipv4_addr; ${publicElements("public_in", publicAddresses)} }
  map public_out { type ipv4_addr : ipv4_addr; ${publicElements("public_out", publicAddresses)} }
${balancerChains}  chain guard { type filter hook prerouting priority raw; policy accept;
    iifname "${bridge}" ip daddr 127.0.0.0/8 drop
${instanceMetadataPort || isInstance ? "" : `    iifname "${bridge}" ip daddr ${instanceMetadata} tcp dport 80 drop\n`}  }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    iifname "${bridge}" ip daddr 169.254.170.2 tcp dport 80 redirect to :${metadataPort}
${instanceMetadataPort ? `    iifname "${bridge}" ip daddr ${instanceMetadata} tcp dport 80 redirect to :${instanceMetadataPort}\n` : ""}${resolverPort ? `    iifname "${bridge}" ip daddr 169.254.169.253 meta l4proto { tcp, udp } th dport 53 redirect to :${resolverPort}\n` : ""}${own}    ip daddr @balancers accept
    dnat ip to ip daddr map @public_in
    ${toPorts}
  }
  chain output { type nat hook output priority -100; policy accept;
${own}    ip daddr @balancers accept
    dnat ip to ip daddr map @public_in
    ${toPorts}
  }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${bridge}" masquerade
    ip saddr 127.0.0.0/8 oifname "${bridge}" masquerade
    ip saddr ${subnet} ip daddr ${subnet} ct status dnat snat ip to ip saddr map @public_out
    ip saddr ${subnet} ip daddr ${subnet} ct status dnat masquerade
  }
}
`;
}

export interface Target {
  readonly address: string;
  readonly bindings: readonly PortBinding[];
}

export function addText(table: string, target: Target): string {
  return change("add", table, target);
}

export function deleteText(table: string, target: Target): string {
  return change("delete", table, target);
}

function change(verb: "add" | "delete", table: string, target: Target): string {
  return (["tcp", "udp"] as const)
    .map((protocol) => ({ protocol, list: elementsOf([target], protocol) }))
    .filter(({ list }) => list.length > 0)
    .map(({ protocol, list }) => `${verb} element ip ${table} ${protocol}_ports { ${list.join(", ")} }\n`)
    .join("");
}

function elementsOf(targets: readonly Target[], protocol: "tcp" | "udp"): string[] {
  return targets.flatMap(({ address, bindings }) =>
    portsOf(bindings)
      .filter((port) => port.protocol === protocol)
      .map(({ port, inside }) => `${port} : ${address} . ${inside}`),
  );
}

/** Public addresses in both directions: in to their interface, and out as the sender's towards another interface's public address. */
export function publicText(verb: "add" | "delete", table: string, pairs: readonly (readonly [string, string])[]): string {
  if (pairs.length === 0) return "";
  const verbs = verb === "delete" ? ["add", "delete"] : ["add"];
  return verbs
    .flatMap((word) =>
      (["public_in", "public_out"] as const).map((name) => `${word} element ip ${table} ${name} { ${publicPairs(name, pairs)} }\n`),
    )
    .join("");
}

function publicPairs(name: "public_in" | "public_out", pairs: readonly (readonly [string, string])[]): string {
  return pairs.map(([address, inside]) => (name === "public_in" ? `${address} : ${inside}` : `${inside} : ${address}`)).join(", ");
}

function publicElements(name: "public_in" | "public_out", addresses: ReadonlyMap<string, string>): string {
  return addresses.size > 0 ? `elements = { ${publicPairs(name, [...addresses])} }` : "";
}
