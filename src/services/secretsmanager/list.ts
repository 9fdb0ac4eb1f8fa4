import type * as Sdk from "@aws-sdk/client-secrets-manager";
import { pageOf } from "#api/pagination.ts";
import { secretKeys } from "#model/secrets-keys.ts";
import type { SecretRecord } from "#model/secrets-records.ts";
import type { Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { limitOf } from "./rules.ts";
import { secretView } from "./view.ts";

interface Asked {
  readonly operation: string;
  readonly Filters?: readonly Sdk.Filter[];
  readonly limit: number;
  readonly NextToken?: string;
  readonly SortOrder?: string;
  readonly SortBy?: string;
  readonly withDeleted?: boolean;
}

export async function listSecrets(records: Records, input: Sdk.ListSecretsRequest): Promise<Sdk.ListSecretsResponse> {
  const { items, NextToken } = await listed(records, {
    operation: "ListSecrets",
    ...input,
    limit: limitOf(input.MaxResults, 100),
    withDeleted: input.IncludePlannedDeletion ?? false,
  });
  return { SecretList: items.map(secretView), ...(NextToken === undefined ? {} : { NextToken }) };
}

/** A page of those that the filters let through. Throws InvalidParameterException, InvalidNextTokenException. */
export async function listed(
  records: Records,
  { operation, Filters = [], limit, NextToken, SortOrder = "desc", SortBy = "created-date", withDeleted = false }: Asked,
): Promise<{ readonly items: readonly SecretRecord[]; readonly NextToken?: string }> {
  if (Filters.length > 10) throw errors.parameter("You can specify at most 10 filters.");
  const tests = Filters.map(filterOf);
  const position = positionOf(SortBy, SortOrder === "asc");
  const found = (await records.list<SecretRecord>(secretKeys.secrets(records.scope)))
    .filter((secret) => (withDeleted || !secret.deleted) && tests.every((test) => test(secret)))
    .toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { account, region } = records.scope;
  const { items, nextToken } = pageOf(records.deps.sealer, found, position, {
    scope: JSON.stringify(["secretsmanager", operation, account, region, Filters, SortOrder, SortBy, withDeleted]),
    limit,
    token: NextToken,
    badToken: errors.badToken,
  });
  return { items, ...(nextToken === undefined ? {} : { NextToken: nextToken }) };
}

const latest = 8_640_000_000_000_000;

/** Texts that sort as asked; the name comes second, always ascending. */
function positionOf(sortBy: string, ascending: boolean): (secret: SecretRecord) => string {
  const time = (at: number) => String(ascending ? at : latest - at).padStart(17, "0");
  switch (sortBy) {
    case "created-date":
      return ({ createdAt, name }) => `${time(createdAt)} ${name}`;
    case "last-changed-date":
      return ({ changedAt, name }) => `${time(changedAt)} ${name}`;
    case "last-accessed-date":
      return ({ accessedAt = 0, name }) => `${time(accessedAt)} ${name}`;
    case "name":
      return ({ name }) => (ascending ? name : [...name].map((letter) => String(9999 - letter.charCodeAt(0))).join("") + "~");
    default:
      throw errors.parameter(`Unknown SortBy: ${sortBy}`);
  }
}

/** Values are prefixes, any of which is enough; one that begins with `!` is what must not be. Source: API Reference, Filter. */
function filterOf({ Key, Values = [] }: Sdk.Filter): (secret: SecretRecord) => boolean {
  if (Values.length < 1 || Values.length > 10) throw errors.parameter("A filter needs 1 to 10 values.");
  const texts = textsOf(Key);
  const begins = (text: string, value: string) =>
    Key === "description" || Key === "all" ? text.toLowerCase().startsWith(value.toLowerCase()) : text.startsWith(value);
  const wanted = Values.filter((value) => !value.startsWith("!"));
  const unwanted = Values.filter((value) => value.startsWith("!")).map((value) => value.slice(1));
  return (secret) => {
    const of = texts(secret);
    const has = (value: string) => of.some((text) => begins(text, value));
    return (wanted.length === 0 || wanted.some(has)) && !unwanted.some(has);
  };
}

function textsOf(key: string | undefined): (secret: SecretRecord) => readonly string[] {
  switch (key) {
    case "name":
      return ({ name }) => [name];
    case "description":
      return ({ description = "" }) => [description, ...description.split(/\s+/)];
    case "tag-key":
      return ({ tags }) => tags.map((tag) => tag.key);
    case "tag-value":
      return ({ tags }) => tags.map((tag) => tag.value);
    case "primary-region":
    case "owning-service":
      return () => [];
    case "all":
      return ({ name, description = "", tags }) =>
        [name, description, ...tags.flatMap((tag) => [tag.key, tag.value])].flatMap((text) => [text, ...text.split(/[^a-zA-Z0-9]+/)]);
    default:
      throw errors.parameter(`Invalid filter key: ${String(key)}`);
  }
}

export async function listSecretVersionIds(
  records: Records,
  secret: SecretRecord,
  { IncludeDeprecated = false, MaxResults, NextToken }: Sdk.ListSecretVersionIdsRequest,
): Promise<Sdk.ListSecretVersionIdsResponse> {
  const position = ({ createdAt, id }: { createdAt: number; id: string }) => `${String(createdAt).padStart(17, "0")} ${id}`;
  const versions = secret.versions
    .filter(({ stages }) => IncludeDeprecated || stages.length > 0)
    .toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, nextToken } = pageOf(records.deps.sealer, versions, position, {
    scope: JSON.stringify(["secretsmanager", "ListSecretVersionIds", secret.arn, IncludeDeprecated]),
    limit: limitOf(MaxResults, 100),
    token: NextToken,
    badToken: errors.badToken,
  });
  return {
    ARN: secret.arn,
    Name: secret.name,
    Versions: items.map(({ id, stages, createdAt, accessedAt, kmsKeyId }) => ({
      VersionId: id,
      VersionStages: stages.length > 0 ? [...stages] : undefined,
      CreatedDate: new Date(createdAt),
      LastAccessedDate: accessedAt === undefined ? undefined : new Date(accessedAt),
      KmsKeyIds: kmsKeyId === undefined ? undefined : [kmsKeyId === "alias/aws/secretsmanager" ? "DefaultEncryptionKey" : kmsKeyId],
    })),
    ...(nextToken === undefined ? {} : { NextToken: nextToken }),
  };
}
