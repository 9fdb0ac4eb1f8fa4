import { ApiError } from "#api/contract.ts";

/** AWS Certificate Manager's errors. Source: AWS Certificate Manager API Reference, "Errors" of each operation. */
export const acmErrors = {
  validation: (message: string) => new ApiError("ValidationException", message),
  parameter: (message: string) => new ApiError("InvalidParameterException", message),
  badArn: (arn: string) => new ApiError("InvalidArnException", `The certificate ARN '${arn}' is not valid.`),
  none: (arn: string, account: string) =>
    new ApiError("ResourceNotFoundException", `Could not find certificate ${arn} in account ${account}.`),
  inUse: (arn: string, account: string) => new ApiError("ResourceInUseException", `Certificate ${arn} in account ${account} is in use.`),
  state: (message: string) => new ApiError("InvalidStateException", message),
  tag: (message: string) => new ApiError("InvalidTagException", message),
  tooManyTags: () => new ApiError("TooManyTagsException", "A certificate can have at most 50 tags."),
  args: (message: string) => new ApiError("InvalidArgsException", message),
  domainOptions: (message: string) => new ApiError("InvalidDomainValidationOptionsException", message),
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet. See docs/coverage.md.`, 501),
};
