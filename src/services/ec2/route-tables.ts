import type * as Sdk from "@aws-sdk/client-ec2";
import type { RouteTableRecord, VpcRecord } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question, repeated } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { routeViews } from "./routes.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Route tables and what they are associated with. Source: Amazon EC2 API Reference, "CreateRouteTable" and its kin. */

const associated = { State: "associated" } as const;

function view(account: string, table: RouteTableRecord, routes: Sdk.Route[]): Sdk.RouteTable {
  return {
    Associations: table.associations.map(({ id, main, subnetId, gatewayId }) => ({
      Main: main,
      RouteTableAssociationId: id,
      RouteTableId: table.id,
      SubnetId: subnetId,
      GatewayId: gatewayId,
      AssociationState: associated,
    })),
    PropagatingVgws: [],
    RouteTableId: table.id,
    Routes: routes,
    Tags: apiTags(table.tags),
    VpcId: table.vpcId,
    OwnerId: account,
  };
}

export async function createRouteTable(change: Change, input: Sdk.CreateRouteTableRequest): Promise<Sdk.CreateRouteTableResult> {
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  const { client, earlier } = repeated(await change.all("route-table"), input);
  const table: RouteTableRecord = earlier ?? {
    id: newId(change.random, "rtb"),
    vpcId: vpc.id,
    associations: [],
    routes: [],
    client,
    tags: tagsFor("route-table", input.TagSpecifications),
  };
  if (!earlier) change.put("route-table", table.id, table);
  return {
    RouteTable: view(
      change.scope.account,
      table,
      routeViews(table, vpc, () => true),
    ),
    ClientToken: input.ClientToken,
  };
}

export async function deleteRouteTable(change: Change, { RouteTableId: id = "" }: Sdk.DeleteRouteTableRequest): Promise<object> {
  const table = await need(change, "route-table", id);
  const inEndpoint = (await change.all("vpc-endpoint")).some(({ routeTableIds }) => routeTableIds.includes(id));
  if (table.associations.length > 0 || inEndpoint)
    throw ec2Errors.dependency(`The routeTable '${id}' has dependencies and cannot be deleted.`);
  change.delete("route-table", id);
  return {};
}

export async function associateRouteTable(change: Change, input: Sdk.AssociateRouteTableRequest): Promise<Sdk.AssociateRouteTableResult> {
  const table = await need(change, "route-table", input.RouteTableId ?? "");
  const { SubnetId: subnetId, GatewayId: gatewayId } = input;
  if ((subnetId === undefined) === (gatewayId === undefined))
    throw ec2Errors.combination("Exactly one of subnetId and gatewayId must be specified");
  const vpcId =
    subnetId === undefined
      ? (await need(change, "internet-gateway", gatewayId ?? "")).vpcId
      : (await need(change, "subnet", subnetId)).vpcId;
  if (vpcId !== table.vpcId)
    throw ec2Errors.invalid(
      `Route table ${table.id} and ${subnetId === undefined ? "gateway" : "subnet"} ${subnetId ?? gatewayId} belong to different networks`,
    );
  for (const other of await change.all("route-table"))
    for (const each of other.associations) {
      if (each.subnetId !== subnetId || each.gatewayId !== gatewayId || each.main) continue;
      if (other.id === table.id) return { AssociationId: each.id, AssociationState: associated };
      throw ec2Errors.alreadyAssociated(`the specified association for route table ${table.id} conflicts with an existing association`);
    }
  const id = newId(change.random, "rtbassoc");
  change.put("route-table", table.id, { ...table, associations: [...table.associations, { id, main: false, subnetId, gatewayId }] });
  return { AssociationId: id, AssociationState: associated };
}

async function withAssociation(change: Change, id: string) {
  for (const table of await change.all("route-table")) {
    const association = table.associations.find((each) => each.id === id);
    if (association) return { table, association, rest: table.associations.filter((each) => each !== association) };
  }
  throw ec2Errors.noAssociation(id);
}

export async function disassociateRouteTable(
  change: Change,
  { AssociationId: id = "" }: Sdk.DisassociateRouteTableRequest,
): Promise<object> {
  const { table, association, rest } = await withAssociation(change, id);
  if (association.main) throw ec2Errors.invalid(`cannot disassociate the main route table association ${id}`);
  change.put("route-table", table.id, { ...table, associations: rest });
  return {};
}

/** Of the main association: the other table becomes the VPC's main one. */
export async function replaceRouteTableAssociation(
  change: Change,
  { AssociationId: id = "", RouteTableId: tableId = "" }: Sdk.ReplaceRouteTableAssociationRequest,
): Promise<Sdk.ReplaceRouteTableAssociationResult> {
  const { table, association, rest } = await withAssociation(change, id);
  const target = await need(change, "route-table", tableId);
  if (target.vpcId !== table.vpcId) throw ec2Errors.invalid(`Route tables ${table.id} and ${target.id} belong to different networks`);
  if (target.id === table.id) return { NewAssociationId: id, AssociationState: associated };
  const moved = { ...association, id: newId(change.random, "rtbassoc") };
  change.put("route-table", table.id, { ...table, associations: rest });
  change.put("route-table", target.id, { ...target, associations: [...target.associations, moved] });
  return { NewAssociationId: moved.id, AssociationState: associated };
}

/** Which targets of routes are there and lead somewhere: a route to any other is a black hole. */
async function living(question: Question): Promise<(target: string, vpcId: string) => boolean> {
  const vpcOf = new Map<string, string | undefined>();
  for (const { id, vpcId } of await question.all("internet-gateway")) vpcOf.set(id, vpcId);
  for (const { id, vpcId, state } of await question.all("nat-gateway")) if (state === "available") vpcOf.set(id, vpcId);
  for (const { id, vpcId, attachment } of await question.all("network-interface")) if (attachment) vpcOf.set(id, vpcId);
  for (const { id, vpcId } of await question.all("vpc-endpoint")) vpcOf.set(id, vpcId);
  return (target, vpcId) => vpcOf.get(target) === vpcId;
}

export async function describeRouteTables(
  question: Question,
  input: Sdk.DescribeRouteTablesRequest,
): Promise<Sdk.DescribeRouteTablesResult> {
  const vpcs = new Map((await question.all("vpc")).map((vpc): [string, VpcRecord] => [vpc.id, vpc]));
  const alive = await living(question);
  const { items, NextToken } = describe(question, {
    operation: "DescribeRouteTables",
    kind: "route-table",
    most: 100,
    items: (await question.all("route-table")).map((table) =>
      view(
        question.scope.account,
        table,
        routeViews(table, vpcs.get(table.vpcId), (target) => alive(target, table.vpcId)),
      ),
    ),
    id: ({ RouteTableId = "" }) => RouteTableId,
    ids: input.RouteTableIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "association.gateway-id": (table) => table.Associations?.map(({ GatewayId }) => GatewayId),
      "association.main": (table) => table.Associations?.map(({ Main }) => Main),
      "association.route-table-association-id": (table) =>
        table.Associations?.map(({ RouteTableAssociationId }) => RouteTableAssociationId),
      "association.route-table-id": (table) => table.Associations?.map(({ RouteTableId }) => RouteTableId),
      "association.subnet-id": (table) => table.Associations?.map(({ SubnetId }) => SubnetId),
      "owner-id": ({ OwnerId }) => OwnerId,
      "route-table-id": ({ RouteTableId }) => RouteTableId,
      "route.destination-cidr-block": (table) => table.Routes?.map(({ DestinationCidrBlock }) => DestinationCidrBlock),
      "route.destination-ipv6-cidr-block": (table) => table.Routes?.map(({ DestinationIpv6CidrBlock }) => DestinationIpv6CidrBlock),
      "route.destination-prefix-list-id": (table) => table.Routes?.map(({ DestinationPrefixListId }) => DestinationPrefixListId),
      "route.egress-only-internet-gateway-id": () => undefined,
      "route.gateway-id": (table) => table.Routes?.map(({ GatewayId }) => GatewayId),
      "route.instance-id": (table) => table.Routes?.map(({ InstanceId }) => InstanceId),
      "route.nat-gateway-id": (table) => table.Routes?.map(({ NatGatewayId }) => NatGatewayId),
      "route.transit-gateway-id": () => undefined,
      "route.origin": (table) => table.Routes?.map(({ Origin }) => Origin),
      "route.state": (table) => table.Routes?.map(({ State }) => State),
      "route.vpc-peering-connection-id": () => undefined,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { RouteTables: items, NextToken };
}
