import { ApiError } from "#api/contract.ts";

/** Elastic Load Balancing's errors. Source: Elastic Load Balancing API Reference, "Errors" of each operation; the sentences are those that it answers with. */
export const elbErrors = {
  invalid: (message: string) => new ApiError("ValidationError", message),
  configuration: (message: string) => new ApiError("InvalidConfigurationRequest", message),
  noLoadBalancer: (arn: string) => new ApiError("LoadBalancerNotFound", `Load balancer '${arn}' not found`),
  noLoadBalancers: () => new ApiError("LoadBalancerNotFound", "One or more load balancers not found"),
  noLoadBalancerNames: (names: readonly string[]) =>
    new ApiError("LoadBalancerNotFound", `Load balancers '[${names.join(", ")}]' not found`),
  noListener: () => new ApiError("ListenerNotFound", "One or more listeners not found"),
  noRule: () => new ApiError("RuleNotFound", "One or more rules not found"),
  noTargetGroup: () => new ApiError("TargetGroupNotFound", "One or more target groups not found"),
  duplicateLoadBalancer: (name: string) =>
    new ApiError("DuplicateLoadBalancerName", `A load balancer with the same name '${name}' exists, but with different settings`),
  duplicateTargetGroup: (name: string) =>
    new ApiError("DuplicateTargetGroupName", `A target group with the same name '${name}' exists, but with different settings`),
  duplicateListener: (loadBalancer: string) =>
    new ApiError("DuplicateListener", `A listener already exists on this port for this load balancer '${loadBalancer}'`),
  priorityInUse: (priority: number) => new ApiError("PriorityInUse", `Priority '${priority}' is currently in use`),
  targetGroupInUse: (arn: string) => new ApiError("ResourceInUse", `Target group '${arn}' is currently in use by a listener or a rule`),
  inUse: (message: string) => new ApiError("ResourceInUse", message),
  associationLimit: (arn: string) =>
    new ApiError(
      "TargetGroupAssociationLimit",
      `The following target groups cannot be associated with more than one load balancer: ${arn}`,
    ),
  notPermitted: (message: string) => new ApiError("OperationNotPermitted", message),
  noSubnet: (id: string) => new ApiError("SubnetNotFound", `The subnet ID '${id}' does not exist`),
  subnet: (message: string) => new ApiError("InvalidSubnet", message),
  group: (message: string) => new ApiError("InvalidSecurityGroup", message),
  noAllocation: (id: string) => new ApiError("AllocationIdNotFound", `The allocation ID '${id}' does not exist`),
  noCertificate: (arn: string) => new ApiError("CertificateNotFound", `Certificate '${arn}' not found`),
  noPolicy: (name: string) => new ApiError("SSLPolicyNotFound", `SSL policy '${name}' not found`),
  alpn: (name: string) => new ApiError("ALPNPolicyNotFound", `ALPN policy '${name}' is not supported`),
  unsupportedProtocol: (message: string) => new ApiError("UnsupportedProtocol", message),
  incompatible: (message: string) => new ApiError("IncompatibleProtocols", message),
  action: (message: string) => new ApiError("InvalidLoadBalancerAction", message),
  target: (message: string) => new ApiError("InvalidTarget", message),
  tooMany: (what: TooMany, message: string) => new ApiError(`TooMany${what}`, message),
  duplicateTags: () => new ApiError("DuplicateTagKeys", "A tag key was specified more than once"),
  /** What Elastic Load Balancing can do and Gantry cannot yet: nothing is made other than it was asked for. */
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet. See docs/coverage.md.`, 501),
};

type TooMany =
  | "Actions"
  | "Certificates"
  | "Listeners"
  | "LoadBalancers"
  | "RegistrationsForTargetId"
  | "Rules"
  | "Tags"
  | "TargetGroups"
  | "Targets"
  | "UniqueTargetGroupsPerLoadBalancer";
