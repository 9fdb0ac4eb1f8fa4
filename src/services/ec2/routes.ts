import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { contains, formatBlock, knownBlock } from "#model/cidr.ts";
import { prefixListsOf } from "#model/prefix-lists.ts";
import type { RouteTableRecord, VpcRecord } from "#model/vpc-records.ts";
import { blocksOf, readBlock } from "./blocks.ts";
import { type Change, need } from "./context.ts";
import { ec2Errors } from "./errors.ts";

/** Routes. Source: Amazon EC2 API Reference, "CreateRoute" and its kin; Amazon VPC User Guide, "Route tables". */

type Stored = RouteTableRecord["routes"][number];
type Destination = Pick<Sdk.CreateRouteRequest, "DestinationCidrBlock" | "DestinationIpv6CidrBlock" | "DestinationPrefixListId">;

/** The local routes first, which the VPC's blocks imply. */
export function routeViews(table: RouteTableRecord, vpc: VpcRecord | undefined, alive: (target: string) => boolean): Sdk.Route[] {
  const blocks = vpc ? [vpc.cidr, ...vpc.otherCidrs.map(({ cidr }) => cidr), ...vpc.ipv6.map(({ cidr }) => cidr)] : [];
  return [
    ...blocks.map((block): Sdk.Route => ({ ...destinationView(block), GatewayId: "local", Origin: "CreateRouteTable", State: "active" })),
    ...table.routes.map(({ destination, target, origin }): Sdk.Route => ({
      ...destinationView(destination),
      ...targetView(target),
      Origin: origin,
      State: alive(target) ? "active" : "blackhole",
    })),
  ];
}

function destinationView(destination: string): Destination {
  if (destination.startsWith("pl-")) return { DestinationPrefixListId: destination };
  return destination.includes(":") ? { DestinationIpv6CidrBlock: destination } : { DestinationCidrBlock: destination };
}

function targetView(target: string): Sdk.Route {
  if (target.startsWith("nat-")) return { NatGatewayId: target };
  if (target.startsWith("eni-")) return { NetworkInterfaceId: target };
  return { GatewayId: target };
}

/** In canonical form: what tells a table's routes apart. */
function destinationOf(change: Change, input: Destination): string {
  const given = [input.DestinationCidrBlock, input.DestinationIpv6CidrBlock, input.DestinationPrefixListId].filter(
    (each) => each !== undefined,
  );
  if (given.length !== 1)
    throw ec2Errors.combination(
      "Exactly one of destinationCidrBlock, destinationIpv6CidrBlock and destinationPrefixListId must be specified",
    );
  if (input.DestinationCidrBlock !== undefined) return formatBlock(readBlock(input.DestinationCidrBlock, 4, "destinationCidrBlock"));
  if (input.DestinationIpv6CidrBlock !== undefined)
    return formatBlock(readBlock(input.DestinationIpv6CidrBlock, 6, "destinationIpv6CidrBlock"));
  const id = input.DestinationPrefixListId ?? "";
  if (!prefixListsOf(change.scope.region).some((list) => list.id === id))
    throw new ApiError("InvalidPrefixListID.NotFound", `The prefix list ID '${id}' does not exist`);
  return id;
}

const named = (destination: string) => {
  if (destination.startsWith("pl-")) return "destination-prefix-list-id";
  return destination.includes(":") ? "destination-ipv6-cidr-block" : "destination-cidr-block";
};

/** The target, which must be there and of the table's VPC. */
async function targetOf(change: Change, input: Sdk.CreateRouteRequest, table: RouteTableRecord): Promise<string> {
  const elsewhere = [
    input.TransitGatewayId,
    input.LocalGatewayId,
    input.CarrierGatewayId,
    input.CoreNetworkArn,
    input.OdbNetworkArn,
    input.EgressOnlyInternetGatewayId,
    input.VpcPeeringConnectionId,
  ].find((each) => each !== undefined);
  if (elsewhere !== undefined) throw ec2Errors.notYet(`routes to ${elsewhere}`);
  if (input.InstanceId !== undefined) throw ec2Errors.noInstance(input.InstanceId);
  const { GatewayId: gateway, NatGatewayId: nat, NetworkInterfaceId: eni, VpcEndpointId: endpoint } = input;
  const given = [gateway, nat, eni, endpoint].filter((each) => each !== undefined);
  if (given.length === 0) throw ec2Errors.missing("the target of the route");
  if (given.length > 1) throw ec2Errors.combination("Only one target of a route can be specified");
  if (gateway?.startsWith("vgw-")) throw ec2Errors.notYet(`routes to ${gateway}`);
  if (endpoint ?? gateway?.startsWith("vpce-"))
    throw ec2Errors.invalid(`Endpoint ${endpoint ?? gateway} is no Gateway Load Balancer endpoint: a route cannot lead to it.`);
  const { vpcId } =
    gateway !== undefined
      ? await need(change, "internet-gateway", gateway)
      : nat !== undefined
        ? await need(change, "nat-gateway", nat)
        : await need(change, "network-interface", eni ?? "");
  const id = given[0]!;
  if (vpcId !== table.vpcId)
    throw ec2Errors.invalid(
      `route table ${table.id} and ${gateway === undefined ? "interface" : "network gateway"} ${id} belong to different networks`,
    );
  return id;
}

async function refuseLocal(change: Change, table: RouteTableRecord, destination: string): Promise<void> {
  if (destination.startsWith("pl-")) return;
  const vpc = await need(change, "vpc", table.vpcId);
  const block = knownBlock(destination);
  for (const own of [...blocksOf(vpc), ...vpc.ipv6.map(({ cidr }) => knownBlock(cidr))]) {
    if (formatBlock(own) === destination) throw alreadyThere(destination);
    if (contains(own, block))
      throw ec2Errors.notYet(`routes more specific than the VPC's own block (${destination} within ${formatBlock(own)})`);
  }
}

const alreadyThere = (destination: string) => new ApiError("RouteAlreadyExists", `The route identified by ${destination} already exists.`);
const noRoute = (table: RouteTableRecord, destination: string) =>
  new ApiError("InvalidRoute.NotFound", `no route with ${named(destination)} ${destination} in route table ${table.id}`);

export async function createRoute(change: Change, input: Sdk.CreateRouteRequest): Promise<Sdk.CreateRouteResult> {
  const table = await need(change, "route-table", input.RouteTableId ?? "");
  const destination = destinationOf(change, input);
  if (destination.startsWith("pl-"))
    throw ec2Errors.invalid(`Prefix list ${destination} can be the destination of a gateway endpoint's routes only.`);
  await refuseLocal(change, table, destination);
  const target = await targetOf(change, input, table);
  const same = table.routes.find((route) => route.destination === destination);
  if (same && same.target !== target) throw alreadyThere(destination);
  if (!same) put(change, table, [...table.routes, { destination, target, origin: "CreateRoute" }]);
  return { Return: true };
}

export async function replaceRoute(change: Change, input: Sdk.ReplaceRouteRequest): Promise<object> {
  const table = await need(change, "route-table", input.RouteTableId ?? "");
  const destination = destinationOf(change, input);
  await refuseLocal(change, table, destination);
  const target = await targetOf(change, input, table);
  if (!table.routes.some((route) => route.destination === destination)) throw noRoute(table, destination);
  put(
    change,
    table,
    table.routes.map((route) => (route.destination === destination ? { ...route, target } : route)),
  );
  return {};
}

export async function deleteRoute(change: Change, input: Sdk.DeleteRouteRequest): Promise<object> {
  const table = await need(change, "route-table", input.RouteTableId ?? "");
  const destination = destinationOf(change, input);
  const vpc = await need(change, "vpc", table.vpcId);
  if ([...blocksOf(vpc).map(formatBlock), ...vpc.ipv6.map(({ cidr }) => cidr)].includes(destination))
    throw ec2Errors.invalid(`cannot remove local route ${destination} in route table ${table.id}`);
  const route = table.routes.find((each) => each.destination === destination);
  if (!route) throw noRoute(table, destination);
  if (route.target.startsWith("vpce-"))
    throw ec2Errors.invalid(`cannot remove VPC endpoint route ${destination} in route table ${table.id}`);
  put(
    change,
    table,
    table.routes.filter((each) => each !== route),
  );
  return {};
}

const put = (change: Change, table: RouteTableRecord, routes: readonly Stored[]) =>
  change.put("route-table", table.id, { ...table, routes });
