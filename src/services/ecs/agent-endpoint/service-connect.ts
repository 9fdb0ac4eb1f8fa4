import type { ContainerDefinition, LogConfiguration, TaskDefinition } from "@aws-sdk/client-ecs";
import type { PayloadContainer } from "#agent-protocol/messages.ts";
import type { PayloadServiceConnect } from "#agent-protocol/service-connect.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import { addressesOf, connectImage, type TaskConnect } from "#model/service-connect.ts";
import { dockerConfigOf } from "./docker-config.ts";

/** Shares of a processor that the proxy has beside its task's containers: AWS's advice for what a task should have more. */
const cpuShares = 256;

/** The proxy as a container of the task. Everything that it is made of is the agent's. */
export function connectContainerOf(task: TaskRecord, connect: TaskConnect, definition: TaskDefinition): PayloadContainer {
  const name = connect.container;
  const container: ContainerDefinition = {
    name,
    image: connectImage,
    logConfiguration: (connect.logConfiguration as LogConfiguration | undefined) ?? { logDriver: "json-file" },
    linuxParameters: { capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } },
  };
  return {
    name,
    image: connectImage,
    containerArn: task.containers.find((each) => each.name === name)?.arn ?? "",
    cpu: cpuShares,
    memory: 0,
    essential: true,
    overrides: "{}",
    dockerConfig: dockerConfigOf(definition, container),
  };
}

export function serviceConnectOf({ container, aliases, endpoints }: TaskConnect, definition: TaskDefinition): PayloadServiceConnect {
  const addresses = addressesOf(
    aliases.map(({ dnsName }) => dnsName),
    definition.networkMode === "awsvpc" ? "own" : "bridge",
  );
  return {
    container,
    aliases: aliases.map(({ dnsName, port, protocol, cloudMapService, discoveryName, service, cluster, ...timeouts }) => ({
      hostname: dnsName,
      address: addresses.get(dnsName)!,
      port,
      protocol,
      service: cloudMapService,
      ...timeouts,
      dimensions: { discoveryName, serviceName: service, clusterName: cluster },
    })),
    ingress: endpoints.flatMap(({ ingressPort, containerPort, protocol }) =>
      ingressPort === undefined ? [] : [{ port: ingressPort, containerPort, protocol }],
    ),
  };
}
