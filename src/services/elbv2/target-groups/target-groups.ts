import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerProtocol, LoadBalancerRecord, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { arnOf, findTargetGroup, needLoadBalancer, needTargetGroup, newId } from "../arns.ts";
import type { Change, Question } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { checkName, oneOf, within } from "../names.ts";
import { page } from "../pages.ts";
import { usageOfAll } from "../rules/forwards.ts";
import { tagsFor } from "../tags.ts";
import { healthCheckOf, healthCheckView } from "./health-check.ts";

/** Target groups. Source: Elastic Load Balancing API Reference, "CreateTargetGroup" and its kin. */

function groupView(group: TargetGroupRecord, loadBalancers: readonly string[]): Sdk.TargetGroup {
  return {
    TargetGroupArn: group.arn,
    TargetGroupName: group.name,
    Protocol: group.protocol,
    Port: group.port,
    VpcId: group.vpcId,
    ...healthCheckView(group.healthCheck),
    LoadBalancerArns: [...loadBalancers],
    TargetType: group.targetType,
    ProtocolVersion: group.protocolVersion,
    IpAddressType: group.ipAddressType,
  };
}

type Kind = Pick<TargetGroupRecord, "protocol" | "protocolVersion" | "targetType" | "ipAddressType" | "port">;

function kindOf(input: Sdk.CreateTargetGroupInput): Kind {
  const targetType = oneOf(input.TargetType || "instance", ["instance", "ip", "lambda", "alb"] as const, "targetType");
  if (targetType === "lambda") throw elbErrors.notYet("target groups of Lambda functions");
  if (input.TargetControlPort !== undefined) throw elbErrors.notYet("the target optimizer");
  if (input.Protocol === undefined) throw elbErrors.invalid("A protocol must be specified");
  const given = oneOf(input.Protocol, ["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "GENEVE", "QUIC", "TCP_QUIC"] as const, "protocol");
  if (given === "GENEVE" || given === "QUIC" || given === "TCP_QUIC") throw elbErrors.notYet(`target groups of protocol '${given}'`);
  const protocol: ListenerProtocol = given;
  if (targetType === "alb" && protocol !== "TCP")
    throw elbErrors.configuration(`Target type 'alb' must have protocol 'TCP', not '${protocol}'`);
  if (input.Port === undefined) throw elbErrors.invalid("A port must be specified");
  const port = within(input.Port, 1, 65_535, "Target group port");
  const ipAddressType = oneOf(input.IpAddressType || "ipv4", ["ipv4", "ipv6"] as const, "ipAddressType");
  if (ipAddressType === "ipv6" && targetType !== "ip") throw elbErrors.notYet(`IPv6 targets of type '${targetType}'`);
  return { protocol, targetType, ipAddressType, port, ...versionOf(protocol, input.ProtocolVersion || undefined) };
}

function versionOf(protocol: ListenerProtocol, given: string | undefined): Pick<TargetGroupRecord, "protocolVersion"> {
  if (protocol === "HTTP" || protocol === "HTTPS")
    return { protocolVersion: oneOf(given ?? "HTTP1", ["HTTP1", "HTTP2", "GRPC"] as const, "protocolVersion") };
  if (given !== undefined) throw elbErrors.invalid(`Protocol version '${given}' cannot be specified for protocol '${protocol}'`);
  return {};
}

export async function createTargetGroup(change: Change, input: Sdk.CreateTargetGroupInput): Promise<Sdk.CreateTargetGroupOutput> {
  const { unit, scope, making } = change;
  const { Name: name = "", VpcId: vpcId } = input;
  checkName(name, "Target group");
  const kind = kindOf(input);
  const healthCheck = healthCheckOf(kind, input);
  const tags = tagsFor(input.Tags);
  if (vpcId === undefined) throw elbErrors.invalid("A VPC ID must be specified");
  if (!(await change.get(vpcKeys.one(scope, "vpc", vpcId)))) throw elbErrors.invalid(`The VPC ID '${vpcId}' is not found`);

  const all = await change.list<TargetGroupRecord>(elbKeys.targetGroups(scope));
  const namesake = all.find((each) => each.name === name);
  if (namesake) {
    const settings = (each: Kind & Pick<TargetGroupRecord, "vpcId" | "healthCheck">) =>
      JSON.stringify([
        each.protocol,
        each.protocolVersion,
        each.targetType,
        each.ipAddressType,
        each.port,
        each.vpcId,
        sorted(each.healthCheck),
      ]);
    if (settings(namesake) !== settings({ ...kind, vpcId, healthCheck })) throw elbErrors.duplicateTargetGroup(name);
    return { TargetGroups: [groupView(namesake, await arnsOfUsers(change, namesake))] };
  }
  if (all.length >= limits["target-groups"])
    throw elbErrors.tooMany("TargetGroups", `The maximum number of target groups has been reached: '${limits["target-groups"]}'`);
  const id = newId(making.random);
  const record: TargetGroupRecord = {
    id,
    arn: arnOf(scope, `targetgroup/${name}/${id}`),
    name,
    ...kind,
    vpcId,
    healthCheck,
    attributes: {},
    createdAt: change.now,
    tags,
  };
  unit.put(elbKeys.targetGroup(scope, id), record);
  return { TargetGroups: [groupView(record, [])] };
}

const sorted = (record: object) => Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1));

async function arnsOfUsers(records: Change | Question, { id }: TargetGroupRecord): Promise<string[]> {
  return (await usersOf(records, id)).map(({ arn }) => arn);
}

/** The load balancers that route to the group. */
export async function usersOf(records: Change | Question, group: string): Promise<LoadBalancerRecord[]> {
  const users: LoadBalancerRecord[] = [];
  for (const id of (await usageOfAll(records)).get(group) ?? []) {
    const user = await records.get<LoadBalancerRecord>(elbKeys.loadBalancer(records.scope, id));
    if (user) users.push(user);
  }
  return users;
}

export async function modifyTargetGroup(change: Change, input: Sdk.ModifyTargetGroupInput): Promise<Sdk.ModifyTargetGroupOutput> {
  const group = await needTargetGroup(change, input.TargetGroupArn);
  const changed: TargetGroupRecord = { ...group, healthCheck: healthCheckOf(group, input, group.healthCheck) };
  change.unit.put(elbKeys.targetGroup(change.scope, group.id), changed);
  return { TargetGroups: [groupView(changed, await arnsOfUsers(change, group))] };
}

/** Deleting what is not there is no error, as with AWS. */
export async function deleteTargetGroup(change: Change, input: Sdk.DeleteTargetGroupInput): Promise<Sdk.DeleteTargetGroupOutput> {
  const { unit, scope } = change;
  const arn = input.TargetGroupArn ?? "";
  if (!/^arn:[a-z-]+:elasticloadbalancing:.*:targetgroup\/.+/.test(arn))
    throw elbErrors.invalid(`'${arn}' is not a valid target group ARN`);
  const group = await findTargetGroup(change, arn);
  if (!group) return {};
  if ((await usageOfAll(change)).has(group.id)) throw elbErrors.targetGroupInUse(arn);
  // Whoever registers a target puts this: none comes while the group goes.
  await change.get(elbKeys.targetsTaken(scope, group.id));
  for (const { id, port } of await change.list<TargetRecord>(elbKeys.targets(scope, group.id)))
    unit.delete(elbKeys.target(scope, group.id, id, port));
  unit.delete(elbKeys.targetsTaken(scope, group.id));
  unit.delete(elbKeys.targetGroup(scope, group.id));
  return {};
}

export async function describeTargetGroups(
  question: Question,
  input: Sdk.DescribeTargetGroupsInput,
): Promise<Sdk.DescribeTargetGroupsOutput> {
  const { LoadBalancerArn: balancer, TargetGroupArns: arns = [], Names: names = [] } = input;
  if ([balancer !== undefined, arns.length > 0, names.length > 0].filter(Boolean).length > 1)
    throw elbErrors.invalid("Only one of load balancer ARN, target group ARNs and names can be specified");
  const { scope } = question;
  const usage = await usageOfAll(question);
  const balancers = new Map((await question.list<LoadBalancerRecord>(elbKeys.loadBalancers(scope))).map((each) => [each.id, each.arn]));
  const all = await question.list<TargetGroupRecord>(elbKeys.targetGroups(scope));
  for (const arn of arns) await needTargetGroup(question, arn);
  if (names.some((name) => !all.some((each) => each.name === name))) throw elbErrors.noTargetGroup();
  const user = balancer === undefined ? undefined : (await needLoadBalancer(question, balancer)).id;
  const wanted = all.filter(({ id, arn, name }) => {
    if (user !== undefined) return usage.get(id)?.has(user);
    return (arns.length === 0 && names.length === 0) || arns.includes(arn) || names.includes(name);
  });
  const { items, NextMarker } = page(question, "DescribeTargetGroups", wanted, ({ id }) => id, input, [balancer, arns, names]);
  const view = (group: TargetGroupRecord) =>
    groupView(
      group,
      [...(usage.get(group.id) ?? [])].flatMap((id) => balancers.get(id) ?? []),
    );
  return { TargetGroups: items.map(view), NextMarker };
}
