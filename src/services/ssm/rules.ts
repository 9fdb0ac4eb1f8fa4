import type { Tag as SdkTag } from "@aws-sdk/client-ssm";
import type { Tag } from "#model/ecs-records.ts";
import { linearPattern, PatternError } from "#model/linear-pattern.ts";
import { errors } from "./errors.ts";

/** What Parameter Store demands of its input. Pure. Source: AWS Systems Manager API Reference, PutParameter; User Guide, "Parameter tiers". */

export const mostVersions = 100;
const mostLevels = 15;
const mostTags = 50;
const advancedBytes = 8192;
const standardBytes = 4096;

/** The name that a new parameter may have. */
export function checkName(name: string): void {
  if (name.length < 1 || name.length > 1011)
    throw errors.validation(
      "1 validation error detected: Value at 'name' failed to satisfy constraint: Member must have length between 1 and 2048",
    );
  if (/^\/?aws/i.test(name)) throw errors.reserved(name);
  const refuse = (what: string) =>
    errors.validation(
      `Parameter name: can't be prefixed with "${what}" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`,
    );
  if (/^\/?ssm/i.test(name)) throw refuse("ssm");
  if (!/^[a-zA-Z0-9_.\-/]+$/.test(name) || name.endsWith("/") || name.includes("//")) throw refuse("ssm");
  if (name.includes("/") && !name.startsWith("/")) throw errors.validation("Parameter name must be a fully qualified name.");
  if (name.split("/").length - 1 > mostLevels) throw errors.tooDeep(name);
}

export function checkPath(path: string): string {
  if (!/^\/[a-zA-Z0-9_.\-/]*$/.test(path) || path.includes("//"))
    throw errors.validation(
      'The parameter doesn\'t meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can\'t be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.',
    );
  if (path.replace(/\/$/, "").split("/").length - 1 > mostLevels) throw errors.tooDeep(path);
  return path.endsWith("/") ? path : `${path}/`;
}

export type Tier = "Standard" | "Advanced";

/** The tier that a value of this length gets. An advanced parameter stays one. */
export function tierOf(asked: string | undefined, value: string, before: Tier | undefined): Tier {
  const bytes = Buffer.byteLength(value);
  if (bytes < 1)
    throw errors.validation(
      "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1",
    );
  const wanted = asked === undefined ? (before ?? "Standard") : asked;
  if (!["Standard", "Advanced", "Intelligent-Tiering"].includes(wanted))
    throw errors.validation(
      `1 validation error detected: Value '${wanted}' at 'tier' failed to satisfy constraint: Member must satisfy enum value set: [Advanced, Intelligent-Tiering, Standard]`,
    );
  if (asked === "Standard" && before === "Advanced")
    throw errors.validation(
      "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.",
    );
  const tier =
    wanted === "Intelligent-Tiering" ? (bytes > standardBytes || before === "Advanced" ? "Advanced" : "Standard") : (wanted as Tier);
  if (tier === "Standard" && bytes > standardBytes)
    throw errors.validation(
      `Standard tier parameters support a maximum parameter value of ${standardBytes} characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html`,
    );
  if (bytes > advancedBytes)
    throw errors.validation(`Advanced tier parameters support a maximum parameter value of ${advancedBytes} characters.`);
  return tier;
}

export function checkPattern(pattern: string | undefined, value: string): void {
  if (!pattern) return;
  if (pattern.length > 1024) throw errors.badPattern(pattern.slice(0, 40), "longer than 1024 characters");
  let matches: boolean;
  try {
    // AWS looks for the pattern anywhere in the value.
    const whole = `${pattern.startsWith("^") ? "" : ".*"}(?:${pattern.replace(/^\^/, "").replace(/(?<!\\)\$$/, "")})${/(?<!\\)\$$/.test(pattern) ? "" : ".*"}`;
    matches = linearPattern(whole)(value);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw errors.badPattern(pattern, error.message);
  }
  if (!matches) throw errors.patternMismatch(pattern);
}

export function checkDataType(type = "text"): string {
  if (type === "text") return type;
  if (type === "aws:ec2:image" || type === "aws:ssm:integration") throw errors.notYet(`parameters of the data type ${type}`);
  throw errors.validation(`The following data type is not supported: ${type} (Data type names are all lowercase.)`);
}

/** Those that cannot be labels. Source: API Reference, LabelParameterVersion. */
export const isLabel = (label: string): boolean => /^[a-zA-Z0-9_.-]{1,100}$/.test(label) && !/^(\d|aws|ssm)/i.test(label);

export function checkTags(tags: readonly SdkTag[] = [], before: readonly Tag[] = []): readonly Tag[] {
  const all = new Map(before.map(({ key, value }) => [key, value]));
  for (const { Key = "", Value = "" } of tags) {
    if (Key.length < 1 || Key.length > 128 || Value.length > 256 || /^aws:/i.test(Key))
      throw errors.validation(`Tag keys have 1 to 128 characters and don't begin with aws:, values at most 256: ${Key}`);
    all.set(Key, Value);
  }
  if (all.size > mostTags) throw errors.tooManyTags();
  return [...all].map(([key, value]) => ({ key, value }));
}

/** Throws ValidationException for a MaxResults that is not between 1 and `most`. */
export function limitOf(given: number | undefined, most: number, usual = most): number {
  if (given !== undefined && (!Number.isInteger(given) || given < 1 || given > most))
    throw errors.validation(
      `1 validation error detected: Value '${given}' at 'maxResults' failed to satisfy constraint: Member must have value ${given < 1 ? "greater than or equal to 1" : `less than or equal to ${most}`}`,
    );
  return given ?? usual;
}
