import { createCaller } from "#api/caller.ts";
import type { ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createEventsEngine } from "#reconcilers/events/engine.ts";
import { alarmEvents } from "#services/cloudwatch/events.ts";
import { createCloudWatch } from "#services/cloudwatch/index.ts";
import { createApplicationAutoScaling } from "#services/application-autoscaling/index.ts";
import { createAcm } from "#services/acm/index.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createCloudTrail } from "#services/cloudtrail/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcr } from "#services/ecr/index.ts";
import { ecrEvents } from "#services/ecr/events.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { ecsEvents } from "#services/ecs/events/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createEvents } from "#services/events/index.ts";
import { createIam } from "#services/iam/index.ts";
import { createKms } from "#services/kms/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createScheduler } from "#services/scheduler/index.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import { createSts } from "#services/sts/index.ts";

/** Every part of the server. The coverage table is made from what they register. */
export function createParts(given: ServerDeps): readonly ServerPart[] {
  // All that changes records through it is what rules wait for.
  const events = createEventsEngine(given, [...ecsEvents, ecrEvents, alarmEvents]);
  const watched = { ...given, store: events.store };
  const cloudwatch = createCloudWatch(watched);
  const deps = { ...watched, metrics: cloudwatch.sink };
  const ecs = createEcs(deps);
  const parts = [
    // First to start and last to stop, for all others tell it what they measure.
    cloudwatch,
    createSts(deps),
    createIam(deps),
    createEc2(deps),
    createAutoScaling(deps),
    createApplicationAutoScaling(deps, cloudwatch, ecs),
    createEcr(deps),
    ecs,
    createElbv2(deps),
    createAcm(deps),
    createServiceDiscovery(deps),
    createRoute53(deps),
    createLogs(deps),
    createKms(deps),
    createSecretsManager(deps),
    createSsm({ ...deps, exec: ecs.exec }),
    createScheduler(deps),
    createCloudTrail(deps),
    // It calls the others, so it is the last to start and the first to stop.
    createEvents(deps, events),
  ];
  events.connect({ caller: createCaller({ ...given, parts }), metrics: cloudwatch.sink });
  return parts;
}
