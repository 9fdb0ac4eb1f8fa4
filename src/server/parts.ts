import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createAcm } from "#services/acm/index.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcr } from "#services/ecr/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSts } from "#services/sts/index.ts";

/** Every part of the server. The coverage table is made from what they register. */
export function createParts(deps: ServerDeps): readonly ServerPart[] {
  return [
    createSts(deps),
    createEc2(deps),
    createAutoScaling(deps),
    createEcr(deps),
    createEcs(deps),
    createElbv2(deps),
    createAcm(deps),
    createServiceDiscovery(deps),
    createRoute53(deps),
    createLogs(deps),
  ];
}
