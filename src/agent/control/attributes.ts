import type { AgentConfig } from "../config.ts";

export interface Attribute {
  readonly name: string;
  readonly value?: string;
}

/**
 * What this agent can do, in the standard agent's names (amazon-ecs-agent, agent_capability.go; ECS Developer Guide, "Container instance
 * attributes"): the control plane places a task only where all attributes that its definition requires are present. Only what is true here.
 */
export function attributesOf(
  config: AgentConfig,
  machine: { readonly architecture: string; readonly instanceType?: string; readonly address?: string },
): readonly Attribute[] {
  const old = "com.amazonaws.ecs.capability.";
  const now = "ecs.capability.";
  const names = [
    ...(config.privilegedDisabled ? [] : [`${old}privileged-container`]),
    ...Array.from({ length: 28 }, (_, index) => `${old}docker-remote-api.1.${17 + index}`),
    ...config.loggingDrivers.map((driver) => `${old}logging-driver.${driver}`),
    `${old}ecr-auth`,
    `${old}task-iam-role`,
    `${old}task-iam-role-network-host`,
    `${now}execution-role-ecr-pull`,
    `${now}execution-role-awslogs`,
    `${now}ecr-endpoint`,
    `${now}container-health-check`,
    `${now}container-ordering`,
    `${now}container-restart-policy`,
    `${now}env-files.path`,
    `${now}full-sync`,
    `${now}increased-task-cpu-limit`,
    `${now}network.container-port-range`,
    `${now}pid-ipc-namespace-sharing`,
    `${now}private-registry-authentication.secretsmanager`,
    ...["asm", "ssm"].flatMap((store) => [`${now}secrets.${store}.environment-variables`, `${now}secrets.${store}.bootstrap.log-driver`]),
    `${now}task-cpu-mem-limit`,
    ...(config.vpc ? [`${now}task-eni`] : []),
    `${now}docker-plugin.local`,
    `${now}extensible-ephemeral-storage`,
  ];
  const values: Record<string, string> = {
    "ecs.os-type": "linux",
    "ecs.os-family": "LINUX",
    "ecs.cpu-architecture": machine.architecture,
    "ecs.availability-zone": config.availabilityZone,
    ...(machine.instanceType ? { "ecs.instance-type": machine.instanceType } : {}),
    // Always, so that a mark that was taken back goes.
    "gantry.fargate": config.fargate,
    "gantry.load-balancers": "true",
    ...(machine.address ? { "gantry.address": machine.address } : {}),
    "gantry.instances": "true",
    ...config.instanceAttributes,
  };
  return [...names.map((name) => ({ name })), ...Object.entries(values).map(([name, value]) => ({ name, value }))];
}
