import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { type PrefixList, prefixListsOf } from "#model/prefix-lists.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import type { Question } from "../context.ts";
import { describe, matches } from "../describe.ts";
import { ec2Errors } from "../errors.ts";

/** The services that endpoints can be made for, and AWS's prefix lists. Source: Amazon EC2 API Reference, "DescribeVpcEndpointServices". */

export interface EndpointService {
  readonly name: string;
  readonly types: readonly ("Gateway" | "Interface")[];
  /** The name that its API has without an endpoint. */
  readonly dns: string;
}

/** Those that Gantry itself answers, and those that tasks of ECS commonly reach by endpoints. */
const both: readonly string[] = [
  "application-autoscaling",
  "autoscaling",
  "ec2",
  "ecr.api",
  "ecr.dkr",
  "ecs",
  "ecs-agent",
  "ecs-telemetry",
  "elasticloadbalancing",
  "events",
  "kms",
  "logs",
  "monitoring",
  "scheduler",
  "secretsmanager",
  "servicediscovery",
  "sns",
  "sqs",
  "ssm",
  "ssmmessages",
  "sts",
];
const hosts: Readonly<Record<string, string>> = {
  "ecr.api": "api.ecr",
  "ecr.dkr": "*.dkr.ecr",
  "ecs-agent": "ecs-a",
  "ecs-telemetry": "ecs-t",
};

export function endpointServices(region: string): readonly EndpointService[] {
  const one = (short: string, types: EndpointService["types"]): EndpointService => ({
    name: `com.amazonaws.${region}.${short}`,
    types,
    dns: `${hosts[short] ?? short}.${region}.amazonaws.com`,
  });
  return [...both.map((short) => one(short, ["Interface"])), one("dynamodb", ["Gateway"]), one("s3", ["Gateway", "Interface"])].toSorted(
    (a, b) => (a.name < b.name ? -1 : 1),
  );
}

export const noService = (name: string) => new ApiError("InvalidServiceName", `The Vpc Endpoint Service '${name}' does not exist`);

/** A service of two types is two details, as with EC2. */
export async function describeVpcEndpointServices(
  question: Question,
  input: Sdk.DescribeVpcEndpointServicesRequest,
): Promise<Sdk.DescribeVpcEndpointServicesResult> {
  const { region } = question.scope;
  const zones = zonesOf(region);
  const all = endpointServices(region);
  const names = input.ServiceNames ?? [];
  for (const name of names) if (!all.some((service) => service.name === name)) throw noService(name);
  const details = all
    .filter(({ name }) => names.length === 0 || names.includes(name))
    .flatMap(({ name, types, dns }) =>
      types.map((type): Sdk.ServiceDetail => ({
        ServiceName: name,
        ServiceId: `vpce-svc-${Buffer.from(`${type}${name}`).toString("hex").padEnd(17, "0").slice(-17)}`,
        ServiceType: [{ ServiceType: type }],
        ServiceRegion: region,
        AvailabilityZones: zones.map((zone) => zone.name),
        AvailabilityZoneIds: zones.map((zone) => zone.id),
        Owner: "amazon",
        BaseEndpointDnsNames: [type === "Gateway" ? dns : `${name.split(".").at(-1)}.${region}.vpce.amazonaws.com`],
        PrivateDnsName: type === "Interface" ? dns : undefined,
        PrivateDnsNames: type === "Interface" ? [{ PrivateDnsName: dns }] : undefined,
        PrivateDnsNameVerificationState: type === "Interface" ? "verified" : undefined,
        VpcEndpointPolicySupported: true,
        AcceptanceRequired: false,
        ManagesVpcEndpoints: false,
        SupportedIpAddressTypes: ["ipv4"],
        Tags: [],
      })),
    );
  const { items, NextToken } = describe(question, {
    operation: "DescribeVpcEndpointServices",
    items: details,
    id: ({ ServiceName, ServiceType }) => `${ServiceName} ${ServiceType?.[0]?.ServiceType}`,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      owner: ({ Owner }) => Owner,
      "service-name": ({ ServiceName }) => ServiceName,
      "service-region": ({ ServiceRegion }) => ServiceRegion,
      "service-type": ({ ServiceType = [] }) => ServiceType.map(({ ServiceType: type }) => type),
      "supported-ip-address-types": ({ SupportedIpAddressTypes }) => SupportedIpAddressTypes,
    },
  });
  return { ServiceNames: [...new Set(items.map(({ ServiceName = "" }) => ServiceName))], ServiceDetails: items, NextToken };
}

function chosenLists({ scope }: Question, ids: readonly string[] | undefined): readonly PrefixList[] {
  const all = prefixListsOf(scope.region);
  for (const id of ids ?? [])
    if (!all.some((list) => list.id === id))
      throw new ApiError("InvalidPrefixListID.NotFound", `The prefix list ID '${id}' does not exist`);
  return ids?.length ? all.filter(({ id }) => ids.includes(id)) : all;
}

export async function describePrefixLists(
  question: Question,
  input: Sdk.DescribePrefixListsRequest,
): Promise<Sdk.DescribePrefixListsResult> {
  const lists = matches(chosenLists(question, input.PrefixListIds), input.Filters, {
    "prefix-list-id": ({ id }) => id,
    "prefix-list-name": ({ name }) => name,
  });
  return { PrefixLists: lists.map(({ id, name, cidrs }) => ({ PrefixListId: id, PrefixListName: name, Cidrs: [...cidrs] })) };
}

export async function describeManagedPrefixLists(
  question: Question,
  input: Sdk.DescribeManagedPrefixListsRequest,
): Promise<Sdk.DescribeManagedPrefixListsResult> {
  const lists = matches(chosenLists(question, input.PrefixListIds), input.Filters, {
    "owner-id": () => "AWS",
    "prefix-list-id": ({ id }) => id,
    "prefix-list-name": ({ name }) => name,
  });
  return {
    PrefixLists: lists.map(({ id, name }) => ({
      PrefixListId: id,
      AddressFamily: "IPv4",
      State: "create-complete",
      PrefixListArn: `arn:aws:ec2:${question.scope.region}:aws:prefix-list/${id}`,
      PrefixListName: name,
      Tags: [],
      OwnerId: "AWS",
    })),
  };
}

export async function getManagedPrefixListEntries(
  question: Question,
  { PrefixListId: id = "", MaxResults: limit, NextToken }: Sdk.GetManagedPrefixListEntriesRequest,
): Promise<Sdk.GetManagedPrefixListEntriesResult> {
  if (limit !== undefined && (limit < 1 || limit > 100)) throw ec2Errors.invalid("maxResults must be between 1 and 100");
  if (NextToken !== undefined) throw ec2Errors.badToken();
  return { Entries: chosenLists(question, [id])[0]!.cidrs.map((Cidr) => ({ Cidr })) };
}
