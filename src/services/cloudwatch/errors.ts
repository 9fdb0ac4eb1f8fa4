import { ApiError } from "#api/contract.ts";

/** CloudWatch's errors. Source: Amazon CloudWatch API Reference; the names are the SDK's shapes, which Query turns into its own codes. */
export const errors = {
  invalid: (message: string) => new ApiError("InvalidParameterValueException", message),
  combination: (message: string) => new ApiError("InvalidParameterCombinationException", message),
  missing: (name: string) => new ApiError("MissingRequiredParameterException", `The parameter ${name} is required.`),
  validation: (message: string) => new ApiError("ValidationException", message),
  badToken: () => new ApiError("InvalidNextToken", "The NextToken is not valid."),
  noAlarm: (name: string) => new ApiError("ResourceNotFound", `Alarm ${name} does not exist`, 404),
  noResource: (arn: string) => new ApiError("ResourceNotFoundException", `The resource ${arn} was not found.`, 404),
  noDashboard: (name: string) => new ApiError("DashboardNotFoundError", `Dashboard ${name} does not exist`, 404),
  badDashboard: (message: string, dashboardValidationMessages: readonly { DataPath: string; Message: string }[]) =>
    new ApiError("DashboardInvalidInputError", message, 400, { dashboardValidationMessages }),
  badFormat: (message: string) => new ApiError("InvalidFormatFault", message),
  limit: (message: string) => new ApiError("LimitExceededFault", message),
  full: () => new ApiError("InternalServiceFault", "No space is left where the metrics are kept.", 500),
  notYet: (what: string) => new ApiError("NotImplemented", `${what} is not available in Gantry.`, 501),
};

/** `1 validation error detected: …`, as AWS words what a shape's constraints refuse. */
export function constraint(member: string, value: unknown, what: string): ApiError {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return errors.validation(`1 validation error detected: Value '${text}' at '${member}' failed to satisfy constraint: Member must ${what}`);
}
