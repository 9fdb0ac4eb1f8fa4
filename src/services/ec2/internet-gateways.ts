import type * as Sdk from "@aws-sdk/client-ec2";
import type { InternetGatewayRecord } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { checkId } from "./kinds.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Internet gateways. Source: Amazon EC2 API Reference, "CreateInternetGateway" and its kin. */

const view = ({ scope }: Pick<Question, "scope">, { id, vpcId, tags }: InternetGatewayRecord): Sdk.InternetGateway => ({
  // EC2 says `available` here, which the SDK's types do not know.
  Attachments: vpcId === undefined ? [] : [{ State: "available" as Sdk.AttachmentStatus, VpcId: vpcId }],
  InternetGatewayId: id,
  OwnerId: scope.account,
  Tags: apiTags(tags),
});

export async function createInternetGateway(
  change: Change,
  input: Sdk.CreateInternetGatewayRequest,
): Promise<Sdk.CreateInternetGatewayResult> {
  const gateway: InternetGatewayRecord = { id: newId(change.random, "igw"), tags: tagsFor("internet-gateway", input.TagSpecifications) };
  change.put("internet-gateway", gateway.id, gateway);
  return { InternetGateway: view(change, gateway) };
}

export async function attachInternetGateway(
  change: Change,
  { InternetGatewayId: id = "", VpcId: vpcId = "" }: Sdk.AttachInternetGatewayRequest,
): Promise<object> {
  const gateway = await need(change, "internet-gateway", id);
  await need(change, "vpc", vpcId);
  if (gateway.vpcId !== undefined) throw ec2Errors.alreadyAssociated(`resource ${id} is already attached to network ${gateway.vpcId}`);
  if ((await change.all("internet-gateway")).some((other) => other.vpcId === vpcId))
    throw ec2Errors.invalid(`Network ${vpcId} already has an internet gateway attached`);
  change.put("internet-gateway", id, { ...gateway, vpcId });
  return {};
}

export async function detachInternetGateway(
  change: Change,
  { InternetGatewayId: id = "", VpcId: vpcId = "" }: Sdk.DetachInternetGatewayRequest,
): Promise<object> {
  const { vpcId: attached, ...gateway } = await need(change, "internet-gateway", id);
  checkId("vpc", vpcId);
  // Before the VPC is looked for: it may be gone since the gateway left it, and Terraform takes this answer for success.
  if (attached !== vpcId) throw ec2Errors.notAttached(`resource ${id} is not attached to network ${vpcId}`);
  // NAT gateways and Elastic IPs; tasks that were given a public address too.
  if ((await change.all("network-interface")).some((each) => each.vpcId === vpcId && each.publicIp))
    throw ec2Errors.dependency(
      `Network ${vpcId} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.`,
    );
  change.put("internet-gateway", id, gateway);
  return {};
}

export async function deleteInternetGateway(
  change: Change,
  { InternetGatewayId: id = "" }: Sdk.DeleteInternetGatewayRequest,
): Promise<object> {
  const { vpcId } = await need(change, "internet-gateway", id);
  if (vpcId !== undefined) throw ec2Errors.dependency(`The internetGateway '${id}' has dependencies and cannot be deleted.`);
  change.delete("internet-gateway", id);
  return {};
}

export async function describeInternetGateways(
  question: Question,
  input: Sdk.DescribeInternetGatewaysRequest,
): Promise<Sdk.DescribeInternetGatewaysResult> {
  const { items, NextToken } = describe(question, {
    operation: "DescribeInternetGateways",
    kind: "internet-gateway",
    items: (await question.all("internet-gateway")).map((gateway) => view(question, gateway)),
    id: ({ InternetGatewayId = "" }) => InternetGatewayId,
    ids: input.InternetGatewayIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "attachment.state": ({ Attachments = [] }) => Attachments.map(({ State }) => State),
      "attachment.vpc-id": ({ Attachments = [] }) => Attachments.map(({ VpcId }) => VpcId),
      "internet-gateway-id": ({ InternetGatewayId }) => InternetGatewayId,
      "owner-id": ({ OwnerId }) => OwnerId,
    },
  });
  return { InternetGateways: items, NextToken };
}
