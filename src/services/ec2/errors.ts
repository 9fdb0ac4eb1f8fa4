import { ApiError } from "#api/contract.ts";

/** EC2's errors that its operations share. Source: Amazon EC2 API Reference, "Error codes". */
export const ec2Errors = {
  dryRun: () => new ApiError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412),
  missing: (name: string) => new ApiError("MissingParameter", `The request must contain the parameter ${name}`),
  invalid: (message: string) => new ApiError("InvalidParameterValue", message),
  combination: (message: string) => new ApiError("InvalidParameterCombination", message),
  dependency: (message: string) => new ApiError("DependencyViolation", message),
  notPermitted: (message: string) => new ApiError("OperationNotPermitted", message),
  alreadyAssociated: (message: string) => new ApiError("Resource.AlreadyAssociated", message),
  notAttached: (message: string) => new ApiError("Gateway.NotAttached", message),
  noAssociation: (id: string) => new ApiError("InvalidAssociationID.NotFound", `The association ID '${id}' does not exist`),
  noInstance: (id: string) => new ApiError("InvalidInstanceID.NotFound", `The instance ID '${id}' does not exist`),
  noVolume: (id: string) => new ApiError("InvalidVolume.NotFound", `The volume '${id}' does not exist.`),
  badToken: () => new ApiError("InvalidNextToken", "The specified NextToken is not valid."),
  /** What EC2 can do and Gantry cannot yet: nothing is made other than it was asked for. */
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};
