import { type Input, each, none, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

const groupArn = ({ region, account }: Where, name: string) =>
  `arn:aws:autoscaling:${region}:${account}:autoScalingGroup:*:autoScalingGroupName/${name}`;
const group: Resources = (input, where) => [groupArn(where, textAt(input, "AutoScalingGroupName") ?? "*")];
/** The instance's group is not named. */
const anyGroup: Resources = (_input, where) => [groupArn(where, "*")];
const tagged: Resources = (input: Input, where) => {
  const tags = input["Tags"];
  return Array.isArray(tags) ? tags.map((tag) => groupArn(where, (tag as { ResourceId?: string }).ResourceId ?? "*")) : [];
};

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2 Auto Scaling". */
export const autoscaling: ServiceActions = {
  prefix: "autoscaling",
  operations: {
    ...each(none, `DescribeAutoScalingGroups DescribeAutoScalingInstances DescribeScalingActivities DescribeLifecycleHooks DescribeTags`),
    ...each(
      group,
      `CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup SetDesiredCapacity SuspendProcesses ResumeProcesses SetInstanceProtection
      AttachInstances DetachInstances PutLifecycleHook DeleteLifecycleHook CompleteLifecycleAction RecordLifecycleActionHeartbeat`,
    ),
    ...each(anyGroup, "SetInstanceHealth TerminateInstanceInAutoScalingGroup"),
    ...each(tagged, "CreateOrUpdateTags DeleteTags"),
  },
};
