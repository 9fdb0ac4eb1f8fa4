import type { Service } from "@aws-sdk/client-ecs";
import { isBroken } from "./services-definitions.ts";
import type { World } from "./world.ts";

/** What it cannot place leaves the deployment before to be started again, at ever longer intervals, if that one's tasks cannot live. */
export const triesInVain = ({ deployments }: Service): boolean =>
  deployments!.some(({ status, taskDefinition }) => status === "ACTIVE" && isBroken(taskDefinition!));

/** As the waiters `services-stable` and `services-inactive` see it, and nothing is left over. */
export function isSettled(world: World, service: Service): boolean {
  const live = world.picture.liveOf(service.serviceName!);
  if (service.status === "INACTIVE") return live.length === 0;
  if (service.status !== "ACTIVE" || isBroken(service.taskDefinition!)) return false;
  const room = capacityFor(world, service);
  const count = Math.min(service.desiredCount!, room);
  if (service.runningCount !== count || live.length !== count) return false;
  const primary = service.deployments!.find(({ status }) => status === "PRIMARY");
  if (live.some(({ startedBy }) => startedBy !== primary?.id)) return false;
  if (room < service.desiredCount!) return !triesInVain(service);
  return service.deployments!.length === 1 && service.pendingCount === 0 && primary?.rolloutState === "COMPLETED";
}

/** How many tasks the machines can hold at most: only the fixed port is scarce. */
export function capacityFor(world: World, { taskDefinition }: Service): number {
  if (!/ported:\d+$/.test(taskDefinition!)) return Infinity;
  const mine = world.agents.filter(({ instance }) => world.picture.connected(instance));
  return mine.length;
}

/** For who waits in vain. */
export function explain({
  serviceName,
  status,
  taskDefinition,
  desiredCount,
  runningCount,
  pendingCount,
  deployments,
  events,
}: Service): string {
  const rollout = deployments?.map(
    (each) => `${each.status} ${each.rolloutState} ${each.taskDefinition?.split("/").at(-1)} ${each.runningCount}`,
  );
  const last = events?.slice(0, 3).map(({ message }) => message);
  return `${serviceName} ${status} ${taskDefinition?.split("/").at(-1)} wants ${desiredCount}, runs ${runningCount}, pending ${pendingCount}; ${rollout?.join(", ")}; ${last?.join(" | ")}`;
}
