import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { SecurityGroupRecord } from "#model/vpc-records.ts";
import { newGroup } from "#reconcilers/vpc/make-vpc.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "../context.ts";
import { describe, type FilterTable } from "../describe.ts";
import { ec2Errors } from "../errors.ts";
import { apiTags, tagsFor } from "../tags.ts";
import { permissionsOf } from "./permissions.ts";

/** Security groups. Source: Amazon EC2 API Reference, "CreateSecurityGroup" and its kin. */

const allowed = /^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]*$/;
const set = "a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*";

export async function createSecurityGroup(change: Change, input: Sdk.CreateSecurityGroupRequest): Promise<Sdk.CreateSecurityGroupResult> {
  const { GroupName: name = "", Description: description = "" } = input;
  for (const [what, text] of [
    ["GroupName", name],
    ["GroupDescription", description],
  ] as const) {
    if (text === "") throw ec2Errors.missing(what);
    if (text.length > 255 || !allowed.test(text))
      throw ec2Errors.invalid(
        `Value (${text}) for parameter ${what} is invalid. Character sets beyond ASCII are not supported. Up to 255 of: ${set}`,
      );
  }
  if (name === "default") throw ec2Errors.invalid("Cannot use reserved security group name: default");
  if (name.startsWith("sg-"))
    throw ec2Errors.invalid(`Value (${name}) for parameter GroupName is invalid. Group names may not be in the format sg-*.`);
  const vpc =
    input.VpcId === undefined ? (await change.all("vpc")).find(({ isDefault }) => isDefault) : await need(change, "vpc", input.VpcId);
  if (!vpc) throw new ApiError("VPCIdNotSpecified", "No default VPC for this user");
  if ((await change.all("security-group")).some((group) => group.vpcId === vpc.id && group.name === name))
    throw new ApiError("InvalidGroup.Duplicate", `The security group '${name}' already exists for VPC '${vpc.id}'`);
  const made = newGroup(change.scope, change.random, {
    vpcId: vpc.id,
    name,
    description,
    tags: tagsFor("security-group", input.TagSpecifications),
  });
  const ipv6 = { id: newId(change.random, "sgr"), direction: "egress", protocol: "-1", cidrIpv6: "::/0", tags: [] } as const;
  change.put("security-group", made.id, vpc.ipv6.length > 0 ? { ...made, rules: [...made.rules, ipv6] } : made);
  return { GroupId: made.id, Tags: apiTags(made.tags), SecurityGroupArn: made.arn };
}

/** By id, or in the default VPC by name. */
export async function chosenGroup(
  change: Change,
  { GroupId: id, GroupName: name }: { readonly GroupId?: string; readonly GroupName?: string },
): Promise<SecurityGroupRecord> {
  if (id !== undefined) return need(change, "security-group", id);
  if (name === undefined) throw ec2Errors.missing("GroupId");
  const vpc = (await change.all("vpc")).find(({ isDefault }) => isDefault);
  const group = (await change.all("security-group")).find((each) => each.vpcId === vpc?.id && each.name === name);
  if (!group) throw new ApiError("InvalidGroup.NotFound", `The security group '${name}' does not exist in default VPC '${vpc?.id ?? ""}'`);
  return group;
}

export async function deleteSecurityGroup(change: Change, input: Sdk.DeleteSecurityGroupRequest): Promise<Sdk.DeleteSecurityGroupResult> {
  const { id, name } = await chosenGroup(change, input);
  if (name === "default") throw new ApiError("CannotDelete", `the specified group: "${id}" name: "default" cannot be deleted by a user`);
  const referenced = (await change.all("security-group")).some(
    (group) => group.id !== id && group.rules.some(({ referencedGroupId }) => referencedGroupId === id),
  );
  const inEndpoint = (await change.all("vpc-endpoint")).some(({ groups }) => groups.includes(id));
  if (referenced || inEndpoint || (await change.all("network-interface")).some(({ groups }) => groups.includes(id)))
    throw ec2Errors.dependency(`resource ${id} has a dependent object`);
  change.delete("security-group", id);
  return { Return: true, GroupId: id };
}

const filters: FilterTable<Sdk.SecurityGroup> = {
  description: ({ Description }) => Description,
  "group-id": ({ GroupId }) => GroupId,
  "group-name": ({ GroupName }) => GroupName,
  "owner-id": ({ OwnerId }) => OwnerId,
  "vpc-id": ({ VpcId }) => VpcId,
  ...permissionFilters("ip-permission", ({ IpPermissions = [] }) => IpPermissions),
  ...permissionFilters("egress.ip-permission", ({ IpPermissionsEgress = [] }) => IpPermissionsEgress),
};

function permissionFilters(prefix: string, of: (group: Sdk.SecurityGroup) => readonly Sdk.IpPermission[]): FilterTable<Sdk.SecurityGroup> {
  const each =
    <T>(values: (permission: Sdk.IpPermission) => readonly T[]) =>
    (group: Sdk.SecurityGroup) =>
      of(group).flatMap(values);
  return {
    [`${prefix}.cidr`]: each(({ IpRanges = [] }) => IpRanges.map(({ CidrIp }) => CidrIp)),
    [`${prefix}.ipv6-cidr`]: each(({ Ipv6Ranges = [] }) => Ipv6Ranges.map(({ CidrIpv6 }) => CidrIpv6)),
    [`${prefix}.from-port`]: each(({ FromPort }) => [FromPort]),
    [`${prefix}.to-port`]: each(({ ToPort }) => [ToPort]),
    [`${prefix}.protocol`]: each(({ IpProtocol }) => [IpProtocol]),
    [`${prefix}.group-id`]: each(({ UserIdGroupPairs = [] }) => UserIdGroupPairs.map(({ GroupId }) => GroupId)),
    [`${prefix}.group-name`]: each(({ UserIdGroupPairs = [] }) => UserIdGroupPairs.map(({ GroupName }) => GroupName)),
    [`${prefix}.user-id`]: each(({ UserIdGroupPairs = [] }) => UserIdGroupPairs.map(({ UserId }) => UserId)),
    [`${prefix}.prefix-list-id`]: each(({ PrefixListIds = [] }) => PrefixListIds.map(({ PrefixListId }) => PrefixListId)),
  };
}

export async function describeSecurityGroups(
  question: Question,
  input: Sdk.DescribeSecurityGroupsRequest,
): Promise<Sdk.DescribeSecurityGroupsResult> {
  const { account } = question.scope;
  const all = await question.all("security-group");
  const names = input.GroupNames ?? [];
  const defaultVpc = names.length > 0 ? (await question.all("vpc")).find(({ isDefault }) => isDefault)?.id : undefined;
  const inDefault = all.filter(({ vpcId }) => vpcId === defaultVpc);
  for (const name of names)
    if (!inDefault.some((group) => group.name === name))
      throw new ApiError("InvalidGroup.NotFound", `The security group '${name}' does not exist in default VPC '${defaultVpc ?? ""}'`);
  const { items, NextToken } = describe(question, {
    operation: "DescribeSecurityGroups",
    kind: "security-group",
    items: (names.length > 0 ? inDefault.filter(({ name }) => names.includes(name)) : all).map((group): Sdk.SecurityGroup => ({
      GroupId: group.id,
      IpPermissionsEgress: permissionsOf(group.rules, "egress", account),
      Tags: apiTags(group.tags),
      VpcId: group.vpcId,
      SecurityGroupArn: group.arn,
      OwnerId: account,
      GroupName: group.name,
      Description: group.description,
      IpPermissions: permissionsOf(group.rules, "ingress", account),
    })),
    id: ({ GroupId = "" }) => GroupId,
    ids: input.GroupIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: filters,
  });
  return { SecurityGroups: items, NextToken };
}

/** Groups of other VPCs that name one of these: without peering there are none. */
export async function describeSecurityGroupReferences(
  question: Question,
  { GroupId: ids = [] }: Sdk.DescribeSecurityGroupReferencesRequest,
): Promise<Sdk.DescribeSecurityGroupReferencesResult> {
  for (const id of ids) await need(question, "security-group", id);
  return { SecurityGroupReferenceSet: [] };
}

/** Rules that name a group of a VPC whose peering has ended: without peering there are none. */
export async function describeStaleSecurityGroups(
  question: Question,
  { VpcId: id = "" }: Sdk.DescribeStaleSecurityGroupsRequest,
): Promise<Sdk.DescribeStaleSecurityGroupsResult> {
  await need(question, "vpc", id);
  return { StaleSecurityGroupSet: [] };
}
