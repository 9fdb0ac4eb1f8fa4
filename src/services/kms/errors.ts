import { ApiError } from "#api/contract.ts";

/** KMS's errors. Source: AWS KMS API Reference, and the statuses of the SDK's schemas. */
export const errors = {
  invalid: (message: string) => new ApiError("ValidationException", message),
  /** As AWS's own validation writes it. */
  constraint: (member: string, value: unknown, constraint: string) =>
    new ApiError(
      "ValidationException",
      `1 validation error detected: Value '${String(value)}' at '${member}' failed to satisfy constraint: ${constraint}`,
    ),
  noKey: (arn: string) => new ApiError("NotFoundException", `Key '${arn}' does not exist`),
  noKeyNamed: (given: string) => new ApiError("NotFoundException", `Invalid keyId '${given}'`),
  noAlias: (arn: string) => new ApiError("NotFoundException", `Alias ${arn} is not found.`),
  badArn: (arn: string) => new ApiError("InvalidArnException", `Invalid arn ${arn}`),
  aliasExists: (arn: string) => new ApiError("AlreadyExistsException", `An alias with the name ${arn} already exists`),
  badAlias: (message: string) => new ApiError("InvalidAliasNameException", message),
  reserved: () => new ApiError("NotAuthorizedException", "Aliases that begin with alias/aws/ are AWS's own."),
  disabled: (arn: string) => new ApiError("DisabledException", `${arn} is disabled.`),
  pendingDeletion: (arn: string) => new ApiError("KMSInvalidStateException", `${arn} is pending deletion.`),
  notPending: (arn: string) => new ApiError("KMSInvalidStateException", `${arn} is not pending deletion.`),
  managed: (what: string) => new ApiError("AccessDeniedException", `An AWS managed key cannot be ${what}.`),
  badCiphertext: () =>
    new ApiError("InvalidCiphertextException", "The ciphertext is not valid, or was encrypted with another encryption context."),
  wrongKey: () =>
    new ApiError("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."),
  badUsage: (message: string) => new ApiError("InvalidKeyUsageException", message),
  badPolicy: (message: string) => new ApiError("MalformedPolicyDocumentException", message),
  badTag: (message: string) => new ApiError("TagException", message),
  limit: (message: string) => new ApiError("LimitExceededException", message),
  badMarker: () => new ApiError("InvalidMarkerException", "The marker is not valid."),
  dryRun: () => new ApiError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412),
  /** What KMS can do and Gantry cannot yet. */
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};
