import type { ElasticNetworkInterface } from "#agent-protocol/vpc.ts";
import { formatSubnet, parseSubnet } from "../network/addresses.ts";
import { shownOptions } from "../logs/awslogs.ts";
import { labelsOf } from "../steps/launch.ts";
import { networkBindings } from "../task/report.ts";
import type { TaskView } from "../task/engine.ts";
import type { ContainerPlan } from "../task/plan.ts";
import type { ContainerState } from "../task/state.ts";
import type { World } from "../task/world.ts";

/** The documents of the task metadata endpoint, versions 3 and 4 (ECS Developer Guide, "Amazon ECS task metadata endpoint"). Pure but for the labels' cluster. */
export function containerDocument(
  world: World,
  { plan, state }: TaskView,
  container: ContainerState,
  version: 3 | 4,
): Record<string, unknown> {
  const definition = plan.containers.get(container.name) as ContainerPlan;
  const context = { plan, world, log: world.log, state: () => state };
  const ran = container.startedAt !== undefined;
  const log = definition.logging;
  return {
    DockerId: container.id,
    Name: container.name,
    DockerName: `ecs-${plan.payload.family}-${plan.payload.version}-${container.name}-${container.id.slice(0, 20)}`,
    Image: definition.definition.image,
    ImageID: container.image?.configDigest ?? "",
    Ports: container.network?.bindings.length
      ? networkBindings(container).map(({ bindIP, containerPort, hostPort, containerPortRange, hostPortRange, protocol }) => ({
          ContainerPort: containerPort,
          Protocol: protocol,
          HostPort: hostPort,
          HostIp: bindIP,
          ContainerPortRange: containerPortRange,
          HostPortRange: hostPortRange,
        }))
      : undefined,
    Labels: labelsOf(context, definition),
    DesiredStatus: state.desired,
    KnownStatus: knownStatus(container),
    ExitCode: container.exitCode,
    Limits: { CPU: definition.definition.cpu || 2, Memory: definition.definition.memory || undefined },
    CreatedAt: iso(container.createdAt),
    StartedAt: iso(container.startedAt),
    FinishedAt: container.status === "STOPPED" ? iso(container.finishedAt) : undefined,
    Type: "NORMAL",
    Health: definition.healthCheck && ran ? health(container) : undefined,
    RestartCount: definition.definition.restartPolicy?.enabled ? container.restarts : undefined,
    Volumes: volumes(definition),
    ...(version === 4
      ? {
          LogDriver: log.driver,
          LogOptions: shownOptions(log.driver, log.options, { container: container.name, task: plan.id, id: container.id }),
          ContainerARN: definition.definition.containerArn,
        }
      : {}),
    Networks: [
      {
        NetworkMode: container.network?.mode === "bridge" ? "bridge" : plan.networkMode,
        IPv4Addresses: container.network?.address === undefined ? [] : [container.network.address],
        ...(plan.networkInterface ? interfaceView(plan.networkInterface, version) : {}),
      },
    ],
  };
}

/** What version 4 adds for network mode awsvpc. */
function interfaceView(network: ElasticNetworkInterface, version: 3 | 4): Record<string, unknown> {
  const ipv6 = network.ipv6Addresses?.map(({ address }) => address) ?? [];
  const shown = { IPv6Addresses: ipv6.length > 0 ? ipv6 : undefined };
  if (version === 3) return shown;
  const gateway = parseGateway(network.subnetGatewayIpv4Address);
  return {
    ...shown,
    AttachmentIndex: network.index,
    MACAddress: network.macAddress,
    IPv4SubnetCIDRBlock: gateway?.subnet,
    DomainNameServers: network.domainNameServers,
    DomainNameSearchList: network.domainName.length > 0 ? network.domainName : undefined,
    PrivateDNSName: network.privateDnsName,
    SubnetGatewayIpv4Address: network.subnetGatewayIpv4Address,
  };
}

function parseGateway(text: string): { readonly subnet: string } | undefined {
  return /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(text) ? { subnet: formatSubnet(parseSubnet(text)) } : undefined;
}

export function taskDocument(world: World, view: TaskView, version: 3 | 4): Record<string, unknown> {
  const { plan, state } = view;
  const { cpu, memory } = plan.payload;
  return {
    Cluster: version === 4 ? plan.payload.taskClusterArn || world.cluster() : world.cluster(),
    TaskARN: plan.arn,
    Family: plan.payload.family,
    Revision: plan.payload.version,
    ServiceName: plan.payload.serviceName || undefined,
    DesiredStatus: state.desired,
    KnownStatus: state.status === "PENDING" ? "PENDING" : state.status,
    Limits: cpu || memory ? { CPU: cpu || undefined, Memory: memory || undefined } : undefined,
    PullStartedAt: iso(state.pullStartedAt),
    PullStoppedAt: iso(state.pullStoppedAt),
    ExecutionStoppedAt: iso(state.executionStoppedAt),
    AvailabilityZone: plan.payload.zone || world.config.availabilityZone,
    LaunchType: version === 4 ? plan.payload.launchType || "EC2" : undefined,
    Containers: state.containers
      .filter(({ createdAt }) => createdAt !== undefined)
      .map((container) => containerDocument(world, view, container, version)),
  };
}

function knownStatus({ status, startedAt, createdAt, image }: ContainerState): string {
  if (status === "STOPPED") return "STOPPED";
  if (status === "RUNNING" || startedAt !== undefined) return "RUNNING";
  return createdAt !== undefined ? "CREATED" : image ? "PULLED" : "NONE";
}

function health({ health: known, startedAt }: ContainerState): Record<string, unknown> {
  return {
    status: known?.status ?? "UNKNOWN",
    statusSince: iso(known?.since ?? startedAt),
    exitCode: known?.exitCode || undefined,
    output: known?.output || undefined,
  };
}

function volumes(definition: ContainerPlan): readonly Record<string, unknown>[] | undefined {
  const points = definition.definition.mountPoints ?? [];
  return points.length > 0
    ? points.map(({ sourceVolume, containerPath }) => ({ DockerName: sourceVolume, Destination: containerPath }))
    : undefined;
}

function iso(at: number | undefined): string | undefined {
  return at === undefined ? undefined : new Date(at).toISOString();
}
