import type * as Sdk from "@aws-sdk/client-secrets-manager";
import type { Change } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { moveLabel, needLiveSecret, pending, putSecret, versionWith } from "./lookup.ts";
import { checkToken } from "./rules.ts";

/**
 * Rotation by hand. With AWS, RotateSecret makes a version without a value, labels it AWSPENDING, and a Lambda function does the rest by the API. Gantry
 * runs no functions: RotateSecret does AWS's part, and the rest is whoever called it: PutSecretValue with the answer's VersionId as ClientRequestToken
 * and AWSPENDING as VersionStages, then UpdateSecretVersionStage, which moves AWSCURRENT there. What would need a function or a schedule is refused.
 */
export async function rotateSecret(change: Change, input: Sdk.RotateSecretRequest): Promise<Sdk.RotateSecretResponse> {
  if (input.RotationLambdaARN)
    throw errors.notYet(
      "Gantry runs no Lambda functions: leave RotationLambdaARN out, and give the AWSPENDING version its value by PutSecretValue (docs/secrets.md).",
    );
  if (input.RotationRules)
    throw errors.notYet(
      "Gantry rotates no secrets by a schedule: leave RotationRules out, and call RotateSecret when it is time (docs/secrets.md).",
    );
  if (input.RotateImmediately === false)
    throw errors.request("Without a schedule there is no later rotation: leave RotateImmediately out.");
  const id = checkToken(input.ClientRequestToken, () => change.deps.random.uuid());
  const secret = await needLiveSecret(change, input.SecretId);
  const before = versionWith(secret, pending);
  if (before?.id === id) return { ARN: secret.arn, Name: secret.name, VersionId: id };
  if (before && before.sealed === undefined)
    throw errors.request("A previous rotation isn't complete. Give its AWSPENDING version a value, or remove that label.");
  if (secret.versions.some((version) => version.id === id)) throw errors.versionExists();
  const versions = moveLabel([{ id, stages: [], createdAt: change.now }, ...secret.versions], pending, id);
  putSecret(change, { ...secret, versions, changedAt: change.now });
  return { ARN: secret.arn, Name: secret.name, VersionId: id };
}

/** Ends a rotation that is under way: a pending version that has no value goes, one that has keeps its label, as with AWS. */
export async function cancelRotateSecret(
  change: Change,
  { SecretId }: Sdk.CancelRotateSecretRequest,
): Promise<Sdk.CancelRotateSecretResponse> {
  const secret = await needLiveSecret(change, SecretId);
  const waiting = versionWith(secret, pending);
  const versions = secret.versions.filter((version) => version !== waiting || version.sealed !== undefined);
  putSecret(change, { ...secret, versions, rotation: secret.rotation && { ...secret.rotation, enabled: false }, changedAt: change.now });
  return { ARN: secret.arn, Name: secret.name, ...(waiting ? { VersionId: waiting.id } : {}) };
}
