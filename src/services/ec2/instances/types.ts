import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { type InstanceType, instanceTypes, type MachineImage, machineImages } from "#model/instance-types.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import type { Question } from "../context.ts";
import { describe } from "../describe.ts";

/** Instance types, where they are offered, and images. Source: Amazon EC2 API Reference, "DescribeInstanceTypes" and its kin. */

function typeView(type: InstanceType): Sdk.InstanceTypeInfo {
  const xen = type.hypervisor === "xen";
  return {
    InstanceType: type.name as Sdk._InstanceType,
    CurrentGeneration: type.currentGeneration,
    FreeTierEligible: type.name === "t2.micro" || type.name === "t3.micro",
    SupportedUsageClasses: ["on-demand"],
    SupportedRootDeviceTypes: ["ebs"],
    SupportedVirtualizationTypes: ["hvm"],
    BareMetal: false,
    Hypervisor: type.hypervisor,
    ProcessorInfo: {
      SupportedArchitectures: [type.architecture],
      SustainedClockSpeedInGhz: type.clockGhz,
      Manufacturer: type.manufacturer,
    },
    VCpuInfo: {
      DefaultVCpus: type.vcpus,
      DefaultCores: type.cores,
      DefaultThreadsPerCore: type.vcpus / type.cores,
    },
    MemoryInfo: { SizeInMiB: type.memoryMiB },
    InstanceStorageSupported: false,
    EbsInfo: {
      EbsOptimizedSupport: xen ? "unsupported" : "default",
      EncryptionSupport: "supported",
      NvmeSupport: xen ? "unsupported" : "required",
    },
    NetworkInfo: {
      NetworkPerformance: type.network,
      MaximumNetworkInterfaces: type.interfaces,
      MaximumNetworkCards: 1,
      DefaultNetworkCardIndex: 0,
      Ipv4AddressesPerInterface: type.addresses,
      Ipv6AddressesPerInterface: type.addresses,
      Ipv6Supported: true,
      EnaSupport: xen ? "unsupported" : "required",
      EfaSupported: false,
      EncryptionInTransitSupported: false,
    },
    PlacementGroupInfo: { SupportedStrategies: ["partition", "spread"] },
    HibernationSupported: false,
    BurstablePerformanceSupported: type.burstable,
    DedicatedHostsSupported: false,
    AutoRecoverySupported: true,
    SupportedBootModes: type.architecture === "arm64" ? ["uefi"] : ["legacy-bios", "uefi"],
  };
}

const sorted = [...instanceTypes.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(typeView);

export async function describeInstanceTypes(
  question: Question,
  input: Sdk.DescribeInstanceTypesRequest,
): Promise<Sdk.DescribeInstanceTypesResult> {
  const names = input.InstanceTypes ?? [];
  const unknown = names.filter((name) => !instanceTypes.has(name));
  if (unknown.length > 0)
    throw new ApiError("InvalidInstanceType", `The following supplied instance types do not exist: [${unknown.join(", ")}]`);
  const { items, NextToken } = describe(question, {
    operation: "DescribeInstanceTypes",
    items: sorted.filter(({ InstanceType = "" }) => names.length === 0 || (names as readonly string[]).includes(InstanceType)),
    id: ({ InstanceType = "" }) => InstanceType,
    input,
    filters: input.Filters,
    table: {
      "auto-recovery-supported": ({ AutoRecoverySupported }) => AutoRecoverySupported,
      "bare-metal": ({ BareMetal }) => BareMetal,
      "burstable-performance-supported": ({ BurstablePerformanceSupported }) => BurstablePerformanceSupported,
      "current-generation": ({ CurrentGeneration }) => CurrentGeneration,
      "free-tier-eligible": ({ FreeTierEligible }) => FreeTierEligible,
      hypervisor: ({ Hypervisor }) => Hypervisor,
      "instance-storage-supported": ({ InstanceStorageSupported }) => InstanceStorageSupported,
      "instance-type": ({ InstanceType }) => InstanceType,
      "memory-info.size-in-mib": ({ MemoryInfo }) => MemoryInfo?.SizeInMiB,
      "network-info.maximum-network-interfaces": ({ NetworkInfo }) => NetworkInfo?.MaximumNetworkInterfaces,
      "processor-info.supported-architecture": ({ ProcessorInfo }) => ProcessorInfo?.SupportedArchitectures,
      "supported-root-device-type": ({ SupportedRootDeviceTypes }) => SupportedRootDeviceTypes,
      "supported-usage-class": ({ SupportedUsageClasses }) => SupportedUsageClasses,
      "supported-virtualization-type": ({ SupportedVirtualizationTypes }) => SupportedVirtualizationTypes,
      "vcpu-info.default-cores": ({ VCpuInfo }) => VCpuInfo?.DefaultCores,
      "vcpu-info.default-vcpus": ({ VCpuInfo }) => VCpuInfo?.DefaultVCpus,
    },
  });
  return { InstanceTypes: items, NextToken };
}

export async function describeInstanceTypeOfferings(
  question: Question,
  input: Sdk.DescribeInstanceTypeOfferingsRequest,
): Promise<Sdk.DescribeInstanceTypeOfferingsResult> {
  const { region } = question.scope;
  const type = input.LocationType ?? "region";
  const places = type === "region" ? [region] : zonesOf(region).map(({ name, id }) => (type === "availability-zone" ? name : id));
  const offerings = [...instanceTypes.keys()]
    .toSorted()
    .flatMap((name) =>
      places.map((Location): Sdk.InstanceTypeOffering => ({ InstanceType: name as Sdk._InstanceType, LocationType: type, Location })),
    );
  const { items, NextToken } = describe(question, {
    operation: "DescribeInstanceTypeOfferings",
    items: offerings,
    id: ({ InstanceType, Location }) => `${InstanceType} ${Location}`,
    input,
    filters: input.Filters,
    table: { "instance-type": ({ InstanceType }) => InstanceType, location: ({ Location }) => Location },
  });
  return { InstanceTypeOfferings: items, NextToken };
}

/** The account of Amazon's images. */
const amazon = "591542846629";

function imageView({ id, name, description, architecture, createdAt }: MachineImage): Sdk.Image {
  return {
    Architecture: architecture,
    CreationDate: createdAt,
    ImageId: id,
    ImageLocation: `amazon/${name}`,
    ImageType: "machine",
    Public: true,
    OwnerId: amazon,
    PlatformDetails: "Linux/UNIX",
    UsageOperation: "RunInstances",
    ProductCodes: [],
    State: "available",
    BlockDeviceMappings: [
      {
        DeviceName: "/dev/xvda",
        Ebs: { DeleteOnTermination: true, VolumeSize: 30, VolumeType: "gp3", Encrypted: false, SnapshotId: id.replace("ami-", "snap-") },
      },
    ],
    Description: description,
    EnaSupport: true,
    Hypervisor: "xen",
    ImageOwnerAlias: "amazon",
    Name: name,
    RootDeviceName: "/dev/xvda",
    RootDeviceType: "ebs",
    SriovNetSupport: "simple",
    VirtualizationType: "hvm",
    BootMode: "uefi-preferred",
    Tags: [],
  };
}

export async function describeImages(question: Question, input: Sdk.DescribeImagesRequest): Promise<Sdk.DescribeImagesResult> {
  const ids = input.ImageIds ?? [];
  for (const id of ids) {
    if (!/^ami-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
      throw new ApiError("InvalidAMIID.Malformed", `Invalid id: "${id}" (expecting "ami-...")`);
    if (!machineImages.some((image) => image.id === id))
      throw new ApiError("InvalidAMIID.NotFound", `The image id '[${id}]' does not exist`);
  }
  const owners = input.Owners ?? [];
  const ofAmazon = owners.length === 0 || owners.some((owner) => owner === "amazon" || owner === amazon);
  const { items, NextToken } = describe(question, {
    operation: "DescribeImages",
    items: ofAmazon ? machineImages.filter(({ id }) => ids.length === 0 || ids.includes(id)).map(imageView) : [],
    id: ({ ImageId = "" }) => ImageId,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      architecture: ({ Architecture }) => Architecture,
      "block-device-mapping.volume-type": ({ BlockDeviceMappings }) => BlockDeviceMappings?.[0]?.Ebs?.VolumeType,
      "creation-date": ({ CreationDate }) => CreationDate,
      description: ({ Description }) => Description,
      "ena-support": ({ EnaSupport }) => EnaSupport,
      hypervisor: ({ Hypervisor }) => Hypervisor,
      "image-id": ({ ImageId }) => ImageId,
      "image-type": ({ ImageType }) => ImageType,
      "is-public": ({ Public }) => Public,
      name: ({ Name }) => Name,
      "owner-alias": ({ ImageOwnerAlias }) => ImageOwnerAlias,
      "owner-id": ({ OwnerId }) => OwnerId,
      platform: () => undefined,
      "root-device-name": ({ RootDeviceName }) => RootDeviceName,
      "root-device-type": ({ RootDeviceType }) => RootDeviceType,
      state: ({ State }) => State,
      "virtualization-type": ({ VirtualizationType }) => VirtualizationType,
    },
  });
  return { Images: items, NextToken };
}
