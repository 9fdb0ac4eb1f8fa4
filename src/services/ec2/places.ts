import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import type { Question } from "./context.ts";
import { matches } from "./describe.ts";
import { ec2Errors } from "./errors.ts";

/** Regions, their zones, and what an account may do there. Source: Amazon EC2 API Reference, "DescribeRegions" and its kin. */

/** The regions of every AWS account, which need no opting in. */
const regions = [
  "ap-northeast-1",
  "ap-northeast-2",
  "ap-northeast-3",
  "ap-south-1",
  "ap-southeast-1",
  "ap-southeast-2",
  "ca-central-1",
  "eu-central-1",
  "eu-north-1",
  "eu-west-1",
  "eu-west-2",
  "eu-west-3",
  "sa-east-1",
  "us-east-1",
  "us-east-2",
  "us-west-1",
  "us-west-2",
];

/** With the request's own region and the installation's, whatever they are called: all are served here. */
export async function describeRegions({ deps, scope }: Question, input: Sdk.DescribeRegionsRequest): Promise<Sdk.DescribeRegionsResult> {
  const all = [...new Set([...regions, scope.region, deps.config.region])].toSorted();
  const names = input.RegionNames ?? [];
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw ec2Errors.invalid(`Invalid region name: ${unknown}`);
  const views = all.map((RegionName): Sdk.Region => ({
    OptInStatus: "opt-in-not-required",
    RegionName,
    Endpoint: `ec2.${RegionName}.amazonaws.com`,
  }));
  const Regions = matches(
    views.filter(({ RegionName = "" }) => names.length === 0 || names.includes(RegionName)),
    input.Filters,
    {
      endpoint: ({ Endpoint }) => Endpoint,
      "opt-in-status": ({ OptInStatus }) => OptInStatus,
      "region-name": ({ RegionName }) => RegionName,
    },
  );
  return { Regions };
}

export async function describeAvailabilityZones(
  { scope }: Question,
  input: Sdk.DescribeAvailabilityZonesRequest,
): Promise<Sdk.DescribeAvailabilityZonesResult> {
  const { region } = scope;
  const zones = zonesOf(region);
  const [names, ids] = [input.ZoneNames ?? [], input.ZoneIds ?? []];
  for (const name of names) if (!zones.some((zone) => zone.name === name)) throw ec2Errors.invalid(`Invalid availability zone: [${name}]`);
  for (const id of ids) if (!zones.some((zone) => zone.id === id)) throw ec2Errors.invalid(`Invalid availability zone-id: [${id}]`);
  const views = zones
    .filter(({ name, id }) => (names.length === 0 || names.includes(name)) && (ids.length === 0 || ids.includes(id)))
    .map(({ name, id }): Sdk.AvailabilityZone => ({
      OptInStatus: "opt-in-not-required",
      Messages: [],
      RegionName: region,
      ZoneName: name,
      ZoneId: id,
      GroupName: `${region}-zg-1`,
      NetworkBorderGroup: region,
      ZoneType: "availability-zone",
      State: "available",
    }));
  const AvailabilityZones = matches(views, input.Filters, {
    "group-name": ({ GroupName }) => GroupName,
    message: () => undefined,
    "opt-in-status": ({ OptInStatus }) => OptInStatus,
    "parent-zone-id": () => undefined,
    "parent-zone-name": () => undefined,
    "region-name": ({ RegionName }) => RegionName,
    state: ({ State }) => State,
    "zone-id": ({ ZoneId }) => ZoneId,
    "zone-name": ({ ZoneName }) => ZoneName,
    "zone-type": ({ ZoneType }) => ZoneType,
  });
  return { AvailabilityZones };
}

export async function describeAccountAttributes(
  question: Question,
  { AttributeNames: names = [] }: Sdk.DescribeAccountAttributesRequest,
): Promise<Sdk.DescribeAccountAttributesResult> {
  const attributes: Readonly<Record<string, string>> = {
    "supported-platforms": "VPC",
    "default-vpc": (await question.all("vpc")).find(({ isDefault }) => isDefault)?.id ?? "none",
    "max-instances": "20",
    "vpc-max-security-groups-per-interface": "16",
    "max-elastic-ips": "5",
    "vpc-max-elastic-ips": "5",
  };
  for (const name of names)
    if (!Object.hasOwn(attributes, name))
      throw new ApiError("InvalidParameterValue", `Value (${name}) for parameter attributeName is invalid.`);
  return {
    AccountAttributes: Object.entries(attributes)
      .filter(([name]) => names.length === 0 || names.includes(name as Sdk.AccountAttributeName))
      .map(([AttributeName, AttributeValue]) => ({ AttributeName, AttributeValues: [{ AttributeValue }] })),
  };
}
