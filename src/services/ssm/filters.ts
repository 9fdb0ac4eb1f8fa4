import type * as Sdk from "@aws-sdk/client-ssm";
import type { ParameterRecord } from "#model/secrets-records.ts";
import { errors } from "./errors.ts";
import { checkPath } from "./rules.ts";

/** Source: AWS Systems Manager API Reference, ParameterStringFilter. */

type Test = (parameter: ParameterRecord) => boolean;

const everyKey = ["Name", "Type", "KeyId", "Path", "Label", "Tier", "DataType"];

/** True for the parameters that all filters let through. `keys`: those that the operation knows; tags are filtered by where there is no such list. */
export function filtersOf(filters: readonly Sdk.ParameterStringFilter[] = [], keys?: readonly string[]): Test {
  const seen = new Set<string>();
  const tests = filters.map(({ Key = "", Option, Values = [] }) => {
    const known = (keys ?? everyKey).includes(Key) || (!keys && /^tag:.+/.test(Key));
    if (!known) throw errors.badFilterKey(Key);
    if (seen.has(Key)) throw errors.badFilterKey(`${Key} is there twice`);
    seen.add(Key);
    if (Values.length > 50) throw errors.badFilterValue("A filter can have at most 50 values.");
    if (Values.length === 0 && !Key.startsWith("tag:")) throw errors.badFilterValue(`The filter ${Key} needs values.`);
    return Key === "Path" ? pathTest(Option, Values) : textTest(Key, Option, Values);
  });
  return (parameter) => tests.every((test) => test(parameter));
}

function pathTest(option: string = "OneLevel", values: readonly string[]): Test {
  if (option !== "OneLevel" && option !== "Recursive") throw errors.badFilterOption(option, "Path");
  const paths = values.map(checkPath);
  return ({ name }) => paths.some((path) => name.startsWith(path) && (option === "Recursive" || !name.slice(path.length).includes("/")));
}

function textTest(key: string, option: string = "Equals", values: readonly string[]): Test {
  const options =
    key === "Name"
      ? ["Equals", "BeginsWith", "Contains"]
      : key.startsWith("tag:") || key === "Tier" || key === "DataType" || key === "Type"
        ? ["Equals"]
        : ["Equals", "BeginsWith"];
  if (!options.includes(option)) throw errors.badFilterOption(option, key);
  if (key === "Type" && values.some((value) => !["String", "StringList", "SecureString"].includes(value)))
    throw errors.badFilterValue(`Not a type of parameters: ${values.join(", ")}`);
  const texts = textsOf(key);
  return (parameter) => {
    const of = texts(parameter);
    if (values.length === 0) return of.length > 0;
    return of.some((text) =>
      values.some((value) =>
        option === "Equals" ? text === value : option === "BeginsWith" ? text.startsWith(value) : text.includes(value),
      ),
    );
  };
}

function textsOf(key: string): (parameter: ParameterRecord) => readonly string[] {
  const latest = ({ versions }: ParameterRecord) => versions.at(-1)!;
  switch (key) {
    case "Name":
      return ({ name }) => [name];
    case "Type":
      return ({ type }) => [type];
    case "KeyId":
      return (parameter) => [latest(parameter).kmsKeyId ?? ""].filter(Boolean);
    case "Label":
      return ({ versions }) => versions.flatMap(({ labels }) => labels);
    case "Tier":
      return (parameter) => [latest(parameter).tier];
    case "DataType":
      return (parameter) => [latest(parameter).dataType];
    default: {
      const tag = key.slice("tag:".length);
      return ({ tags }) => tags.filter((each) => each.key === tag).map(({ value }) => value);
    }
  }
}

/** The older form, of which each value is a prefix of the name, or the whole of anything else. */
export function oldFiltersOf(filters: readonly Sdk.ParametersFilter[] = []): Test {
  return filtersOf(
    filters.map(({ Key, Values }) => ({ Key, Values, Option: Key === "Name" ? "BeginsWith" : "Equals" })),
    ["Name", "Type", "KeyId"],
  );
}
