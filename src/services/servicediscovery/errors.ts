import { ApiError } from "#api/contract.ts";

/** Cloud Map's errors. Source: AWS Cloud Map API Reference, and the statuses of the SDK's schemas. */
export const errors = {
  invalid: (message: string) => new ApiError("InvalidInput", message),
  noNamespace: (id: string) => new ApiError("NamespaceNotFound", `Namespace ${id} not found.`, 404),
  noService: (id: string) => new ApiError("ServiceNotFound", `Service ${id} not found.`, 404),
  noInstance: (id: string) => new ApiError("InstanceNotFound", `Instance ${id} not found.`, 404),
  noOperation: (id: string) => new ApiError("OperationNotFound", `Operation ${id} not found.`, 404),
  noResource: (arn: string) => new ApiError("ResourceNotFoundException", `The resource ${arn} was not found.`, 404),
  noCustomHealth: (id: string) => new ApiError("CustomHealthNotFound", `Service ${id} has no HealthCheckCustomConfig.`, 404),
  namespaceExists: (NamespaceId: string, CreatorRequestId: string | undefined) =>
    new ApiError("NamespaceAlreadyExists", "Namespace with the same name already exists.", 400, { NamespaceId, CreatorRequestId }),
  serviceExists: (ServiceId: string, ServiceArn: string, CreatorRequestId: string | undefined) =>
    new ApiError("ServiceAlreadyExists", "Service with the same name already exists.", 400, { ServiceId, ServiceArn, CreatorRequestId }),
  inUse: (message: string) => new ApiError("ResourceInUse", message, 409),
  tooManyTags: (ResourceName: string) =>
    new ApiError("TooManyTagsException", "The list of tags on the resource is over the limit: a resource can have at most 50.", 400, {
      ResourceName,
    }),
  tooManyAttributes: (message: string) => new ApiError("ServiceAttributesLimitExceededException", message),
  badToken: () => new ApiError("InvalidInput", "The specified NextToken is not valid."),
  /** What Cloud Map can do and Gantry cannot yet: nothing is made other than it was asked for. */
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};
