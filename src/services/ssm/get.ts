import type * as Sdk from "@aws-sdk/client-ssm";
import { ApiError } from "#api/contract.ts";
import type { ParameterVersion } from "#model/secrets-records.ts";
import type { Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { filtersOf } from "./filters.ts";
import { allParameters, needParameter, select, type Selected, valueOf } from "./lookup.ts";
import { page } from "./page.ts";
import { checkPath, limitOf } from "./rules.ts";

async function view(records: Records, { parameter, version, selector }: Selected, decrypt = false): Promise<Sdk.Parameter> {
  return {
    Name: parameter.name,
    Type: version.type,
    Value: await valueOf(records, parameter.name, version, decrypt),
    Version: version.version,
    ...(selector === undefined ? {} : { Selector: selector }),
    LastModifiedDate: new Date(version.modifiedAt),
    ARN: parameter.arn,
    DataType: version.dataType,
  };
}

export async function getParameter(
  records: Records,
  { Name = "", WithDecryption }: Sdk.GetParameterRequest,
): Promise<Sdk.GetParameterResult> {
  return { Parameter: await view(records, await select(records, Name), WithDecryption) };
}

export async function getParameters(
  records: Records,
  { Names = [], WithDecryption }: Sdk.GetParametersRequest,
): Promise<Sdk.GetParametersResult> {
  if (Names.length < 1 || Names.length > 10)
    throw errors.validation(
      `1 validation error detected: Value '[${Names.join(", ")}]' at 'names' failed to satisfy constraint: Member must have length ${Names.length < 1 ? "greater than or equal to 1" : "less than or equal to 10"}`,
    );
  const found: Sdk.Parameter[] = [];
  const missing: string[] = [];
  for (const name of new Set(Names)) {
    try {
      const selected = await select(records, name);
      found.push(await view(records, selected, WithDecryption));
    } catch (error) {
      if (!(error instanceof ApiError) || !/^Parameter(Version)?NotFound$/.test(error.code)) throw error;
      missing.push(name);
    }
  }
  return { Parameters: found, InvalidParameters: missing };
}

export async function getParametersByPath(
  records: Records,
  { Path = "", Recursive = false, ParameterFilters, WithDecryption, MaxResults, NextToken }: Sdk.GetParametersByPathRequest,
): Promise<Sdk.GetParametersByPathResult> {
  const path = checkPath(Path);
  const filter = filtersOf(ParameterFilters, ["Type", "KeyId", "Label"]);
  const label = ParameterFilters?.find(({ Key }) => Key === "Label")?.Values;
  const all = (await allParameters(records)).filter(
    (parameter) =>
      // The root's own parameters need no slash.
      (parameter.name.startsWith(path) || (path === "/" && !parameter.name.startsWith("/"))) &&
      (Recursive || !parameter.name.slice(path.length).includes("/")) &&
      filter(parameter),
  );
  const asked = { operation: "GetParametersByPath", asked: [path, Recursive, ParameterFilters], limit: limitOf(MaxResults, 10), NextToken };
  const { items, ...more } = page(records, all, ({ name }) => name, asked);
  const chosen = items.map((parameter) => ({
    parameter,
    version:
      (label && parameter.versions.findLast(({ labels }) => labels.some((each) => label.includes(each)))) || parameter.versions.at(-1)!,
  }));
  return { Parameters: await Promise.all(chosen.map((each) => view(records, each, WithDecryption))), ...more };
}

export async function getParameterHistory(
  records: Records,
  { Name = "", WithDecryption = false, MaxResults, NextToken }: Sdk.GetParameterHistoryRequest,
): Promise<Sdk.GetParameterHistoryResult> {
  const { name, versions } = await needParameter(records, Name);
  const position = ({ version }: ParameterVersion) => String(version).padStart(12, "0");
  const { items, ...more } = page(records, versions, position, {
    operation: "GetParameterHistory",
    asked: name,
    limit: limitOf(MaxResults, 50),
    NextToken,
  });
  const Parameters = items.map(async (version): Promise<Sdk.ParameterHistory> => ({
    ...metadataOf(version),
    Name: name,
    Value: await valueOf(records, name, version, WithDecryption),
    Labels: [...version.labels],
  }));
  return { Parameters: await Promise.all(Parameters), ...more };
}

/** What DescribeParameters and GetParameterHistory both show of a version. */
export function metadataOf(version: ParameterVersion) {
  return {
    Type: version.type,
    KeyId: version.kmsKeyId,
    LastModifiedDate: new Date(version.modifiedAt),
    LastModifiedUser: version.modifiedBy,
    Description: version.description,
    AllowedPattern: version.allowedPattern,
    Version: version.version,
    Tier: version.tier,
    Policies: [],
    DataType: version.dataType,
  };
}
