import { ApiError } from "#api/contract.ts";

/** The errors of ECS that its operations share. Source: Amazon ECS API Reference, "Common Errors" and each operation's errors. */
export const ecsErrors = {
  client: (message: string) => new ApiError("ClientException", message),
  invalid: (message: string) => new ApiError("InvalidParameterException", message),
  clusterNotFound: () => new ApiError("ClusterNotFoundException", "Cluster not found."),
  clusterInactive: () => new ApiError("ClusterNotFoundException", "The referenced cluster was inactive."),
  clusterHasInstances: () =>
    new ApiError(
      "ClusterContainsContainerInstancesException",
      "The Cluster cannot be deleted while Container Instances are active or draining.",
    ),
  clusterHasServices: () => new ApiError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active."),
  clusterHasTasks: () => new ApiError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."),
  targetNotFound: (what: string) => new ApiError("TargetNotFoundException", `The specified target wasn't found: ${what}`),
  resourceNotFound: () => new ApiError("ResourceNotFoundException", "The specified resource wasn't found."),
  attributeLimit: () => new ApiError("AttributeLimitExceededException", "A container instance can have at most 10 custom attributes."),
  noUpdate: () => new ApiError("NoUpdateAvailableException", "There's no update available for this Amazon ECS container agent."),
  resourceInUse: (message: string) => new ApiError("ResourceInUseException", message),
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
  badToken: () => new ApiError("InvalidParameterException", "Invalid token"),
};
