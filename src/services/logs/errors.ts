import { ApiError } from "#api/contract.ts";

/** The errors of CloudWatch Logs, with AWS's messages. */
export const errors = {
  invalid: (message: string) => new ApiError("InvalidParameterException", message),
  groupMissing: () => new ApiError("ResourceNotFoundException", "The specified log group does not exist."),
  streamMissing: () => new ApiError("ResourceNotFoundException", "The specified log stream does not exist."),
  filterMissing: () => new ApiError("ResourceNotFoundException", "The specified metric filter does not exist."),
  policyMissing: (name: string) => new ApiError("ResourceNotFoundException", `Policy with name [${name}] does not exist.`),
  limit: () => new ApiError("LimitExceededException", "Resource limit exceeded."),
  notYet: (what: string) => new ApiError("NotImplemented", `${what} are not available in Gantry.`, 501),
  groupExists: () => new ApiError("ResourceAlreadyExistsException", "The specified log group already exists"),
  streamExists: () => new ApiError("ResourceAlreadyExistsException", "The specified log stream already exists"),
  badToken: () => new ApiError("InvalidParameterException", "The specified nextToken is invalid."),
  protectedGroup: () =>
    new ApiError("ValidationException", "The log group has deletion protection enabled. Disable deletion protection before deleting it."),
  tooManyTags: (resourceName: string) =>
    new ApiError("TooManyTagsException", "A resource can have no more than 50 tags.", 400, { resourceName }),
  unavailable: (reason: string) => new ApiError("ServiceUnavailableException", `The service cannot complete the request: ${reason}`, 503),
};

/** `1 validation error detected: …`, as AWS words what a shape's constraints refuse. */
export function constraint(member: string, value: unknown, what: string): ApiError {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return errors.invalid(`1 validation error detected: Value '${text}' at '${member}' failed to satisfy constraint: Member must ${what}`);
}
