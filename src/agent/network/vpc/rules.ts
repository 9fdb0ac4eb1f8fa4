import type { VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import { elementsOf, groupChains, letOut, memberSets, nameOf, parseBlock } from "./group-rules.ts";

/**
 * The nftables table of one VPC, in the VPC's own namespace. Pure.
 *
 * Each packet passes: `guard` (only from its own link, hardware address and address), the routes (`reaches`) where it leaves the VPC, then,
 * unless it belongs to a connection that was let through before, the sender's egress rules and the receiver's ingress rules.
 * Whatever nothing lets through is dropped.
 */
export interface VpcTable {
  readonly vpc: VpcState;
  readonly bridge: { readonly subnet: string; readonly gateway: string };
  readonly attached: readonly AttachedLink[];
  /** Of the uplink: under it, load balancers reach what lies beyond the VPC. */
  readonly uplinkAddress?: string;
}

/** An interface that has its link: its device in the VPC's namespace, and the address by which the machine knows it. */
export interface AttachedLink {
  readonly networkInterfaceId: string;
  readonly link: string;
  readonly transit: string;
}

export const tableName = "gantry";
/** The VPC's end of the link to the machine's bridge. */
export const uplink = "uplink";
/** Answers to what came from the machine go back there, whatever the VPC's own blocks say. */
export const returning = 1;
/** Bit of the mark that says: a route leads there. */
const routed = 4;
export const metadataAddress = "169.254.170.2";
/** Amazon's resolver by its fixed address; every VPC's own (`.2`) is translated to it. */
export const resolverAddress = "169.254.169.253";

export function vpcTable({ vpc, bridge, attached, uplinkAddress }: VpcTable): Table {
  const { interfaces } = vpc;
  const blocks = (family: 4 | 6) => elementsOf([...vpc.ipv4Cidrs, ...vpc.ipv6Cidrs].flatMap((cidr) => textOf(cidr, family)));
  const locals = interfaces.filter(({ local }) => local);
  const translated = uplinkAddress ? locals.map(({ address }) => `${address} : ${uplinkAddress}`) : [];
  const combinations = new Map(interfaces.filter((each) => !each.local?.open).map(({ groups }) => [combinationOf(groups), groups]));
  const verdicts = (family: 4 | 6, way: "in" | "out") =>
    interfaces.flatMap((each) => {
      const address = family === 4 ? each.address : each.ipv6;
      return address ? [`${address} : jump ${each.local?.open ? "open" : combinationOf(each.groups)}_${way}`] : [];
    });
  const known = new Set(vpc.groups.map(({ groupId }) => groupId));
  const combined = [...combinations].flatMap(([name, groups]) =>
    (["in", "out"] as const).map((way) => {
      const jumps = groups.filter((group) => known.has(group));
      return `  chain ${name}_${way} {\n${jumps.map((group) => `    jump ${nameOf(group)}_${way}\n`).join("")}  }\n`;
    }),
  );
  const reach = reaches(interfaces);
  const links = attached.flatMap((each) => {
    const found = interfaces.find(({ networkInterfaceId }) => networkInterfaceId === each.networkInterfaceId);
    return found ? [linkElements(found, each)] : [];
  });
  const sets: readonly (readonly [string, string, readonly string[]])[] = [
    ...(["sources4", "sources6"] as const).map(
      (name) => [name, `set ${name} { type ifname . ether_addr . ipv${name.slice(-1)}_addr;`, links.flatMap((each) => each[name])] as const,
    ),
    ["transit_out", "map transit_out { type ipv4_addr : ipv4_addr;", [...links.flatMap((each) => each.transit_out), ...translated]],
    ["transit_in", "map transit_in { type ipv4_addr : ipv4_addr;", links.flatMap((each) => each.transit_in)],
    ["locals", "set locals { type ipv4_addr;", locals.map(({ address }) => address)],
    ["published", "set published { type ipv4_addr;", interfaces.flatMap(({ address, publicIp }) => (publicIp ? [address] : []))],
    ...memberSets(vpc),
    ...([4, 6] as const).flatMap((family) =>
      (["in", "out"] as const).map(
        (way) => [`${way}${family}`, `map ${way}${family} { type ipv${family}_addr : verdict;`, verdicts(family, way)] as const,
      ),
    ),
    ["reaches", "map reaches { type ipv4_addr : verdict;", reach.elements],
  ];
  const resolvers = [...new Set([vpc.resolver, resolverAddress])].join(", ");
  const outsider = `ip saddr != ${bridge.gateway}`;
  const fixed = `  set blocks4 { type ipv4_addr; flags interval; auto-merge; ${blocks(4)} }
  set blocks6 { type ipv6_addr; flags interval; auto-merge; ${blocks(6)} }
${vpc.groups.map((group) => groupChains(group)).join("")}${combined.join("")}${reach.chains}  chain guard { type filter hook prerouting priority raw; policy drop;
    iifname { "lo", "${uplink}" } accept
    iifname . ether saddr . ip saddr @sources4 accept
    iifname . ether saddr . ip6 saddr @sources6 accept
    ip6 saddr { fe80::/10, :: } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
  chain way_back { type filter hook prerouting priority mangle; policy accept;
    iifname "${uplink}" ct state new ct mark set ${returning}
    iifname != "${uplink}" ct direction reply ct mark ${returning} meta mark set ${returning}
  }
  chain destination { type nat hook prerouting priority dstnat; policy accept;
    iifname "${uplink}" dnat ip to ip daddr map @transit_in
${vpc.dnsSupport ? `    iifname != "${uplink}" ip daddr { ${resolvers} } meta l4proto { tcp, udp } th dport 53 dnat ip to ${resolverAddress}\n` : ""}  }
  chain source { type nat hook postrouting priority srcnat; policy accept;
    oifname "${uplink}" snat ip to ip saddr map @transit_out
  }
  chain input { type filter hook input priority filter; policy drop;
    iifname "lo" accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ct state established,related accept
    iifname != "${uplink}" ip daddr @locals goto to_local
  }
  chain to_local {
    jump sending
    ip daddr vmap @in4
    drop
  }
  chain output { type filter hook output priority filter; policy accept;
    oifname "lo" accept
    ct state established,related accept
    ip saddr @locals goto from_local
  }
  chain from_local {
    oifname "${uplink}" ip daddr ${bridge.gateway} accept
    ip saddr vmap @out4
    meta mark & ${letOut} != ${letOut} drop
    oifname "${uplink}" goto from_local_beyond
    ip daddr vmap @in4
    drop
  }
  chain from_local_beyond {
    ip daddr @blocks4 drop
    ip daddr 169.254.0.0/16 drop
    ip daddr ${bridge.subnet} drop
  }
  chain open_out {
    meta mark set mark | ${letOut}
  }
  chain open_in {
    accept
  }
  chain arriving {
    ct status dnat goto arrived
    drop
  }
  chain arrived {
    ${outsider} ip saddr @blocks4 drop
    ${outsider} ip saddr ${bridge.subnet} drop
    ${outsider} ip daddr != @published drop
  }
  chain sending {
    ip saddr vmap @out4
    ip6 saddr vmap @out6
    meta mark & ${letOut} != ${letOut} drop
  }
  chain leaving {
    ip daddr ${metadataAddress} tcp dport 80 accept
${vpc.dnsSupport ? `    ip daddr ${resolverAddress} meta l4proto { tcp, udp } th dport 53 accept\n` : ""}    ip daddr @blocks4 drop
    ip daddr 169.254.0.0/16 drop
    ip daddr != ${bridge.gateway} ip daddr ${bridge.subnet} drop
    ip saddr vmap @reaches
    meta mark & ${routed} != ${routed} drop
  }
  chain forward { type filter hook forward priority filter; policy drop;
    ct state invalid drop
    oifname "${uplink}" ct direction original jump leaving
    ct state established,related accept
    iifname "${uplink}" jump arriving
    iifname != "${uplink}" jump sending
    oifname "${uplink}" accept
    ip daddr vmap @in4
    ip6 daddr vmap @in6
  }
`;
  return { sets: new Map(sets.map(([name, head, elements]) => [name, { head, elements: new Set(elements) }])), fixed };
}

/** A table in two parts: what comes and goes with interfaces, and what changes only with groups, routes and blocks. */
export interface Table {
  readonly sets: ReadonlyMap<string, { readonly head: string; readonly elements: ReadonlySet<string> }>;
  readonly fixed: string;
}

/** The whole table, replacing what stood there in one transaction. */
export function wholeText({ sets, fixed }: Table): string {
  const text = [...sets.values()].map(({ head, elements }) => `  ${head} ${elementsOf([...elements])} }\n`).join("");
  return `add table inet ${tableName}\ndelete table inet ${tableName}\ntable inet ${tableName} {\n${text}${fixed}}\n`;
}

/** The elements that make `after` out of `before`, in one transaction as well; undefined where more than elements differs. */
export function changeText(before: Table, after: Table): string | undefined {
  if (before.fixed !== after.fixed || before.sets.size !== after.sets.size) return undefined;
  const [gone, come]: [string[], string[]] = [[], []];
  for (const [name, { head, elements }] of after.sets) {
    const old = before.sets.get(name);
    if (old?.head !== head) return undefined;
    const change = (verb: string, list: string[]) =>
      list.length > 0 ? [`${verb} element inet ${tableName} ${name} { ${list.join(", ")} }\n`] : [];
    gone.push(
      ...change(
        "delete",
        [...old.elements].filter((element) => !elements.has(element)),
      ),
    );
    come.push(
      ...change(
        "add",
        [...elements].filter((element) => !old.elements.has(element)),
      ),
    );
  }
  return [...gone, ...come].join("");
}

const combinationOf = (groups: readonly string[]) => `all_of_${groups.map((group) => nameOf(group)).join("_")}`;

interface LinkElements {
  readonly sources4: readonly string[];
  readonly sources6: readonly string[];
  readonly transit_out: readonly string[];
  readonly transit_in: readonly string[];
}

/** What the table holds of an interface's link. */
function linkElements({ mac, address, ipv6 }: VpcInterface, { link, transit }: AttachedLink): LinkElements {
  return {
    sources4: [`"${link}" . ${mac} . ${address}`],
    sources6: ipv6 ? [`"${link}" . ${mac} . ${ipv6}`] : [],
    transit_out: [`${address} : ${transit}`],
    transit_in: [`${transit} : ${address}`],
  };
}

const everywhere = "0.0.0.0/0";

/** Interfaces with the same routes share a chain; most reach everything or nothing. */
function reaches(interfaces: readonly VpcInterface[]): { chains: string; elements: string[] } {
  // Always there: the first interface with a way out, the commonest change, alters elements only.
  const chains = new Map([[everywhere, "reach_all"]]);
  const elements = interfaces.flatMap(({ address, reaches: list }) => {
    const blocks = list.flatMap((cidr) => textOf(cidr, 4));
    if (blocks.length === 0) return [];
    const key = blocks.some((block) => block.endsWith("/0")) ? everywhere : blocks.toSorted().join(", ");
    if (!chains.has(key)) chains.set(key, `reach_${chains.size}`);
    return [`${address} : jump ${chains.get(key)}`];
  });
  return { chains: [...chains].map(([key, name]) => reachSet(name, key)).join(""), elements };
}

function reachSet(name: string, blocks: string): string {
  const mark = `meta mark set mark | ${routed}`;
  if (blocks === everywhere) return `  chain ${name} {\n    ${mark}\n  }\n`;
  return `  set ${name}_blocks { type ipv4_addr; flags interval; auto-merge; elements = { ${blocks} } }
  chain ${name} {\n    ip daddr @${name}_blocks ${mark}\n  }\n`;
}

function textOf(cidr: string, family: 4 | 6): string[] {
  const block = parseBlock(cidr);
  return block?.family === family ? [block.text] : [];
}
