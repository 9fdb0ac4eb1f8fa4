import { instanceTypes, machineImages } from "#model/instance-types.ts";
import type { InstanceRecord, KeyPairRecord, LaunchSpec } from "#model/instance-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Tag } from "#model/ecs-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SecurityGroupRecord, SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import type { Unit } from "#store/unit.ts";
import { releaseInterface, takeInterface, type InterfaceMaking } from "../vpc/interfaces.ts";
import { newId } from "../vpc/ids.ts";
import { findProfile, noSuchProfile } from "./profile.ts";

/** What EC2 refuses to launch, by EC2's own codes; Auto Scaling shows them in its activities. Source: Amazon EC2 API Reference, "Error codes". */
export class LaunchError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.name = "LaunchError";
    this.code = code;
  }
}

export interface LaunchRequest {
  readonly spec: LaunchSpec;
  readonly reservationId: string;
  readonly launchIndex: number;
  readonly launchTemplate?: InstanceRecord["launchTemplate"];
  readonly autoScalingGroup?: string;
  readonly client?: InstanceRecord["client"];
  readonly tags: readonly Tag[];
}

/**
 * Writes one instance with its network interface, in the caller's transaction of EC2's queue; a reconciler finds it a machine. Throws LaunchError, and VpcError for
 * subnets without an address: then nothing was written.
 */
export async function launchInstance(unit: Unit, scope: Scope, request: LaunchRequest, making: InterfaceMaking): Promise<InstanceRecord> {
  const { spec } = request;
  const { random, now } = making;
  const type = instanceTypes.get(spec.instanceType ?? "m1.small");
  if (spec.imageId === undefined) throw new LaunchError("MissingParameter", "The request must contain the parameter ImageId");
  if (!/^ami-([0-9a-f]{8}|[0-9a-f]{17})$/.test(spec.imageId))
    throw new LaunchError("InvalidAMIID.Malformed", `Invalid id: "${spec.imageId}" (expecting "ami-...")`);
  if (!type) throw new LaunchError("InvalidParameterValue", `Invalid value '${spec.instanceType ?? "m1.small"}' for InstanceType.`);
  const image = machineImages.find(({ id }) => id === spec.imageId);
  if (!image) throw new LaunchError("InvalidAMIID.NotFound", `The image id '[${spec.imageId}]' does not exist`);
  if (image.architecture !== type.architecture)
    throw new LaunchError(
      "InvalidParameterValue",
      `The architecture '${type.architecture}' of the specified instance type does not match the architecture '${image.architecture}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.`,
    );
  if (spec.keyName !== undefined && !(await keyPairNamed(unit, scope, spec.keyName)))
    throw new LaunchError("InvalidKeyPair.NotFound", `The key pair '${spec.keyName}' does not exist`);
  const profile = spec.instanceProfile && (await findProfile(unit, scope, spec.instanceProfile));
  if (spec.instanceProfile && !profile) throw new LaunchError("InvalidParameterValue", noSuchProfile(spec.instanceProfile));
  const subnet = await subnetOf(unit, scope, spec);
  const { record, vpc } = await takeInterface(
    unit,
    scope,
    {
      subnetId: subnet.id,
      groups: spec.securityGroupIds ?? [],
      description: "",
      interfaceType: "interface",
      ...(spec.privateIp ? { privateIps: [spec.privateIp] } : {}),
      assignPublicIp: spec.assignPublicIp ?? subnet.mapPublicIpOnLaunch,
      tags: spec.interfaceTags ?? [],
    },
    making,
  );
  const id = newId(random, "i");
  unit.put(vpcKeys.one(scope, "network-interface", record.id), {
    ...record,
    attachment: {
      id: newId(random, "eni-attach"),
      attachedAt: now,
      deviceIndex: 0,
      deleteOnTermination: true,
      instanceId: id,
      instanceOwnerId: scope.account,
    },
  } satisfies NetworkInterfaceRecord);
  const volumes = spec.volumes?.some(({ deviceName }) => deviceName === "/dev/xvda")
    ? spec.volumes
    : [{ deviceName: "/dev/xvda" }, ...(spec.volumes ?? [])];
  const { metadata = {} } = spec;
  const instance: InstanceRecord = {
    id,
    reservationId: request.reservationId,
    launchIndex: request.launchIndex,
    desired: "running",
    boot: 1,
    imageId: spec.imageId,
    instanceType: type.name,
    vpcId: vpc.id,
    subnetId: subnet.id,
    availabilityZone: subnet.availabilityZone,
    networkInterfaceId: record.id,
    privateIp: record.privateIps[0]!,
    groups: record.groups,
    ...(spec.keyName === undefined ? {} : { keyName: spec.keyName }),
    ...(spec.userData === undefined ? {} : { userData: spec.userData }),
    ...(profile
      ? {
          instanceProfile: {
            arn: profile.arn,
            id: profile.record.id,
            associationId: newId(random, "iip-assoc"),
          },
        }
      : {}),
    metadata: { httpTokens: "optional", httpEndpoint: "enabled", hopLimit: 1, instanceMetadataTags: "disabled", ...metadata },
    monitoring: spec.monitoring ?? false,
    ebsOptimized: spec.ebsOptimized ?? false,
    disableApiTermination: spec.disableApiTermination ?? false,
    disableApiStop: spec.disableApiStop ?? false,
    shutdownBehavior: spec.shutdownBehavior ?? "stop",
    sourceDestCheck: true,
    volumes: volumes.map((each) => ({
      ...each,
      volumeId: newId(random, "vol"),
      sizeGiB: each.sizeGiB ?? (each.deviceName === "/dev/xvda" ? 30 : 8),
      type: each.type ?? "gp3",
    })),
    launchedAt: now,
    ...(request.launchTemplate ? { launchTemplate: request.launchTemplate } : {}),
    ...(request.autoScalingGroup === undefined ? {} : { autoScalingGroup: request.autoScalingGroup }),
    ...(request.client ? { client: request.client } : {}),
    tags: request.tags,
  };
  unit.put(vpcKeys.one(scope, "instance", id), instance);
  return instance;
}

export async function keyPairNamed(unit: Pick<Unit, "list">, scope: Scope, name: string): Promise<KeyPairRecord | undefined> {
  return [...(await unit.list<KeyPairRecord>(vpcKeys.of(scope, "key-pair"))).values()].find((each) => each.name === name);
}

async function subnetOf(unit: Unit, scope: Scope, { subnetId, availabilityZone }: LaunchSpec): Promise<SubnetRecord> {
  if (subnetId !== undefined) {
    const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", subnetId));
    if (!subnet) throw new LaunchError("InvalidSubnetID.NotFound", `The subnet ID '${subnetId}' does not exist`);
    return subnet;
  }
  const vpc = [...(await unit.list<VpcRecord>(vpcKeys.of(scope, "vpc"))).values()].find(({ isDefault }) => isDefault);
  const subnets = [...(await unit.list<SubnetRecord>(vpcKeys.of(scope, "subnet"))).values()].filter(
    (each) => each.vpcId === vpc?.id && each.defaultForAz && (availabilityZone === undefined || each.availabilityZone === availabilityZone),
  );
  const [subnet] = subnets.toSorted((a, b) => (a.availabilityZone < b.availabilityZone ? -1 : 1));
  if (!subnet) throw new LaunchError("MissingInput", `No subnets found for the default VPC '${vpc?.id ?? ""}'. Please specify a subnet.`);
  return subnet;
}

/** Groups by name are of the default VPC, or of the subnet's. */
export async function groupsByName(unit: Unit, scope: Scope, names: readonly string[], vpcId: string | undefined): Promise<string[]> {
  const groups = [...(await unit.list<SecurityGroupRecord>(vpcKeys.of(scope, "security-group"))).values()];
  return names.map((name) => {
    const found = groups.find((each) => each.name === name && each.vpcId === vpcId);
    if (!found)
      throw new LaunchError("InvalidGroup.NotFound", `The security group '${name}' does not exist in default VPC '${vpcId ?? ""}'`);
    return found.id;
  });
}

export const userTermination = { code: "Client.UserInitiatedShutdown", message: "Client.UserInitiatedShutdown: User initiated shutdown" };

/** It is to go: its machine is told, and once nothing is left of it its interface and address are given back. Safe to repeat. */
export function terminate(
  unit: Unit,
  scope: Scope,
  record: InstanceRecord,
  now: number,
  reason: { code: string; message: string } = userTermination,
): InstanceRecord {
  if (record.desired === "terminated") return record;
  const next: InstanceRecord = { ...record, desired: "terminated", reason: { ...reason, at: now } };
  unit.put(vpcKeys.one(scope, "instance", record.id), next);
  return next;
}

/** Nothing of it runs any more. */
export async function finishTermination(unit: Unit, scope: Scope, record: InstanceRecord, now: number): Promise<void> {
  if (record.terminatedAt !== undefined) return;
  const eni = await unit.get<NetworkInterfaceRecord>(vpcKeys.one(scope, "network-interface", record.networkInterfaceId));
  if (eni?.attachment?.deleteOnTermination === false) {
    const { attachment: _, instance: __, ...free } = eni;
    unit.put(vpcKeys.one(scope, "network-interface", eni.id), free);
  } else await releaseInterface(unit, scope, record.networkInterfaceId);
  unit.put(vpcKeys.one(scope, "instance", record.id), { ...record, terminatedAt: now } satisfies InstanceRecord);
  unit.delete(vpcKeys.one(scope, "instance-observed", record.id));
}
