import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { type FoundProfile, findProfile, noSuchProfile } from "#reconcilers/instances/profile.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "../context.ts";
import { describe } from "../describe.ts";
import { ec2Errors } from "../errors.ts";

/** Which instance profile an instance has: one at most, exchanged while it runs. Source: Amazon EC2 API Reference, "AssociateIamInstanceProfile" and its kin. */

type Profiled = InstanceRecord & { readonly instanceProfile: NonNullable<InstanceRecord["instanceProfile"]> };

const view = ({ id, instanceProfile }: Profiled, state: Sdk.IamInstanceProfileAssociationState): Sdk.IamInstanceProfileAssociation => ({
  AssociationId: instanceProfile.associationId,
  InstanceId: id,
  IamInstanceProfile: { Arn: instanceProfile.arn, Id: instanceProfile.id },
  State: state,
});

async function profileFor(change: Change, given: Sdk.IamInstanceProfileSpecification | undefined): Promise<FoundProfile> {
  const named = { ...(given?.Arn ? { arn: given.Arn } : {}), ...(given?.Name ? { name: given.Name } : {}) };
  if (!given?.Arn && !given?.Name) throw ec2Errors.missing("IamInstanceProfile");
  const found = await findProfile(change.unit, change.scope, named);
  if (!found) throw ec2Errors.invalid(noSuchProfile(named));
  return found;
}

/** In the place of what it had. */
function associate(change: Change, record: InstanceRecord, { arn, record: { id } }: FoundProfile): Sdk.IamInstanceProfileAssociation {
  const next = { ...record, instanceProfile: { arn, id, associationId: newId(change.random, "iip-assoc") } };
  change.put("instance", record.id, next);
  return view(next, "associating");
}

export const isProfiled = (record: InstanceRecord): record is Profiled =>
  record.instanceProfile !== undefined && record.terminatedAt === undefined && record.desired !== "terminated";

async function associated(change: Change, associationId = ""): Promise<Profiled> {
  const found = (await change.all("instance")).filter(isProfiled).find((each) => each.instanceProfile.associationId === associationId);
  if (!found) throw ec2Errors.noAssociation(associationId);
  return found;
}

export async function associateIamInstanceProfile(
  change: Change,
  input: Sdk.AssociateIamInstanceProfileRequest,
): Promise<Sdk.AssociateIamInstanceProfileResult> {
  const record = await need(change, "instance", input.InstanceId ?? "");
  const profile = await profileFor(change, input.IamInstanceProfile);
  if (record.desired === "terminated")
    throw new ApiError("IncorrectInstanceState", `The instance '${record.id}' is not in the 'running' or 'stopped' states.`);
  if (record.instanceProfile) throw new ApiError("IncorrectState", `There is an existing association for instance ${record.id}`);
  return { IamInstanceProfileAssociation: associate(change, record, profile) };
}

export async function replaceIamInstanceProfileAssociation(
  change: Change,
  input: Sdk.ReplaceIamInstanceProfileAssociationRequest,
): Promise<Sdk.ReplaceIamInstanceProfileAssociationResult> {
  const record = await associated(change, input.AssociationId);
  return { IamInstanceProfileAssociation: associate(change, record, await profileFor(change, input.IamInstanceProfile)) };
}

export async function disassociateIamInstanceProfile(
  change: Change,
  input: Sdk.DisassociateIamInstanceProfileRequest,
): Promise<Sdk.DisassociateIamInstanceProfileResult> {
  const record = await associated(change, input.AssociationId);
  const { instanceProfile: _, ...next } = record;
  change.put("instance", record.id, next);
  return { IamInstanceProfileAssociation: view(record, "disassociating") };
}

export async function describeIamInstanceProfileAssociations(
  question: Question,
  input: Sdk.DescribeIamInstanceProfileAssociationsRequest,
): Promise<Sdk.DescribeIamInstanceProfileAssociationsResult> {
  const all = (await question.all("instance")).filter(isProfiled).map((record) => view(record, "associated"));
  const wanted = input.AssociationIds ?? [];
  for (const id of wanted) if (!all.some(({ AssociationId }) => AssociationId === id)) throw ec2Errors.noAssociation(id);
  const { items, NextToken } = describe(question, {
    operation: "DescribeIamInstanceProfileAssociations",
    items: all
      .filter(({ AssociationId = "" }) => wanted.length === 0 || wanted.includes(AssociationId))
      .toSorted((a, b) => (a.AssociationId! < b.AssociationId! ? -1 : 1)),
    id: ({ AssociationId = "" }) => AssociationId,
    input,
    filters: input.Filters,
    table: { "instance-id": ({ InstanceId }) => InstanceId, state: ({ State }) => State },
  });
  return { IamInstanceProfileAssociations: items, NextToken };
}
