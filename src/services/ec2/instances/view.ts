import type * as Sdk from "@aws-sdk/client-ec2";
import type { Scope } from "#model/ecs-keys.ts";
import { type InstanceObservation, type InstanceRecord, stateCodes, stateOf } from "#model/instance-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { privateDnsName, publicDnsName } from "#reconcilers/vpc/interfaces.ts";
import type { Change, Question, Records } from "../context.ts";
import { attachmentView, groupViews, type Surroundings, surroundings } from "../network-interfaces/view.ts";
import { apiTags } from "../tags.ts";

/** All that a view of instances joins. */
export interface Around extends Surroundings {
  readonly observed: ReadonlyMap<string, InstanceObservation>;
  readonly interfaces: ReadonlyMap<string, NetworkInterfaceRecord>;
}

/** Terminated instances are shown for so long. */
export const shownMs = 3_600_000;

export async function aroundInstances(records: Records, observed: Around["observed"]): Promise<Around> {
  const interfaces = new Map((await records.all("network-interface")).map((each) => [each.id, each]));
  return { ...(await surroundings(records)), observed, interfaces };
}

export async function observedOf(records: Question | Change): Promise<Around["observed"]> {
  const prefix = vpcKeys.of(records.scope, "instance-observed");
  const entries: [string, InstanceObservation][] =
    "unit" in records
      ? [...(await records.unit.list<InstanceObservation>(prefix))]
      : (await records.deps.store.list<InstanceObservation>(prefix)).entries.map(({ key, value }) => [key, value]);
  return new Map(entries.map(([key, value]) => [key.slice(prefix.length), value]));
}

export const stateView = (state: keyof typeof stateCodes): Sdk.InstanceState => ({ Code: stateCodes[state], Name: state });

export const stateIn = (record: InstanceRecord, around: Pick<Around, "observed">) => stateOf(record, around.observed.get(record.id));

export function instanceView(scope: Scope, record: InstanceRecord, around: Around): Sdk.Instance {
  const state = stateIn(record, around);
  const gone = state === "terminated";
  const type = instanceTypes.get(record.instanceType);
  const eni = around.interfaces.get(record.networkInterfaceId);
  const publicIp = eni?.publicIp;
  const publicName = publicIp && around.publicNames.has(record.vpcId) ? publicDnsName(scope, publicIp.address) : "";
  const device = record.volumes[0]?.deviceName ?? "/dev/xvda";
  const { reason } = record;
  return {
    AmiLaunchIndex: record.launchIndex,
    Architecture: type?.architecture,
    BlockDeviceMappings: gone
      ? []
      : record.volumes.map((volume) => ({
          DeviceName: volume.deviceName,
          Ebs: {
            AttachTime: new Date(record.launchedAt),
            DeleteOnTermination: volume.deleteOnTermination ?? true,
            Status: "attached" as const,
            VolumeId: volume.volumeId,
          },
        })),
    BootMode: "uefi-preferred",
    CapacityReservationSpecification: { CapacityReservationPreference: "open" },
    ClientToken: record.client?.token ?? "",
    CpuOptions: { CoreCount: type?.cores, ThreadsPerCore: type ? type.vcpus / type.cores : 1 },
    CurrentInstanceBootMode: "uefi",
    EbsOptimized: record.ebsOptimized,
    EnaSupport: true,
    EnclaveOptions: { Enabled: false },
    HibernationOptions: { Configured: false },
    Hypervisor: "xen",
    ...(record.instanceProfile && !gone ? { IamInstanceProfile: { Arn: record.instanceProfile.arn, Id: record.instanceProfile.id } } : {}),
    ImageId: record.imageId,
    InstanceId: record.id,
    InstanceType: record.instanceType as Sdk.Instance["InstanceType"],
    KeyName: record.keyName,
    LaunchTime: new Date(record.launchedAt),
    MaintenanceOptions: { AutoRecovery: "default" },
    MetadataOptions: metadataView(record),
    Monitoring: { State: record.monitoring ? "enabled" : "disabled" },
    NetworkInterfaces: eni ? [interfaceOf(scope, record, eni, around, publicName)] : [],
    Placement: { AvailabilityZone: record.availabilityZone, GroupName: "", Tenancy: "default" },
    PlatformDetails: "Linux/UNIX",
    PrivateDnsName: gone ? "" : privateDnsName(scope, record.privateIp),
    PrivateDnsNameOptions: gone
      ? undefined
      : { HostnameType: "ip-name", EnableResourceNameDnsARecord: false, EnableResourceNameDnsAAAARecord: false },
    ...(gone ? {} : { PrivateIpAddress: record.privateIp, SubnetId: record.subnetId, VpcId: record.vpcId }),
    ProductCodes: [],
    PublicDnsName: publicName,
    PublicIpAddress: publicIp?.address,
    RootDeviceName: device,
    RootDeviceType: "ebs",
    SecurityGroups: gone ? [] : groupViews(eni?.groups ?? record.groups, around),
    SourceDestCheck: record.sourceDestCheck,
    State: stateView(state),
    ...(reason && state !== "running" && state !== "pending" ? { StateReason: { Code: reason.code, Message: reason.message } } : {}),
    StateTransitionReason: reason && state !== "running" && state !== "pending" ? `User initiated (${awsTime(reason.at)})` : "",
    Tags: apiTags(record.tags),
    UsageOperation: "RunInstances",
    UsageOperationUpdateTime: new Date(record.launchedAt),
    VirtualizationType: "hvm",
  };
}

const awsTime = (at: number) =>
  new Date(at)
    .toISOString()
    .replace("T", " ")
    .replace(/\.\d+Z$/, " GMT");

export function metadataView({ metadata }: InstanceRecord): Sdk.InstanceMetadataOptionsResponse {
  return {
    State: "applied",
    HttpTokens: metadata.httpTokens,
    HttpPutResponseHopLimit: metadata.hopLimit,
    HttpEndpoint: metadata.httpEndpoint,
    HttpProtocolIpv6: "disabled",
    InstanceMetadataTags: metadata.instanceMetadataTags,
  };
}

function interfaceOf(
  scope: Scope,
  record: InstanceRecord,
  eni: NetworkInterfaceRecord,
  around: Around,
  publicName: string,
): Sdk.InstanceNetworkInterface {
  const { publicIp } = eni;
  const association = publicIp && {
    IpOwnerId: publicIp.allocationId === undefined ? "amazon" : scope.account,
    PublicDnsName: publicName,
    PublicIp: publicIp.address,
  };
  return {
    Association: association,
    Attachment: eni.attachment && attachmentView(eni.attachment),
    Description: eni.description,
    Groups: groupViews(eni.groups, around),
    InterfaceType: "interface",
    Ipv6Addresses: eni.ipv6.map((Ipv6Address) => ({ Ipv6Address, IsPrimaryIpv6: false })),
    MacAddress: eni.mac,
    NetworkInterfaceId: eni.id,
    OwnerId: scope.account,
    PrivateDnsName: privateDnsName(scope, record.privateIp),
    PrivateIpAddress: record.privateIp,
    PrivateIpAddresses: eni.privateIps.map((address, at) => ({
      Association: at === 0 ? association : undefined,
      Primary: at === 0,
      PrivateDnsName: privateDnsName(scope, address),
      PrivateIpAddress: address,
    })),
    SourceDestCheck: eni.sourceDestCheck,
    Status: "in-use",
    SubnetId: eni.subnetId,
    VpcId: eni.vpcId,
  };
}
