import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createCloudTrail } from "#services/cloudtrail/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcr } from "#services/ecr/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createIam } from "#services/iam/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSts } from "#services/sts/index.ts";

/** Every part of the server. The coverage table is made from what they register. */
export function createParts(deps: ServerDeps): readonly ServerPart[] {
  return [
    createSts(deps),
    createIam(deps),
    createEc2(deps),
    createEcr(deps),
    createEcs(deps),
    createLogs(deps),
    createServiceDiscovery(deps),
    createRoute53(deps),
    createCloudTrail(deps),
  ];
}
