/**
 * AWS's own prefix lists: the addresses of a service in a region, which security groups and gateway endpoints name. The ids are us-east-1's; in other
 * regions they are derived from the region's name. The blocks are those that S3 and DynamoDB have held since the lists began.
 */
export interface PrefixList {
  readonly id: string;
  /** `com.amazonaws.<region>.s3`. */
  readonly name: string;
  readonly cidrs: readonly string[];
}

const lists = [
  { service: "s3", id: "pl-63a5400a", cidrs: ["3.5.0.0/19", "16.15.192.0/18", "18.34.0.0/19", "52.216.0.0/15", "54.231.0.0/16"] },
  { service: "dynamodb", id: "pl-02cd2c6b", cidrs: ["3.218.180.0/22", "35.71.64.0/22", "52.94.0.0/22", "52.119.224.0/20"] },
];

export const prefixListsOf = (region: string): readonly PrefixList[] =>
  lists.map(({ service, id, cidrs }) => ({
    id: region === "us-east-1" ? id : `pl-${hash(`${region} ${service}`)}`,
    name: `com.amazonaws.${region}.${service}`,
    cidrs,
  }));

/** FNV-1a, 8 hexadecimal digits. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return value.toString(16).padStart(8, "0");
}
