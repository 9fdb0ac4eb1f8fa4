import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord, ServiceStateRecord } from "#model/service-records.ts";
import type { WatchBatch, WatchEvent } from "#store/store.ts";

/** One write as text, for `TRACE=1 SEED=n`: when, which revision, what became of each record. */
export function traceOf(batch: WatchBatch, now: number): string {
  const lines = batch.events.map(lineOf).filter((line) => line !== "");
  return `${new Date(now).toISOString().slice(11)} ${batch.revision} ${lines.join("\n      ")}`;
}

function lineOf(event: WatchEvent): string {
  const key = event.key.replace(/^\/ecs\/\d+\/[^/]+\//, "").replace(/([0-9a-f]{6})[0-9a-f]{26}/g, "$1");
  if (event.type === "delete") return `${key} deleted`;
  const what = describe[key.split("/")[0]!];
  return what ? `${key} ${what(event.entry.value)}` : key;
}

const short = (id: string | undefined) => id?.slice(-4) ?? "";
const describe: Readonly<Record<string, (value: unknown) => string>> = {
  task(value) {
    const { desiredStatus, startedBy, containerInstanceId, taskDefinitionArn, stop } = value as TaskRecord;
    const definition = taskDefinitionArn.split("/").at(-1);
    return `${definition} ${desiredStatus}, by ${short(startedBy)} on ${short(containerInstanceId)} ${stop ? `${stop.code}: ${stop.reason}` : ""}`;
  },
  "task-observed"(value) {
    const { lastStatus, stopCode = "", containers } = value as TaskObservation;
    return `${lastStatus} ${stopCode} ${containers.map(({ healthStatus }) => healthStatus ?? "").join()}`;
  },
  service(value) {
    const { status, desiredCount, version, deploymentConfiguration, deployment } = value as ServiceRecord;
    return `${status}, ${desiredCount} desired, version ${version}, deployment ${short(deployment)}, ${JSON.stringify(deploymentConfiguration)}`;
  },
  "service-state"(value) {
    const { events, ...rest } = value as ServiceStateRecord;
    return `${JSON.stringify(rest)} ${events[0]?.message.slice(0, 150) ?? ""}`;
  },
  deployment(value) {
    const { status, rolloutState, outcome, failedTasks, timeline } = value as DeploymentRecord;
    return `${status} ${rolloutState} ${outcome}, ${failedTasks} failed: ${timeline.at(-1)?.phase ?? ""}`;
  },
  connection: (value) => ((value as { connected: boolean }).connected ? "connected" : "gone"),
  "container-instance": (value) => (value as { status: string }).status,
  "task-protection": (value) => `until ${new Date((value as { expiresAt: number }).expiresAt).toISOString().slice(11)}`,
};
