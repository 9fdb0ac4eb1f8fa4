import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { NetworkAclEntry, NetworkAclRecord } from "#model/vpc-records.ts";
import { type Change, need, type Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { apiTags } from "./tags.ts";

/**
 * Each VPC's default network ACL: there are no others yet. Entries may come and go, so that Terraform can adopt the ACL, but they let everything
 * through: nobody enforces others yet. Source: Amazon EC2 API Reference, "DescribeNetworkAcls" and its kin.
 */

const last = 32_767;
const lastIpv6 = 32_768;

function entryViews({ entries }: NetworkAclRecord, withIpv6: boolean): Sdk.NetworkAclEntry[] {
  const view = (egress: boolean, cidr: string, RuleNumber: number, RuleAction: "allow" | "deny"): Sdk.NetworkAclEntry => ({
    ...(cidr.includes(":") ? { Ipv6CidrBlock: cidr } : { CidrBlock: cidr }),
    Egress: egress,
    Protocol: "-1",
    RuleAction,
    RuleNumber,
  });
  return [true, false].flatMap((egress) => [
    ...entries.filter((each) => each.egress === egress).map(({ cidr, number }) => view(egress, cidr, number, "allow")),
    view(egress, "0.0.0.0/0", last, "deny"),
    ...(withIpv6 ? [view(egress, "::/0", lastIpv6, "deny")] : []),
  ]);
}

type EntryRequest = Sdk.CreateNetworkAclEntryRequest | Sdk.ReplaceNetworkAclEntryRequest;

function entryOf(input: EntryRequest): NetworkAclEntry {
  const { RuleNumber: number = 0, Egress: egress = false } = input;
  if (number < 1 || number > 32_766)
    throw ec2Errors.invalid(`Value (${number}) for parameter ruleNumber is invalid. Must be between 1 and 32766.`);
  if ((input.CidrBlock === undefined) === (input.Ipv6CidrBlock === undefined))
    throw ec2Errors.combination("Exactly one of cidrBlock and ipv6CidrBlock must be specified");
  const cidr = input.CidrBlock ?? input.Ipv6CidrBlock ?? "";
  const everything = input.RuleAction === "allow" && ["-1", "all"].includes(input.Protocol ?? "") && ["0.0.0.0/0", "::/0"].includes(cidr);
  if (!everything) throw ec2Errors.notYet("entries of network ACLs that let through less than everything; security groups do");
  return { number, egress, cidr };
}

const same = (one: NetworkAclEntry, number: number | undefined, egress: boolean | undefined) =>
  one.number === number && one.egress === egress;
const noEntry = (number: number | undefined) =>
  new ApiError("InvalidNetworkAclEntry.NotFound", `The network acl entry identified by ${number} does not exist.`);

export async function createNetworkAclEntry(change: Change, input: Sdk.CreateNetworkAclEntryRequest): Promise<object> {
  const acl = await need(change, "network-acl", input.NetworkAclId ?? "");
  const entry = entryOf(input);
  if (acl.entries.some((each) => same(each, entry.number, entry.egress)))
    throw new ApiError("NetworkAclEntryAlreadyExists", `The network acl entry identified by ${entry.number} already exists.`);
  change.put("network-acl", acl.id, { ...acl, entries: [...acl.entries, entry].toSorted((a, b) => a.number - b.number) });
  return {};
}

export async function replaceNetworkAclEntry(change: Change, input: Sdk.ReplaceNetworkAclEntryRequest): Promise<object> {
  const acl = await need(change, "network-acl", input.NetworkAclId ?? "");
  const entry = entryOf(input);
  if (!acl.entries.some((each) => same(each, entry.number, entry.egress))) throw noEntry(entry.number);
  change.put("network-acl", acl.id, {
    ...acl,
    entries: acl.entries.map((each) => (same(each, entry.number, entry.egress) ? entry : each)),
  });
  return {};
}

export async function deleteNetworkAclEntry(change: Change, input: Sdk.DeleteNetworkAclEntryRequest): Promise<object> {
  const acl = await need(change, "network-acl", input.NetworkAclId ?? "");
  if (!acl.entries.some((each) => same(each, input.RuleNumber, input.Egress))) throw noEntry(input.RuleNumber);
  change.put("network-acl", acl.id, { ...acl, entries: acl.entries.filter((each) => !same(each, input.RuleNumber, input.Egress)) });
  return {};
}

export async function describeNetworkAcls(
  question: Question,
  input: Sdk.DescribeNetworkAclsRequest,
): Promise<Sdk.DescribeNetworkAclsResult> {
  const dual = new Set((await question.all("vpc")).filter(({ ipv6 }) => ipv6.length > 0).map(({ id }) => id));
  const view = (acl: NetworkAclRecord): Sdk.NetworkAcl => ({
    Associations: acl.associations.map(({ id, subnetId }) => ({ NetworkAclAssociationId: id, NetworkAclId: acl.id, SubnetId: subnetId })),
    Entries: entryViews(acl, dual.has(acl.vpcId)),
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
