import { ecsKeys, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { DeploymentRecord, ServiceRecord, ServiceStateRecord } from "#model/service-records.ts";
import type { DraftEvent } from "#reconcilers/events/deliveries.ts";
import type { EventSource, Reading } from "#reconcilers/events/publishing.ts";
import { ecsArn } from "../tasks/identifiers.ts";

const action = "ECS Service Action";
const deployment = "ECS Deployment State Change";

interface Said {
  readonly eventType: "INFO" | "WARN" | "ERROR";
  readonly eventName: string;
  readonly reason?: string | undefined;
}

/** What services and their deployments come to. Source: ECS Developer Guide, "Amazon ECS service action events" and "Amazon ECS service deployment state change events". */
export const serviceEvents: EventSource = {
  concerns: (key) => /^\/ecs\/[^/]+\/[^/]+\/(service-state|deployment)\//.test(key),
  async eventsOf(reading) {
    const events: DraftEvent[] = [];
    for (const key of reading.keys) {
      const { scope, kind, names } = parseEcsKey(key)!;
      const [cluster = "", service = ""] = names;
      const detailType = kind === "deployment" ? deployment : action;
      if (!reading.wanted(scope, "aws.ecs", detailType)) continue;
      const details = kind === "deployment" ? await deploymentDetails(key, reading) : await actionDetails(key, scope, cluster, reading);
      if (details.length === 0) continue;
      const record = await reading.after<ServiceRecord>(ecsKeys.service(scope, cluster, service));
      if (!record) continue;
      for (const detail of details) events.push({ ...scope, source: "aws.ecs", detailType, resources: [record.arn], detail });
    }
    return events;
  },
};

async function deploymentDetails(key: string, reading: Reading) {
  const before = await reading.before<DeploymentRecord>(key);
  const after = await reading.after<DeploymentRecord>(key);
  if (!after || before?.rolloutState === after.rolloutState) return [];
  const said: Said = {
    eventType: after.rolloutState === "FAILED" ? "ERROR" : "INFO",
    eventName: `SERVICE_DEPLOYMENT_${after.rolloutState}`,
    reason: after.rolloutStateReason,
  };
  return [{ ...said, deploymentId: after.id, updatedAt: new Date(reading.now) }];
}

async function actionDetails(key: string, scope: Scope, cluster: string, reading: Reading) {
  const before = await reading.before<ServiceStateRecord>(key);
  const after = await reading.after<ServiceStateRecord>(key);
  if (!after) return [];
  const said: Said[] = [];
  if (after.steady && !before?.steady) said.push({ eventType: "INFO", eventName: "SERVICE_STEADY_STATE" });
  if (after.impaired !== undefined && after.impaired !== before?.impaired)
    said.push({ eventType: "WARN", eventName: "SERVICE_TASK_START_IMPAIRED" });
  if (after.placement && !before?.placement) {
    const reason = after.placement.rejections[0]?.reason;
    said.push(
      reason === "ROLE"
        ? { eventType: "ERROR", eventName: "SERVICE_TASK_CONFIGURATION_FAILURE", reason: after.placement.rejections[0]?.detail }
        : { eventType: "ERROR", eventName: "SERVICE_TASK_PLACEMENT_FAILURE", reason: reason ?? "RESOURCE:INSTANCE" },
    );
  }
  return said.map((each) => ({ ...each, clusterArn: ecsArn.cluster(scope, cluster), createdAt: new Date(reading.now) }));
}
