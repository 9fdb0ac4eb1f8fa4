import type { EntityKind } from "#model/iam-records.ts";
import { type Change, type EntityRecords, need, needOwn, page, type PageInput, put, type Question } from "./context.ts";
import { checkInline, encoded } from "./documents.ts";
import { errors } from "./errors.ts";
import { checkName } from "./rules.ts";

/** Inline policies: the same for users, groups and roles but for the names of members. Source: IAM API Reference, "PutRolePolicy" and its kin. */

interface InlineInput {
  readonly PolicyName?: string;
  readonly PolicyDocument?: string;
}

export async function putInline(change: Change, kind: EntityKind, name: string | undefined, input: InlineInput): Promise<void> {
  const { PolicyName = "", PolicyDocument = "" } = input;
  const record = await needOwn(change, kind, name);
  checkName("policyName", PolicyName, 128);
  const others = Object.entries(record.policies).flatMap(([each, document]) => (each === PolicyName ? [] : [document]));
  checkInline(kind, record.name, PolicyDocument, others);
  put(change, kind, { ...record, policies: { ...record.policies, [PolicyName]: PolicyDocument } } as EntityRecords[EntityKind]);
}

export async function getInline(question: Question, kind: EntityKind, name: string | undefined, { PolicyName = "" }: InlineInput) {
  const record = await need(question, kind, name);
  if (!Object.hasOwn(record.policies, PolicyName)) throw errors.noInline(kind, PolicyName);
  return { name: record.name, PolicyName, PolicyDocument: encoded(record.policies[PolicyName]!) };
}

export async function deleteInline(change: Change, kind: EntityKind, name: string | undefined, { PolicyName = "" }: InlineInput) {
  const record = await needOwn(change, kind, name);
  if (!Object.hasOwn(record.policies, PolicyName)) throw errors.noInline(kind, PolicyName);
  const { [PolicyName]: _gone, ...policies } = record.policies;
  put(change, kind, { ...record, policies } as EntityRecords[EntityKind]);
}

export async function listInline(question: Question, kind: EntityKind, name: string | undefined, input: PageInput) {
  const record = await need(question, kind, name);
  const { items, ...rest } = page(question, Object.keys(record.policies).toSorted(), (each) => each, {
    operation: `List${kind}Policies`,
    asked: record.name,
    ...input,
  });
  return { PolicyNames: [...items], ...rest };
}
