/** What EC2 refuses, by EC2's own codes and messages; ECS shows them inside its own. Source: Amazon EC2 API Reference, "Error codes". */
export type VpcErrorCode =
  | "InvalidSubnetID.NotFound"
  | "InvalidGroup.NotFound"
  | "InvalidIPAddress.InUse"
  | "InvalidParameterValue"
  | "InsufficientFreeAddressesInSubnet"
  | "InsufficientAddressCapacity"
  | "PrivateIpAddressLimitExceeded";

export class VpcError extends Error {
  readonly code: VpcErrorCode;
  constructor(code: VpcErrorCode, message: string) {
    super(message);
    this.name = "VpcError";
    this.code = code;
  }
}

export const vpcErrors = {
  noSubnet: (id: string) => new VpcError("InvalidSubnetID.NotFound", `The subnet ID '${id}' does not exist`),
  noGroup: (id: string) => new VpcError("InvalidGroup.NotFound", `The security group '${id}' does not exist`),
  subnetFull: (id: string) =>
    new VpcError(
      "InsufficientFreeAddressesInSubnet",
      `The specified subnet does not have enough free addresses to satisfy the request: ${id}`,
    ),
  poolEmpty: () => new VpcError("InsufficientAddressCapacity", "Not enough available addresses to satisfy your request."),
  addressInUse: () => new VpcError("InvalidIPAddress.InUse", "Address is in use."),
  notOfSubnet: (address: string) =>
    new VpcError("InvalidParameterValue", `Address does not fall within the subnet's address range: ${address}`),
  otherVpc: (subnet: string, group: string) =>
    new VpcError(
      "InvalidParameterValue",
      `You have specified two resources that belong to different networks: the subnet ${subnet} and the security group ${group}`,
    ),
};
