import type { SecurityGroupRuleState, VpcState } from "#agent-protocol/vpc.ts";
import { matches } from "./vpc/group-rules.ts";

/**
 * Who may come to the load balancers' public addresses, in the machine's own table. Pure. A client from outside the VPC is judged by its address alone: rules
 * that refer to groups are about private addresses, as in AWS.
 */
export interface Front {
  readonly addresses: readonly string[];
  /** Undefined: no security groups, all may come. */
  readonly ingress: readonly SecurityGroupRuleState[] | undefined;
}

export function frontsOf(vpcs: readonly VpcState[]): Front[] {
  return vpcs.flatMap(({ interfaces, groups }) => {
    const known = new Map(groups.map((group) => [group.groupId, group.ingress]));
    return interfaces.flatMap(({ local, groups: own }) => {
      if (!local || local.publicAddresses.length === 0) return [];
      return [{ addresses: local.publicAddresses, ingress: local.open ? undefined : own.flatMap((group) => known.get(group) ?? []) }];
    });
  });
}

/** What stands in the table from its beginning: `balancers` keeps host ports of containers away from these addresses. */
export const balancerChains = `  set balancers { type ipv4_addr; }
  chain balancing { type filter hook input priority filter; policy accept; }
`;

/** Fills them, replacing what stood there in one transaction. */
export function balancerText(table: string, fronts: readonly Front[]): string {
  const addresses = [...new Set(fronts.flatMap((front) => front.addresses))];
  const rule = (text: string) => `add rule ip ${table} balancing ${text}\n`;
  const lines = fronts.flatMap((front) =>
    front.addresses.flatMap((address) => {
      const allowed = front.ingress?.flatMap((each) => (each.group ? [] : matches(each, "saddr"))) ?? [""];
      return allowed.flatMap((match) => {
        // The table is of IPv4 alone, where nft wants no word of the family.
        if (/\bip6\b|ipv6|icmpv6/.test(match)) return [];
        return [rule(["ip daddr", address, match.replace("meta nfproto ipv4", "").trim(), "accept"].filter(Boolean).join(" "))];
      });
    }),
  );
  return (
    `flush chain ip ${table} balancing\nflush set ip ${table} balancers\n` +
    (addresses.length > 0 ? `add element ip ${table} balancers { ${addresses.join(", ")} }\n` : "") +
    rule("ct state established,related accept") +
    [...new Set(lines)].join("") +
    rule("ip daddr @balancers drop")
  );
}
