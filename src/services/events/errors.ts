import { ApiError } from "#api/contract.ts";

/** EventBridge's errors. Source: Amazon EventBridge API Reference; the sentences are those that it sends. */
export const errors = {
  invalid: (message: string) => new ApiError("ValidationException", message),
  constraint: (member: string, value: string, what: string) =>
    new ApiError(
      "ValidationException",
      `1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must ${what}`,
    ),
  pattern: (reason: string) => new ApiError("InvalidEventPatternException", `Event pattern is not valid. Reason: ${reason}`),
  noRule: (name: string, bus: string) => new ApiError("ResourceNotFoundException", `Rule ${name} does not exist on EventBus ${bus}.`),
  noBus: (name: string) => new ApiError("ResourceNotFoundException", `Event bus ${name} does not exist.`),
  missing: (message: string) => new ApiError("ResourceNotFoundException", message),
  exists: (message: string) => new ApiError("ResourceAlreadyExistsException", message),
  limit: (what = "The requested resource exceeds the maximum number allowed.") => new ApiError("LimitExceededException", what),
  policyTooLong: () => new ApiError("PolicyLengthExceededException", "The event bus policy is longer than 10240 characters."),
  badToken: () => new ApiError("ValidationException", "The NextToken value is not valid."),
  illegal: (message: string) => new ApiError("IllegalStatusException", message),
  /** What EventBridge can do and Gantry cannot. */
  notYet: (what: string) => new ApiError("NotImplemented", what, 501),
};
