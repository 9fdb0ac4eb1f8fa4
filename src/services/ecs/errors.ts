import { ApiError } from "#api/contract.ts";

/** The errors of ECS that its operations share. Source: Amazon ECS API Reference, "Common Errors" and each operation's errors. */
export const ecsErrors = {
  client: (message: string) => new ApiError("ClientException", message),
  invalid: (message: string) => new ApiError("InvalidParameterException", message),
  clusterNotFound: () => new ApiError("ClusterNotFoundException", "Cluster not found."),
  clusterHasInstances: () =>
    new ApiError(
      "ClusterContainsContainerInstancesException",
      "The Cluster cannot be deleted while Container Instances are active or draining.",
    ),
  clusterHasTasks: () => new ApiError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."),
  targetNotFound: (what: string) => new ApiError("TargetNotFoundException", `The specified target wasn't found: ${what}`),
  resourceInUse: (message: string) => new ApiError("ResourceInUseException", message),
  badToken: () => new ApiError("InvalidParameterException", "Invalid token"),
};
