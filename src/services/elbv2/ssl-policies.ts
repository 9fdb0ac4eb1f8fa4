import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { sslPolicies } from "#model/ssl-policies.ts";
import type { Question } from "./context.ts";
import { elbErrors } from "./errors.ts";
import { oneOf } from "./names.ts";
import { page } from "./pages.ts";

/** Of listeners that name none. */
export const defaultPolicy = "ELBSecurityPolicy-2016-08";

export function checkPolicy(name: string): string {
  if (!Object.hasOwn(sslPolicies, name)) throw elbErrors.noPolicy(name);
  return name;
}

export async function describeSSLPolicies(question: Question, input: Sdk.DescribeSSLPoliciesInput): Promise<Sdk.DescribeSSLPoliciesOutput> {
  if (input.LoadBalancerType !== undefined) oneOf(input.LoadBalancerType, ["application", "network", "gateway"], "loadBalancerType");
  for (const name of input.Names ?? []) checkPolicy(name);
  const named = Object.keys(sslPolicies)
    .filter((name) => (input.Names ?? []).length === 0 || input.Names?.includes(name))
    .filter(() => input.LoadBalancerType !== "gateway")
    .toSorted();
  const { items, NextMarker } = page(question, "DescribeSSLPolicies", named, (name) => name, input, [input.Names, input.LoadBalancerType]);
  return {
    SslPolicies: items.map((Name) => ({
      Name,
      SslProtocols: [...sslPolicies[Name]!.protocols],
      Ciphers: sslPolicies[Name]!.ciphers.map((cipher, at) => ({ Name: cipher, Priority: at + 1 })),
      SupportedLoadBalancerTypes: ["application", "network"],
    })),
    NextMarker,
  };
}
