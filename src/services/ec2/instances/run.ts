import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import { groupsByName, launchInstance, LaunchError } from "#reconcilers/instances/launch.ts";
import { launchOf, over, templateVersion, type Launch } from "#reconcilers/instances/template.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, repeated } from "../context.ts";
import { ec2Errors } from "../errors.ts";
import { tagsFor } from "../tags.ts";
import { aroundInstances, instanceView, observedOf } from "./view.ts";

/** RunInstances. Source: Amazon EC2 API Reference. */

export async function runInstances(change: Change, input: Sdk.RunInstancesRequest): Promise<Sdk.Reservation> {
  const all = await change.all("instance");
  const { client, earlier } = repeated(all, input);
  if (earlier)
    return reservation(
      change,
      all.filter(({ reservationId }) => reservationId === earlier.reservationId),
    );
  refuseUnsupported(input);
  const most = input.MaxCount ?? 0;
  const least = input.MinCount ?? 0;
  if (least < 1 || most < least)
    throw ec2Errors.invalid(
      `Invalid value '${least < 1 ? least : most}' for ${least < 1 ? "MinCount" : "MaxCount"}. It must be at least ${least < 1 ? 1 : least}.`,
    );
  if (most > mostAtOnce)
    throw new ApiError(
      "InstanceLimitExceeded",
      `You have requested more instances (${most}) than your current instance limit of ${mostAtOnce} allows for the specified instance type.`,
    );
  checkTagTypes(input.TagSpecifications);
  try {
    const { launch, template } = await resolveLaunch(change, input);
    checkUserData(launch.userData);
    await checkCapacity(change, launch.instanceType);
    const reservationId = newId(change.random, "r");
    const instances: InstanceRecord[] = [];
    for (let launchIndex = 0; launchIndex < most; launchIndex++)
      instances.push(
        await launchInstance(
          change.unit,
          change.scope,
          {
            spec: launch,
            reservationId,
            launchIndex,
            ...(template ? { launchTemplate: template } : {}),
            ...(client ? { client } : {}),
            tags: [
              ...(template
                ? [
                    { key: "aws:ec2launchtemplate:id", value: template.id },
                    { key: "aws:ec2launchtemplate:version", value: String(template.version) },
                  ]
                : []),
              ...(launch.instanceTags ?? []),
            ],
          },
          change.making,
        ),
      );
    return await reservation(change, instances);
  } catch (error) {
    throw error instanceof LaunchError ? new ApiError(error.code, error.message) : error;
  }
}

/** Of one request; and EC2's own default quota is not far from it. */
const mostAtOnce = 100;

async function resolveLaunch(
  change: Change,
  input: Sdk.RunInstancesRequest,
): Promise<{ readonly launch: Launch; readonly template: InstanceRecord["launchTemplate"] }> {
  const own = launchOf(input);
  const named = input.LaunchTemplate;
  const found = named
    ? await templateVersion(change.unit, change.scope, {
        ...(named.LaunchTemplateId ? { id: named.LaunchTemplateId } : {}),
        ...(named.LaunchTemplateName ? { name: named.LaunchTemplateName } : {}),
        ...(named.Version ? { version: named.Version } : {}),
      })
    : undefined;
  const launch = found ? over(launchOf(found.version.data as object), own) : own;
  const template = found && { id: found.template.id, name: found.template.name, version: found.version.number };
  if (!launch.groupNames) return { launch, template };
  const subnet = launch.subnetId === undefined ? undefined : await change.get("subnet", launch.subnetId);
  const vpcId = subnet?.vpcId ?? (await change.all("vpc")).find(({ isDefault }) => isDefault)?.id;
  const byName = await groupsByName(change.unit, change.scope, launch.groupNames, vpcId);
  return { launch: { ...launch, securityGroupIds: [...(launch.securityGroupIds ?? []), ...byName] }, template };
}

async function reservation(change: Change, instances: readonly InstanceRecord[]): Promise<Sdk.Reservation> {
  const around = await aroundInstances(change, await observedOf(change));
  return {
    ReservationId: instances[0]?.reservationId,
    OwnerId: change.scope.account,
    Groups: [],
    Instances: instances.map((each) => instanceView(change.scope, each, around)),
  };
}

const given = (value: unknown) => value !== undefined && !(Array.isArray(value) && value.length === 0);

/** What an instance cannot be here. What only changes what it costs, or how it is shown, is taken. */
export function refuseUnsupported(input: Partial<Sdk.RunInstancesRequest> | Sdk.RequestLaunchTemplateData): void {
  const of = input as Readonly<Record<string, unknown>>;
  const unsupported: Readonly<Record<string, string>> = {
    KernelId: "kernels of one's own",
    RamDiskId: "RAM disks",
    RamdiskId: "RAM disks",
    InstanceMarketOptions: "Spot instances",
    LicenseSpecifications: "licenses",
    ElasticGpuSpecification: "elastic GPUs",
    ElasticGpuSpecifications: "elastic GPUs",
    ElasticInferenceAccelerators: "elastic inference accelerators",
    InstanceRequirements: "instance types by their requirements",
    SecondaryInterfaces: "secondary interfaces",
  };
  for (const [name, what] of Object.entries(unsupported)) if (given(of[name])) throw ec2Errors.notYet(what);
  const interfaces = (input.NetworkInterfaces ?? []) as readonly Sdk.InstanceNetworkInterfaceSpecification[];
  if (interfaces.length > 1 || interfaces.some(({ NetworkInterfaceId }) => NetworkInterfaceId))
    throw ec2Errors.notYet("instances with network interfaces that were made before, or with several");
  if (interfaces.length > 0 && (given(of.SubnetId) || given(of.SecurityGroupIds) || given(of.SecurityGroups)))
    throw ec2Errors.combination(
      "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request",
    );
  if (given(of.SecurityGroupIds) && given(of.SecurityGroups))
    throw ec2Errors.combination("The parameter groupName cannot be used with the parameter groupId");
  const tenancy = (input.Placement as Sdk.Placement | undefined)?.Tenancy;
  if (tenancy === "dedicated" || tenancy === "host") throw ec2Errors.notYet(`instances of the tenancy ${tenancy}`);
}

function checkUserData(userData: string | undefined): void {
  if (userData === undefined) return;
  if (!/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(userData)) throw ec2Errors.invalid("Invalid BASE64 encoding of user data.");
  if (Buffer.from(userData, "base64").length > 16_384) throw ec2Errors.invalid("User data is limited to 16384 bytes");
}

function checkTagTypes(specifications: readonly Sdk.TagSpecification[] | undefined): void {
  for (const { ResourceType: type, Tags } of specifications ?? []) {
    if (!["instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu"].includes(type ?? ""))
      throw ec2Errors.invalid(`'${type}' is not a valid taggable resource type for this operation.`);
    tagsFor(type!, [{ ResourceType: type, Tags }]);
  }
}

/** Where no machine that is there could hold it, EC2 says so at once. Nobody there yet: it waits for one. */
async function checkCapacity(change: Change, name = "m1.small"): Promise<void> {
  const type = instanceTypes.get(name);
  const largest = await change.largestMachine();
  if (type && largest !== undefined && largest < type.memoryMiB)
    throw new ApiError(
      "InsufficientInstanceCapacity",
      `We currently do not have sufficient ${name} capacity: it has ${type.memoryMiB} MiB of memory, and the largest of Gantry's machines has ${largest} MiB.`,
      500,
    );
}
