/** A load balancer in the default VPC, as a user of the JavaScript SDK sets one up, against a whole Gantry in --open mode. */
import { AuthorizeSecurityGroupIngressCommand, CreateSecurityGroupCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  ElasticLoadBalancingV2Client,
  ModifyTargetGroupAttributesCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { RunningGantry } from "./gantry.ts";
import { openClient } from "./tasks.ts";

export interface Balanced {
  readonly elb: ElasticLoadBalancingV2Client;
  readonly subnets: string[];
  /** The security group of the load balancer: everybody gets in, from port 80 to 8080. */
  readonly group: string;
  readonly loadBalancerArn: string;
  readonly host: string;
  /** HTTP on 8080 by address, checked every five seconds, drained within five. Returns its ARN. */
  targetGroup(name: string): Promise<string>;
  /** HTTP, all of it to that target group. Returns its ARN. */
  listener(port: number, targetGroupArn: string): Promise<string>;
}

export async function openBalanced(gantry: RunningGantry): Promise<Balanced> {
  const options = openClient(gantry);
  const ec2 = new EC2Client(options);
  const elb = new ElasticLoadBalancingV2Client(options);
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({}));
  const subnets = Subnets!.map(({ SubnetId }) => SubnetId!);
  const VpcId = Subnets![0]!.VpcId!;
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "public", Description: "public" }));
  const everywhere = { IpProtocol: "tcp", FromPort: 80, ToPort: 8080, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [everywhere] }));
  const made = await elb.send(new CreateLoadBalancerCommand({ Name: "web", Subnets: subnets, SecurityGroups: [GroupId!] }));
  const { LoadBalancerArn, DNSName } = made.LoadBalancers![0]!;
  return {
    elb,
    subnets,
    group: GroupId!,
    loadBalancerArn: LoadBalancerArn!,
    host: DNSName!,
    async targetGroup(Name) {
      const { TargetGroups } = await elb.send(
        new CreateTargetGroupCommand({
          ...{ Name, Protocol: "HTTP", Port: 8080, VpcId, TargetType: "ip" },
          ...{ HealthCheckIntervalSeconds: 5, HealthCheckTimeoutSeconds: 2, HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 },
        }),
      );
      const { TargetGroupArn } = TargetGroups![0]!;
      const Attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: "5" }];
      await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
      return TargetGroupArn!;
    },
    async listener(Port, TargetGroupArn) {
      const DefaultActions = [{ Type: "forward" as const, TargetGroupArn }];
      const { Listeners } = await elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port, DefaultActions }));
      return Listeners![0]!.ListenerArn!;
    },
  };
}
