import type { EncryptionConfiguration, ImageTagMutabilityExclusionFilter } from "@aws-sdk/client-ecr";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import type { RegistryId, RepositoryRecord, TagMutability } from "#registry/records.ts";
import { invalidParameter } from "./errors.ts";
import type { EcrPart } from "./part.ts";
import { listOf, oneOf, registryOf, repositoryName } from "./validate.ts";

const mutabilities = ["IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION", "MUTABLE", "MUTABLE_WITH_EXCLUSION"] as const;

/** Tag mutability with its exclusion filters. Source: Amazon ECR API Reference, PutImageTagMutability and ImageTagMutabilityExclusionFilter. */
export function mutabilityOf(
  value: string | undefined,
  filters: readonly ImageTagMutabilityExclusionFilter[] | undefined,
): Pick<RepositoryRecord, "imageTagMutability" | "exclusionFilters"> {
  const imageTagMutability: TagMutability = oneOf("imageTagMutability", value, mutabilities) ?? "MUTABLE";
  const name = "imageTagMutabilityExclusionFilters";
  if (imageTagMutability === "MUTABLE" || imageTagMutability === "IMMUTABLE") {
    if (filters !== undefined)
      throw invalidParameter(
        name,
        `ImageTagMutabilityExclusionFilters must be null when imageTagMutability is set as ${imageTagMutability}`,
      );
    return { imageTagMutability };
  }
  if (filters === undefined)
    throw invalidParameter(
      name,
      `ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as ${imageTagMutability}`,
    );
  const exclusionFilters = listOf(name, filters, 1, 5).map(({ filterType, filter = "" }) => {
    oneOf(`${name}.filterType`, filterType, ["WILDCARD"]);
    if (!/^[0-9a-zA-Z._*-]{1,128}$/.test(filter))
      throw invalidParameter(`${name}.filter`, "must satisfy regular expression '^[0-9a-zA-Z._*-]{1,128}$'");
    if (filter.split("*").length > 3) throw invalidParameter(`${name}.filter`, "must have at most 2 wildcards");
    return { filterType: "WILDCARD", filter } as const;
  });
  return { imageTagMutability, exclusionFilters };
}

export function encryptionOf(given: EncryptionConfiguration | undefined, { account, region }: RegistryId): RepositoryRecord["encryption"] {
  const encryptionType = oneOf("encryptionConfiguration.encryptionType", given?.encryptionType, ["AES256", "KMS", "KMS_DSSE"]) ?? "AES256";
  const kmsKey = given?.kmsKey;
  if (encryptionType === "AES256") {
    if (kmsKey !== undefined) throw invalidParameter("encryptionConfiguration", "kmsKey cannot be set when encryptionType is AES256");
    return { encryptionType };
  }
  if (kmsKey !== undefined && (kmsKey.length < 1 || kmsKey.length > 2048))
    throw invalidParameter("encryptionConfiguration.kmsKey", "must have length between 1 and 2048");
  // Without a key, the account's own for ECR.
  return { encryptionType, kmsKey: kmsKey ?? `arn:aws:kms:${region}:${account}:alias/aws/ecr` };
}

export function settingsHandlers({ registry }: EcrPart) {
  return {
    async PutImageTagMutability(input, context) {
      const where = registryOf(input.registryId, context);
      const name = repositoryName(input.repositoryName);
      const { exclusionFilters, imageTagMutability } = mutabilityOf(input.imageTagMutability, input.imageTagMutabilityExclusionFilters);
      await registry.repositories.update(where, name, (repository) => ({ ...repository, imageTagMutability, exclusionFilters }));
      return {
        registryId: where.account,
        repositoryName: name,
        imageTagMutability,
        imageTagMutabilityExclusionFilters: exclusionFilters?.map((filter) => ({ ...filter })),
      };
    },
    async PutImageScanningConfiguration(input, context) {
      const where = registryOf(input.registryId, context);
      const name = repositoryName(input.repositoryName);
      const scanOnPush = input.imageScanningConfiguration?.scanOnPush ?? false;
      await registry.repositories.update(where, name, (repository) => ({ ...repository, scanOnPush }));
      return { registryId: where.account, repositoryName: name, imageScanningConfiguration: { scanOnPush } };
    },
    DescribeRegistry: (_input, { account }) => ({ registryId: account, replicationConfiguration: { rules: [] } }),
  } satisfies Handlers<EcrOperations>;
}
