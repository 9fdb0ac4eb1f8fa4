import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { Elbv2Operations } from "#api/generated/elbv2.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { startSweeper, type Sweeper } from "#reconcilers/load-balancers/drained.ts";
import { createWriter } from "#store/unit.ts";
import * as attributes from "./attributes.ts";
import { asking, type Change, changing, type Question, registering } from "./context.ts";
import { describeAccountLimits } from "./limits.ts";
import * as certificates from "./listeners/certificates.ts";
import * as listeners from "./listeners/listeners.ts";
import { setSecurityGroups } from "./load-balancers/groups.ts";
import * as balancers from "./load-balancers/load-balancers.ts";
import * as rules from "./rules/rules.ts";
import { describeSSLPolicies } from "./ssl-policies.ts";
import * as tags from "./tags.ts";
import * as groups from "./target-groups/target-groups.ts";
import * as targets from "./target-groups/targets.ts";

/** Elastic Load Balancing v2: application and network load balancers. Source: Elastic Load Balancing API Reference, version 2015-12-01. */
export function createElbv2(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const change = <I extends object, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, operation);
  const register = <I extends object, O>(operation: (change: Change, input: I) => Promise<O>) => registering(deps, operation);
  const ask = <I extends object, O>(operation: (question: Question, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateLoadBalancer: change(balancers.createLoadBalancer),
    DeleteLoadBalancer: change(balancers.deleteLoadBalancer),
    DescribeLoadBalancers: ask(balancers.describeLoadBalancers),
    SetSecurityGroups: change(setSecurityGroups),
    SetSubnets: change(balancers.setSubnets),
    SetIpAddressType: change(balancers.setIpAddressType),
    DescribeCapacityReservation: ask(balancers.describeCapacityReservation),
    DescribeLoadBalancerAttributes: ask(attributes.describeLoadBalancerAttributes),
    ModifyLoadBalancerAttributes: change(attributes.modifyLoadBalancerAttributes),
    CreateListener: change(listeners.createListener),
    ModifyListener: change(listeners.modifyListener),
    DeleteListener: change(listeners.deleteListener),
    DescribeListeners: ask(listeners.describeListeners),
    DescribeListenerAttributes: ask(attributes.describeListenerAttributes),
    ModifyListenerAttributes: change(attributes.modifyListenerAttributes),
    AddListenerCertificates: change(certificates.addListenerCertificates),
    RemoveListenerCertificates: change(certificates.removeListenerCertificates),
    DescribeListenerCertificates: ask(certificates.describeListenerCertificates),
    CreateRule: change(rules.createRule),
    ModifyRule: change(rules.modifyRule),
    DeleteRule: change(rules.deleteRule),
    SetRulePriorities: change(rules.setRulePriorities),
    DescribeRules: ask(rules.describeRules),
    CreateTargetGroup: change(groups.createTargetGroup),
    ModifyTargetGroup: change(groups.modifyTargetGroup),
    DeleteTargetGroup: change(groups.deleteTargetGroup),
    DescribeTargetGroups: ask(groups.describeTargetGroups),
    DescribeTargetGroupAttributes: ask(attributes.describeTargetGroupAttributes),
    ModifyTargetGroupAttributes: change(attributes.modifyTargetGroupAttributes),
    RegisterTargets: register(targets.registerTargets),
    DeregisterTargets: register(targets.deregisterTargets),
    DescribeTargetHealth: ask(targets.describeTargetHealth),
    DescribeSSLPolicies: ask(describeSSLPolicies),
    DescribeAccountLimits: ask(describeAccountLimits),
    AddTags: change(tags.addTags),
    RemoveTags: change(tags.removeTags),
    DescribeTags: ask(tags.describeTags),
  } satisfies Handlers<Elbv2Operations>;
  let sweeper: Sweeper | undefined;
  return {
    resources: [
      tagFacts(deps.store, "elasticloadbalancing", (scope) => {
        const [kind, ...parts] = scope.resource.split("/");
        const [, second = "", third = "", fourth = "", fifth = ""] = parts;
        if (kind === "loadbalancer" && parts.length === 3) return elbKeys.loadBalancer(scope, third);
        if (kind === "targetgroup" && parts.length === 2) return elbKeys.targetGroup(scope, second);
        if (kind === "listener" && parts.length === 4) return elbKeys.listener(scope, third, fourth);
        if (kind === "listener-rule" && parts.length === 5) return elbKeys.rule(scope, third, fourth, fifth);
        return undefined;
      }),
    ],
    registrations: [{ service: "elbv2", handlers: handlers as Readonly<Record<string, Handler>> }],
    async start() {
      sweeper = startSweeper(deps);
    },
    async stop() {
      await sweeper?.stop();
    },
  };
}
