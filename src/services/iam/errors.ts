import { ApiError } from "#api/contract.ts";

/** IAM's errors, in its own sentences. Source: IAM API Reference, "Errors" of each operation. */

const said = (code: string, status: number) => (message: string) => new ApiError(code, message, status);

const noSuchEntity = said("NoSuchEntityException", 404);
const exists = said("EntityAlreadyExistsException", 409);
const conflict = said("DeleteConflictException", 409);
const limit = said("LimitExceededException", 409);

const titles: Readonly<Record<string, string>> = { user: "User", group: "Group", role: "Role", policy: "Policy" };

export const errors = {
  validation: said("ValidationError", 400),
  invalidInput: said("InvalidInputException", 400),
  accessDenied: said("AccessDenied", 403),
  malformed: said("MalformedPolicyDocumentException", 400),
  notAttachable: said("PolicyNotAttachableException", 400),
  noSuchEntity,
  conflict,
  limit,
  invalid: (member: string, rule: string) => errors.validation(`The specified value for ${member} is invalid. ${rule}`),
  constraints: (broken: readonly string[]) =>
    errors.validation(`${broken.length} validation error${broken.length > 1 ? "s" : ""} detected: ${broken.join("; ")}`),
  noEntity: (kind: string, name: string) => noSuchEntity(`The ${kind} with name ${name} cannot be found.`),
  entityExists: (kind: string, name: string) => exists(`${titles[kind] ?? kind} with name ${name} already exists.`),
  exists,
  noInline: (kind: string, name: string) => noSuchEntity(`The ${kind} policy with name ${name} cannot be found.`),
  noPolicy: (arn: string) => noSuchEntity(`Policy ${arn} was not found.`),
  cannotAttach: (arn: string) => noSuchEntity(`Policy ${arn} does not exist or is not attachable.`),
  noBoundary: (arn: string) => noSuchEntity(`Scope ARN: ${arn} does not exist or is not attachable.`),
  noVersion: (arn: string, version: string) => noSuchEntity(`Policy ${arn} version ${version} does not exist or is not attachable.`),
  noProfile: (name: string) => noSuchEntity(`Instance Profile ${name} cannot be found.`),
  noKey: (id: string) => noSuchEntity(`The Access Key with id ${id} cannot be found.`),
  noProvider: (arn: string) => noSuchEntity(`OpenIDConnect Provider not found for arn ${arn}`),
  quota: (name: string, most: number) => limit(`Cannot exceed quota for ${name}: ${most}`),
  protectedRole: (name: string) =>
    new ApiError(
      "UnmodifiableEntityException",
      `Cannot perform the operation on the protected role '${name}' - this role is only modifiable by AWS`,
      400,
    ),
  outside: () => said("AccessDenied", 403)("Policy is outside your own account."),
};
