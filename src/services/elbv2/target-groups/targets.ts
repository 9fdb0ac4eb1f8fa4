import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { holdsAddress, knownBlock, parseAddress } from "#model/cidr.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, LoadBalancerRecord, TargetGroupRecord, TargetHealthRecord, TargetRecord } from "#model/elb-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import { healthOf, isRegistered } from "#reconcilers/load-balancers/health.ts";
import { deregisterTarget, registerTarget, type Registration } from "#reconcilers/load-balancers/targets.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import { findLoadBalancer, needTargetGroup } from "../arns.ts";
import type { Change, Question, Records } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { usersOf } from "./target-groups.ts";

/** Targets and their health. Source: Elastic Load Balancing API Reference, "RegisterTargets", "DeregisterTargets", "DescribeTargetHealth". */

/** Beside the VPC's own blocks: addresses that may be reached from it. */
const privateBlocks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"].map(knownBlock);

export async function registerTargets(change: Change, input: Sdk.RegisterTargetsInput): Promise<Sdk.RegisterTargetsOutput> {
  const { unit, scope, now } = change;
  const group = await needTargetGroup(change, input.TargetGroupArn);
  const given = input.Targets ?? [];
  if (given.length === 0) throw elbErrors.invalid("At least one target must be specified");
  const registrations: Registration[] = [];
  for (const target of given) registrations.push(await registrationOf(change, group, target));
  const there = await change.list<TargetRecord>(elbKeys.targets(scope, group.id));
  const keys = new Set(
    [...there.filter(({ deregisteringAt }) => deregisteringAt === undefined), ...registrations].map(({ id, port }) => `${id}:${port}`),
  );
  const most = limits["targets-per-target-group"];
  if (keys.size > (group.targetType === "alb" ? 1 : most))
    throw elbErrors.tooMany("Targets", `The maximum number of targets of target group '${group.arn}' has been reached`);
  if (given.length > 1 && new Set(registrations.map(({ id, port }) => `${id}:${port}`)).size < given.length)
    throw elbErrors.invalid("A target can be specified only once");
  for (const registration of registrations) await registerTarget(unit, scope, group.id, registration, now);
  return {};
}

const portOf = (group: TargetGroupRecord, { Port: port = group.port }: Sdk.TargetDescription): number => {
  if (port < 1 || port > 65_535) throw elbErrors.invalid(`Target port '${port}' must be between '1' and '65535' inclusive`);
  return port;
};

async function registrationOf(change: Change, group: TargetGroupRecord, target: Sdk.TargetDescription): Promise<Registration> {
  const { Id: id = "", AvailabilityZone: zone } = target;
  const port = portOf(group, target);
  if (target.QuicServerId !== undefined)
    throw elbErrors.configuration("A server ID can only be specified with protocol 'QUIC' or 'TCP_QUIC'");
  if (zone !== undefined && group.targetType !== "ip")
    throw elbErrors.invalid(`An Availability Zone cannot be specified for targets of type '${group.targetType}'`);
  if (group.targetType === "ip") return { id, port, ...(await placeOf(change, group, id, zone)) };
  if (group.targetType === "instance") await checkInstance(change, id);
  else await checkBalancer(change, group, id, port);
  return { id, port };
}

async function placeOf({ scope, get, list }: Change, group: TargetGroupRecord, address: string, zone: string | undefined) {
  const parsed = parseAddress(address);
  const family = group.ipAddressType === "ipv4" ? 4 : 6;
  if (parsed?.family !== family) throw elbErrors.invalid(`The IP address '${address}' is not a valid IPv${family} address`);
  if (zone !== undefined && zone !== "all" && !zonesOf(scope.region).some(({ name }) => name === zone))
    throw elbErrors.invalid(`Availability Zone '${zone}' is not valid`);
  const vpc = await get<VpcRecord>(vpcKeys.one(scope, "vpc", group.vpcId));
  const blocks = vpc ? [vpc.cidr, ...vpc.otherCidrs.map(({ cidr }) => cidr), ...vpc.ipv6.map(({ cidr }) => cidr)] : [];
  if (!blocks.some((cidr) => holdsAddress(knownBlock(cidr), address))) {
    if (!privateBlocks.some((block) => holdsAddress(block, address)))
      throw elbErrors.invalid(`The IP address '${address}' is not in the VPC '${group.vpcId}' and is not a private IP address`);
    if (zone === undefined)
      throw elbErrors.invalid(`You must specify an Availability Zone for the IP address '${address}', which is outside the VPC`);
    return { availabilityZone: zone };
  }
  const subnets = await list<SubnetRecord>(vpcKeys.of(scope, "subnet"));
  const subnet = subnets.find(
    ({ vpcId, cidr, ipv6 }) =>
      vpcId === group.vpcId && [cidr, ...(ipv6 ? [ipv6.cidr] : [])].some((each) => holdsAddress(knownBlock(each), address)),
  );
  const availabilityZone = zone ?? subnet?.availabilityZone;
  return availabilityZone === undefined ? {} : { availabilityZone };
}

/** Instances are the machines of ECS clusters, by the ids that their agents gave. */
async function checkInstance({ scope, list }: Change, id: string): Promise<void> {
  if (!/^m?i-[0-9a-f]{8,17}$/.test(id)) throw elbErrors.target(`The following targets are not valid instance IDs: '${id}'`);
  const instances = await list<ContainerInstanceRecord>(`/ecs/${scope.account}/${scope.region}/container-instance/`);
  if (!instances.some((each) => each.ec2InstanceId === id && each.status !== "INACTIVE"))
    throw elbErrors.target(`The following targets are not in a running state and cannot be registered: '${id}'`);
}

async function checkBalancer(change: Change, group: TargetGroupRecord, arn: string, port: number): Promise<void> {
  const balancer = await findLoadBalancer(change, arn);
  if (balancer?.type !== "application") throw elbErrors.target(`The target '${arn}' is not a valid Application Load Balancer`);
  if (balancer.vpcId !== group.vpcId) throw elbErrors.target(`The target '${arn}' is not in the VPC '${group.vpcId}'`);
  if (port !== group.port) throw elbErrors.target(`The port of target '${arn}' must be that of the target group, '${group.port}'`);
  const listeners = await change.list<ListenerRecord>(elbKeys.listenersOf(change.scope, balancer.id));
  if (!listeners.some((each) => each.port === port)) throw elbErrors.target(`The target '${arn}' has no listener on port '${port}'`);
}

/** Without a port: the group's. What is not registered is no error, as with AWS. */
export async function deregisterTargets(change: Change, input: Sdk.DeregisterTargetsInput): Promise<Sdk.DeregisterTargetsOutput> {
  const group = await needTargetGroup(change, input.TargetGroupArn);
  const given = input.Targets ?? [];
  if (given.length === 0) throw elbErrors.invalid("At least one target must be specified");
  for (const target of given)
    await deregisterTarget(change.unit, change.scope, group.id, { id: target.Id ?? "", port: portOf(group, target) }, change.now);
  return {};
}

export async function describeTargetHealth(
  question: Question,
  input: Sdk.DescribeTargetHealthInput,
): Promise<Sdk.DescribeTargetHealthOutput> {
  const { scope, now } = question;
  const group = await needTargetGroup(question, input.TargetGroupArn);
  const users = await usersOf(question, group.id);
  const name = ({ id, port }: { readonly id: string; readonly port: number }) => elbKeys.health(scope, group.id, id, port);
  const targets = new Map((await question.list<TargetRecord>(elbKeys.targets(scope, group.id))).map((each) => [name(each), each]));
  const wanted = (input.Targets ?? []).map((each) => ({ id: each.Id ?? "", port: portOf(group, each) }));
  const shown = wanted.length > 0 ? wanted : [...targets.values()].filter((each) => isRegistered(group, each, users.length > 0, now));
  const TargetHealthDescriptions: Sdk.TargetHealthDescription[] = [];
  for (const each of shown) TargetHealthDescriptions.push(await healthView(question, group, users, each, targets.get(name(each))));
  return { TargetHealthDescriptions };
}

async function healthView(
  records: Records,
  group: TargetGroupRecord,
  users: readonly LoadBalancerRecord[],
  { id, port }: { readonly id: string; readonly port: number },
  target: TargetRecord | undefined,
): Promise<Sdk.TargetHealthDescription> {
  const seen = await records.get<TargetHealthRecord>(elbKeys.health(records.scope, group.id, id, port));
  const { state, reason, description } = healthOf(group, target, seen, users, records.now);
  const { port: checkPort } = group.healthCheck;
  return {
    Target: { Id: id, Port: port, AvailabilityZone: target?.availabilityZone },
    HealthCheckPort: checkPort === "traffic-port" ? String(port) : checkPort,
    TargetHealth: { State: state, Reason: reason, Description: description },
    ...(group.protocol === "HTTP" || group.protocol === "HTTPS"
      ? { AnomalyDetection: { Result: "normal" as const, MitigationInEffect: "no" as const } }
      : {}),
  };
}
