import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { parseBlock } from "#model/cidr.ts";
import type { RuleCondition } from "#model/elb-records.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";

/** The conditions of rules, checked. Pure. Source: User Guide for Application Load Balancers, "Condition types for listener rules". */

const longest = 128;
const fields = ["host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip"] as const;
type Field = (typeof fields)[number];
/** These may come more than once: then all of them must hold. */
const several: readonly Field[] = ["http-header", "query-string"];

const configs = {
  "host-header": "HostHeaderConfig",
  "path-pattern": "PathPatternConfig",
  "http-header": "HttpHeaderConfig",
  "http-request-method": "HttpRequestMethodConfig",
  "query-string": "QueryStringConfig",
  "source-ip": "SourceIpConfig",
} as const;

export function conditionsOf(given: readonly Sdk.RuleCondition[]): RuleCondition[] {
  if (given.length === 0) throw elbErrors.invalid("A condition must be specified");
  const conditions = given.map(conditionOf);
  for (const field of fields)
    if (!several.includes(field) && conditions.filter((each) => each.field === field).length > 1)
      throw elbErrors.invalid(`Only one condition can be specified for the field '${field}'`);
  const values = conditions.flatMap(textsOf);
  const most = limits["condition-values-per-alb-rule"];
  if (conditions.reduce((sum, { values: own }) => sum + own.length, 0) > most)
    throw elbErrors.invalid(`The total number of condition values for a rule cannot exceed '${most}'`);
  const wildcards = limits["condition-wildcards-per-alb-rule"];
  if (values.reduce((sum, value) => sum + (value.match(/[*?]/g)?.length ?? 0), 0) > wildcards)
    throw elbErrors.invalid(`The total number of wildcards in the condition values of a rule cannot exceed '${wildcards}'`);
  return conditions;
}

function textsOf(condition: RuleCondition): string[] {
  if (condition.field === "http-request-method" || condition.field === "source-ip") return [];
  if (condition.field !== "query-string") return [...condition.values];
  return condition.values
    .flatMap(({ key, value }) => [...(key === undefined ? [] : [key]), value])
    .map((each) => each.replaceAll(/\\[*?]/g, ""));
}

function conditionOf(given: Sdk.RuleCondition): RuleCondition {
  const { Field: field = "" } = given;
  if (!(fields as readonly string[]).includes(field))
    throw elbErrors.invalid(`Condition field '${field}' must be one of '[${fields.join(", ")}]'`);
  for (const [other, config] of Object.entries(configs))
    if (other !== field && given[config] !== undefined) throw elbErrors.invalid(`'${config}' cannot be specified for the field '${field}'`);
  if ([given, given.HostHeaderConfig, given.PathPatternConfig, given.HttpHeaderConfig].some((each) => (each?.RegexValues ?? []).length > 0))
    throw elbErrors.notYet("regular expressions in conditions");
  const plain = given.Values ?? [];
  if (plain.length > 0 && field !== "host-header" && field !== "path-pattern")
    throw elbErrors.invalid(`'Values' cannot be specified for the field '${field}': use '${configs[field as Field]}'`);
  const listed = (values: readonly string[] | undefined): string[] => {
    if (plain.length > 0 && values !== undefined && values.length > 0 && plain.join("\0") !== values.join("\0"))
      throw elbErrors.invalid(`You cannot specify both 'Values' and '${configs[field as Field]}'`);
    const all = [...(values !== undefined && values.length > 0 ? values : plain)];
    if (all.length === 0) throw elbErrors.invalid("A condition value must be specified");
    for (const value of all) checkLength(value);
    return all;
  };
  switch (field as Field) {
    case "host-header":
      return { field: "host-header", values: matching(listed(given.HostHeaderConfig?.Values), /^[\w.*?-]+$/, field) };
    case "path-pattern":
      return { field: "path-pattern", values: matching(listed(given.PathPatternConfig?.Values), /^[\w.$/~"'@:+&*?-]+$/, field) };
    case "http-header":
      return {
        field: "http-header",
        name: headerName(given.HttpHeaderConfig?.HttpHeaderName),
        values: listed(given.HttpHeaderConfig?.Values),
      };
    case "http-request-method":
      return { field: "http-request-method", values: matching(listed(given.HttpRequestMethodConfig?.Values), /^[A-Z_-]{1,40}$/, field) };
    case "query-string":
      return { field: "query-string", values: pairs(given.QueryStringConfig?.Values ?? []) };
    case "source-ip":
      return { field: "source-ip", values: blocks(listed(given.SourceIpConfig?.Values)) };
  }
}

function checkLength(value: string): void {
  if (value.length === 0) throw elbErrors.invalid("A condition value cannot be empty");
  if (value.length > longest) throw elbErrors.invalid(`Condition value '${value}' cannot be longer than '${longest}' characters`);
  // What could end a line or hide in one is in no header, path or query.
  if (!/^[\x20-\x7e]+$/.test(value)) throw elbErrors.invalid(`Condition value '${value}' contains a character that is not valid`);
}

function matching(values: string[], allowed: RegExp, field: string): string[] {
  const wrong = values.find((value) => !allowed.test(value));
  if (wrong !== undefined)
    throw elbErrors.invalid(`Condition value '${wrong}' for the field '${field}' contains a character that is not valid`);
  return values;
}

function headerName(name: string | undefined): string {
  if (name === undefined || name === "") throw elbErrors.invalid("An HTTP header name must be specified");
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}$/.test(name)) throw elbErrors.invalid(`HTTP header name '${name}' is not valid`);
  if (name.toLowerCase() === "host") throw elbErrors.invalid("The HTTP header name cannot be 'Host': use a host-header condition");
  return name;
}

function pairs(values: readonly Sdk.QueryStringKeyValuePair[]): { key?: string; value: string }[] {
  if (values.length === 0) throw elbErrors.invalid("A condition value must be specified");
  return values.map(({ Key: key, Value: value = "" }) => {
    checkLength(value);
    if (key !== undefined && key !== "") checkLength(key);
    return key === undefined || key === "" ? { value } : { key, value };
  });
}

function blocks(values: string[]): string[] {
  const wrong = values.find((value) => !value.includes("/") || !parseBlock(value));
  if (wrong !== undefined) throw elbErrors.invalid(`Condition value '${wrong}' must be in CIDR format`);
  return values;
}

export function conditionView(condition: RuleCondition): Sdk.RuleCondition {
  const { field } = condition;
  switch (field) {
    case "host-header":
      return { Field: field, Values: [...condition.values], HostHeaderConfig: { Values: [...condition.values] } };
    case "path-pattern":
      return { Field: field, Values: [...condition.values], PathPatternConfig: { Values: [...condition.values] } };
    case "http-header":
      return { Field: field, HttpHeaderConfig: { HttpHeaderName: condition.name, Values: [...condition.values] } };
    case "http-request-method":
      return { Field: field, HttpRequestMethodConfig: { Values: [...condition.values] } };
    case "query-string":
      return { Field: field, QueryStringConfig: { Values: condition.values.map(({ key, value }) => ({ Key: key, Value: value })) } };
    case "source-ip":
      return { Field: field, SourceIpConfig: { Values: [...condition.values] } };
  }
}
