import type { NetworkInterfaceRecord, VpcEndpointRecord } from "#model/vpc-records.ts";
import { prefixListsOf } from "#model/prefix-lists.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { checkGroups, releaseInterface, takeInterface } from "#reconcilers/vpc/interfaces.ts";
import { ApiError } from "#api/contract.ts";
import { type Change, need } from "../context.ts";
import { ec2Errors } from "../errors.ts";

/**
 * What an endpoint is joined to, kept as it should be in one change: a gateway endpoint has a route in each of its tables, an interface endpoint a
 * network interface in each of its subnets, each with all of its groups.
 */

export interface Members {
  readonly routeTableIds: readonly string[];
  readonly subnetIds: readonly string[];
  readonly groups: readonly string[];
}

const requester = "amazon-vpce";

/** Writes the endpoint (and, unless it is going, checks its members) with all that hangs on it. */
export async function setMembers(change: Change, endpoint: VpcEndpointRecord, members: Members, going = false): Promise<VpcEndpointRecord> {
  if (!going) await check(change, endpoint, members);
  await setRoutes(change, endpoint, members.routeTableIds);
  const networkInterfaceIds = endpoint.type === "Interface" ? await setInterfaces(change, endpoint, members) : [];
  const changed: VpcEndpointRecord = { ...endpoint, ...members, networkInterfaceIds };
  change.put("vpc-endpoint", endpoint.id, changed);
  return changed;
}

async function check(change: Change, { type, vpcId }: VpcEndpointRecord, { routeTableIds, subnetIds, groups }: Members): Promise<void> {
  if (type === "Gateway" && subnetIds.length + groups.length > 0)
    throw ec2Errors.invalid("Subnets and security groups are for Interface endpoints only.");
  if (type === "Interface" && routeTableIds.length > 0) throw ec2Errors.invalid("Route table IDs are for Gateway endpoints only.");
  for (const id of routeTableIds)
    if ((await need(change, "route-table", id)).vpcId !== vpcId)
      throw ec2Errors.invalid(`Route table ${id} and VPC ${vpcId} belong to different networks`);
  const zones = new Set<string>();
  for (const id of subnetIds) {
    const subnet = await need(change, "subnet", id);
    if (subnet.vpcId !== vpcId) throw ec2Errors.invalid(`Subnet ${id} and VPC ${vpcId} belong to different networks`);
    if (zones.has(subnet.availabilityZone))
      throw new ApiError("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of " + id);
    zones.add(subnet.availabilityZone);
  }
  for (const id of groups) await need(change, "security-group", id);
  if (type === "Interface" && groups.length === 0) throw ec2Errors.invalid("An Interface endpoint needs at least one security group.");
}

async function setRoutes(change: Change, endpoint: VpcEndpointRecord, wanted: readonly string[]): Promise<void> {
  const list = prefixListsOf(change.scope.region).find(({ name }) => name === endpoint.serviceName);
  if (endpoint.type !== "Gateway" || !list) return;
  for (const table of await change.all("route-table")) {
    const there = table.routes.some(({ target }) => target === endpoint.id);
    if (there === wanted.includes(table.id)) continue;
    if (there) {
      change.put("route-table", table.id, { ...table, routes: table.routes.filter(({ target }) => target !== endpoint.id) });
      continue;
    }
    if (table.routes.some(({ destination }) => destination === list.id))
      throw new ApiError("RouteAlreadyExists", `route table ${table.id} already has a route with destination-prefix-list-id ${list.id}`);
    const route = { destination: list.id, target: endpoint.id, origin: "CreateRoute" } as const;
    change.put("route-table", table.id, { ...table, routes: [...table.routes, route] });
  }
}

async function setInterfaces(change: Change, endpoint: VpcEndpointRecord, { subnetIds, groups }: Members): Promise<string[]> {
  const kept: NetworkInterfaceRecord[] = [];
  for (const id of endpoint.networkInterfaceIds) {
    const record = await change.get("network-interface", id);
    if (record && subnetIds.includes(record.subnetId)) {
      await checkGroups(change.unit, change.scope, groups, { id: record.subnetId, vpcId: record.vpcId });
      change.put("network-interface", id, { ...record, groups: [...groups] });
      kept.push(record);
    } else await releaseInterface(change.unit, change.scope, id);
  }
  const ids = kept.map(({ id }) => id);
  for (const subnetId of subnetIds) {
    if (kept.some((record) => record.subnetId === subnetId)) continue;
    const { record } = await takeInterface(
      change.unit,
      change.scope,
      {
        subnetId,
        groups,
        description: `VPC Endpoint Interface ${endpoint.id}`,
        interfaceType: "vpc_endpoint",
        requesterId: requester,
        attachment: {
          id: newId(change.random, "ela-attach"),
          attachedAt: change.now,
          deviceIndex: 1,
          deleteOnTermination: false,
          instanceOwnerId: "amazon-aws",
        },
      },
      change.making,
    );
    ids.push(record.id);
  }
  return ids;
}
