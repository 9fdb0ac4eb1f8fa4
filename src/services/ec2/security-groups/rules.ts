import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { prefixListsOf } from "#model/prefix-lists.ts";
import type { SecurityGroupRecord, SecurityGroupRule } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "../context.ts";
import { describe } from "../describe.ts";
import { ec2Errors } from "../errors.ts";
import { apiTags, checkRuleId, noRule, tagsFor } from "../tags.ts";
import { chosenGroup } from "./groups.ts";
import { described, type Direction, ipv4, ipv6, rulesOf, sameRule, serviceOf, spoken, type Wanted } from "./permissions.ts";

/** The rules of security groups. Source: Amazon EC2 API Reference, "AuthorizeSecurityGroupIngress" and its kin. */

/** Inbound and outbound together, as EC2's quota counts them per direction. */
const mostRules = 1000;

function ruleView(account: string, group: SecurityGroupRecord, rule: SecurityGroupRule): Sdk.SecurityGroupRule {
  const region = group.arn.split(":")[3];
  return {
    SecurityGroupRuleId: rule.id,
    GroupId: group.id,
    GroupOwnerId: account,
    IsEgress: rule.direction === "egress",
    IpProtocol: rule.protocol,
    FromPort: rule.fromPort ?? -1,
    ToPort: rule.toPort ?? -1,
    CidrIpv4: rule.cidrIpv4,
    CidrIpv6: rule.cidrIpv6,
    PrefixListId: rule.prefixListId,
    ReferencedGroupInfo:
      rule.referencedGroupId === undefined ? undefined : { GroupId: rule.referencedGroupId, UserId: account, VpcId: group.vpcId },
    Description: rule.description,
    Tags: apiTags(rule.tags),
    SecurityGroupRuleArn: `arn:aws:ec2:${region}:${account}:security-group-rule/${rule.id}`,
  };
}

type Request = Sdk.AuthorizeSecurityGroupIngressRequest &
  Omit<Sdk.RevokeSecurityGroupIngressRequest, "GroupId"> & { readonly GroupId?: string };

/** The permissions of a request: a list of them, or one by the older parameters. */
function permissionsGiven(input: Request): readonly Sdk.IpPermission[] {
  if (input.IpPermissions?.length) return input.IpPermissions;
  if (input.IpProtocol === undefined && input.SourceSecurityGroupName === undefined) throw ec2Errors.missing("ipPermissions");
  const group = input.SourceSecurityGroupName;
  return [
    {
      IpProtocol: input.IpProtocol ?? "-1",
      FromPort: input.FromPort,
      ToPort: input.ToPort,
      IpRanges: input.CidrIp === undefined ? [] : [{ CidrIp: input.CidrIp }],
      UserIdGroupPairs: group === undefined ? [] : [{ GroupName: group }],
    },
  ];
}

async function wantedRules(change: Change, group: SecurityGroupRecord, direction: Direction, input: Request): Promise<Wanted[]> {
  const groups = await change.all("security-group");
  const rules = rulesOf(direction, permissionsGiven(input), ({ GroupId: id, GroupName: name, UserId: user }) => {
    if (user !== undefined && user !== "" && user !== change.scope.account)
      throw ec2Errors.notYet("references to groups of other accounts");
    const found = groups.find((each) => (id === undefined ? each.name === name : each.id === id) && each.vpcId === group.vpcId);
    if (found) return found.id;
    const elsewhere = groups.some((each) => each.id === id);
    if (elsewhere) throw ec2Errors.invalid(`You have specified two resources that belong to different networks: ${group.id} and ${id}`);
    throw new ApiError("InvalidGroup.NotFound", `The security group '${id ?? name ?? ""}' does not exist`);
  });
  for (const { prefixListId } of rules) if (prefixListId !== undefined) checkPrefixList(change, prefixListId);
  return rules;
}

function checkPrefixList({ scope }: Change, id: string): void {
  if (!prefixListsOf(scope.region).some((list) => list.id === id))
    throw new ApiError("InvalidPrefixListID.NotFound", `The prefix list ID '${id}' does not exist`);
}

export const authorize =
  (direction: Direction) =>
  async (change: Change, input: Request): Promise<Sdk.AuthorizeSecurityGroupIngressResult> => {
    const group = await chosenGroup(change, input);
    const wanted = await wantedRules(change, group, direction, input);
    const tags = tagsFor("security-group-rule", input.TagSpecifications);
    const made: SecurityGroupRule[] = [];
    for (const rule of wanted) {
      if (made.some((other) => sameRule(other, rule))) throw ec2Errors.invalid("The same permission must not appear multiple times");
      if (group.rules.some((other) => sameRule(other, rule))) throw duplicate(rule);
      made.push({ ...rule, id: newId(change.random, "sgr"), tags });
    }
    const rules = [...group.rules, ...made];
    if (rules.filter((rule) => rule.direction === direction).length > mostRules)
      throw new ApiError("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.");
    change.put("security-group", group.id, { ...group, rules });
    return { Return: true, SecurityGroupRules: made.map((rule) => ruleView(change.scope.account, group, rule)) };
  };

const duplicate = (rule: Wanted) => new ApiError("InvalidPermission.Duplicate", `the specified rule "${spoken(rule)}" already exists`);
const noPermission = () => new ApiError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.");

export const revoke =
  (direction: Direction) =>
  async (change: Change, input: Request): Promise<Sdk.RevokeSecurityGroupIngressResult> => {
    const group = await chosenGroup(change, input);
    const ids = input.SecurityGroupRuleIds ?? [];
    if (ids.length > 0 && input.IpPermissions?.length)
      throw ec2Errors.combination("The parameters SecurityGroupRuleIds and IpPermissions cannot be used together");
    const gone = new Set<SecurityGroupRule>();
    for (const id of ids) {
      checkRuleId(id);
      const rule = group.rules.find((each) => each.id === id && each.direction === direction);
      if (!rule) throw noRule(id);
      gone.add(rule);
    }
    for (const wanted of ids.length > 0 ? [] : await wantedRules(change, group, direction, input)) {
      const rule = group.rules.find((each) => sameRule(each, wanted));
      if (!rule) throw noPermission();
      gone.add(rule);
    }
    change.put("security-group", group.id, { ...group, rules: group.rules.filter((rule) => !gone.has(rule)) });
    return {
      Return: true,
      UnknownIpPermissions: [],
      RevokedSecurityGroupRules: [...gone].map((rule) => ({
        SecurityGroupRuleId: rule.id,
        GroupId: group.id,
        IsEgress: direction === "egress",
        IpProtocol: rule.protocol,
        FromPort: rule.fromPort ?? -1,
        ToPort: rule.toPort ?? -1,
        CidrIpv4: rule.cidrIpv4,
        CidrIpv6: rule.cidrIpv6,
        PrefixListId: rule.prefixListId,
        ReferencedGroupId: rule.referencedGroupId,
        Description: rule.description,
      })),
    };
  };

export async function modifySecurityGroupRules(
  change: Change,
  input: Sdk.ModifySecurityGroupRulesRequest,
): Promise<Sdk.ModifySecurityGroupRulesResult> {
  const group = await need(change, "security-group", input.GroupId ?? "");
  let { rules } = group;
  for (const { SecurityGroupRuleId: id = "", SecurityGroupRule: given = {} } of input.SecurityGroupRules ?? []) {
    checkRuleId(id);
    const old = rules.find((rule) => rule.id === id);
    if (!old) throw noRule(id);
    const peers = [given.CidrIpv4, given.CidrIpv6, given.PrefixListId, given.ReferencedGroupId].filter((each) => each !== undefined);
    if (peers.length !== 1) throw ec2Errors.combination("Exactly one source or destination of the rule must be specified");
    if (given.PrefixListId !== undefined) checkPrefixList(change, given.PrefixListId);
    if (given.ReferencedGroupId !== undefined) await need(change, "security-group", given.ReferencedGroupId);
    const changed: SecurityGroupRule = {
      id,
      tags: old.tags,
      direction: old.direction,
      ...serviceOf(given.IpProtocol, given.FromPort, given.ToPort),
      ...(given.CidrIpv4 === undefined ? {} : { cidrIpv4: ipv4(given.CidrIpv4) }),
      ...(given.CidrIpv6 === undefined ? {} : { cidrIpv6: ipv6(given.CidrIpv6) }),
      ...(given.PrefixListId === undefined ? {} : { prefixListId: given.PrefixListId }),
      ...(given.ReferencedGroupId === undefined ? {} : { referencedGroupId: given.ReferencedGroupId }),
      ...described(given.Description),
    };
    if (rules.some((rule) => rule.id !== id && sameRule(rule, changed))) throw duplicate(changed);
    rules = rules.map((rule) => (rule.id === id ? changed : rule));
  }
  change.put("security-group", group.id, { ...group, rules });
  return { Return: true };
}

export const updateDescriptions =
  (direction: Direction) =>
  async (
    change: Change,
    input: Sdk.UpdateSecurityGroupRuleDescriptionsIngressRequest,
  ): Promise<Sdk.UpdateSecurityGroupRuleDescriptionsIngressResult> => {
    const group = await chosenGroup(change, input);
    const texts = new Map<SecurityGroupRule, string | undefined>();
    for (const { SecurityGroupRuleId: id = "", Description } of input.SecurityGroupRuleDescriptions ?? []) {
      const rule = group.rules.find((each) => each.id === id && each.direction === direction);
      if (!rule) throw noRule(id);
      texts.set(rule, described(Description).description);
    }
    if (input.IpPermissions?.length)
      for (const wanted of await wantedRules(change, group, direction, input as Request)) {
        const rule = group.rules.find((each) => sameRule(each, wanted));
        if (!rule) throw noPermission();
        texts.set(rule, wanted.description);
      }
    if (texts.size === 0) throw ec2Errors.missing("ipPermissions or securityGroupRuleDescriptions");
    const rules = group.rules.map((rule) => (texts.has(rule) ? { ...rule, description: texts.get(rule) } : rule));
    change.put("security-group", group.id, { ...group, rules });
    return { Return: true };
  };

export async function describeSecurityGroupRules(
  question: Question,
  input: Sdk.DescribeSecurityGroupRulesRequest,
): Promise<Sdk.DescribeSecurityGroupRulesResult> {
  const groups = await question.all("security-group");
  const all = groups.flatMap((group) => group.rules.map((rule) => ruleView(question.scope.account, group, rule)));
  const ids = input.SecurityGroupRuleIds ?? [];
  for (const id of ids) {
    checkRuleId(id);
    if (!all.some(({ SecurityGroupRuleId }) => SecurityGroupRuleId === id)) throw noRule(id);
  }
  const id = ({ SecurityGroupRuleId = "" }: Sdk.SecurityGroupRule) => SecurityGroupRuleId;
  const { items, NextToken } = describe(question, {
    operation: "DescribeSecurityGroupRules",
    items: all.toSorted((a, b) => (id(a) < id(b) ? -1 : 1)),
    id,
    ids,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "group-id": ({ GroupId }) => GroupId,
      "security-group-rule-id": ({ SecurityGroupRuleId }) => SecurityGroupRuleId,
    },
  });
  return { SecurityGroupRules: items, NextToken };
}
