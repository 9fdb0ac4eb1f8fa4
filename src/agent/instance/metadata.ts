import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { BlockList, isIPv4 } from "node:net";
import type { InstanceIdentity, LocalInstance } from "#agent-protocol/instances.ts";
import { createImds, createImdsServer } from "../metadata/imds.ts";
import type { InstanceFacts } from "../metadata/imds-tree.ts";

/** The instance metadata service of a local instance, as EC2's. What it speaks of is read anew for each question: profile and options change while the instance runs. */
export const metadataAddress = "169.254.169.254";

/** Pure. */
export function factsOf(instance: LocalInstance, profile: InstanceIdentity["profile"], architecture: "x86_64" | "arm64"): InstanceFacts {
  const { networkInterface: eni, publicIp, publicKey, userData, metadata } = instance;
  return {
    instanceId: instance.instanceId,
    instanceType: instance.instanceType,
    account: instance.account,
    region: instance.region,
    availabilityZone: instance.availabilityZone,
    localIpv4: eni.ipv4Addresses[0]?.privateAddress ?? "",
    hostname: instance.privateDnsName,
    mac: eni.macAddress,
    imageId: instance.imageId,
    architecture,
    startedAt: instance.launchedAt,
    network: { interfaceId: eni.ec2Id, subnetId: instance.subnetId, vpcId: instance.vpcId, groups: instance.groups },
    ...(profile
      ? { profile: { arn: profile.arn, id: profile.id, found: profile.found, ...(profile.role ? { role: profile.role.name } : {}) } }
      : {}),
    ...(publicIp === undefined ? {} : { publicIpv4: publicIp }),
    ...(publicKey ? { publicKey } : {}),
    ...(userData ? { userData: Buffer.from(userData, "base64") } : {}),
    ...(metadata.tags ? { tags: instance.tags } : {}),
  };
}

interface Address {
  readonly address: string;
  readonly netmask: string;
}

/**
 * How far a caller is. Pure. 1: the instance itself, whose addresses are `own`; 2: a container behind one of its bridges. Undefined, so nobody: who is on the network that the instance's own
 * interface (`outward`) lies in, and sends for this address to the instance.
 */
export function hopsOf(source: string, own: readonly Address[], outward: readonly string[]): 1 | 2 | undefined {
  if (!isIPv4(source)) return undefined;
  if (source.startsWith("127.") || own.some(({ address }) => address === source)) return 1;
  const behind = (inward: boolean) =>
    own.some((each) => !each.address.startsWith("127.") && outward.includes(each.address) !== inward && isIn(source, each));
  return behind(true) && !behind(false) ? 2 : undefined;
}

function isIn(source: string, { address, netmask }: Address): boolean {
  const bits = netmask.split(".").reduce((sum, part) => sum + Number(part).toString(2).replaceAll("0", "").length, 0);
  const subnet = new BlockList();
  subnet.addSubnet(address, bits);
  return subnet.check(source);
}

const ownAddresses = (): Address[] =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ family }) => family === "IPv4"));

export async function startMetadata(options: {
  readonly instance: () => LocalInstance;
  /** Undefined: not known yet. */
  readonly profile: () => InstanceIdentity["profile"];
  readonly architecture: "x86_64" | "arm64";
  readonly now: () => number;
}): Promise<void> {
  const { instance, profile, architecture, now } = options;
  const imds = createImds({
    instance: () => factsOf(instance(), profile(), architecture),
    async credentials() {
      const keys = profile()?.role?.credentials;
      // What has ended is none: the server has been away for long.
      return keys && Date.parse(keys.expiration) > now() ? keys : undefined;
    },
    get tokens() {
      return instance().metadata.tokenRequired ? "required" : "optional";
    },
    get hopLimit() {
      return instance().metadata.hopLimit;
    },
    get enabled() {
      return instance().metadata.enabled;
    },
    key: randomBytes(32),
    now,
  });
  const server = createImdsServer(imds, (source) =>
    hopsOf(
      source,
      ownAddresses(),
      instance().networkInterface.ipv4Addresses.map(({ privateAddress }) => privateAddress),
    ),
  );
  await server.listen(metadataAddress, 80);
}
