import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { LaunchTemplateRecord, LaunchTemplateVersion } from "#model/instance-records.ts";
import { LaunchError } from "#reconcilers/instances/launch.ts";
import { templateVersion, versionOf } from "#reconcilers/instances/template.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, type Question, repeated } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { refuseUnsupported } from "./instances/run.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Launch templates and their versions. Source: Amazon EC2 API Reference, "CreateLaunchTemplate" and its kin. */

const creator = (account: string) => `arn:aws:iam::${account}:root`;

const templateView = (record: LaunchTemplateRecord): Sdk.LaunchTemplate => ({
  LaunchTemplateId: record.id,
  LaunchTemplateName: record.name,
  CreateTime: new Date(record.createdAt),
  CreatedBy: record.createdBy,
  DefaultVersionNumber: record.defaultVersion,
  LatestVersionNumber: record.latestVersion,
  Operator: { Managed: false },
  Tags: apiTags(record.tags),
});

const versionView = (record: LaunchTemplateRecord, version: LaunchTemplateVersion): Sdk.LaunchTemplateVersion => ({
  LaunchTemplateId: record.id,
  LaunchTemplateName: record.name,
  VersionNumber: version.number,
  ...(version.description === undefined ? {} : { VersionDescription: version.description }),
  CreateTime: new Date(version.createdAt),
  CreatedBy: version.createdBy,
  DefaultVersion: version.number === record.defaultVersion,
  LaunchTemplateData: version.data as Sdk.ResponseLaunchTemplateData,
  Operator: { Managed: false },
});

const aws = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (error) {
    throw error instanceof LaunchError ? new ApiError(error.code, error.message) : error;
  }
};

const nameOf = (input: { LaunchTemplateId?: string; LaunchTemplateName?: string }) => ({
  ...(input.LaunchTemplateId ? { id: input.LaunchTemplateId } : {}),
  ...(input.LaunchTemplateName ? { name: input.LaunchTemplateName } : {}),
});

export async function createLaunchTemplate(
  change: Change,
  input: Sdk.CreateLaunchTemplateRequest,
): Promise<Sdk.CreateLaunchTemplateResult> {
  const all = await change.all("launch-template");
  const { earlier, client } = repeated(all, input);
  if (earlier) return { LaunchTemplate: templateView(earlier) };
  const name = input.LaunchTemplateName ?? "";
  if (!/^[a-zA-Z0-9().\-/_]{3,128}$/.test(name))
    throw new ApiError(
      "InvalidLaunchTemplateName.MalformedException",
      "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.",
    );
  if (all.some((each) => each.name === name))
    throw new ApiError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.");
  const data = dataOf(input.LaunchTemplateData);
  const record: LaunchTemplateRecord = {
    id: newId(change.random, "lt"),
    name,
    createdAt: change.now,
    createdBy: creator(change.scope.account),
    defaultVersion: 1,
    latestVersion: 1,
    versions: [
      {
        number: 1,
        ...(input.VersionDescription === undefined ? {} : { description: input.VersionDescription }),
        createdAt: change.now,
        createdBy: creator(change.scope.account),
        data,
      },
    ],
    ...(client ? { client } : {}),
    tags: tagsFor("launch-template", input.TagSpecifications),
  };
  change.put("launch-template", record.id, record);
  return { LaunchTemplate: templateView(record) };
}

function dataOf(given: Sdk.RequestLaunchTemplateData | undefined): Sdk.RequestLaunchTemplateData {
  const data = given ?? {};
  if (Object.keys(data).length === 0) throw new ApiError("MissingParameter", "The request must contain the parameter LaunchTemplateData");
  refuseUnsupported(data);
  return data;
}

export async function createLaunchTemplateVersion(
  change: Change,
  input: Sdk.CreateLaunchTemplateVersionRequest,
): Promise<Sdk.CreateLaunchTemplateVersionResult> {
  const { template } = await aws(templateVersion(change.unit, change.scope, nameOf(input)));
  const source = input.SourceVersion === undefined ? undefined : versionOf(template, input.SourceVersion);
  if (input.SourceVersion !== undefined && !source) throw noVersion(template, input.SourceVersion);
  const number = template.latestVersion + 1;
  const version: LaunchTemplateVersion = {
    number,
    ...(input.VersionDescription === undefined ? {} : { description: input.VersionDescription }),
    createdAt: change.now,
    createdBy: creator(change.scope.account),
    data: source ? { ...(source.data as object), ...input.LaunchTemplateData } : dataOf(input.LaunchTemplateData),
  };
  const next = { ...template, latestVersion: number, versions: [...template.versions, version] };
  change.put("launch-template", template.id, next);
  return { LaunchTemplateVersion: versionView(next, version) };
}

const noVersion = (template: LaunchTemplateRecord, version: string) =>
  new ApiError(
    "InvalidLaunchTemplateId.VersionNotFound",
    `Could not find the specified version ${version} for the launch template with ID ${template.id}.`,
  );

export async function modifyLaunchTemplate(
  change: Change,
  input: Sdk.ModifyLaunchTemplateRequest,
): Promise<Sdk.ModifyLaunchTemplateResult> {
  const { template } = await aws(templateVersion(change.unit, change.scope, nameOf(input)));
  const wanted = input.DefaultVersion;
  if (wanted === undefined) throw ec2Errors.missing("SetDefaultVersion");
  const version = versionOf(template, wanted);
  if (!version) throw noVersion(template, wanted);
  const next = { ...template, defaultVersion: version.number };
  change.put("launch-template", template.id, next);
  return { LaunchTemplate: templateView(next) };
}

export async function deleteLaunchTemplate(
  change: Change,
  input: Sdk.DeleteLaunchTemplateRequest,
): Promise<Sdk.DeleteLaunchTemplateResult> {
  const { template } = await aws(templateVersion(change.unit, change.scope, nameOf(input)));
  change.delete("launch-template", template.id);
  return { LaunchTemplate: templateView(template) };
}

export async function deleteLaunchTemplateVersions(
  change: Change,
  input: Sdk.DeleteLaunchTemplateVersionsRequest,
): Promise<Sdk.DeleteLaunchTemplateVersionsResult> {
  const { template } = await aws(templateVersion(change.unit, change.scope, nameOf(input)));
  const good: Sdk.DeleteLaunchTemplateVersionsResponseSuccessItem[] = [];
  const bad: Sdk.DeleteLaunchTemplateVersionsResponseErrorItem[] = [];
  const gone = new Set<number>();
  for (const text of input.Versions ?? []) {
    const item = { LaunchTemplateId: template.id, LaunchTemplateName: template.name, VersionNumber: Number(text) };
    const version = template.versions.find(({ number }) => number === Number(text));
    if (!version)
      bad.push({ ...item, ResponseError: { Code: "launchTemplateVersionDoesNotExist", Message: noVersion(template, text).message } });
    else if (version.number === template.defaultVersion)
      bad.push({
        ...item,
        ResponseError: { Code: "unexpectedError", Message: "You cannot delete the default version of a launch template." },
      });
    else {
      gone.add(version.number);
      good.push(item);
    }
  }
  change.put("launch-template", template.id, { ...template, versions: template.versions.filter(({ number }) => !gone.has(number)) });
  return { SuccessfullyDeletedLaunchTemplateVersions: good, UnsuccessfullyDeletedLaunchTemplateVersions: bad };
}

export async function describeLaunchTemplates(
  question: Question,
  input: Sdk.DescribeLaunchTemplatesRequest,
): Promise<Sdk.DescribeLaunchTemplatesResult> {
  const all = await question.all("launch-template");
  const names = input.LaunchTemplateNames ?? [];
  for (const name of names)
    if (!all.some((each) => each.name === name))
      throw new ApiError(
        "InvalidLaunchTemplateName.NotFoundException",
        `At least one of the launch templates specified in the request does not exist.`,
      );
  const { items, NextToken } = describe(question, {
    operation: "DescribeLaunchTemplates",
    kind: "launch-template",
    items: all.filter(({ name }) => names.length === 0 || names.includes(name)).map(templateView),
    id: ({ LaunchTemplateId = "" }) => LaunchTemplateId,
    ids: input.LaunchTemplateIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "create-time": ({ CreateTime }) => CreateTime?.toISOString(),
      "launch-template-name": ({ LaunchTemplateName }) => LaunchTemplateName,
    },
  });
  return { LaunchTemplates: items, NextToken };
}

export async function describeLaunchTemplateVersions(
  question: Question,
  input: Sdk.DescribeLaunchTemplateVersionsRequest,
): Promise<Sdk.DescribeLaunchTemplateVersionsResult> {
  const all = await question.all("launch-template");
  const unnamed = input.LaunchTemplateId === undefined && input.LaunchTemplateName === undefined;
  const template = all.find(({ id, name }) =>
    input.LaunchTemplateId === undefined ? name === input.LaunchTemplateName : id === input.LaunchTemplateId,
  );
  if (!template && !unnamed)
    throw input.LaunchTemplateId === undefined
      ? new ApiError(
          "InvalidLaunchTemplateName.NotFoundException",
          `The specified launch template, with template name ${input.LaunchTemplateName}, does not exist.`,
        )
      : new ApiError(
          "InvalidLaunchTemplateId.NotFound",
          `The specified launch template, with template ID ${input.LaunchTemplateId}, does not exist.`,
        );
  const versions = (unnamed ? all : [template!]).flatMap((each) => {
    const asked = input.Versions ?? [];
    const found =
      asked.length > 0
        ? asked.map((text) => {
            const version = versionOf(each, text);
            if (!version) throw noVersion(each, text);
            return version;
          })
        : each.versions.toReversed();
    return [...new Set(found)]
      .filter(({ number }) => number >= Number(input.MinVersion ?? 0) && number <= Number(input.MaxVersion ?? Infinity))
      .map((version) => versionView(each, version));
  });
  const { items, NextToken } = describe(question, {
    operation: "DescribeLaunchTemplateVersions",
    items: versions,
    id: ({ LaunchTemplateId, VersionNumber = 0 }) => `${LaunchTemplateId} ${String(1e9 - VersionNumber).padStart(10, "0")}`,
    input,
    filters: input.Filters,
    table: {
      "create-time": ({ CreateTime }) => CreateTime?.toISOString(),
      "is-default-version": ({ DefaultVersion }) => DefaultVersion,
      "image-id": ({ LaunchTemplateData }) => LaunchTemplateData?.ImageId,
      "instance-type": ({ LaunchTemplateData }) => LaunchTemplateData?.InstanceType,
    },
  });
  return { LaunchTemplateVersions: items, NextToken };
}
