import { type LoadBalancerStateMessage, thisMachine } from "#agent-protocol/load-balancers.ts";
import type { Snapshot, TargetHealth } from "#load-balancer/config.ts";

/** The control plane's snapshot as this machine's driver takes it, and its health as the control plane knows the targets. Pure. */
export interface Machine {
  /** The namespace of a VPC. */
  namespaceOf(vpcId: string): string;
  /** Where this machine's own ports are, from its own network and from any VPC's. */
  readonly address: string;
}

export function localize({ loadBalancers, targetGroups }: LoadBalancerStateMessage["snapshot"], machine: Machine): Snapshot {
  return {
    loadBalancers: loadBalancers.map((balancer) =>
      balancer.network
        ? { ...balancer, network: { ...balancer.network, namespace: machine.namespaceOf(balancer.network.namespace) } }
        : balancer,
    ),
    targetGroups: targetGroups.map((group) =>
      group.targets.some(({ address }) => address === thisMachine)
        ? {
            ...group,
            targets: group.targets.map((each) => (each.address === thisMachine ? { ...each, address: machine.address } : each)),
          }
        : group,
    ),
  };
}

export const toControlPlane = (health: TargetHealth, { address }: Pick<Machine, "address">): TargetHealth =>
  health.address === address ? { ...health, address: thisMachine } : health;
