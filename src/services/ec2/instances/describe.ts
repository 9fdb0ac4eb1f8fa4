import type * as Sdk from "@aws-sdk/client-ec2";
import { need, type Question } from "../context.ts";
import { describe } from "../describe.ts";
import { ec2Errors } from "../errors.ts";
import { aroundInstances, instanceView, observedOf, shownMs, stateIn, stateView } from "./view.ts";

/** What is shown of instances. Source: Amazon EC2 API Reference, "DescribeInstances" and its kin. */

interface Shown {
  readonly reservation: string;
  readonly view: Sdk.Instance;
}

async function shown(question: Question): Promise<Shown[]> {
  const around = await aroundInstances(question, await observedOf(question));
  return (await question.all("instance"))
    .filter(({ terminatedAt }) => terminatedAt === undefined || terminatedAt + shownMs > question.now)
    .map((record) => ({ reservation: record.reservationId, view: instanceView(question.scope, record, around) }));
}

export async function describeInstances(question: Question, input: Sdk.DescribeInstancesRequest): Promise<Sdk.DescribeInstancesResult> {
  const eni =
    (get: (each: Sdk.InstanceNetworkInterface) => string | undefined) =>
    ({ view }: Shown) =>
      (view.NetworkInterfaces ?? []).map(get);
  const { items, NextToken } = describe<Shown>(question, {
    operation: "DescribeInstances",
    kind: "instance",
    items: await shown(question),
    id: ({ view }) => view.InstanceId ?? "",
    ids: input.InstanceIds,
    input,
    filters: input.Filters,
    tags: ({ view }) => view.Tags,
    table: {
      architecture: ({ view }) => view.Architecture,
      "availability-zone": ({ view }) => view.Placement?.AvailabilityZone,
      "block-device-mapping.device-name": ({ view }) => view.BlockDeviceMappings?.map(({ DeviceName }) => DeviceName),
      "block-device-mapping.volume-id": ({ view }) => view.BlockDeviceMappings?.map(({ Ebs }) => Ebs?.VolumeId),
      "client-token": ({ view }) => view.ClientToken,
      "dns-name": ({ view }) => view.PublicDnsName,
      "group-id": ({ view }) => view.SecurityGroups?.map(({ GroupId }) => GroupId),
      "group-name": ({ view }) => view.SecurityGroups?.map(({ GroupName }) => GroupName),
      hypervisor: ({ view }) => view.Hypervisor,
      "iam-instance-profile.arn": ({ view }) => view.IamInstanceProfile?.Arn,
      "iam-instance-profile.id": ({ view }) => view.IamInstanceProfile?.Id,
      "image-id": ({ view }) => view.ImageId,
      "instance-id": ({ view }) => view.InstanceId,
      "instance-lifecycle": ({ view }) => view.InstanceLifecycle,
      "instance-state-code": ({ view }) => view.State?.Code,
      "instance-state-name": ({ view }) => view.State?.Name,
      "instance-type": ({ view }) => view.InstanceType,
      "instance.group-id": ({ view }) => view.SecurityGroups?.map(({ GroupId }) => GroupId),
      "instance.group-name": ({ view }) => view.SecurityGroups?.map(({ GroupName }) => GroupName),
      "ip-address": ({ view }) => view.PublicIpAddress,
      "key-name": ({ view }) => view.KeyName,
      "launch-index": ({ view }) => view.AmiLaunchIndex,
      "launch-time": ({ view }) => view.LaunchTime?.toISOString(),
      "metadata-options.http-tokens": ({ view }) => view.MetadataOptions?.HttpTokens,
      "metadata-options.http-endpoint": ({ view }) => view.MetadataOptions?.HttpEndpoint,
      "monitoring-state": ({ view }) => view.Monitoring?.State,
      "network-interface.network-interface-id": eni(({ NetworkInterfaceId }) => NetworkInterfaceId),
      "network-interface.subnet-id": eni(({ SubnetId }) => SubnetId),
      "network-interface.vpc-id": eni(({ VpcId }) => VpcId),
      "network-interface.addresses.private-ip-address": eni(({ PrivateIpAddress }) => PrivateIpAddress),
      "owner-id": () => question.scope.account,
      "platform-details": ({ view }) => view.PlatformDetails,
      "private-dns-name": ({ view }) => view.PrivateDnsName,
      "private-ip-address": ({ view }) => view.PrivateIpAddress,
      reason: ({ view }) => view.StateTransitionReason,
      "requester-id": () => undefined,
      "reservation-id": ({ reservation }) => reservation,
      "root-device-name": ({ view }) => view.RootDeviceName,
      "root-device-type": ({ view }) => view.RootDeviceType,
      "source-dest-check": ({ view }) => view.SourceDestCheck,
      "state-reason-code": ({ view }) => view.StateReason?.Code,
      "subnet-id": ({ view }) => view.SubnetId,
      tenancy: ({ view }) => view.Placement?.Tenancy,
      "virtualization-type": ({ view }) => view.VirtualizationType,
      "vpc-id": ({ view }) => view.VpcId,
    },
  });
  const reservations = new Map<string, Sdk.Instance[]>();
  for (const { reservation, view } of items) reservations.set(reservation, [...(reservations.get(reservation) ?? []), view]);
  return {
    Reservations: [...reservations].map(([ReservationId, Instances]) => ({
      ReservationId,
      OwnerId: question.scope.account,
      Groups: [],
      Instances,
    })),
    NextToken,
  };
}

export async function describeInstanceStatus(
  question: Question,
  input: Sdk.DescribeInstanceStatusRequest,
): Promise<Sdk.DescribeInstanceStatusResult> {
  const observed = await observedOf(question);
  const records = await question.all("instance");
  const wanted = records.filter(
    (each) => (input.InstanceIds ?? []).includes(each.id) || input.IncludeAllInstances || stateIn(each, { observed }) === "running",
  );
  const { items, NextToken } = describe(question, {
    operation: "DescribeInstanceStatus",
    kind: "instance",
    items: wanted.map((record): Sdk.InstanceStatus => {
      const state = stateIn(record, { observed });
      const seen = observed.get(record.id);
      const status = state !== "running" ? "not-applicable" : seen?.ready ? "ok" : "initializing";
      const details =
        status === "not-applicable"
          ? []
          : [{ Name: "reachability" as const, Status: seen?.ready ? ("passed" as const) : ("initializing" as const) }];
      return {
        AvailabilityZone: record.availabilityZone,
        InstanceId: record.id,
        InstanceState: stateView(state),
        InstanceStatus: { Status: status, Details: details },
        SystemStatus: { Status: status, Details: details },
      };
    }),
    id: ({ InstanceId = "" }) => InstanceId,
    ids: input.InstanceIds,
    input,
    filters: input.Filters,
    table: {
      "availability-zone": ({ AvailabilityZone }) => AvailabilityZone,
      "instance-state-code": ({ InstanceState }) => InstanceState?.Code,
      "instance-state-name": ({ InstanceState }) => InstanceState?.Name,
      "instance-status.status": ({ InstanceStatus }) => InstanceStatus?.Status,
      "instance-status.reachability": ({ InstanceStatus }) => InstanceStatus?.Details?.[0]?.Status,
      "system-status.status": ({ SystemStatus }) => SystemStatus?.Status,
      "system-status.reachability": ({ SystemStatus }) => SystemStatus?.Details?.[0]?.Status,
    },
  });
  return { InstanceStatuses: items, NextToken };
}

export async function getConsoleOutput(
  question: Question,
  { InstanceId: id = "" }: Sdk.GetConsoleOutputRequest,
): Promise<Sdk.GetConsoleOutputResult> {
  await need(question, "instance", id);
  const seen = (await observedOf(question)).get(id);
  return {
    InstanceId: id,
    ...(seen?.console ? { Output: Buffer.from(seen.console).toString("base64") } : {}),
    Timestamp: new Date(seen?.at ?? question.now),
  };
}

/** An instance's disks, which are shown and not made. */
export async function describeVolumes(question: Question, input: Sdk.DescribeVolumesRequest): Promise<Sdk.DescribeVolumesResult> {
  const wanted = input.VolumeIds ?? [];
  const instances = (await question.all("instance")).filter(({ terminatedAt }) => terminatedAt === undefined);
  const volumes = instances.flatMap((record) =>
    record.volumes.map((volume): Sdk.Volume => ({
      Attachments: [
        {
          AttachTime: new Date(record.launchedAt),
          DeleteOnTermination: volume.deleteOnTermination ?? true,
          Device: volume.deviceName,
          InstanceId: record.id,
          State: "attached",
          VolumeId: volume.volumeId,
        },
      ],
      AvailabilityZone: record.availabilityZone,
      CreateTime: new Date(record.launchedAt),
      Encrypted: volume.encrypted ?? false,
      Iops: volume.iops ?? (volume.type === "gp3" ? 3000 : Math.max(100, volume.sizeGiB * 3)),
      MultiAttachEnabled: false,
      Size: volume.sizeGiB,
      SnapshotId: volume.snapshotId ?? "",
      State: "in-use",
      Throughput: volume.type === "gp3" ? (volume.throughput ?? 125) : undefined,
      VolumeId: volume.volumeId,
      VolumeType: volume.type as Sdk.VolumeType,
      Tags: [],
    })),
  );
  for (const id of wanted) if (!volumes.some(({ VolumeId }) => VolumeId === id)) throw ec2Errors.noVolume(id);
  const { items, NextToken } = describe(question, {
    operation: "DescribeVolumes",
    items: volumes.filter(({ VolumeId = "" }) => wanted.length === 0 || wanted.includes(VolumeId)),
    id: ({ VolumeId = "" }) => VolumeId,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "attachment.delete-on-termination": ({ Attachments }) => Attachments?.[0]?.DeleteOnTermination,
      "attachment.device": ({ Attachments }) => Attachments?.[0]?.Device,
      "attachment.instance-id": ({ Attachments }) => Attachments?.[0]?.InstanceId,
      "attachment.status": ({ Attachments }) => Attachments?.[0]?.State,
      "availability-zone": ({ AvailabilityZone }) => AvailabilityZone,
      size: ({ Size }) => Size,
      status: ({ State }) => State,
      "volume-id": ({ VolumeId }) => VolumeId,
      "volume-type": ({ VolumeType }) => VolumeType,
    },
  });
  return { Volumes: items, NextToken };
}
