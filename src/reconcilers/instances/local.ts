import type { LocalInstance } from "#agent-protocol/instances.ts";
import { addressAt, knownBlock } from "#model/cidr.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { InstanceRecord, KeyPairRecord } from "#model/instance-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import type { NetworkInterfaceRecord, SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import { privateDnsName } from "../vpc/interfaces.ts";

/** An instance as its machine is told of it; undefined while it lacks what it lies in. Pure. */
export function localInstanceOf(
  scope: Scope,
  record: InstanceRecord,
  around: {
    readonly eni: NetworkInterfaceRecord | undefined;
    readonly subnet: SubnetRecord | undefined;
    readonly vpc: VpcRecord | undefined;
    readonly key: KeyPairRecord | undefined;
  },
): LocalInstance | undefined {
  const { eni, subnet, vpc, key } = around;
  const type = instanceTypes.get(record.instanceType);
  if (!eni || !subnet || !vpc || !type || record.desired === "terminated") return undefined;
  const name = privateDnsName(scope, record.privateIp);
  const bits = subnet.cidr.split("/")[1];
  return {
    instanceId: record.id,
    desired: record.desired,
    boot: record.boot,
    instanceType: type.name,
    vcpus: type.vcpus,
    memoryMiB: type.memoryMiB,
    imageId: record.imageId,
    account: scope.account,
    region: scope.region,
    availabilityZone: record.availabilityZone,
    vpcId: record.vpcId,
    subnetId: record.subnetId,
    groups: eni.groups,
    networkInterface: {
      attachmentArn: `arn:aws:ec2:${scope.region}:${scope.account}:attachment/${eni.attachment?.id ?? ""}`,
      ec2Id: eni.id,
      index: 0,
      macAddress: eni.mac,
      ipv4Addresses: eni.privateIps.map((privateAddress, at) => ({ primary: at === 0, privateAddress })),
      ipv6Addresses: eni.ipv6.map((address) => ({ address })),
      subnetGatewayIpv4Address: `${addressAt(knownBlock(subnet.cidr), 1)}/${bits}`,
      domainName: [name.slice(name.indexOf(".") + 1)],
      domainNameServers: [addressAt(knownBlock(vpc.cidr), 2)],
      privateDnsName: name,
      interfaceAssociationProtocol: "default",
    },
    ...(eni.publicIp ? { publicIp: eni.publicIp.address } : {}),
    privateDnsName: name,
    ...(key ? { publicKey: { name: key.name, material: key.publicKey } } : {}),
    ...(record.userData === undefined ? {} : { userData: record.userData }),
    metadata: {
      enabled: record.metadata.httpEndpoint === "enabled",
      tokenRequired: record.metadata.httpTokens === "required",
      tags: record.metadata.instanceMetadataTags === "enabled",
      hopLimit: record.metadata.hopLimit,
    },
    tags: record.metadata.instanceMetadataTags === "enabled" ? record.tags : [],
    launchedAt: record.launchedAt,
  };
}
