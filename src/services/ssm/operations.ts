import type * as Sdk from "@aws-sdk/client-ssm";
import { parameterKeys } from "#model/secrets-keys.ts";
import type { ParameterRecord, ParameterVersion } from "#model/secrets-records.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { filtersOf, oldFiltersOf } from "./filters.ts";
import { metadataOf } from "./get.ts";
import { allParameters, findParameter, needParameter, putParameterRecord } from "./lookup.ts";
import { page } from "./page.ts";
import { checkTags, isLabel, limitOf } from "./rules.ts";

const mostLabels = 10;

export async function describeParameters(
  records: Records,
  { Filters, ParameterFilters, MaxResults, NextToken, Shared }: Sdk.DescribeParametersRequest,
): Promise<Sdk.DescribeParametersResult> {
  if (Filters?.length && ParameterFilters?.length)
    throw errors.validation("You can use either Filters or ParameterFilters in a single request.");
  const test = Filters?.length ? oldFiltersOf(Filters) : filtersOf(ParameterFilters);
  // Nobody shares parameters with another account here.
  const all = Shared ? [] : (await allParameters(records)).filter(test);
  const asked = { operation: "DescribeParameters", asked: [Filters, ParameterFilters], limit: limitOf(MaxResults, 50), NextToken };
  const { items, ...more } = page(records, all, ({ name }) => name, asked);
  return { Parameters: items.map(({ name, arn, versions }) => ({ Name: name, ARN: arn, ...metadataOf(versions.at(-1)!) })), ...more };
}

export async function deleteParameter(change: Change, { Name = "" }: Sdk.DeleteParameterRequest): Promise<object> {
  const { name } = await needParameter(change, Name);
  change.unit.delete(parameterKeys.parameter(change.scope, name));
  return {};
}

export async function deleteParameters(change: Change, { Names = [] }: Sdk.DeleteParametersRequest): Promise<Sdk.DeleteParametersResult> {
  if (Names.length < 1 || Names.length > 10)
    throw errors.validation(
      "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length between 1 and 10",
    );
  const deleted: string[] = [];
  const missing: string[] = [];
  for (const given of new Set(Names)) {
    const found = await findParameter(change, given);
    if (found) change.unit.delete(parameterKeys.parameter(change.scope, found.name));
    (found ? deleted : missing).push(given);
  }
  return { DeletedParameters: deleted, InvalidParameters: missing };
}

/** The version of a number, by default the latest. */
function versionOf({ name, versions }: ParameterRecord, number: number | undefined): ParameterVersion {
  const found = number === undefined ? versions.at(-1) : versions.find(({ version }) => version === number);
  if (!found) throw errors.noVersion(name, String(number));
  return found;
}

export async function labelParameterVersion(
  change: Change,
  { Name = "", ParameterVersion: number, Labels = [] }: Sdk.LabelParameterVersionRequest,
): Promise<Sdk.LabelParameterVersionResult> {
  const parameter = await needParameter(change, Name);
  const target = versionOf(parameter, number);
  const good = [...new Set(Labels.filter(isLabel))];
  if (new Set([...target.labels, ...good]).size > mostLabels) throw errors.labelLimit();
  const versions = parameter.versions.map((version) => {
    const others = version.labels.filter((label) => !good.includes(label));
    return { ...version, labels: version.version === target.version ? [...others, ...good] : others };
  });
  putParameterRecord(change, { ...parameter, versions });
  return { InvalidLabels: Labels.filter((label) => !isLabel(label)), ParameterVersion: target.version };
}

export async function unlabelParameterVersion(
  change: Change,
  { Name = "", ParameterVersion: number, Labels = [] }: Sdk.UnlabelParameterVersionRequest,
): Promise<Sdk.UnlabelParameterVersionResult> {
  const parameter = await needParameter(change, Name);
  const target = versionOf(parameter, number);
  const labels = target.labels.filter((label) => !Labels.includes(label));
  const versions = parameter.versions.map((version) => (version.version === target.version ? { ...version, labels } : version));
  putParameterRecord(change, { ...parameter, versions });
  return {
    RemovedLabels: Labels.filter((label) => target.labels.includes(label)),
    InvalidLabels: Labels.filter((label) => !target.labels.includes(label)),
  };
}

/** Of all that Systems Manager can tag, there are parameters. */
async function needTagged(records: Records, type: string | undefined, id = ""): Promise<ParameterRecord> {
  if (type !== "Parameter") throw errors.notYet(`tags of resources of the type ${type}`);
  const found = await findParameter(records, id);
  if (!found) throw errors.badResourceId();
  return found;
}

export async function addTagsToResource(change: Change, { ResourceType, ResourceId, Tags }: Sdk.AddTagsToResourceRequest): Promise<object> {
  const parameter = await needTagged(change, ResourceType, ResourceId);
  putParameterRecord(change, { ...parameter, tags: checkTags(Tags, parameter.tags) });
  return {};
}

export async function removeTagsFromResource(
  change: Change,
  { ResourceType, ResourceId, TagKeys = [] }: Sdk.RemoveTagsFromResourceRequest,
): Promise<object> {
  const parameter = await needTagged(change, ResourceType, ResourceId);
  putParameterRecord(change, { ...parameter, tags: parameter.tags.filter(({ key }) => !TagKeys.includes(key)) });
  return {};
}

export async function listTagsForResource(
  records: Records,
  { ResourceType, ResourceId }: Sdk.ListTagsForResourceRequest,
): Promise<Sdk.ListTagsForResourceResult> {
  const { tags } = await needTagged(records, ResourceType, ResourceId);
  return { TagList: tags.map(({ key, value }) => ({ Key: key, Value: value })) };
}
