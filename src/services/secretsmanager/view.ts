import type * as Sdk from "@aws-sdk/client-secrets-manager";
import type { SecretRecord } from "#model/secrets-records.ts";

const date = (at: number | undefined) => (at === undefined ? undefined : new Date(at));

/** As ListSecrets shows it. Nothing of a value. */
export function secretView(secret: SecretRecord): Sdk.SecretListEntry {
  const { versions, ...common } = describeView(secret);
  return { ...common, SecretVersionsToStages: versions };
}

/** As DescribeSecret shows it. */
export function secretDescription(secret: SecretRecord): Sdk.DescribeSecretResponse {
  const { versions, ...common } = describeView(secret);
  return { ...common, VersionIdsToStages: versions };
}

function describeView(secret: SecretRecord) {
  const stages = secret.versions
    .filter((version) => version.stages.length > 0)
    .map((version): [string, string[]] => [version.id, [...version.stages]]);
  return {
    ARN: secret.arn,
    Name: secret.name,
    Description: secret.description,
    KmsKeyId: secret.kmsKeyId,
    RotationEnabled: secret.rotation?.enabled,
    LastRotatedDate: date(secret.rotation?.lastAt),
    CreatedDate: date(secret.createdAt),
    LastChangedDate: date(secret.changedAt),
    LastAccessedDate: date(secret.accessedAt),
    // "The date the secret is scheduled for deletion": AWS shows when DeleteSecret was called.
    DeletedDate: date(secret.deleted?.at),
    Tags: secret.tags.map(({ key, value }) => ({ Key: key, Value: value })),
    versions: stages.length > 0 ? Object.fromEntries(stages) : undefined,
  };
}
