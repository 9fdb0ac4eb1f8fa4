import type { ContainerDefinition } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";

/** Source: ECS API Reference, PortMapping. */
export function checkPorts({ name, portMappings = [] }: ContainerDefinition, networkMode: string): void {
  const { client } = ecsErrors;
  const wrong = (why: string) => client(`Invalid 'portMappings' setting for container '${name}'. ${why}`);
  if (portMappings.length > 0 && networkMode === "none") throw wrong("Port mappings are not supported when networkMode=none.");
  if (portMappings.length > 100) throw wrong("A container can have at most 100 port mappings.");
  const taken = new Set<string>();
  for (const { containerPort, hostPort, protocol = "tcp", containerPortRange, name: portName } of portMappings) {
    if (protocol !== "tcp" && protocol !== "udp") throw wrong(`Invalid protocol: ${String(protocol)}`);
    if (portName !== undefined && !/^[a-z0-9][a-z0-9_-]{0,63}$/.test(portName)) throw wrong(`Invalid port mapping name: ${portName}`);
    if (containerPortRange !== undefined) {
      checkRange(containerPortRange, containerPort, hostPort, networkMode, wrong);
      continue;
    }
    if (containerPort === undefined || !isPort(containerPort)) throw client(`Invalid 'containerPort' setting for container '${name}'.`);
    if (hostPort !== undefined && hostPort !== 0 && !isPort(hostPort)) throw client(`Invalid 'hostPort' setting for container '${name}'.`);
    if (networkMode !== "bridge" && hostPort !== undefined && hostPort !== containerPort)
      throw client(`When networkMode=${networkMode}, the host ports and container ports in port mappings must match.`);
    const key = `${hostPort ?? 0}/${protocol}`;
    if (hostPort && taken.has(key)) throw wrong(`The host port ${key} is mapped twice.`);
    taken.add(key);
  }
}

const isPort = (value: number) => Number.isInteger(value) && value >= 1 && value <= 65535;

function checkRange(
  range: string,
  containerPort: number | undefined,
  hostPort: number | undefined,
  networkMode: string,
  wrong: (why: string) => Error,
): void {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(range);
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  if (!match || !isPort(first) || !isPort(last) || first > last) throw wrong(`Invalid containerPortRange: ${range}`);
  if (last - first >= 100) throw wrong("A containerPortRange can have at most 100 ports.");
  if (containerPort !== undefined || hostPort !== undefined) throw wrong("cannot specify both single port and port range");
  if (networkMode !== "bridge" && networkMode !== "awsvpc")
    throw wrong("A containerPortRange is supported with network modes bridge and awsvpc only.");
}
