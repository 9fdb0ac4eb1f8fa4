import { ApiError } from "#api/contract.ts";
import { RegistryError, type RegistryErrorKind } from "#registry/errors.ts";

/** ECR's code for each thing that can be wrong. Source: Amazon ECR API Reference, the operations' "Errors". */
const codes: Readonly<Record<RegistryErrorKind, string>> = {
  RepositoryUnknown: "RepositoryNotFoundException",
  RepositoryExists: "RepositoryAlreadyExistsException",
  RepositoryNotEmpty: "RepositoryNotEmptyException",
  RepositoryNameInvalid: "InvalidParameterException",
  ImageUnknown: "ImageNotFoundException",
  ImageExists: "ImageAlreadyExistsException",
  ImageReferenced: "InvalidParameterException",
  ImageDigestMismatch: "ImageDigestDoesNotMatchException",
  ManifestInvalid: "InvalidParameterException",
  ManifestTooLarge: "InvalidParameterException",
  TagInvalid: "InvalidParameterException",
  TagImmutable: "ImageTagAlreadyExistsException",
  DigestInvalid: "InvalidParameterException",
  LayersMissing: "LayersNotFoundException",
  ReferencedImagesMissing: "ReferencedImagesNotFoundException",
  LayerUnknown: "LayersNotFoundException",
  LayerReferenced: "InvalidParameterException",
  LayerDigestMismatch: "InvalidLayerException",
  UploadUnknown: "UploadNotFoundException",
  LimitExceeded: "LimitExceededException",
};

/** The registry's errors as ECR's; anything else stays what it is. */
export function asApiError(error: unknown): unknown {
  return error instanceof RegistryError ? new ApiError(codes[error.kind], error.message) : error;
}

export const invalidParameter = (name: string, rule: string) =>
  new ApiError("InvalidParameterException", `Invalid parameter at '${name}' failed to satisfy constraint: '${rule}'`);

export const notYet = (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet. See docs/coverage.md.`, 501);
