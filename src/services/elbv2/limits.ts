import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Question } from "./context.ts";
import { page } from "./pages.ts";

/** AWS's default quotas. Source: Elastic Load Balancing User Guides, "Quotas for your Application Load Balancers" and "… Network Load Balancers". */
export const limits = {
  "application-load-balancers": 50,
  "certificates-per-application-load-balancer": 25,
  "certificates-per-network-load-balancer": 25,
  "condition-values-per-alb-rule": 5,
  "condition-wildcards-per-alb-rule": 6,
  "listeners-per-application-load-balancer": 50,
  "listeners-per-network-load-balancer": 50,
  "network-load-balancer-enis-per-vpc": 1200,
  "network-load-balancers": 50,
  "rules-per-application-load-balancer": 100,
  "target-groups": 3000,
  "target-groups-per-action-on-application-load-balancer": 5,
  "target-groups-per-action-on-network-load-balancer": 5,
  "target-groups-per-application-load-balancer": 100,
  "target-id-registrations-per-application-load-balancer": 1000,
  "targets-per-application-load-balancer": 1000,
  "targets-per-availability-zone-per-network-load-balancer": 500,
  "targets-per-network-load-balancer": 3000,
  "targets-per-target-group": 1000,
} as const;

export async function describeAccountLimits(
  question: Question,
  input: Sdk.DescribeAccountLimitsInput,
): Promise<Sdk.DescribeAccountLimitsOutput> {
  const all = Object.entries(limits).map(([Name, max]) => ({ Name, Max: String(max) }));
  const { items, NextMarker } = page(question, "DescribeAccountLimits", all, ({ Name }) => Name, input);
  return { Limits: items, NextMarker };
}
