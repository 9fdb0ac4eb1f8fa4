import { ApiError } from "#api/contract.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SecurityGroupRecord, SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import { vpcErrors, type VpcError } from "./errors.ts";

export interface AwsvpcConfiguration {
  readonly subnets?: readonly string[];
  readonly securityGroups?: readonly string[];
  readonly assignPublicIp?: string;
}

export interface CheckedAwsvpc {
  readonly vpc: VpcRecord;
  /** In the order of the request, without repetitions; all of `vpc`. */
  readonly subnets: readonly SubnetRecord[];
  /** Never empty: without any in the request, the VPC's default group. */
  readonly groups: readonly string[];
  readonly assignPublicIp: boolean;
}

type Read = <T>(key: string) => Promise<T | undefined>;

/**
 * What RunTask, CreateService and their kin accept as awsvpcConfiguration. `read` is `unit.get`, or `async (key) => (await store.get(key))?.value`.
 * Throws ECS's InvalidParameterException. Source: Amazon ECS API Reference, "AwsVpcConfiguration".
 */
export async function checkAwsvpc(read: Read, scope: Scope, given: AwsvpcConfiguration): Promise<CheckedAwsvpc> {
  const subnetIds = [...new Set(given.subnets ?? [])];
  const groupIds = [...new Set(given.securityGroups ?? [])];
  if (subnetIds.length === 0) throw invalid("subnets can not be empty.");
  if ((given.subnets ?? []).length > 16) throw invalid("subnets can have at most 16 items.");
  if ((given.securityGroups ?? []).length > 5) throw invalid("securityGroups can have at most 5 items.");
  const assign = given.assignPublicIp ?? "DISABLED";
  if (assign !== "ENABLED" && assign !== "DISABLED")
    throw invalid(`Invalid assignPublicIp value: ${assign}. Valid values are ENABLED and DISABLED.`);

  const subnets: SubnetRecord[] = [];
  for (const id of subnetIds) {
    const subnet = await read<SubnetRecord>(vpcKeys.one(scope, "subnet", id));
    if (!subnet) throw retrieving("subnet", id, vpcErrors.noSubnet(id));
    subnets.push(subnet);
  }
  const { vpcId } = subnets[0]!;
  const stranger = subnets.find((subnet) => subnet.vpcId !== vpcId);
  const vpc = await read<VpcRecord>(vpcKeys.one(scope, "vpc", vpcId));
  if (!vpc) throw retrieving("subnet", subnetIds[0]!, vpcErrors.noSubnet(subnetIds[0]!));
  if (stranger)
    throw invalid(`Subnets ${subnets[0]!.id} and ${stranger.id} belong to different VPCs: all subnets of a task must be of one.`);
  for (const id of groupIds) {
    const group = await read<SecurityGroupRecord>(vpcKeys.one(scope, "security-group", id));
    if (!group) throw retrieving("security group", id, vpcErrors.noGroup(id));
    if (group.vpcId !== vpcId)
      throw invalid(`Security group ${id} does not appear to belong to the same VPC as the input subnets (VPC: ${vpcId}).`);
  }
  return { vpc, subnets, groups: groupIds.length > 0 ? groupIds : [vpc.defaultGroupId], assignPublicIp: assign === "ENABLED" };
}

const invalid = (message: string) => new ApiError("InvalidParameterException", message);
const retrieving = (what: string, id: string, { message, code }: VpcError) =>
  invalid(`Error retrieving ${what} information for [${id}]: ${message} (ErrorCode: ${code})`);
