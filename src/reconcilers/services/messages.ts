/** Service events in AWS's wording. Source: ECS Developer Guide, "Amazon ECS service event messages". */
const guide = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";
const list = (tasks: readonly string[]) => tasks.map((id) => `(task ${id})`).join(" ");

export const steadyState = (service: string) => `(service ${service}) has reached a steady state.`;
export const deploymentCompleted = (service: string, id: string) => `(service ${service}) (deployment ${id}) deployment completed.`;
export const deploymentFailed = (service: string, id: string, why: string) =>
  `(service ${service}) (deployment ${id}) deployment failed: ${why}.`;
export const rollingBack = (service: string, id: string) => `(service ${service}) rolling back to deployment ${id}.`;
export const started = (service: string, tasks: readonly string[]) =>
  `(service ${service}) has started ${tasks.length} tasks: ${list(tasks)}.`;
export const stopped = (service: string, tasks: readonly string[]) =>
  `(service ${service}) has stopped ${tasks.length} running tasks: ${list(tasks)}.`;
/** `reason`: the task's stopped reason. */
export const unhealthy = (service: string, task: string, reason: string) =>
  reason.includes("ELB")
    ? `(service ${service}) (task ${task}) ${reason.replace("Task failed ELB health checks", "failed ELB health checks")}`
    : `(service ${service}) (task ${task}) failed container health checks.`;
export const impaired = (service: string) => `(service ${service}) is unable to consistently start tasks successfully. ${guide}`;
export const stuck = (service: string) =>
  `(service ${service}) was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again.`;

/** Fargate's own words, of API failures and service events. Source: ECS Developer Guide, "API failure reasons". */
export const capacityUnavailable = "Capacity is unavailable at this time. Please try again later or in a different availability zone";

export const noCapacity = (service: string) => `(service ${service}) was unable to place a task. Reason: ${capacityUnavailable}. ${guide}`;

export const noInterface = (service: string, why: string) => `(service ${service}) was unable to place a task. Reason: ${why}. ${guide}`;

/** `why`: AWS's sentence. */
export const notLaunched = (service: string, why: string) => `(service ${service}) failed to launch a task with (error ${why}).`;

/** `instance`: its id; `reason` as in "API failure reasons". */
export function unplaced(service: string, closest: { instance: string; reason: string } | undefined, considered: number): string {
  const head = `(service ${service}) was unable to place a task because`;
  if (!closest)
    return `${head} no container instance met all of its requirements. Reason: No Container Instances were found in your cluster. ${guide}`;
  const what = lacks[closest.reason] ?? `encountered error "${closest.reason}"`;
  return `${head} no container instance met all of its requirements. The closest matching (container-instance ${closest.instance}) ${what}. ${considered} container instances were considered. ${guide}`;
}

const lacks: Readonly<Record<string, string>> = {
  "RESOURCE:CPU": "has insufficient CPU units available",
  "RESOURCE:MEMORY": "has insufficient memory available",
  "RESOURCE:PORTS": "is already using a port required by your task",
  "RESOURCE:GPU": "has insufficient GPU resource available",
  ATTRIBUTE: "is missing an attribute required by your task",
  AGENT: 'encountered error "AGENT"',
};
