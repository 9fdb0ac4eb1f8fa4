import type * as Sdk from "@aws-sdk/client-iam";
import { newId } from "#identity/ids.ts";
import { awsPolicies } from "#identity/aws-policies.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { PolicyRecord, PolicyUse } from "#model/iam-records.ts";
import { type Change, page, type Question } from "./context.ts";
import { checkManaged, encoded } from "./documents.ts";
import { errors } from "./errors.ts";
import { needOwnPolicy, needPolicy } from "./managed.ts";
import { checkDescription, checkName, checkPathPrefix, checkText, mergedTags, pathOf, quotas } from "./rules.ts";
import { type ManagedPolicy, policyArn, policySummary, policyView } from "./views.ts";

/** Managed policies and their versions. Source: IAM API Reference, "CreatePolicy" and its kin. */

const put = (change: Change, policy: PolicyRecord) => change.unit.put(iamKeys.policy(change.account, policy.name), policy);

const managed = (account: string, own: PolicyRecord): ManagedPolicy => ({
  arn: policyArn(account, own),
  own,
  attachments: own.attachments,
  boundaries: own.boundaries,
});

export async function createPolicy(change: Change, input: Sdk.CreatePolicyRequest): Promise<Sdk.CreatePolicyResponse> {
  const { account, now } = change;
  const name = input.PolicyName!;
  const document = input.PolicyDocument!;
  checkName("policyName", name, 128);
  const path = pathOf(input.Path);
  checkDescription(input.Description);
  checkManaged(document);
  const tags = mergedTags([], input.Tags);
  if (await change.get(iamKeys.policy(account, name)))
    throw errors.exists(`A policy called ${name} already exists. Duplicate names are not allowed.`);
  if ((await change.list(iamKeys.policies(account))).length >= quotas.policies) throw errors.quota("PoliciesPerAccount", quotas.policies);
  const policy: PolicyRecord = {
    name,
    id: newId(change.random, "ANPA"),
    path,
    ...(input.Description === undefined ? {} : { description: input.Description }),
    createdAt: now,
    updatedAt: now,
    defaultVersion: "v1",
    nextVersion: 2,
    versions: [{ id: "v1", document, createdAt: now }],
    attachments: 0,
    boundaries: 0,
    tags,
  };
  put(change, policy);
  return { Policy: policyView(managed(account, policy)) };
}

export async function getPolicy(question: Question, { PolicyArn }: Sdk.GetPolicyRequest): Promise<Sdk.GetPolicyResponse> {
  return { Policy: policyView(await needPolicy(question, PolicyArn!)) };
}

export async function allPolicies(question: Question, scope: string): Promise<readonly ManagedPolicy[]> {
  const { account } = question;
  const found: ManagedPolicy[] = [];
  if (scope !== "AWS") for (const own of await question.list<PolicyRecord>(iamKeys.policies(account))) found.push(managed(account, own));
  if (scope !== "Local")
    for (const aws of awsPolicies.values()) {
      const use = await question.get<PolicyUse>(iamKeys.awsPolicyUse(account, aws.name));
      found.push({ arn: aws.arn, aws, attachments: use?.attachments ?? 0, boundaries: use?.boundaries ?? 0 });
    }
  return found;
}

export async function listPolicies(question: Question, input: Sdk.ListPoliciesRequest): Promise<Sdk.ListPoliciesResponse> {
  const scope = input.Scope ?? "All";
  if (!["All", "AWS", "Local"].includes(scope))
    throw errors.constraints([
      `Value '${scope}' at 'scope' failed to satisfy constraint: Member must satisfy enum value set: [All, AWS, Local]`,
    ]);
  const prefix = checkPathPrefix(input.PathPrefix);
  const usage = input.PolicyUsageFilter;
  const used = ({ attachments, boundaries }: ManagedPolicy) =>
    usage === "PermissionsPolicy" ? attachments > 0 : usage === "PermissionsBoundary" ? boundaries > 0 : attachments + boundaries > 0;
  const found = (await allPolicies(question, scope)).filter(
    (policy) => (policy.own ?? policy.aws)!.path.startsWith(prefix) && ((!input.OnlyAttached && usage === undefined) || used(policy)),
  );
  const position = ({ own, arn }: ManagedPolicy) => `${own ? 0 : 1}${own ? own.name.toLowerCase() : arn}`;
  const sorted = found.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, ...rest } = page(question, sorted, position, {
    operation: "ListPolicies",
    asked: [scope, prefix, usage, input.OnlyAttached],
    ...input,
  });
  return { Policies: items.map(policySummary), ...rest };
}

export async function deletePolicy(change: Change, { PolicyArn }: Sdk.DeletePolicyRequest): Promise<void> {
  const policy = await needOwnPolicy(change, PolicyArn!);
  if (policy.attachments + policy.boundaries > 0) throw errors.conflict("Cannot delete a policy attached to entities.");
  if (policy.versions.length > 1)
    throw errors.conflict(
      "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
    );
  change.unit.delete(iamKeys.policy(change.account, policy.name));
}

export async function createPolicyVersion(change: Change, input: Sdk.CreatePolicyVersionRequest): Promise<Sdk.CreatePolicyVersionResponse> {
  const policy = await needOwnPolicy(change, input.PolicyArn!);
  checkManaged(input.PolicyDocument!);
  if (policy.versions.length >= quotas.versions)
    throw errors.limit("A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.");
  const id = `v${policy.nextVersion}`;
  put(change, {
    ...policy,
    updatedAt: change.now,
    nextVersion: policy.nextVersion + 1,
    versions: [...policy.versions, { id, document: input.PolicyDocument!, createdAt: change.now }],
    defaultVersion: input.SetAsDefault ? id : policy.defaultVersion,
  });
  return { PolicyVersion: { VersionId: id, IsDefaultVersion: input.SetAsDefault === true, CreateDate: new Date(change.now) } };
}

/** All versions of a policy, the newest first; AWS's have their default only. */
function versionsOf({ own, aws }: ManagedPolicy) {
  const versions = own?.versions ?? [{ id: aws!.version, document: aws!.document, createdAt: aws!.updatedAt }];
  return versions.map((version) => ({ ...version, isDefault: version.id === (own?.defaultVersion ?? aws!.version) })).toReversed();
}

export const versionView = ({ id, isDefault, createdAt }: ReturnType<typeof versionsOf>[number]): Sdk.PolicyVersion => ({
  VersionId: id,
  IsDefaultVersion: isDefault,
  CreateDate: new Date(createdAt),
});

export const versionViews = (policy: ManagedPolicy): Sdk.PolicyVersion[] =>
  versionsOf(policy).map((version) => ({ ...versionView(version), Document: encoded(version.document) }));

export async function getPolicyVersion(question: Question, input: Sdk.GetPolicyVersionRequest): Promise<Sdk.GetPolicyVersionResponse> {
  const { VersionId = "" } = input;
  checkVersion(VersionId);
  const policy = await needPolicy(question, input.PolicyArn!);
  const version = versionViews(policy).find((each) => each.VersionId === VersionId);
  if (!version) throw errors.noVersion(policy.arn, VersionId);
  return { PolicyVersion: version };
}

export async function listPolicyVersions(
  question: Question,
  input: Sdk.ListPolicyVersionsRequest,
): Promise<Sdk.ListPolicyVersionsResponse> {
  const policy = await needPolicy(question, input.PolicyArn!);
  // Newest first: positions count down.
  const position = ({ id }: { readonly id: string }) => String(1e9 - Number(id.slice(1))).padStart(10, "0");
  const { items, ...rest } = page(question, versionsOf(policy), position, {
    operation: "ListPolicyVersions",
    asked: policy.arn,
    ...input,
  });
  return { Versions: items.map(versionView), ...rest };
}

function checkVersion(id: string): void {
  checkText("versionId", id, { max: 64, pattern: /^v[1-9][0-9]*(\.[A-Za-z0-9-]*)?$/ });
}

export async function deletePolicyVersion(change: Change, input: Sdk.DeletePolicyVersionRequest): Promise<void> {
  const { VersionId = "" } = input;
  checkVersion(VersionId);
  const policy = await needOwnPolicy(change, input.PolicyArn!);
  if (!policy.versions.some(({ id }) => id === VersionId)) throw errors.noVersion(input.PolicyArn!, VersionId);
  if (policy.defaultVersion === VersionId) throw errors.conflict("Cannot delete the default version of a policy.");
  put(change, { ...policy, updatedAt: change.now, versions: policy.versions.filter(({ id }) => id !== VersionId) });
}

export async function setDefaultPolicyVersion(change: Change, input: Sdk.SetDefaultPolicyVersionRequest): Promise<void> {
  const { VersionId = "" } = input;
  checkVersion(VersionId);
  const policy = await needOwnPolicy(change, input.PolicyArn!);
  if (!policy.versions.some(({ id }) => id === VersionId)) throw errors.noVersion(input.PolicyArn!, VersionId);
  put(change, { ...policy, updatedAt: change.now, defaultVersion: VersionId });
}
