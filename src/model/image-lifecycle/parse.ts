import { type Count, type CountType, LifecyclePolicyError, type LifecycleRule, type TagSelection } from "./policy.ts";

/** Source: Amazon ECR service quotas, "Rules per lifecycle policy". */
const mostRules = 50;
const mostWildcards = 4;
const countTypes: readonly CountType[] = ["imageCountMoreThan", "sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned"];
const selectionMembers = ["tagStatus", "tagPatternList", "tagPrefixList", "storageClass", "countType", "countUnit", "countNumber"];

/**
 * The rules of a lifecycle policy's text, by priority. What ECR refuses is refused in its words, which are those of a JSON schema's validator; where
 * these say only that nothing fits, what is missing follows them. Throws LifecyclePolicyError.
 * Source: Amazon ECR User Guide, "Lifecycle policy properties in Amazon ECR" and "Lifecycle policy evaluation rules".
 */
export function parseLifecyclePolicy(text: string): readonly LifecycleRule[] {
  const policy = documentOf(text);
  shape(policy, ["rules"], ["rules"]);
  if (!Array.isArray(policy.rules)) throw wrongType(policy.rules, "array");
  if (policy.rules.length === 0) throw invalid("array is too short: must have at least 1 elements but instance has 0 elements");
  if (policy.rules.length > mostRules)
    throw invalid(`array is too long: must have at most ${mostRules} elements but instance has ${policy.rules.length} elements`);
  const rules = policy.rules.map(ruleOf).toSorted((a, b) => a.priority - b.priority);
  checkTogether(rules);
  return rules;
}

function documentOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw invalid("Could not map policyString into LifecyclePolicy.");
}

function ruleOf(value: unknown): LifecycleRule {
  const rule = shape(value, ["action", "rulePriority", "selection"], ["rulePriority", "description", "selection", "action"]);
  const { description } = rule;
  if (description !== undefined && typeof description !== "string") throw wrongType(description, "string");
  return {
    priority: wholeNumber(rule.rulePriority),
    description,
    ...selectionOf(rule.selection, actionOf(rule.action)),
  };
}

function actionOf(value: unknown): LifecycleRule["action"] {
  const { type, targetStorageClass } = shape(value, ["type"], ["type", "targetStorageClass"]);
  const action = oneOf(type, ["expire", "transition"]);
  if (action === "expire" && targetStorageClass !== undefined) throw noSchema(2, "expire takes no targetStorageClass");
  if (action === "transition" && targetStorageClass !== "archive") throw noSchema(2, 'transition needs targetStorageClass "archive"');
  return action;
}

function selectionOf(value: unknown, action: LifecycleRule["action"]): Pick<LifecycleRule, "tags" | "storageClass" | "count" | "action"> {
  const selection = shape(value, ["countNumber", "countType", "tagStatus"], selectionMembers);
  const status = oneOf(selection.tagStatus, ["any", "tagged", "untagged"]);
  const type = countTypes.find((each) => each === selection.countType);
  if (type === undefined) throw noSchema(4, `countType is one of ${countTypes.join(", ")}`);
  const storageClass = selection.storageClass ?? "standard";
  const own = type === "sinceImageTransitioned" ? "archive" : "standard";
  if (storageClass !== own || selection.storageClass === null) throw noSchema(4, `${type} selects images of storageClass "${own}"`);
  if (action === "transition" && type === "sinceImageTransitioned") throw noSchema(4, `${type} goes with the action expire`);
  if (action === "expire" && type === "sinceImagePulled") throw noSchema(4, `${type} goes with the action transition`);
  return { tags: tagsOf(status, selection), storageClass: own, count: countOf(type, selection), action };
}

function countOf(type: CountType, { countUnit, countNumber }: Record<string, unknown>): Count {
  if (type === "imageCountMoreThan") {
    if (countUnit !== undefined) throw noSchema(4, `${type} takes no countUnit`);
    return { type, most: wholeNumber(countNumber) };
  }
  if (countUnit !== "days") throw noSchema(4, `${type} needs countUnit "days"`);
  return { type, days: wholeNumber(countNumber) };
}

function tagsOf(status: "any" | "tagged" | "untagged", { tagPrefixList, tagPatternList }: Record<string, unknown>): TagSelection {
  if (status !== "tagged") {
    if (tagPrefixList !== undefined || tagPatternList !== undefined)
      throw invalid("tagPrefixList and tagPatternList can only be specified when tagStatus=TAGGED.");
    return { status };
  }
  if (tagPrefixList !== undefined && tagPatternList !== undefined)
    throw invalid("Only one of tagPrefixList or tagPatternList can be specified.");
  const list = texts(tagPrefixList ?? tagPatternList);
  if (list.length === 0) throw invalid("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.");
  if (tagPatternList === undefined) return { status, by: "prefixes", list };
  for (const pattern of list)
    if (pattern.split("*").length - 1 > mostWildcards)
      throw invalid(
        `Tag pattern '${pattern}' has more than ${mostWildcards} wildcards (*), the most that a tagPatternList's pattern may have.`,
      );
  return { status, by: "patterns", list };
}

function checkTogether(rules: readonly LifecycleRule[]): void {
  const priorities = rules.map(({ priority }) => priority);
  const twice = priorities.find((priority, index) => priorities.indexOf(priority) !== index);
  if (twice !== undefined) throw invalid(`Each rule must have a unique rulePriority, ${twice} is used more than once.`);
  for (const own of Map.groupBy(rules, ({ storageClass }) => storageClass).values()) {
    if (own.filter(({ tags }) => tags.status === "untagged").length > 1)
      throw invalid("Only one rule can select Untagged images per storage class.");
    if (own.some(({ tags }, index) => tags.status === "any" && index < own.length - 1))
      throw invalid("Rule for tagStatus=ANY must have the lowest priority per storage class.");
    const lists = own.flatMap(({ tags }) => (tags.status === "tagged" ? [JSON.stringify([tags.by, ...tags.list.toSorted()])] : []));
    if (new Set(lists).size < lists.length)
      throw invalid("The rules of a storage class must have unique tagPrefixLists and tagPatternLists, two of them select the same tags.");
  }
}

function shape(value: unknown, required: readonly string[], allowed: readonly string[]): Record<string, unknown> {
  if (!isObject(value)) throw wrongType(value, "object");
  const missing = required.filter((name) => value[name] === undefined);
  if (missing.length > 0) throw invalid(`object has missing required properties (${JSON.stringify(missing)})`);
  const unknown = Object.keys(value).filter((name) => !allowed.includes(name));
  if (unknown.length > 0)
    throw invalid(
      `object instance has properties which are not allowed by the schema: (${JSON.stringify(unknown.toSorted().slice(0, 10))})`,
    );
  return value;
}

function wholeNumber(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw wrongType(value, "integer");
  if (value < 1) throw invalid(`numeric instance is lower than the required minimum (minimum: 1, found: ${value})`);
  return value;
}

function texts(value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrongType(value, "array");
  for (const each of value) if (typeof each !== "string") throw wrongType(each, "string");
  if (value.some((each) => each === "")) throw invalid('string "" is too short (length: 0, required minimum: 1)');
  return value as readonly string[];
}

function oneOf<T extends string>(value: unknown, values: readonly T[]): T {
  const known = values.find((each) => each === value);
  if (known !== undefined) return known;
  throw invalid(`instance value (${JSON.stringify(value).slice(0, 100)}) not found in enum (possible values: ${JSON.stringify(values)})`);
}

function wrongType(value: unknown, allowed: string): LifecyclePolicyError {
  const type = value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value;
  return invalid(`instance type (${type}) does not match any allowed primitive type (allowed: ["${allowed}"])`);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const noSchema = (of: number, why: string) => invalid(`instance failed to match exactly one schema (matched 0 out of ${of}): ${why}`);

const invalid = (why: string) => new LifecyclePolicyError(why);
