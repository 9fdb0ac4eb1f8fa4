import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { LocalInstance } from "#agent-protocol/instances.ts";
import type { AwsCredentials } from "../config.ts";

/** The instance metadata service, version 1 and 2. Source: Amazon EC2 User Guide, "Access instance metadata for an EC2 instance" and "Instance metadata categories". */

export const metadataAddress = "169.254.169.254";

/** The document that the instance registers with. Source: Amazon EC2 User Guide, "Instance identity documents". */
export function identityDocument(instance: LocalInstance, architecture: string): string {
  return JSON.stringify(
    {
      accountId: instance.account,
      architecture,
      availabilityZone: instance.availabilityZone,
      billingProducts: null,
      devpayProductCodes: null,
      marketplaceProductCodes: null,
      imageId: instance.imageId,
      instanceId: instance.instanceId,
      instanceType: instance.instanceType,
      kernelId: null,
      pendingTime: new Date(instance.launchedAt).toISOString().replace(/\.\d+Z$/, "Z"),
      privateIp: instance.networkInterface.ipv4Addresses[0]?.privateAddress,
      ramdiskId: null,
      region: instance.region,
      version: "2017-09-30",
    },
    undefined,
    2,
  );
}

/** Answers of paths below /latest; a path that ends in a slash, or is one of a directory, lists what is in it. */
export function metadataTree(instance: LocalInstance, credentials: AwsCredentials, architecture: string): ReadonlyMap<string, string> {
  const { networkInterface: eni, instanceProfile, publicKey } = instance;
  const address = eni.ipv4Addresses[0]?.privateAddress ?? "";
  const mac = `meta-data/network/interfaces/macs/${eni.macAddress}`;
  const tree = new Map<string, string>([
    ["meta-data/ami-id", instance.imageId],
    ["meta-data/ami-launch-index", "0"],
    ["meta-data/hostname", instance.privateDnsName],
    ["meta-data/instance-action", "none"],
    ["meta-data/instance-id", instance.instanceId],
    ["meta-data/instance-life-cycle", "on-demand"],
    ["meta-data/instance-type", instance.instanceType],
    ["meta-data/local-hostname", instance.privateDnsName],
    ["meta-data/local-ipv4", address],
    ["meta-data/mac", eni.macAddress],
    ["meta-data/placement/availability-zone", instance.availabilityZone],
    ["meta-data/placement/region", instance.region],
    ["meta-data/services/domain", "amazonaws.com"],
    ["meta-data/services/partition", "aws"],
    [`${mac}/device-number`, "0"],
    [`${mac}/interface-id`, eni.ec2Id],
    [`${mac}/local-ipv4s`, address],
    [`${mac}/mac`, eni.macAddress],
    [`${mac}/owner-id`, instance.account],
    [`${mac}/security-group-ids`, instance.groups.join("\n")],
    [`${mac}/subnet-id`, instance.subnetId],
    [`${mac}/vpc-id`, instance.vpcId],
    ["dynamic/instance-identity/document", identityDocument(instance, architecture)],
  ]);
  if (instance.publicIp) tree.set("meta-data/public-ipv4", instance.publicIp);
  if (publicKey) tree.set("meta-data/public-keys/0/openssh-key", `${publicKey.material.trim()}\n`);
  if (instance.userData) tree.set("user-data", Buffer.from(instance.userData, "base64").toString("utf8"));
  if (instance.metadata.tags) for (const { key, value } of instance.tags) tree.set(`meta-data/tags/instance/${key}`, value);
  if (instanceProfile) {
    const now = new Date();
    const role = instanceProfile.arn.split("/").at(-1) ?? "";
    tree.set(
      "meta-data/iam/info",
      JSON.stringify({
        Code: "Success",
        LastUpdated: now.toISOString(),
        InstanceProfileArn: instanceProfile.arn,
        InstanceProfileId: instanceProfile.id,
      }),
    );
    tree.set(
      `meta-data/iam/security-credentials/${role}`,
      JSON.stringify({
        Code: "Success",
        LastUpdated: now.toISOString(),
        Type: "AWS-HMAC",
        AccessKeyId: credentials.accessKeyId,
        SecretAccessKey: credentials.secretAccessKey,
        Token: credentials.sessionToken ?? "",
        Expiration: new Date(now.getTime() + 6 * 3_600_000).toISOString(),
      }),
    );
  }
  return tree;
}

/** The value at a path, or the listing of the directory that it is; undefined: there is nothing. */
export function lookUp(tree: ReadonlyMap<string, string>, path: string): string | undefined {
  const wanted = path.replace(/^\/+(latest|\d{4}-\d\d-\d\d)\/?/, "").replace(/\/+$/, "");
  const value = tree.get(wanted);
  if (value !== undefined) return value;
  const prefix = wanted === "" ? "" : `${wanted}/`;
  const names = new Set<string>();
  for (const key of tree.keys()) {
    if (!key.startsWith(prefix)) continue;
    const rest = key.slice(prefix.length);
    names.add(rest.includes("/") ? `${rest.slice(0, rest.indexOf("/"))}/` : rest);
  }
  return names.size > 0 ? [...names].toSorted().join("\n") : undefined;
}

export async function startMetadata(instance: LocalInstance, credentials: AwsCredentials, architecture: string): Promise<void> {
  if (!instance.metadata.enabled) return;
  const key = randomBytes(32);
  /** A token says when it ends and carries its own proof: it outlives a restart of nothing, and nothing is kept. */
  const tokenOf = (until: number) => `${until.toString(36)}.${createHash("sha256").update(key).update(String(until)).digest("base64url")}`;
  const isValid = (token: string | undefined) => {
    const until = Number.parseInt(token?.split(".")[0] ?? "", 36);
    return until > Date.now() && token === tokenOf(until);
  };
  const tree = metadataTree(instance, credentials, architecture);
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    const answer = (status: number, text = "") => {
      response.writeHead(status, { "content-type": "text/plain", "content-length": Buffer.byteLength(text), server: "EC2ws" });
      response.end(request.method === "HEAD" ? undefined : text);
    };
    const path = decodeURI((request.url ?? "/").split("?")[0]!);
    const header = (name: string) => request.headers[name] as string | undefined;
    if (request.method === "PUT" && path === "/latest/api/token") {
      const seconds = Number(header("x-aws-ec2-metadata-token-ttl-seconds"));
      if (!Number.isInteger(seconds) || seconds < 1 || seconds > 21_600) return answer(400);
      if (header("x-forwarded-for") !== undefined) return answer(403);
      response.setHeader("x-aws-ec2-metadata-token-ttl-seconds", String(seconds));
      return answer(200, tokenOf(Date.now() + seconds * 1000));
    }
    if (request.method !== "GET" && request.method !== "HEAD") return answer(405);
    const token = header("x-aws-ec2-metadata-token");
    if (token === undefined ? instance.metadata.tokenRequired : !isValid(token)) return answer(401);
    const found = path === "/" ? "latest" : lookUp(tree, path);
    return found === undefined ? answer(404) : answer(200, found);
  };
  const server = createServer((request, response) => {
    try {
      handle(request, response);
    } catch {
      response.writeHead(400).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(80, metadataAddress, () => resolve());
  });
}
