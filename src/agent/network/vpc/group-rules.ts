import { isIP } from "node:net";
import type { SecurityGroupRuleState, VpcState } from "#agent-protocol/vpc.ts";

/** Security groups as nftables text. Pure. What can't be read matches nothing: a rule only ever lets through. */
type Group = VpcState["groups"][number];

/** Bit of the packet's mark that says: the sender's groups let it out. */
export const letOut = 2;

/** The two chains of a group: `…_out` marks what may leave, `…_in` accepts what may come in. */
export function groupChains({ groupId, ingress, egress }: Group): string {
  const name = nameOf(groupId);
  const lines = (rules: readonly SecurityGroupRuleState[], side: "saddr" | "daddr", verdict: string) =>
    rules.flatMap((rule) => matches(rule, side).map((match) => `    ${`${match} ${verdict}`.trim()}\n`)).join("");
  return (
    `  chain ${name}_out {\n${lines(egress, "daddr", `meta mark set mark | ${letOut} return`)}  }\n` +
    `  chain ${name}_in {\n${lines(ingress, "saddr", "accept")}  }\n`
  );
}

/** Sets of the addresses of every group that some rule refers to: name, head and elements. */
export function memberSets(vpc: VpcState): (readonly [string, string, readonly string[]])[] {
  const referred = new Set(
    vpc.groups.flatMap(({ ingress, egress }) => [...ingress, ...egress].flatMap(({ group }) => (group ? [group] : []))),
  );
  return [...referred].flatMap((group) =>
    ([4, 6] as const).map((family) => {
      const name = `${nameOf(group)}_m${family}`;
      const addresses = (vpc.members[group] ?? []).filter((address) => isIP(address) === family);
      return [name, `set ${name} { type ipv${family}_addr;`, addresses] as const;
    }),
  );
}

export function elementsOf(list: readonly string[]): string {
  return list.length > 0 ? `elements = { ${list.join(", ")} }` : "";
}

/** `sg-0a1b…` as an identifier of nftables. */
export function nameOf(group: string): string {
  return group.replaceAll(/[^a-zA-Z0-9]/g, "_");
}

/** One expression for each family that the rule speaks of. */
export function matches(rule: SecurityGroupRuleState, side: "saddr" | "daddr"): string[] {
  return peers(rule, side).flatMap(({ family, text }) => {
    const what = traffic(rule, family);
    return what === undefined ? [] : [`${text} ${what}`.trim()];
  });
}

function peers({ cidr, group }: SecurityGroupRuleState, side: string): { family: 4 | 6; text: string }[] {
  if (group) {
    const name = nameOf(group);
    return [
      { family: 4, text: `ip ${side} @${name}_m4` },
      { family: 6, text: `ip6 ${side} @${name}_m6` },
    ];
  }
  const block = cidr === undefined ? undefined : parseBlock(cidr);
  if (!block) return [];
  const { family, text, prefix } = block;
  if (prefix === 0) return [{ family, text: `meta nfproto ipv${family}` }];
  return [{ family, text: `${family === 4 ? "ip" : "ip6"} ${side} ${text}` }];
}

export function parseBlock(text: string): { family: 4 | 6; text: string; prefix: number } | undefined {
  const [address = "", length, ...rest] = text.split("/");
  const family = isIP(address);
  if (rest.length > 0 || (family !== 4 && family !== 6) || address.includes("%")) return undefined;
  const longest = family === 4 ? 32 : 128;
  const prefix = length === undefined ? longest : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  return prefix < 0 || prefix > longest ? undefined : { family, text: `${address}/${prefix}`, prefix };
}

const names: Readonly<Record<string, string>> = { "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6" };

/** Protocol and ports; undefined where the protocol is not of that family or not a protocol. */
function traffic({ protocol: given, fromPort, toPort }: SecurityGroupRuleState, family: 4 | 6): string | undefined {
  const protocol = names[given] ?? given.toLowerCase();
  if (protocol === "-1") return "";
  const whole = (value: number, most: number) => Number.isInteger(value) && value >= 0 && value <= most;
  if (protocol === "tcp" || protocol === "udp") {
    const first = fromPort ?? -1;
    const last = toPort ?? first;
    if (first === -1) return `meta l4proto ${protocol}`;
    if (!whole(first, 65535) || !whole(last, 65535) || last < first) return undefined;
    return `${protocol} dport ${first === last ? first : `${first}-${last}`}`;
  }
  if (protocol === "icmp" || protocol === "icmpv6") {
    if ((protocol === "icmp") !== (family === 4)) return undefined;
    const [type, code] = [fromPort ?? -1, toPort ?? -1];
    // Numbers of the kernel: nft's names for types have no place for those that it does not know.
    if (type === -1) return `meta l4proto ${protocol === "icmp" ? 1 : 58}`;
    if (!whole(type, 255) || (code !== -1 && !whole(code, 255))) return undefined;
    return `${protocol} type ${type}${code === -1 ? "" : ` ${protocol} code ${code}`}`;
  }
  return /^\d{1,3}$/.test(protocol) && Number(protocol) <= 255 ? `meta l4proto ${Number(protocol)}` : undefined;
}
