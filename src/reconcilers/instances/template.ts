import type { RequestLaunchTemplateData, RunInstancesRequest, TagSpecification } from "@aws-sdk/client-ec2";
import type { Scope } from "#model/ecs-keys.ts";
import type { Tag } from "#model/ecs-records.ts";
import type { LaunchSpec, LaunchTemplateRecord, LaunchTemplateVersion, MetadataOptions } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { Unit } from "#store/unit.ts";
import { LaunchError } from "./launch.ts";

/** What RunInstances and launch templates say of an instance, in one shape. Pure. Source: Amazon EC2 API Reference, "RunInstances" and "RequestLaunchTemplateData". */
type Given = Partial<RunInstancesRequest> & Partial<Omit<RequestLaunchTemplateData, keyof RunInstancesRequest>>;

export interface Launch extends LaunchSpec {
  /** Of groups that are named and not given by id. */
  readonly groupNames?: readonly string[];
}

/** Members that Gantry can't honour are refused by the operations that take them in (`unsupported`). */
export function launchOf(given: Given): Launch {
  const [network] = given.NetworkInterfaces ?? [];
  const primary = network?.PrivateIpAddresses?.find(({ Primary }) => Primary)?.PrivateIpAddress ?? network?.PrivateIpAddress;
  const groups = network?.Groups?.length ? network.Groups : given.SecurityGroupIds;
  const profile = given.IamInstanceProfile;
  return defined({
    imageId: given.ImageId,
    instanceType: given.InstanceType,
    keyName: given.KeyName,
    userData: given.UserData,
    subnetId: network?.SubnetId ?? given.SubnetId,
    securityGroupIds: groups?.length ? groups : undefined,
    groupNames: given.SecurityGroups?.length ? given.SecurityGroups : undefined,
    privateIp: primary ?? given.PrivateIpAddress,
    assignPublicIp: network?.AssociatePublicIpAddress,
    instanceProfile: profile?.Arn || profile?.Name ? defined({ arn: profile.Arn, name: profile.Name }) : undefined,
    metadata: given.MetadataOptions ? metadataOf(given.MetadataOptions) : undefined,
    monitoring: given.Monitoring?.Enabled,
    ebsOptimized: given.EbsOptimized,
    disableApiTermination: given.DisableApiTermination,
    disableApiStop: given.DisableApiStop,
    shutdownBehavior: given.InstanceInitiatedShutdownBehavior,
    availabilityZone: given.Placement?.AvailabilityZone,
    tenancy: given.Placement?.Tenancy,
    creditSpecification: given.CreditSpecification?.CpuCredits,
    volumes: given.BlockDeviceMappings?.flatMap(({ DeviceName, Ebs, NoDevice }) =>
      DeviceName && Ebs && NoDevice === undefined
        ? [
            defined({
              deviceName: DeviceName,
              sizeGiB: Ebs.VolumeSize,
              type: Ebs.VolumeType,
              encrypted: Ebs.Encrypted,
              deleteOnTermination: Ebs.DeleteOnTermination,
              iops: Ebs.Iops,
              throughput: Ebs.Throughput,
              snapshotId: Ebs.SnapshotId,
              kmsKeyId: Ebs.KmsKeyId,
            }),
          ]
        : [],
    ),
    instanceTags: tagsOf(given.TagSpecifications, "instance"),
    volumeTags: tagsOf(given.TagSpecifications, "volume"),
    interfaceTags: tagsOf(given.TagSpecifications, "network-interface"),
  });
}

export function metadataOf(given: {
  readonly HttpTokens?: string;
  readonly HttpEndpoint?: string;
  readonly HttpPutResponseHopLimit?: number;
  readonly InstanceMetadataTags?: string;
}): MetadataOptions {
  return defined({
    httpTokens: given.HttpTokens as MetadataOptions["httpTokens"],
    httpEndpoint: given.HttpEndpoint as MetadataOptions["httpEndpoint"],
    hopLimit: given.HttpPutResponseHopLimit,
    instanceMetadataTags: given.InstanceMetadataTags as MetadataOptions["instanceMetadataTags"],
  });
}

function tagsOf(specifications: readonly TagSpecification[] | undefined, type: string): Tag[] | undefined {
  const given = (specifications ?? []).filter(({ ResourceType }) => ResourceType === type).flatMap(({ Tags = [] }) => Tags);
  return given.length > 0 ? given.map(({ Key = "", Value = "" }) => ({ key: Key, value: Value })) : undefined;
}

/** What the request says wins over the template; tags of both count. */
export function over(template: Launch, own: Launch): Launch {
  const { securityGroupIds: _, groupNames: __, ...rest } = template;
  const base = own.securityGroupIds || own.groupNames ? rest : template;
  const both = (name: "instanceTags" | "volumeTags" | "interfaceTags") => {
    const tags = new Map([...(template[name] ?? []), ...(own[name] ?? [])].map(({ key, value }) => [key, value]));
    return tags.size > 0 ? [...tags].map(([key, value]) => ({ key, value })) : undefined;
  };
  const metadata = template.metadata || own.metadata ? { ...template.metadata, ...own.metadata } : undefined;
  return defined({
    ...base,
    ...own,
    metadata,
    instanceTags: both("instanceTags"),
    volumeTags: both("volumeTags"),
    interfaceTags: both("interfaceTags"),
  });
}

export interface TemplateName {
  readonly id?: string;
  readonly name?: string;
  /** A number, `$Latest` or `$Default`; absent: `$Default`. */
  readonly version?: string;
}

/** The template and its version. Throws LaunchError in EC2's words. */
export async function templateVersion(
  unit: Pick<Unit, "get" | "list">,
  scope: Scope,
  { id, name, version }: TemplateName,
): Promise<{ readonly template: LaunchTemplateRecord; readonly version: LaunchTemplateVersion }> {
  if ((id === undefined) === (name === undefined))
    throw new LaunchError(
      "InvalidParameterCombination",
      "Either launch template ID or launch template name must be specified, but not both.",
    );
  const template =
    id === undefined
      ? [...(await unit.list<LaunchTemplateRecord>(vpcKeys.of(scope, "launch-template"))).values()].find((each) => each.name === name)
      : await unit.get<LaunchTemplateRecord>(vpcKeys.one(scope, "launch-template", id));
  if (!template)
    throw id === undefined
      ? new LaunchError(
          "InvalidLaunchTemplateName.NotFoundException",
          `The specified launch template, with template name ${name}, does not exist.`,
        )
      : new LaunchError("InvalidLaunchTemplateId.NotFound", `The specified launch template, with template ID ${id}, does not exist.`);
  const found = versionOf(template, version);
  if (!found)
    throw new LaunchError(
      "InvalidLaunchTemplateId.VersionNotFound",
      `Could not find the specified version ${version} for the launch template with ID ${template.id}.`,
    );
  return { template, version: found };
}

export function versionOf(template: LaunchTemplateRecord, version: string | undefined): LaunchTemplateVersion | undefined {
  const number =
    version === "$Latest" ? template.latestVersion : !version || version === "$Default" ? template.defaultVersion : Number(version);
  return template.versions.find((each) => each.number === number);
}

function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
