import { each, none, type ServiceActions } from "./table.ts";

const tagging = { action: "AddTags" } as const;

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Elastic Load Balancing V2". */
export const elbv2: ServiceActions = {
  prefix: "elasticloadbalancing",
  createAction: true,
  operations: {
    ...each(
      none,
      `DescribeAccountLimits DescribeCapacityReservation DescribeListenerAttributes DescribeListenerCertificates DescribeListeners
      DescribeLoadBalancerAttributes DescribeLoadBalancers DescribeRules DescribeSSLPolicies DescribeTags DescribeTargetGroupAttributes
      DescribeTargetGroups DescribeTargetHealth DescribeTrustStores`,
    ),
    ...each("{ResourceArns}", "AddTags RemoveTags"),
    ...each(
      "{LoadBalancerArn}",
      "DeleteLoadBalancer ModifyLoadBalancerAttributes SetIpAddressType SetSecurityGroups SetSubnets ModifyCapacityReservation",
    ),
    ...each("{ListenerArn}", "AddListenerCertificates RemoveListenerCertificates DeleteListener ModifyListener ModifyListenerAttributes"),
    ...each("{RuleArn}", "DeleteRule ModifyRule"),
    ...each("{RulePriorities.RuleArn}", "SetRulePriorities"),
    ...each("{TargetGroupArn}", "DeleteTargetGroup ModifyTargetGroup ModifyTargetGroupAttributes RegisterTargets DeregisterTargets"),
    CreateListener: { on: "{LoadBalancerArn}", tagging },
    CreateRule: { on: "{ListenerArn}", tagging },
    CreateLoadBalancer: {
      on: (input, { region, account }) => {
        const kind = ({ network: "net", gateway: "gwy" } as Record<string, string>)[String(input["Type"])] ?? "app";
        return [`arn:aws:elasticloadbalancing:${region}:${account}:loadbalancer/${kind}/${String(input["Name"])}/*`];
      },
      tagging,
    },
    CreateTargetGroup: { on: "targetgroup/{Name}/*", tagging },
  },
};
