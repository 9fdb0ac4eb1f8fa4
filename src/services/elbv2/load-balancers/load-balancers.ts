import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, LoadBalancerRecord, LoadBalancerZone, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { takePublicAddress } from "#reconcilers/vpc/addresses.ts";
import { arnOf, findLoadBalancer, needLoadBalancer, newId, pathOf } from "../arns.ts";
import type { Change, Question } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { deleteListenerRecords } from "../listeners/delete.ts";
import { checkName, oneOf } from "../names.ts";
import { page } from "../pages.ts";
import { tagsFor } from "../tags.ts";
import { groupsFor } from "./groups.ts";
import { loadBalancerView } from "./view.ts";
import { giveZone, type Place, placesOf, takeZone } from "./zones.ts";

/** Load balancers. Source: Elastic Load Balancing API Reference, "CreateLoadBalancer" and its kin. */

type Settings = Pick<LoadBalancerRecord, "type" | "scheme" | "ipAddressType">;

export async function createLoadBalancer(change: Change, input: Sdk.CreateLoadBalancerInput): Promise<Sdk.CreateLoadBalancerOutput> {
  const { unit, scope, making } = change;
  const { Name: name = "" } = input;
  checkName(name, "Load balancer");
  const settings = settingsOf(input);
  const { type, scheme, ipAddressType } = settings;
  const tags = tagsFor(input.Tags);
  const places = await placesOf(change, settings, input);
  const { vpcId } = places[0]!.subnet;
  const groups = await groupsFor(change, type, vpcId, input.SecurityGroups);

  const all = await change.list<LoadBalancerRecord>(elbKeys.loadBalancers(scope));
  const namesake = all.find((each) => each.name === name);
  if (namesake) {
    if (!sameAs(namesake, settings, places, groups)) throw elbErrors.duplicateLoadBalancer(name);
    return { LoadBalancers: [loadBalancerView(namesake, scope.region)] };
  }
  if (all.filter((each) => each.type === type).length >= limits[`${type}-load-balancers`])
    throw elbErrors.tooMany("LoadBalancers", `The maximum number of ${type} load balancers has been reached`);

  const id = newId(making.random);
  const path = pathOf({ type, name, id });
  const zones: LoadBalancerZone[] = [];
  for (const place of places) zones.push(await takeZone(change, { id, name, type, ipAddressType }, groups, place));
  const record: LoadBalancerRecord = {
    id,
    arn: arnOf(scope, `loadbalancer/${path}`),
    name,
    ...settings,
    vpcId,
    zones,
    groups,
    dnsName: dnsNameOf(name, scheme, number(id), scope.region, change.domain),
    address: await takePublicAddress(unit, making.publicPool, path, making.random),
    createdAt: change.now,
    attributes: {},
    ...(type === "network" && groups.length > 0 ? { enforceGroupsOnPrivateLink: "on" as const } : {}),
    tags,
  };
  unit.put(elbKeys.loadBalancer(scope, id), record);
  return { LoadBalancers: [{ ...loadBalancerView(record, scope.region), State: { Code: "provisioning" } }] };
}

function settingsOf(input: Sdk.CreateLoadBalancerInput): Settings {
  const type = oneOf(input.Type || "application", ["application", "network", "gateway"] as const, "type");
  if (type === "gateway") throw elbErrors.notYet("Gateway Load Balancers");
  const scheme = oneOf(input.Scheme || "internet-facing", ["internet-facing", "internal"] as const, "scheme");
  if (input.CustomerOwnedIpv4Pool !== undefined) throw elbErrors.notYet("customer-owned address pools");
  if (input.IpamPools?.Ipv4IpamPoolId !== undefined) throw elbErrors.notYet("IPAM pools");
  if (input.EnablePrefixForIpv6SourceNat === "on") throw elbErrors.notYet("IPv6 prefixes for source NAT");
  return { type, scheme, ipAddressType: ipAddressTypeOf(input.IpAddressType || "ipv4") };
}

function ipAddressTypeOf(given: string): LoadBalancerRecord["ipAddressType"] {
  const type = oneOf(given, ["ipv4", "dualstack", "dualstack-without-public-ipv4"] as const, "ipAddressType");
  if (type === "dualstack-without-public-ipv4") throw elbErrors.notYet("load balancers without public IPv4 addresses");
  return type;
}

/** The digits that AWS puts behind the name: of the id, so that they stay the same. */
const number = (id: string) => String(Number.parseInt(id.slice(0, 8), 16)).padStart(10, "1");

/** `web-1234567890.us-east-1.elb.<domain>`, of an internal one `internal-web-…`. */
const dnsNameOf = (name: string, scheme: LoadBalancerRecord["scheme"], digits: string, region: string, domain: string) =>
  `${scheme === "internal" ? "internal-" : ""}${name}-${digits}.${region}.elb.${domain}`.toLowerCase();

function sameAs(
  record: LoadBalancerRecord,
  { type, scheme, ipAddressType }: Settings,
  places: readonly Place[],
  groups: readonly string[],
) {
  const zone = (subnet: string, allocation = "", address = "") => `${subnet} ${allocation} ${address}`;
  return (
    record.type === type &&
    record.scheme === scheme &&
    record.ipAddressType === ipAddressType &&
    record.groups.toSorted().join() === groups.toSorted().join() &&
    record.zones.map((each) => zone(each.subnetId, each.elasticIp?.allocationId, each.fixedPrivateIp ? each.privateIp : "")).join() ===
      places.map((each) => zone(each.subnet.id, each.allocationId, each.privateIp)).join()
  );
}

/** Deleting what is not there is no error, as with AWS. */
export async function deleteLoadBalancer(change: Change, input: Sdk.DeleteLoadBalancerInput): Promise<Sdk.DeleteLoadBalancerOutput> {
  const { unit, scope } = change;
  const arn = input.LoadBalancerArn ?? "";
  const record = await findLoadBalancer(change, arn);
  if (!record) {
    if (!/^arn:[a-z-]+:elasticloadbalancing:.*:loadbalancer\/.+/.test(arn))
      throw elbErrors.invalid(`'${arn}' is not a valid load balancer ARN`);
    return {};
  }
  if ((record.attributes["deletion_protection.enabled"] ?? "false") === "true")
    throw elbErrors.notPermitted(`Load balancer '${arn}' cannot be deleted because deletion protection is enabled`);
  if (record.type === "application") await refuseTargets(change, record);
  for (const listener of await change.list<ListenerRecord>(elbKeys.listenersOf(scope, record.id)))
    await deleteListenerRecords(change, listener);
  for (const zone of record.zones) await giveZone(change, zone);
  unit.delete(vpcKeys.publicAddress(record.address));
  unit.delete(elbKeys.loadBalancer(scope, record.id));
  return {};
}

/** An application load balancer that stands behind a network one stays. */
async function refuseTargets(change: Change, { arn }: LoadBalancerRecord): Promise<void> {
  for (const group of await change.list<TargetGroupRecord>(elbKeys.targetGroups(change.scope))) {
    if (group.targetType !== "alb") continue;
    const targets = await change.list<TargetRecord>(elbKeys.targets(change.scope, group.id));
    if (targets.some(({ id, deregisteringAt }) => id === arn && deregisteringAt === undefined))
      throw elbErrors.inUse(`Load balancer '${arn}' cannot be deleted because it is currently associated with another service`);
    await change.get(elbKeys.targetsTaken(change.scope, group.id));
  }
}

export async function describeLoadBalancers(
  question: Question,
  input: Sdk.DescribeLoadBalancersInput,
): Promise<Sdk.DescribeLoadBalancersOutput> {
  const { LoadBalancerArns: arns = [], Names: names = [] } = input;
  if (arns.length > 0 && names.length > 0)
    throw elbErrors.invalid("Load balancer names and load balancer ARNs cannot be specified at the same time");
  if (arns.length > 20 || names.length > 20)
    throw elbErrors.invalid("The maximum number of load balancers that can be described at once is '20'");
  const all = await question.list<LoadBalancerRecord>(elbKeys.loadBalancers(question.scope));
  for (const arn of arns) await needLoadBalancer(question, arn);
  const absent = names.filter((name) => !all.some((each) => each.name === name));
  if (absent.length > 0) throw elbErrors.noLoadBalancerNames(absent);
  const wanted = all.filter(({ arn, name }) => (arns.length === 0 && names.length === 0) || arns.includes(arn) || names.includes(name));
  const { items, NextMarker } = page(question, "DescribeLoadBalancers", wanted, ({ id }) => id, input, [arns, names]);
  return { LoadBalancers: items.map((each) => loadBalancerView(each, question.scope.region)), NextMarker };
}

export async function setIpAddressType(change: Change, input: Sdk.SetIpAddressTypeInput): Promise<Sdk.SetIpAddressTypeOutput> {
  const record = await needLoadBalancer(change, input.LoadBalancerArn);
  const ipAddressType = ipAddressTypeOf(input.IpAddressType ?? "");
  const subnets = record.zones.map(({ subnetId }) => subnetId);
  if (ipAddressType !== record.ipAddressType) await replaceZones(change, { ...record, ipAddressType }, subnets);
  return { IpAddressType: ipAddressType };
}

/** Interfaces get or lose their IPv6 addresses with the type: they are made anew, and keep what their owner chose. */
async function replaceZones(change: Change, record: LoadBalancerRecord, subnets: readonly string[]): Promise<void> {
  const mappings = record.zones.map((zone) => ({
    SubnetId: zone.subnetId,
    AllocationId: zone.elasticIp?.allocationId,
    PrivateIPv4Address: zone.fixedPrivateIp ? zone.privateIp : undefined,
  }));
  const places = await placesOf(change, record, { SubnetMappings: mappings.filter(({ SubnetId }) => subnets.includes(SubnetId)) });
  for (const zone of record.zones) await giveZone(change, zone);
  const zones: LoadBalancerZone[] = [];
  for (const place of places) zones.push(await takeZone(change, record, record.groups, place));
  change.unit.put(elbKeys.loadBalancer(change.scope, record.id), { ...record, zones } satisfies LoadBalancerRecord);
}

/** Subnets that stay keep their interfaces; others come and go. */
export async function setSubnets(change: Change, input: Sdk.SetSubnetsInput): Promise<Sdk.SetSubnetsOutput> {
  const before = await needLoadBalancer(change, input.LoadBalancerArn);
  const ipAddressType = input.IpAddressType === undefined ? before.ipAddressType : ipAddressTypeOf(input.IpAddressType);
  if (input.EnablePrefixForIpv6SourceNat === "on") throw elbErrors.notYet("IPv6 prefixes for source NAT");
  const record = { ...before, ipAddressType };
  const places = await placesOf(change, record, input);
  if (places[0]!.subnet.vpcId !== record.vpcId) throw elbErrors.subnet(`All subnets must belong to VPC '${record.vpcId}'`);
  const stays = (zone: LoadBalancerZone) =>
    ipAddressType === before.ipAddressType &&
    places.some(
      ({ subnet, allocationId, privateIp }) =>
        subnet.id === zone.subnetId &&
        (allocationId === undefined || allocationId === zone.elasticIp?.allocationId) &&
        (privateIp === undefined || privateIp === zone.privateIp),
    );
  const kept = record.zones.filter(stays);
  for (const zone of record.zones) if (!kept.includes(zone)) await giveZone(change, zone);
  const zones: LoadBalancerZone[] = [];
  for (const place of places)
    zones.push(kept.find(({ subnetId }) => subnetId === place.subnet.id) ?? (await takeZone(change, record, record.groups, place)));
  const changed: LoadBalancerRecord = { ...record, zones };
  change.unit.put(elbKeys.loadBalancer(change.scope, record.id), changed);
  const { AvailabilityZones } = loadBalancerView(changed, change.scope.region);
  return { AvailabilityZones, IpAddressType: ipAddressType };
}

/** None can be reserved here: a load balancer has what the machine has. */
export async function describeCapacityReservation(
  question: Question,
  input: Sdk.DescribeCapacityReservationInput,
): Promise<Sdk.DescribeCapacityReservationOutput> {
  const { createdAt } = await needLoadBalancer(question, input.LoadBalancerArn);
  return { LastModifiedTime: new Date(createdAt), DecreaseRequestsRemaining: 2, CapacityReservationState: [] };
}
