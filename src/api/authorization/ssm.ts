import { type Input, each, none, type OperationRule, type Resources, type ServiceActions, textAt, valuesAt, type Where } from "./table.ts";

/** `/a/b` is `parameter/a/b`, and so is `a`: one slash between. Versions and labels behind a colon are not part of it. */
function parameterArn({ region, account }: Where, name: string): string {
  if (name.startsWith("arn:")) return name.replace(/(:parameter\/[^:]*):.*$/, "$1");
  return `arn:aws:ssm:${region}:${account}:parameter/${name.replace(/^\//, "").replace(/:.*$/, "")}`;
}

const named =
  (member: string): Resources =>
  (input, where) =>
    valuesAt(input, [member]).map((name) => parameterArn(where, name));

const tagged: Resources = (input: Input, where: Where) => {
  const id = textAt(input, "ResourceId");
  return id === undefined || input["ResourceType"] !== "Parameter" ? [] : [parameterArn(where, id)];
};

const put: OperationRule = {
  on: named("Name"),
  keys: (input) => ({ "ssm:Overwrite": input["Overwrite"] === true, "ssm:Policies": input["Policies"] !== undefined }),
  tagging: { action: "AddTagsToResource" },
};

/** `ecs:<cluster>_<task>_<runtime id>`: the task. Source: User Guide, "Additional sample IAM policies for Session Manager". */
const target: Resources = (input, { region, account }) => {
  const [, cluster, task] = /^ecs:(.+)_([^_]+)_[^_]+$/.exec(textAt(input, "Target") ?? "") ?? [];
  const document = textAt(input, "DocumentName") ?? "SSM-SessionManagerRunShell";
  return cluster === undefined
    ? []
    : [
        `arn:aws:ecs:${region}:${account}:task/${cluster}/${task}`,
        `arn:aws:ssm:${region}:${/^AWS-/.test(document) ? "" : account}:document/${document}`,
      ];
};

/** Parameters, and sessions with containers. Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Systems Manager". */
export const ssm: ServiceActions = {
  prefix: "ssm",
  operations: {
    ...each(named("Name"), "DeleteParameter GetParameter GetParameterHistory LabelParameterVersion UnlabelParameterVersion"),
    ...each(named("Names"), "DeleteParameters GetParameters"),
    ...each(tagged, "AddTagsToResource RemoveTagsFromResource ListTagsForResource"),
    ...each(none, "DescribeParameters DescribeSessions"),
    ...each("session/{SessionId}", "ResumeSession TerminateSession"),
    ...each(target, "StartSession"),
    ...each("{ResourceArn}", "GetResourcePolicies PutResourcePolicy DeleteResourcePolicy"),
    ...each("servicesetting{SettingId}", "GetServiceSetting UpdateServiceSetting ResetServiceSetting"),
    PutParameter: put,
    GetParametersByPath: {
      on: named("Path"),
      keys: (input) => ({ "ssm:Recursive": input["Recursive"] === true }),
    },
  },
};
