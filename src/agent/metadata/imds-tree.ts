/** What EC2's instance metadata says of an instance, as the paths under `/latest/`. Pure. Source: EC2 User Guide, "Instance metadata categories". */
export interface InstanceFacts {
  /** `i-…` or `mi-…`. */
  readonly instanceId: string;
  readonly instanceType: string;
  readonly account: string;
  readonly region: string;
  readonly availabilityZone: string;
  readonly localIpv4: string;
  readonly hostname: string;
  /** `02:…`. */
  readonly mac: string;
  readonly imageId?: string;
  readonly architecture: "x86_64" | "arm64";
  /** Milliseconds. */
  readonly startedAt: number;
  /** Undefined: the instance has none. */
  readonly profile?: ProfileFacts;
  /** As it was given, decoded. */
  readonly userData?: Uint8Array;
  /** Of an instance in a VPC. */
  readonly network?: NetworkFacts;
  readonly publicIpv4?: string;
  /** The key pair that it was launched with: its name and OpenSSH's line. */
  readonly publicKey?: { readonly name: string; readonly material: string };
  /** Where the instance's metadata options say so. */
  readonly tags?: readonly { readonly key: string; readonly value: string }[];
}

export interface ProfileFacts {
  readonly arn: string;
  readonly id: string;
  /** IAM knows it. */
  readonly found: boolean;
  /** The name of its role, if it holds one. */
  readonly role?: string;
}

export interface NetworkFacts {
  readonly interfaceId: string;
  readonly subnetId: string;
  readonly vpcId: string;
  readonly groups: readonly string[];
}

export interface InstanceCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** ISO 8601, both. */
  readonly issued: string;
  readonly expiration: string;
}

type Leaf = string | Uint8Array;
export type Tree = { readonly [name: string]: Tree | Leaf };
const isLeaf = (value: Tree | Leaf): value is Leaf => typeof value === "string" || value instanceof Uint8Array;

/** `credentials`: undefined while there are none. */
export function imdsTree(facts: InstanceFacts, credentials: InstanceCredentials | undefined): Tree {
  const { instanceId, region, availabilityZone, localIpv4, hostname, mac, network, publicIpv4, publicKey, tags } = facts;
  return {
    dynamic: { "instance-identity": { document: identityDocument(facts) } },
    "meta-data": {
      ...(facts.imageId === undefined ? {} : { "ami-id": facts.imageId, "ami-launch-index": "0", "instance-action": "none" }),
      hostname,
      ...(facts.profile ? { iam: iamOf(facts, facts.profile, credentials) } : {}),
      "instance-id": instanceId,
      "instance-life-cycle": "on-demand",
      "instance-type": facts.instanceType,
      "local-hostname": hostname,
      "local-ipv4": localIpv4,
      mac,
      network: { interfaces: { macs: { [mac]: interfaceOf(facts, network) } } },
      placement: { "availability-zone": availabilityZone, region },
      ...(publicIpv4 === undefined ? {} : { "public-ipv4": publicIpv4 }),
      ...(publicKey ? { "public-keys": { "0": { "openssh-key": `${publicKey.material.trim()}\n` } } } : {}),
      ...(network && network.groups.length > 0 ? { "security-groups": network.groups.join("\n") } : {}),
      services: { domain: "amazonaws.com", partition: "aws" },
      ...(tags && tags.length > 0 ? { tags: { instance: Object.fromEntries(tags.map(({ key, value }) => [key, value])) } } : {}),
    },
    ...(facts.userData === undefined ? {} : { "user-data": facts.userData }),
  };
}

/** Codes and sentences as EC2's. Source: IAM User Guide, "Troubleshoot IAM and Amazon EC2". */
function iamOf({ startedAt }: InstanceFacts, { arn, id, found, role }: ProfileFacts, credentials: InstanceCredentials | undefined): Tree {
  const LastUpdated = credentials?.issued ?? seconds(startedAt);
  if (!found) return { info: text({ Code: "InstanceProfileNotFound", LastUpdated, InstanceProfileArn: arn, InstanceProfileId: id }) };
  const info = text({ Code: "Success", LastUpdated, InstanceProfileArn: arn, InstanceProfileId: id });
  if (role === undefined) return { info };
  const failed = {
    Code: "AssumeRoleUnauthorizedAccess",
    Message: `EC2 cannot assume the role ${role}. Please see documentation at https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html#troubleshoot_iam-ec2_errors-info-doc.`,
    LastUpdated,
  };
  return { info, "security-credentials": { [role]: text(credentials ? shown(credentials) : failed) } };
}

const interfaceOf = ({ account, hostname, localIpv4, mac, publicIpv4 }: InstanceFacts, network: NetworkFacts | undefined): Tree => ({
  "device-number": "0",
  ...(network ? { "interface-id": network.interfaceId } : {}),
  "local-hostname": hostname,
  "local-ipv4s": localIpv4,
  mac,
  ...(network
    ? {
        "owner-id": account,
        ...(publicIpv4 === undefined ? {} : { "public-ipv4s": publicIpv4 }),
        "security-group-ids": network.groups.join("\n"),
        "subnet-id": network.subnetId,
        "vpc-id": network.vpcId,
      }
    : {}),
});

/** What stands at a path, `meta-data/iam/` or `meta-data/iam`: a text, or a folder's names, of which folders end in a slash. Undefined: nothing. */
export function lookUp(tree: Tree, path: readonly string[]): Leaf | undefined {
  let at: Tree | Leaf = tree;
  for (const name of path.filter((part) => part !== "")) {
    if (isLeaf(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name]!;
  }
  if (isLeaf(at)) return at;
  // As EC2: what a role is called is followed by no slash, and neither is any other text.
  return Object.entries(at)
    .map(([name, value]) => (isLeaf(value) ? name : `${name}/`))
    .toSorted()
    .join("\n");
}

/** What the instance registers with. Source: EC2 User Guide, "Instance identity documents". */
export function identityDocument({
  instanceId,
  instanceType,
  account,
  region,
  availabilityZone,
  localIpv4,
  imageId,
  architecture,
  startedAt,
}: InstanceFacts): string {
  return text({
    accountId: account,
    architecture,
    availabilityZone,
    billingProducts: null,
    devpayProductCodes: null,
    marketplaceProductCodes: null,
    imageId: imageId ?? null,
    instanceId,
    instanceType,
    kernelId: null,
    pendingTime: seconds(startedAt),
    privateIp: localIpv4,
    ramdiskId: null,
    region,
    version: "2017-09-30",
  });
}

const shown = ({ accessKeyId, secretAccessKey, sessionToken, issued, expiration }: InstanceCredentials) => ({
  Code: "Success",
  LastUpdated: issued,
  Type: "AWS-HMAC",
  AccessKeyId: accessKeyId,
  SecretAccessKey: secretAccessKey,
  Token: sessionToken,
  Expiration: expiration,
});

const text = (value: unknown) => JSON.stringify(value, undefined, 2);
const seconds = (at: number) => `${new Date(at).toISOString().slice(0, 19)}Z`;
