import type * as Sdk from "@aws-sdk/client-ec2";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import { privateDnsName, publicDnsName } from "#reconcilers/vpc/interfaces.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import type { Records } from "../context.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { apiTags } from "../tags.ts";

/** What a view needs of other records. */
export interface Surroundings {
  readonly groupNames: ReadonlyMap<string, string>;
  /** The VPCs whose interfaces have public names. */
  readonly publicNames: ReadonlySet<string>;
}

export async function surroundings(records: Records): Promise<Surroundings> {
  const groupNames = new Map((await records.all("security-group")).map(({ id, name }) => [id, name]));
  const publicNames = new Set((await records.all("vpc")).filter((vpc) => vpc.enableDnsHostnames).map(({ id }) => id));
  return { groupNames, publicNames };
}

export function attachmentView(attachment: NonNullable<NetworkInterfaceRecord["attachment"]>): Sdk.NetworkInterfaceAttachment {
  return {
    AttachTime: new Date(attachment.attachedAt),
    AttachmentId: attachment.id,
    DeleteOnTermination: attachment.deleteOnTermination,
    DeviceIndex: attachment.deviceIndex,
    NetworkCardIndex: 0,
    InstanceId: attachment.instanceId,
    InstanceOwnerId: attachment.instanceOwnerId,
    Status: "attached",
  };
}

export const groupViews = (ids: readonly string[], { groupNames }: Surroundings): Sdk.GroupIdentifier[] =>
  ids.map((id) => ({ GroupId: id, GroupName: groupNames.get(id) }));

export function interfaceView(scope: Scope, record: NetworkInterfaceRecord, around: Surroundings): Sdk.NetworkInterface {
  const { publicIp, attachment } = record;
  const name = publicIp && around.publicNames.has(record.vpcId) ? publicDnsName(scope, publicIp.address) : undefined;
  const association: Sdk.NetworkInterfaceAssociation | undefined = publicIp && {
    AllocationId: publicIp.allocationId,
    AssociationId: publicIp.associationId,
    IpOwnerId: publicIp.allocationId === undefined ? "amazon" : scope.account,
    PublicDnsName: name,
    PublicIp: publicIp.address,
  };
  return {
    Association: association,
    Attachment: attachment && attachmentView(attachment),
    AvailabilityZone: record.availabilityZone,
    AvailabilityZoneId: zonesOf(scope.region).find((zone) => zone.name === record.availabilityZone)?.id,
    Description: record.description,
    Groups: groupViews(record.groups, around),
    // `nat_gateway` on the wire, whatever the SDK's types say.
    InterfaceType: record.interfaceType as Sdk.NetworkInterfaceType,
    Ipv6Addresses: record.ipv6.map((Ipv6Address) => ({ Ipv6Address, IsPrimaryIpv6: false })),
    MacAddress: record.mac,
    NetworkInterfaceId: record.id,
    OwnerId: scope.account,
    PrivateDnsName: privateDnsName(scope, record.privateIps[0]!),
    PublicDnsName: name,
    PrivateIpAddress: record.privateIps[0],
    PrivateIpAddresses: record.privateIps.map((address, at) => ({
      Association: at === 0 ? association : undefined,
      Primary: at === 0,
      PrivateDnsName: privateDnsName(scope, address),
      PrivateIpAddress: address,
    })),
    Ipv6Address: record.ipv6[0],
    RequesterId: record.requesterId,
    RequesterManaged: record.requesterManaged,
    Operator: { Managed: false },
    SourceDestCheck: record.sourceDestCheck,
    Status: attachment ? "in-use" : "available",
    SubnetId: record.subnetId,
    TagSet: apiTags(record.tags),
    VpcId: record.vpcId,
  };
}
