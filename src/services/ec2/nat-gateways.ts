import type * as Sdk from "@aws-sdk/client-ec2";
import type { NatGatewayRecord } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { releaseInterface, takeInterface } from "#reconcilers/vpc/interfaces.ts";
import { associate, freeElasticIp } from "./elastic-ips.ts";
import { type Change, need, type Question, repeated } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** NAT gateways: available at once. Source: Amazon EC2 API Reference, "CreateNatGateway" and its kin. */

/** How long a deleted one is still shown. */
const shownMs = 3_600_000;
/** In whose name its interface is made. */
const requester = "amazon-nat-gateway";

function view(gateway: NatGatewayRecord): Sdk.NatGateway {
  const address: Sdk.NatGatewayAddress = {
    AllocationId: gateway.allocationId,
    NetworkInterfaceId: gateway.networkInterfaceId,
    PrivateIp: gateway.privateIp,
    PublicIp: gateway.publicIp,
    AssociationId: gateway.associationId,
    IsPrimary: true,
    Status: "succeeded",
  };
  return {
    CreateTime: new Date(gateway.createdAt),
    DeleteTime: gateway.deletedAt === undefined ? undefined : new Date(gateway.deletedAt),
    NatGatewayAddresses: [address],
    NatGatewayId: gateway.id,
    State: gateway.state,
    SubnetId: gateway.subnetId,
    VpcId: gateway.vpcId,
    Tags: apiTags(gateway.tags),
    ConnectivityType: gateway.connectivityType,
  };
}

export async function createNatGateway(change: Change, input: Sdk.CreateNatGatewayRequest): Promise<Sdk.CreateNatGatewayResult> {
  const type = input.ConnectivityType ?? "public";
  if (type !== "public" && type !== "private")
    throw ec2Errors.invalid(`Value (${String(type)}) for parameter connectivityType is invalid.`);
  if (input.AvailabilityMode === "regional" || input.AvailabilityZoneAddresses) throw ec2Errors.notYet("regional NAT gateways");
  if (input.SecondaryAllocationIds ?? input.SecondaryPrivateIpAddresses ?? input.SecondaryPrivateIpAddressCount)
    throw ec2Errors.notYet("secondary addresses of NAT gateways");
  const gateways = await change.all("nat-gateway");
  const { client, earlier } = repeated(gateways, input);
  if (earlier) return { ClientToken: input.ClientToken, NatGateway: view(earlier) };
  if (input.SubnetId === undefined) throw ec2Errors.missing("SubnetId");
  await need(change, "subnet", input.SubnetId);
  if (type === "private" && input.AllocationId !== undefined)
    throw ec2Errors.combination("AllocationId cannot be specified for a private NAT gateway");
  if (type === "public" && input.AllocationId === undefined) throw ec2Errors.missing("AllocationId");

  for (const old of gateways) if (old.deletedAt !== undefined && old.deletedAt + shownMs < change.now) change.delete("nat-gateway", old.id);
  const id = newId(change.random, "nat");
  const { record, subnet } = await takeInterface(
    change.unit,
    change.scope,
    {
      subnetId: input.SubnetId,
      groups: [],
      description: `Interface for NAT Gateway ${id}`,
      interfaceType: "nat_gateway",
      privateIps: input.PrivateIpAddress === undefined ? [] : [input.PrivateIpAddress],
      requesterId: requester,
      sourceDestCheck: false,
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
  const elastic = input.AllocationId === undefined ? undefined : await freeElasticIp(change, input.AllocationId);
  const associated = elastic && associate(change, elastic, record);
  const gateway: NatGatewayRecord = {
    id,
    vpcId: subnet.vpcId,
    subnetId: subnet.id,
    connectivityType: type,
    state: "available",
    createdAt: change.now,
    networkInterfaceId: record.id,
    privateIp: record.privateIps[0]!,
    allocationId: associated?.allocationId,
    associationId: associated?.associationId,
    publicIp: associated?.publicIp,
    client,
    tags: tagsFor("natgateway", input.TagSpecifications),
  };
  change.put("nat-gateway", id, gateway);
  return { ClientToken: input.ClientToken, NatGateway: { ...view(gateway), State: "pending" } };
}

/** Its Elastic IP stays; routes to it become black holes. It is shown as deleted for an hour. */
export async function deleteNatGateway(
  change: Change,
  { NatGatewayId: id = "" }: Sdk.DeleteNatGatewayRequest,
): Promise<Sdk.DeleteNatGatewayResult> {
  const gateway = await need(change, "nat-gateway", id);
  if (gateway.state !== "deleted") {
    await releaseInterface(change.unit, change.scope, gateway.networkInterfaceId);
    change.put("nat-gateway", id, { ...gateway, state: "deleted", deletedAt: change.now });
  }
  return { NatGatewayId: id };
}

export async function describeNatGateways(
  question: Question,
  input: Sdk.DescribeNatGatewaysRequest,
): Promise<Sdk.DescribeNatGatewaysResult> {
  const shown = (await question.all("nat-gateway")).filter(
    (each) => each.deletedAt === undefined || each.deletedAt + shownMs >= question.now,
  );
  const { items, NextToken } = describe(question, {
    operation: "DescribeNatGateways",
    kind: "nat-gateway",
    items: shown.map(view),
    id: ({ NatGatewayId = "" }) => NatGatewayId,
    ids: input.NatGatewayIds,
    input,
    filters: input.Filter,
    tags: ({ Tags }) => Tags,
    table: {
      "connectivity-type": ({ ConnectivityType }) => ConnectivityType,
      "nat-gateway-id": ({ NatGatewayId }) => NatGatewayId,
      state: ({ State }) => State,
      "subnet-id": ({ SubnetId }) => SubnetId,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { NatGateways: items, NextToken };
}
