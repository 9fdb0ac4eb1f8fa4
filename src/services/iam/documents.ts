import { parseIamArn } from "#model/iam-keys.ts";
import { parsePolicy, type PolicyDocument } from "#model/policy/index.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { EntityKind, EntityRecord } from "#model/iam-records.ts";
import type { Records } from "./context.ts";
import { errors } from "./errors.ts";
import { quotas } from "./rules.ts";

/** Policy documents: on their way in checked by the parser that will read them, on their way out encoded as IAM does. */

/** IAM does not count white space. */
export const sizeOf = (document: string) => document.replace(/\s/g, "").length;

const wire = /^[\t\n\r -\u00ff]+$/;

function parsed(document: string, kind: "identity" | "trust"): PolicyDocument {
  if (document.length > 131_072 || !wire.test(document))
    throw errors.validation("The specified value for policyDocument is invalid. It must contain only printable ASCII characters.");
  const found = parsePolicy(document, kind);
  if (found.problem !== undefined) throw errors.malformed(found.problem);
  return found.document;
}

/** Throws MalformedPolicyDocument, LimitExceeded. */
export function checkManaged(document: string): void {
  parsed(document, "identity");
  if (sizeOf(document) > quotas.policySize) throw errors.quota("PolicySize", quotas.policySize);
}

/** `others`: the documents of the entity's other inline policies. Throws MalformedPolicyDocument, LimitExceeded. */
export function checkInline(kind: EntityKind, name: string, document: string, others: readonly string[]): void {
  parsed(document, "identity");
  const most = quotas.inlineSize[kind];
  const total = [document, ...others].reduce((sum, each) => sum + sizeOf(each), 0);
  if (total > most) throw errors.limit(`Maximum policy size of ${most} bytes exceeded for ${kind} ${name}`);
}

/** A trust policy; the users and roles of this account that it names must be there. Throws MalformedPolicyDocument, LimitExceeded. */
export async function checkTrust(records: Records, document: string): Promise<void> {
  const { statements } = parsed(document, "trust");
  if (sizeOf(document) > quotas.trustSize) throw errors.quota("ACLSizePerRole", quotas.trustSize);
  for (const { type, value } of statements.flatMap(({ principal }) => principal?.entries ?? [])) {
    const arn = type === "AWS" ? parseIamArn(value) : undefined;
    if (arn?.account !== records.account || (arn.kind !== "user" && arn.kind !== "role")) continue;
    const record = await records.get<EntityRecord>(iamKeys.entity(records.account, arn.kind, arn.name));
    if (record?.name !== arn.name || record.path !== arn.path) throw errors.malformed(`Invalid principal in policy: "AWS":"${value}"`);
  }
}

/** Percent-encoded as RFC 3986 says: more than encodeURIComponent does. */
export const encoded = (document: string) =>
  encodeURIComponent(document).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
