import type * as Sdk from "@aws-sdk/client-ec2";
import type { DhcpOptionsRecord } from "#model/vpc-records.ts";
import { defaultDhcpOptions } from "#reconcilers/vpc/make-vpc.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** DHCP option sets. Source: Amazon EC2 API Reference, "CreateDhcpOptions" and its kin. */

const keys = new Set([
  "domain-name",
  "domain-name-servers",
  "ipv6-address-preferred-lease-time",
  "netbios-name-servers",
  "netbios-node-type",
  "ntp-servers",
]);

const view = (account: string, { id, configurations, tags }: DhcpOptionsRecord): Sdk.DhcpOptions => ({
  OwnerId: account,
  Tags: apiTags(tags),
  DhcpOptionsId: id,
  DhcpConfigurations: configurations.map(({ key, values }) => ({ Key: key, Values: values.map((Value) => ({ Value })) })),
});

export async function createDhcpOptions(change: Change, input: Sdk.CreateDhcpOptionsRequest): Promise<Sdk.CreateDhcpOptionsResult> {
  const configurations = (input.DhcpConfigurations ?? []).map(({ Key = "", Values = [] }) => ({ key: Key, values: Values }));
  if (configurations.length === 0) throw ec2Errors.missing("dhcpConfiguration");
  for (const { key, values } of configurations) {
    if (!keys.has(key)) throw ec2Errors.invalid(`Value (${key}) for parameter name is invalid. Unknown DHCP option`);
    if (values.length === 0) throw ec2Errors.invalid(`Value () for parameter value is invalid. The DHCP option ${key} needs a value`);
  }
  const options: DhcpOptionsRecord = {
    id: newId(change.random, "dopt"),
    configurations,
    tags: tagsFor("dhcp-options", input.TagSpecifications),
  };
  change.put("dhcp-options", options.id, options);
  return { DhcpOptions: view(change.scope.account, options) };
}

/** `default` is the set that names Amazon's resolver. */
export async function associateDhcpOptions(
  change: Change,
  { DhcpOptionsId: id = "", VpcId: vpcId = "" }: Sdk.AssociateDhcpOptionsRequest,
): Promise<object> {
  const vpc = await need(change, "vpc", vpcId);
  const options =
    id === "default" ? await defaultDhcpOptions(change.unit, change.scope, change.random) : await need(change, "dhcp-options", id);
  change.put("vpc", vpcId, { ...vpc, dhcpOptionsId: options.id });
  return {};
}

export async function deleteDhcpOptions(change: Change, { DhcpOptionsId: id = "" }: Sdk.DeleteDhcpOptionsRequest): Promise<object> {
  await need(change, "dhcp-options", id);
  if ((await change.all("vpc")).some(({ dhcpOptionsId }) => dhcpOptionsId === id))
    throw ec2Errors.dependency(`The dhcpOptions '${id}' has dependencies and cannot be deleted.`);
  change.delete("dhcp-options", id);
  return {};
}

export async function describeDhcpOptions(
  question: Question,
  input: Sdk.DescribeDhcpOptionsRequest,
): Promise<Sdk.DescribeDhcpOptionsResult> {
  const { items, NextToken } = describe(question, {
    operation: "DescribeDhcpOptions",
    kind: "dhcp-options",
    items: (await question.all("dhcp-options")).map((options) => view(question.scope.account, options)),
    id: ({ DhcpOptionsId = "" }) => DhcpOptionsId,
    ids: input.DhcpOptionsIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "dhcp-options-id": ({ DhcpOptionsId }) => DhcpOptionsId,
      key: ({ DhcpConfigurations = [] }) => DhcpConfigurations.map(({ Key }) => Key),
      value: ({ DhcpConfigurations = [] }) => DhcpConfigurations.flatMap(({ Values = [] }) => Values.map(({ Value }) => Value)),
      "owner-id": ({ OwnerId }) => OwnerId,
    },
  });
  return { DhcpOptions: items, NextToken };
}
