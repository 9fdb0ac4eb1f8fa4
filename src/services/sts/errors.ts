import { ApiError } from "#api/contract.ts";

/** STS's errors, in its own sentences. Source: AWS STS API Reference, "Errors" of each operation. */

const said = (code: string, status: number) => (message: string) => new ApiError(code, message, status);

export const errors = {
  validation: said("ValidationError", 400),
  accessDenied: said("AccessDenied", 403),
  invalidParameter: said("InvalidParameterValue", 400),
  invalidClientToken: said("InvalidClientTokenId", 403),
  malformedPolicy: said("MalformedPolicyDocumentException", 400),
  tooLarge: said("PackedPolicyTooLargeException", 400),
  invalidIdentityToken: said("InvalidIdentityTokenException", 400),
  expiredToken: said("ExpiredTokenException", 400),
  rejectedClaim: said("IDPRejectedClaimException", 403),
  idpCommunication: said("IDPCommunicationErrorException", 400),
  constraints: (broken: readonly string[]) =>
    errors.validation(`${broken.length} validation error${broken.length > 1 ? "s" : ""} detected: ${broken.join("; ")}`),
};
