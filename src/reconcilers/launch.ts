import type { Scope } from "#model/ecs-keys.ts";
import { instanceKeyOf } from "#model/ecs-keys.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord } from "#model/vpc-records.ts";
import type { Rejection } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import { VpcError } from "./vpc/errors.ts";
import { takeTaskInterface, type InterfaceMaking } from "./vpc/interfaces.ts";

/** What launches a task: the machines of its cluster, or Fargate's, of which the owner names nothing but a size. */
export interface LaunchTarget {
  readonly launchType: "EC2" | "FARGATE";
  /** Where a capacity-provider strategy chose it. */
  readonly provider?: string;
}

export const onEc2: LaunchTarget = { launchType: "EC2" };

/** There in every account from the start. */
export const fargateProviders: readonly string[] = ["FARGATE", "FARGATE_SPOT"];

export function targetOf(launchType: string | undefined, provider: string | undefined): LaunchTarget {
  if (provider !== undefined) return { launchType: fargateProviders.includes(provider) ? "FARGATE" : "EC2", provider };
  return { launchType: launchType === "FARGATE" ? "FARGATE" : "EC2" };
}

/** What one of Fargate's machines lacked, without saying which: they are nobody's to see. */
export function nameless({ node, reason, detail }: Rejection): Rejection {
  const head = `${node.ec2InstanceId}: `;
  return {
    reason,
    detail: detail.startsWith(head) ? detail.slice(head.length) : detail,
    node: { ...node, id: "", arn: "", ec2InstanceId: "Fargate" },
  };
}

/** An awsvpcConfiguration that was found to be right. */
export interface NetworkWish {
  readonly subnets: readonly string[];
  readonly groups: readonly string[];
  readonly assignPublicIp: boolean;
}

export interface NetworkMaking extends InterfaceMaking {
  readonly wish: NetworkWish;
  /** Tasks of its kind by Availability Zone: the next goes where there are fewest. Counted up by what is made. */
  readonly zones: Map<string, number>;
}

/**
 * The task with its network interface: in the subnet of the zone with the fewest of its kind, on container instances in the instance's own zone where a subnet lies
 * there. Throws VpcError when none of the subnets has a free address.
 */
export async function withInterface(unit: Unit, scope: Scope, task: TaskRecord, making: NetworkMaking): Promise<TaskRecord> {
  const { wish, zones, random } = making;
  const subnets: SubnetRecord[] = [];
  for (const id of wish.subnets) {
    const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", id));
    if (subnet) subnets.push(subnet);
  }
  const near = task.launchType === "EC2" ? subnets.filter(({ availabilityZone }) => availabilityZone === task.availabilityZone) : [];
  const order = (near.length > 0 ? near : subnets)
    .map((subnet) => ({ subnet, tasks: zones.get(subnet.availabilityZone) ?? 0, lot: random.next() }))
    .sort((a, b) => a.tasks - b.tasks || a.lot - b.lot);
  let failure: VpcError | undefined;
  for (const { subnet } of order) {
    try {
      const network = await takeTaskInterface(
        unit,
        scope,
        {
          subnetId: subnet.id,
          groups: wish.groups,
          assignPublicIp: wish.assignPublicIp,
          task: { arn: task.arn, node: instanceKeyOf(scope, task) },
        },
        making,
      );
      zones.set(subnet.availabilityZone, (zones.get(subnet.availabilityZone) ?? 0) + 1);
      return { ...task, network, ...(task.launchType === "FARGATE" ? { availabilityZone: subnet.availabilityZone } : {}) };
    } catch (error) {
      if (!(error instanceof VpcError)) throw error;
      failure = error;
    }
  }
  throw failure ?? new VpcError("InvalidSubnetID.NotFound", `The subnet ID '${wish.subnets[0] ?? ""}' does not exist`);
}
