import type { TaskPlan } from "./plan.ts";
import type { ContainerState, TaskState } from "./state.ts";

/** The body of SubmitTaskStateChange (ECS API Reference) without the cluster; times in seconds as AWS JSON has them. */
export interface Report {
  readonly task: string;
  readonly status: TaskState["status"];
  readonly reason?: string;
  readonly pullStartedAt?: number;
  readonly pullStoppedAt?: number;
  readonly executionStoppedAt?: number;
  readonly containers: readonly ContainerReport[];
  readonly managedAgents?: readonly ManagedAgentReport[];
}

/** ECS API Reference, ManagedAgentStateChange: with us the agent itself is what runs commands, so it runs where the container does. */
export interface ManagedAgentReport {
  readonly containerName: string;
  readonly managedAgentName: "ExecuteCommandAgent";
  readonly status: "PENDING" | "RUNNING" | "STOPPED";
}

export interface ContainerReport {
  readonly containerName: string;
  readonly status: "PENDING" | "RUNNING" | "STOPPED";
  readonly runtimeId?: string;
  readonly exitCode?: number;
  readonly reason?: string;
  readonly imageDigest?: string;
  readonly networkBindings?: readonly NetworkBinding[];
}

export interface NetworkBinding {
  readonly bindIP: string;
  readonly protocol: "tcp" | "udp";
  readonly containerPort?: number;
  readonly hostPort?: number;
  readonly containerPortRange?: string;
  readonly hostPortRange?: string;
}

/** What the control plane should know of the task now, or undefined while there is nothing to tell it. */
export function reportOf(plan: TaskPlan, task: TaskState): Report | undefined {
  if (task.status === "PENDING" && task.containers.every(({ startedAt, status }) => startedAt === undefined && status !== "STOPPED"))
    return undefined;
  const containers = task.containers.map((container) => reportContainer(container));
  return {
    task: task.arn,
    status: task.status,
    reason: task.status === "STOPPED" ? limit(task.reason) : undefined,
    pullStartedAt: seconds(task.pullStartedAt),
    pullStoppedAt: seconds(task.pullStoppedAt),
    executionStoppedAt: seconds(task.executionStoppedAt),
    containers,
    ...(plan.payload.enableExecuteCommand ? { managedAgents: containers.map(managedAgent) } : {}),
  };
}

const managedAgent = ({ containerName, status }: ContainerReport): ManagedAgentReport => ({
  containerName,
  managedAgentName: "ExecuteCommandAgent",
  status,
});

function reportContainer(container: ContainerState): ContainerReport {
  const ran = container.startedAt !== undefined;
  return {
    containerName: container.name,
    status: container.status === "STOPPED" ? "STOPPED" : ran ? "RUNNING" : "PENDING",
    runtimeId: ran || container.createdAt !== undefined ? container.id : undefined,
    exitCode: container.exitCode,
    reason: limit(container.reason),
    imageDigest: container.image?.digest,
    networkBindings: ran && container.network?.bindings.length ? networkBindings(container) : undefined,
  };
}

export function networkBindings(container: ContainerState): readonly NetworkBinding[] {
  return (container.network?.bindings ?? []).map((binding) =>
    binding.containerPortEnd === undefined
      ? { bindIP: "0.0.0.0", containerPort: binding.containerPort, hostPort: binding.hostPort, protocol: binding.protocol }
      : {
          bindIP: "0.0.0.0",
          protocol: binding.protocol,
          containerPortRange: `${binding.containerPort}-${binding.containerPortEnd}`,
          hostPortRange: `${binding.hostPort}-${binding.hostPort + binding.containerPortEnd - binding.containerPort}`,
        },
  );
}

/** The service keeps 1024 characters of a task's reason and 255 of a container's; AWS's agent cuts at 1024. */
function limit(reason: string | undefined): string | undefined {
  return reason === undefined || reason.length <= 1024 ? reason : `${reason.slice(0, 1021)}...`;
}

function seconds(at: number | undefined): number | undefined {
  return at === undefined ? undefined : at / 1000;
}
