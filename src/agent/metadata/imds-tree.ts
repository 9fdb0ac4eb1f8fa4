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
  /** The role's ARN; undefined: the instance has none. */
  readonly roleArn?: string;
  /** Text or absent. */
  readonly userData?: string;
}

export interface InstanceCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** ISO 8601, both. */
  readonly issued: string;
  readonly expiration: string;
}

export type Tree = { readonly [name: string]: Tree | string };

/** `credentials`: undefined while there are none. */
export function imdsTree(facts: InstanceFacts, credentials: InstanceCredentials | undefined): Tree {
  const { instanceId, region, availabilityZone, localIpv4, hostname, mac } = facts;
  const [, roleAccount = facts.account, roleName] = /^arn:[^:]+:iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(facts.roleArn ?? "") ?? [];
  const iam: Tree | undefined =
    roleName === undefined
      ? undefined
      : {
          info: text({
            Code: "Success",
            LastUpdated: credentials?.issued ?? seconds(facts.startedAt),
            InstanceProfileArn: `arn:aws:iam::${roleAccount}:instance-profile/${roleName}`,
            InstanceProfileId: "AIPAGANTRYINSTANCEROLE",
          }),
          "security-credentials": {
            [roleName]: text(credentials ? shown(credentials) : { Code: "Failed", Message: "The role cannot be had" }),
          },
        };
  return {
    dynamic: { "instance-identity": { document: text(document(facts)) } },
    "meta-data": {
      ...(facts.imageId === undefined ? {} : { "ami-id": facts.imageId }),
      hostname,
      ...(iam ? { iam } : {}),
      "instance-id": instanceId,
      "instance-life-cycle": "on-demand",
      "instance-type": facts.instanceType,
      "local-hostname": hostname,
      "local-ipv4": localIpv4,
      mac,
      network: { interfaces: { macs: { [mac]: { "device-number": "0", "local-hostname": hostname, "local-ipv4s": localIpv4, mac } } } },
      placement: { "availability-zone": availabilityZone, region },
      services: { domain: "amazonaws.com", partition: "aws" },
    },
    ...(facts.userData === undefined ? {} : { "user-data": facts.userData }),
  };
}

/** What stands at a path, `meta-data/iam/` or `meta-data/iam`: a text, or a folder's names, of which folders end in a slash. Undefined: nothing. */
export function lookUp(tree: Tree, path: readonly string[]): string | undefined {
  let at: Tree | string = tree;
  for (const name of path.filter((part) => part !== "")) {
    if (typeof at === "string" || !Object.hasOwn(at, name)) return undefined;
    at = at[name]!;
  }
  if (typeof at === "string") return at;
  // As EC2: what a role is called is followed by no slash, and neither is any other text.
  return Object.entries(at)
    .map(([name, value]) => (typeof value === "string" ? name : `${name}/`))
    .toSorted()
    .join("\n");
}

function document({
  instanceId,
  instanceType,
  account,
  region,
  availabilityZone,
  localIpv4,
  imageId,
  architecture,
  startedAt,
}: InstanceFacts) {
  return {
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
  };
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
