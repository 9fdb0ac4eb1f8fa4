import type * as Sdk from "@aws-sdk/client-ec2";
import type { NetworkAclRecord } from "#model/vpc-records.ts";
import type { Question } from "./context.ts";
import { describe } from "./describe.ts";
import { apiTags } from "./tags.ts";

/** Each VPC's default network ACL, which lets everything through: there are no others yet. Source: Amazon EC2 API Reference, "DescribeNetworkAcls". */

const last = 32_767;
const lastIpv6 = 32_768;

function entries(withIpv6: boolean): Sdk.NetworkAclEntry[] {
  const all: Sdk.NetworkAclEntry[] = [];
  for (const Egress of [true, false]) {
    all.push({ CidrBlock: "0.0.0.0/0", Egress, Protocol: "-1", RuleAction: "allow", RuleNumber: 100 });
    if (withIpv6) all.push({ Ipv6CidrBlock: "::/0", Egress, Protocol: "-1", RuleAction: "allow", RuleNumber: 101 });
    all.push({ CidrBlock: "0.0.0.0/0", Egress, Protocol: "-1", RuleAction: "deny", RuleNumber: last });
    if (withIpv6) all.push({ Ipv6CidrBlock: "::/0", Egress, Protocol: "-1", RuleAction: "deny", RuleNumber: lastIpv6 });
  }
  return all;
}

export async function describeNetworkAcls(
  question: Question,
  input: Sdk.DescribeNetworkAclsRequest,
): Promise<Sdk.DescribeNetworkAclsResult> {
  const dual = new Set((await question.all("vpc")).filter(({ ipv6 }) => ipv6.length > 0).map(({ id }) => id));
  const view = (acl: NetworkAclRecord): Sdk.NetworkAcl => ({
    Associations: acl.associations.map(({ id, subnetId }) => ({ NetworkAclAssociationId: id, NetworkAclId: acl.id, SubnetId: subnetId })),
    Entries: entries(dual.has(acl.vpcId)),
    IsDefault: true,
    NetworkAclId: acl.id,
    Tags: apiTags(acl.tags),
    VpcId: acl.vpcId,
    OwnerId: question.scope.account,
  });
  const { items, NextToken } = describe(question, {
    operation: "DescribeNetworkAcls",
    kind: "network-acl",
    items: (await question.all("network-acl")).map(view),
    id: ({ NetworkAclId = "" }) => NetworkAclId,
    ids: input.NetworkAclIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "association.association-id": ({ Associations = [] }) => Associations.map((each) => each.NetworkAclAssociationId),
      "association.network-acl-id": ({ Associations = [] }) => Associations.map(({ NetworkAclId }) => NetworkAclId),
      "association.subnet-id": ({ Associations = [] }) => Associations.map(({ SubnetId }) => SubnetId),
      default: ({ IsDefault }) => IsDefault,
      "entry.cidr": ({ Entries = [] }) => Entries.map(({ CidrBlock }) => CidrBlock),
      "entry.icmp.code": () => undefined,
      "entry.icmp.type": () => undefined,
      "entry.ipv6-cidr": ({ Entries = [] }) => Entries.map(({ Ipv6CidrBlock }) => Ipv6CidrBlock),
      "entry.port-range.from": () => undefined,
      "entry.port-range.to": () => undefined,
      "entry.protocol": ({ Entries = [] }) => Entries.map(({ Protocol }) => Protocol),
      "entry.rule-action": ({ Entries = [] }) => Entries.map(({ RuleAction }) => RuleAction),
      "entry.egress": ({ Entries = [] }) => Entries.map(({ Egress }) => Egress),
      "entry.rule-number": ({ Entries = [] }) => Entries.map(({ RuleNumber }) => RuleNumber),
      "network-acl-id": ({ NetworkAclId }) => NetworkAclId,
      "owner-id": ({ OwnerId }) => OwnerId,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { NetworkAcls: items, NextToken };
}
