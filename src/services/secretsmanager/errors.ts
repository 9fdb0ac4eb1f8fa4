import { ApiError } from "#api/contract.ts";

/** Secrets Manager's errors. Source: AWS Secrets Manager API Reference; the sentences are those that it sends. */
export const errors = {
  validation: (message: string) => new ApiError("ValidationException", message),
  parameter: (message: string) => new ApiError("InvalidParameterException", message),
  request: (message: string) => new ApiError("InvalidRequestException", message),
  noSecret: () => new ApiError("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
  noValue: (what: string) => new ApiError("ResourceNotFoundException", `Secrets Manager can't find the specified secret value for ${what}`),
  exists: (name: string) => new ApiError("ResourceExistsException", `The operation failed because the secret ${name} already exists.`),
  versionExists: () => new ApiError("ResourceExistsException", "A resource with the ID you requested already exists."),
  deleted: () =>
    new ApiError("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion."),
  nameDeleted: () =>
    new ApiError(
      "InvalidRequestException",
      "You can't create this secret because a secret with this name is already scheduled for deletion.",
    ),
  encryption: (why: string) =>
    new ApiError(
      "EncryptionFailure",
      `Secrets Manager can't encrypt the protected secret text using the provided KMS key: ${why}. Check that the KMS key is available, enabled, and not in an invalid state.`,
    ),
  decryption: () =>
    new ApiError("DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."),
  limit: (message: string) => new ApiError("LimitExceededException", message),
  policy: (message: string) => new ApiError("MalformedPolicyDocumentException", message),
  publicPolicy: () =>
    new ApiError(
      "PublicPolicyException",
      "The BlockPublicPolicy parameter is set to true, and the resource policy did not prevent broad access to the secret.",
    ),
  badToken: () => new ApiError("InvalidNextTokenException", "The NextToken value is invalid."),
  /** What Secrets Manager can do and Gantry cannot. */
  notYet: (what: string) => new ApiError("NotImplemented", what, 501),
};
