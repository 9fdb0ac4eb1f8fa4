import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createCloudWatch } from "#services/cloudwatch/index.ts";
import { createApplicationAutoScaling } from "#services/application-autoscaling/index.ts";
import { createAcm } from "#services/acm/index.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createCloudTrail } from "#services/cloudtrail/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcr } from "#services/ecr/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createIam } from "#services/iam/index.ts";
import { createKms } from "#services/kms/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import { createSts } from "#services/sts/index.ts";

/** Every part of the server. The coverage table is made from what they register. */
export function createParts(given: ServerDeps): readonly ServerPart[] {
  const cloudwatch = createCloudWatch(given);
  const deps = { ...given, metrics: cloudwatch.sink };
  return [
    // First to start and last to stop, for all others tell it what they measure.
    cloudwatch,
    createSts(deps),
    createIam(deps),
    createEc2(deps),
    createAutoScaling(deps),
    createApplicationAutoScaling(deps, cloudwatch),
    createEcr(deps),
    createEcs(deps),
    createElbv2(deps),
    createAcm(deps),
    createServiceDiscovery(deps),
    createRoute53(deps),
    createLogs(deps),
    createKms(deps),
    createSecretsManager(deps),
    createSsm(deps),
    createCloudTrail(deps),
  ];
}
