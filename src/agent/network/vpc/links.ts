import type { VpcInterface, VpcState } from "#agent-protocol/vpc.ts";
import { returning, uplink } from "./rules.ts";

/** Namespaces, links, addresses and routes of a VPC as text for `ip -batch`. Pure. All but what makes a link may be repeated. */

/** The VPC's own namespace with its uplink, whose other end lies in the machine's bridge. Run on the machine. */
export function makeVpc({ namespace, link, bridge, mtu }: { namespace: string; link: string; bridge: string; mtu: number }): string {
  return `netns add ${namespace}
link add ${link} mtu ${mtu} type veth peer name ${uplink} mtu ${mtu} netns ${namespace}
link set ${link} master ${bridge} up
${hairpin(link)}`;
}

/**
 * One task of a VPC to another's public address: where bridged frames pass the machine's rules (Docker asks for that), the bridge itself sends the
 * packet on to its new destination, which is behind the link that it came from.
 */
export const hairpin = (link: string) => `link set ${link} type bridge_slave hairpin on\n`;

/**
 * Inside the VPC's namespace: the uplink's address and routes. Answers that must go back to the machine are looked up before all else, since the VPC's
 * blocks may be the machine's too.
 */
export function uplinkText({ address, gateway }: { address: string; gateway: string }): string {
  return `link set lo up
addr replace ${address}/32 dev ${uplink}
link set ${uplink} up
route replace default via ${gateway} dev ${uplink} onlink
route replace default via ${gateway} dev ${uplink} onlink table 100
`;
}

export const firstRules = `rule add pref 10 lookup local
rule add pref 5 fwmark ${returning}/${returning} lookup 100
rule del pref 0 lookup local
`;

/** Before any link is made: routing is on, and a packet's source is the guard's to judge (rules.ts), not the routes'. */
export const settings: readonly (readonly [string, string])[] = [
  ["ipv4/ip_forward", "1"],
  ["ipv6/conf/all/forwarding", "1"],
  ...["all", "default"].flatMap(
    (which) =>
      [
        [`ipv4/conf/${which}/rp_filter`, "0"],
        [`ipv4/conf/${which}/accept_local`, "1"],
        [`ipv4/conf/${which}/arp_ignore`, "0"],
        [`ipv4/conf/${which}/arp_filter`, "0"],
        [`ipv4/conf/${which}/send_redirects`, "0"],
        [`ipv4/conf/${which}/accept_redirects`, "0"],
        [`ipv6/conf/${which}/accept_dad`, "0"],
      ] as const,
  ),
];

/** The addresses that the VPC itself has: of load balancers, and of its subnets' gateways, which tasks ask for by ARP. The resolver's is only translated. */
export function ownAddresses({ interfaces }: VpcState): Set<string> {
  return new Set(interfaces.flatMap(({ gateway, local, address }) => (local ? [gateway, address] : [gateway])));
}

export interface TaskLink {
  /** The task's namespace. */
  readonly namespace: string;
  /** The VPC's. */
  readonly vpc: string;
  /** The device in the VPC's namespace; the task's end is eth0. */
  readonly link: string;
  readonly transit: string;
  readonly mtu: number;
}

/** On the machine. `there`: the task's namespace exists and lost its link. */
export function makeLink({ namespace, vpc, link, mtu }: TaskLink, there: boolean): string {
  return `${there ? "" : `netns add ${namespace}\n`}link add ${link} mtu ${mtu} netns ${vpc} type veth peer name eth0 mtu ${mtu} netns ${namespace}\n`;
}

/** In the VPC's namespace: what needs no knowledge of the interface. */
export function linkUp({ link, transit }: TaskLink): string {
  return `link set ${link} addrgenmode none\nlink set ${link} up\naddr replace ${transit}/32 dev ${uplink}\n`;
}

export const taskUp = "link set lo up\nlink set eth0 addrgenmode none\nlink set eth0 up\n";

/** In the VPC's namespace: the way to the interface. Its hardware address is known, and nobody need ask for it. */
export function routeTo({ address, mac, ipv6 }: VpcInterface, link: string): string {
  const four = `route replace ${address}/32 dev ${link} scope link\nneigh replace ${address} lladdr ${mac} dev ${link} nud permanent\n`;
  if (!ipv6) return four;
  return `${four}addr replace ${router6}/64 dev ${link} nodad
route replace ${ipv6}/128 dev ${link}
neigh replace ${ipv6} lladdr ${mac} dev ${link} nud permanent
`;
}

const router6 = "fe80::1";

/** In the task's namespace. All goes by the subnet's gateway, which is the VPC; gVisor takes exactly these addresses and routes for itself. */
export function interfaceText({ mac, address, subnet, gateway, ipv6 }: VpcInterface): string {
  const four = `link set eth0 address ${mac}
addr replace ${address}/${subnet.split("/")[1] ?? "32"} dev eth0 noprefixroute
route replace ${gateway}/32 dev eth0 scope link
route replace default via ${gateway} dev eth0
`;
  if (!ipv6) return four;
  return `${four}addr replace ${ownLinkLocal(mac)}/64 dev eth0 nodad
addr replace ${ipv6}/64 dev eth0 nodad noprefixroute
route replace default via ${router6} dev eth0
`;
}

/** The modified EUI-64 of RFC 4291, which the kernel would have made. */
function ownLinkLocal(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(":").map((part) => Number.parseInt(part, 16));
  const word = (high: number, low: number) => (high * 256 + low).toString(16);
  return `fe80::${word(a ^ 2, b)}:${word(c, 0xff)}:${word(0xfe, d)}:${word(e, f)}`;
}

/** In the VPC's namespace, with `-force`: neither may be there any more. */
export function removeLink({ link, transit }: { link: string; transit: string }): string {
  return `link del ${link}\naddr del ${transit}/32 dev ${uplink}\n`;
}
