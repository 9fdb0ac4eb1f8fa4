import { formatArn, parseArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { parameterKeys } from "#model/secrets-keys.ts";
import type { ParameterRecord, ParameterVersion } from "#model/secrets-records.ts";
import { reveal, unsealed } from "#reconcilers/secrets/keys.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";

export const parameterArn = (scope: Scope, name: string) =>
  formatArn({ service: "ssm", ...scope, resource: `parameter${name.startsWith("/") ? name : `/${name}`}` });

/** The names that a name or an ARN may mean: an ARN does not say whether the name begins with a slash. */
function namesOf(scope: Scope, given: string): readonly string[] {
  if (!given.startsWith("arn:")) return [given];
  const arn = parseArn(given);
  if (arn?.service !== "ssm" || arn.account !== scope.account || arn.region !== scope.region || !arn.resource.startsWith("parameter/"))
    return [];
  const name = arn.resource.slice("parameter".length);
  return [name, name.slice(1)];
}

export async function findParameter(records: Pick<Records, "scope" | "get">, given: string): Promise<ParameterRecord | undefined> {
  for (const name of namesOf(records.scope, given)) {
    const found = await records.get<ParameterRecord>(parameterKeys.parameter(records.scope, name));
    if (found) return found;
  }
  return undefined;
}

export async function needParameter(records: Records, given: string): Promise<ParameterRecord> {
  const found = await findParameter(records, given);
  if (!found) throw errors.notFound();
  return found;
}

export interface Selected {
  readonly parameter: ParameterRecord;
  readonly version: ParameterVersion;
  /** `:3` or `:label`, as it was asked for. */
  readonly selector?: string;
}

/** `name`, `name:3`, `name:label`, or an ARN with the same. Throws ParameterNotFound, ParameterVersionNotFound. */
export async function select(records: Records, given: string): Promise<Selected> {
  const [, base = given, selector] = /^(arn:(?:[^:]*:){4}[^:]+|[^:]+)(?::([^:]+))?$/.exec(given) ?? [];
  const parameter = await needParameter(records, base);
  const latest = parameter.versions.at(-1)!;
  if (selector === undefined) return { parameter, version: latest };
  const byNumber = /^\d+$/.test(selector);
  const version = parameter.versions.find(({ version: number, labels }) =>
    byNumber ? number === Number(selector) : labels.includes(selector),
  );
  if (!version) throw byNumber ? errors.noVersion(parameter.name, selector) : errors.noLabel(parameter.name, selector);
  return { parameter, version, selector: `:${selector}` };
}

/** The context with which a SecureString is encrypted. Source: User Guide, "SecureString encryption". */
export const contextOf = (scope: Scope, name: string) => ({ PARAMETER_ARN: parameterArn(scope, name) });

/** A SecureString without decryption is KMS's ciphertext, as base64. Throws InvalidKeyId. */
export async function valueOf(records: Records, name: string, version: ParameterVersion, decrypt: boolean): Promise<string> {
  const { value, sealed, kmsKeyId } = version;
  if (sealed === undefined) return value ?? "";
  const at = parameterKeys.parameter(records.scope, name);
  if (!decrypt) return unsealed(records, at, sealed).toString("base64");
  const plaintext = await reveal(records, at, contextOf(records.scope, name), sealed);
  if (!plaintext) throw errors.badKey(`The key ${kmsKeyId} is deleted, disabled or pending deletion.`);
  return plaintext.toString("utf8");
}

export function putParameterRecord({ unit, scope }: Change, parameter: ParameterRecord): void {
  unit.put(parameterKeys.parameter(scope, parameter.name), parameter);
}

export const allParameters = (records: Records) => records.list<ParameterRecord>(parameterKeys.parameters(records.scope));
