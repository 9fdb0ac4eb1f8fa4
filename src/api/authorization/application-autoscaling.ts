import { each, type Input, none, type OperationRule, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

/** Which target it is stands nowhere in the request: its id is AWS's. */
const target: Resources = (_input, { region, account }) => [`arn:aws:application-autoscaling:${region}:${account}:scalable-target/*`];

const keys = (input: Input, _where: Where) => ({
  "application-autoscaling:service-namespace": textAt(input, "ServiceNamespace"),
  "application-autoscaling:scalable-dimension": textAt(input, "ScalableDimension"),
});
const on = (resources: Resources, names: string): Record<string, OperationRule> =>
  Object.fromEntries(Object.keys(each(resources, names)).map((name) => [name, { on: resources, keys }]));

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Application Auto Scaling". */
export const applicationAutoscaling: ServiceActions = {
  prefix: "application-autoscaling",
  operations: {
    RegisterScalableTarget: { on: target, keys, tagging: { action: "TagResource" } },
    ...on(target, "DeregisterScalableTarget PutScalingPolicy DeleteScalingPolicy PutScheduledAction DeleteScheduledAction"),
    ...on(none, "DescribeScalableTargets DescribeScalingPolicies DescribeScheduledActions DescribeScalingActivities"),
    ...each("{ResourceARN}", "ListTagsForResource TagResource UntagResource"),
  },
};
