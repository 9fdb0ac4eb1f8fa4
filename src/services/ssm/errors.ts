import { ApiError } from "#api/contract.ts";

/** Parameter Store's errors. Source: AWS Systems Manager API Reference; the sentences are those that it sends. */
export const errors = {
  validation: (message: string) => new ApiError("ValidationException", message),
  notFound: (message = "") => new ApiError("ParameterNotFound", message),
  noVersion: (name: string, version: string) =>
    new ApiError(
      "ParameterVersionNotFound",
      `Systems Manager could not find version ${version} of ${name}. Verify the version and try again.`,
    ),
  noLabel: (name: string, label: string) =>
    new ApiError(
      "ParameterVersionNotFound",
      `Systems Manager could not find the label ${label} of ${name}. Verify the label and try again.`,
    ),
  exists: () =>
    new ApiError(
      "ParameterAlreadyExists",
      "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    ),
  reserved: (name: string) => new ApiError("AccessDeniedException", `No access to reserved parameter name: ${name}.`),
  tooDeep: (name: string) =>
    new ApiError("HierarchyLevelLimitExceededException", `Parameter name ${name}: a hierarchy can have at most 15 levels.`),
  typeMismatch: () =>
    new ApiError(
      "HierarchyTypeMismatchException",
      "Parameter Store does not support changing a parameter type in a hierarchy. For example, you can't change a parameter from a String type to a SecureString type. You must create a new, unique parameter.",
    ),
  badPattern: (pattern: string, why: string) =>
    new ApiError("InvalidAllowedPatternException", `The allowedPattern ${pattern} is not valid: ${why}`),
  patternMismatch: (pattern: string) =>
    new ApiError("ParameterPatternMismatchException", `Parameter value, cannot be validated against allowedPattern: ${pattern}`),
  versionLimit: (name: string, oldest: number) =>
    new ApiError(
      "ParameterMaxVersionLimitExceeded",
      `You attempted to create a new version of ${name} by calling the PutParameter API with the overwrite flag. Version ${oldest}, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.`,
    ),
  labelLimit: () =>
    new ApiError(
      "ParameterVersionLabelLimitExceeded",
      "A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.",
    ),
  badKey: (why: string) => new ApiError("InvalidKeyId", why),
  badFilterKey: (key: string) => new ApiError("InvalidFilterKey", `The filter key is not valid: ${key}`),
  badFilterOption: (option: string, key: string) =>
    new ApiError(
      "InvalidFilterOption",
      `The following filter option is not valid: ${option}. Valid options for the filter ${key} stand in the API Reference, ParameterStringFilter.`,
    ),
  badFilterValue: (message: string) => new ApiError("InvalidFilterValue", message),
  badToken: () => new ApiError("InvalidNextToken", "The specified token is not valid."),
  badResourceId: () =>
    new ApiError("InvalidResourceId", "The resource ID is not valid. Verify that you entered the correct ID and try again."),
  tooManyTags: () => new ApiError("TooManyTagsError", "The Targets parameter includes too many tags: a parameter can have at most 50."),
  /** What Systems Manager can do and Gantry cannot. */
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};
