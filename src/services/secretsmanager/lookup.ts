import { parseArn } from "#model/arn.ts";
import { secretKeys } from "#model/secrets-keys.ts";
import type { SecretRecord, SecretVersion } from "#model/secrets-records.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";

/**
 * A secret by its name, its ARN, or its ARN without the six random characters. A name that itself ends in a hyphen and six characters is found as
 * what the whole ARN says first. Throws ResourceNotFoundException.
 */
export async function needSecret(records: Pick<Records, "scope" | "get">, given = ""): Promise<SecretRecord> {
  const { scope } = records;
  const find = (name: string) => records.get<SecretRecord>(secretKeys.secret(scope, name));
  if (given.length < 1 || given.length > 2048) throw errors.validation("Member secretId must have length between 1 and 2048");
  if (!given.startsWith("arn:")) {
    const secret = await find(given);
    if (secret) return secret;
    throw errors.noSecret();
  }
  const arn = parseArn(given);
  if (arn?.service !== "secretsmanager" || !arn.resource.startsWith("secret:")) throw errors.parameter("Invalid ARN.");
  if (arn.account !== scope.account || arn.region !== scope.region) throw errors.noSecret();
  const name = arn.resource.slice("secret:".length);
  const whole = /^(.+)-[a-zA-Z0-9]{6}$/.exec(name)?.[1];
  const exact = whole === undefined ? undefined : await find(whole);
  if (exact?.arn === given) return exact;
  const partial = await find(name);
  if (partial) return partial;
  throw errors.noSecret();
}

/** One that is not to be deleted. Throws InvalidRequestException. */
export async function needLiveSecret(records: Records, given: string | undefined): Promise<SecretRecord> {
  const secret = await needSecret(records, given);
  if (secret.deleted) throw errors.deleted();
  return secret;
}

export function putSecret({ unit, scope }: Change, secret: SecretRecord): void {
  unit.put(secretKeys.secret(scope, secret.name), secret);
}

export const current = "AWSCURRENT";
export const previous = "AWSPREVIOUS";
export const pending = "AWSPENDING";

export const versionWith = ({ versions }: SecretRecord, stage: string): SecretVersion | undefined =>
  versions.find(({ stages }) => stages.includes(stage));

/**
 * The versions with `label` at `id` and nowhere else. AWSCURRENT leaves AWSPREVIOUS where it was. Source: User Guide, "Secret versions" and the API
 * Reference, UpdateSecretVersionStage.
 */
export function moveLabel(versions: readonly SecretVersion[], label: string, id: string): readonly SecretVersion[] {
  const before = versions.find(({ stages }) => stages.includes(label));
  if (before?.id === id) return versions;
  const moved = versions.map((version) => ({
    ...version,
    stages: version.id === id ? [...version.stages, label] : version.stages.filter((stage) => stage !== label),
  }));
  if (label !== current || !before) return moved;
  return moved.map((version) => ({
    ...version,
    stages: [...version.stages.filter((stage) => stage !== previous), ...(version.id === before.id ? [previous] : [])],
  }));
}
