import { ApiError } from "#api/contract.ts";

/** EventBridge Scheduler's errors. Source: EventBridge Scheduler API Reference. */
export const errors = {
  invalid: (message: string) => new ApiError("ValidationException", message, 400, { Message: message }),
  constraint: (member: string, value: string, what: string) =>
    errors.invalid(`1 validation error detected: Value '${value}' at '${member}' failed to satisfy constraint: Member must ${what}`),
  noSchedule: (name: string) => missing(`Schedule ${name} does not exist.`),
  noGroup: (name: string) => missing(`Schedule group ${name} does not exist.`),
  missing: (message: string) => missing(message),
  exists: (message: string) => new ApiError("ConflictException", message, 409, { Message: message }),
  limit: (message: string) => new ApiError("ServiceQuotaExceededException", message, 402, { Message: message }),
  badToken: () => errors.invalid("The NextToken value is not valid."),
  /** What Scheduler can do and Gantry cannot. */
  notYet: (what: string) => new ApiError("NotImplemented", what, 501),
};

const missing = (message: string) => new ApiError("ResourceNotFoundException", message, 404, { Message: message });
