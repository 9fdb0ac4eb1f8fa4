import type { DockerContainerConfig, DockerHostConfig, PayloadContainer, PayloadTask } from "#agent-protocol/messages.ts";

export const clusterArn = "arn:aws:ecs:us-east-1:000000000000:cluster/default";

type ContainerOptions = Partial<Omit<PayloadContainer, "dockerConfig">> & {
  readonly config?: DockerContainerConfig;
  readonly host?: DockerHostConfig;
};

export function container(name: string, { config = {}, host = {}, ...rest }: ContainerOptions = {}): PayloadContainer {
  return {
    name,
    image: name,
    containerArn: `arn:aws:ecs:us-east-1:000000000000:container/default/${name}`,
    cpu: 0,
    memory: 0,
    essential: true,
    dockerConfig: { config: JSON.stringify(config), hostConfig: JSON.stringify({ NetworkMode: "bridge", ...host }) },
    ...rest,
  };
}

export function task(id: string, containers: readonly PayloadContainer[], rest: Partial<PayloadTask> = {}): PayloadTask {
  return {
    arn: `arn:aws:ecs:us-east-1:000000000000:task/default/${id}`,
    taskClusterArn: clusterArn,
    family: "family",
    version: "1",
    desiredStatus: "RUNNING",
    containers,
    ...rest,
  };
}
