import type { Tag } from "./ecs-records.ts";

/** Records of EC2's instances and what they are made from. Kept under /ec2/ like the networking records (vpc-keys.ts); times are milliseconds since the epoch. */

/** What an instance is made from: of a request, or of a launch template's version; what is absent is not given. */
export interface LaunchSpec {
  readonly imageId?: string;
  readonly instanceType?: string;
  readonly keyName?: string;
  /** Base64. */
  readonly userData?: string;
  readonly subnetId?: string;
  readonly securityGroupIds?: readonly string[];
  readonly privateIp?: string;
  readonly assignPublicIp?: boolean;
  readonly instanceProfile?: { readonly arn?: string; readonly name?: string };
  readonly metadata?: MetadataOptions;
  readonly monitoring?: boolean;
  readonly ebsOptimized?: boolean;
  readonly disableApiTermination?: boolean;
  readonly disableApiStop?: boolean;
  readonly shutdownBehavior?: "stop" | "terminate";
  readonly availabilityZone?: string;
  readonly tenancy?: string;
  readonly volumes?: readonly VolumeSpec[];
  readonly instanceTags?: readonly Tag[];
  readonly volumeTags?: readonly Tag[];
  readonly interfaceTags?: readonly Tag[];
  readonly creditSpecification?: string;
}

export interface MetadataOptions {
  readonly httpTokens?: "optional" | "required";
  readonly httpEndpoint?: "enabled" | "disabled";
  readonly hopLimit?: number;
  readonly instanceMetadataTags?: "enabled" | "disabled";
}

/** Shown, never made: an instance's disk is its machine's. */
export interface VolumeSpec {
  readonly deviceName: string;
  readonly sizeGiB?: number;
  readonly type?: string;
  readonly encrypted?: boolean;
  readonly deleteOnTermination?: boolean;
  readonly iops?: number;
  readonly throughput?: number;
  readonly snapshotId?: string;
  readonly kmsKeyId?: string;
}

/** `/ec2/…/instance/<id>`: the intent. Writers: EC2's operations, and the reconcilers of instances and of Auto Scaling groups, in EC2's one queue. */
export interface InstanceRecord {
  readonly id: string;
  readonly reservationId: string;
  readonly launchIndex: number;
  readonly desired: "running" | "stopped" | "terminated";
  /** Raised by each start and each reboot. */
  readonly boot: number;
  /** The store's key of the container instance on whose machine it is; absent: nowhere yet. */
  readonly node?: string;
  readonly imageId: string;
  readonly instanceType: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly networkInterfaceId: string;
  readonly privateIp: string;
  readonly groups: readonly string[];
  readonly keyName?: string;
  readonly userData?: string;
  readonly instanceProfile?: { readonly arn: string; readonly id: string; readonly associationId: string };
  readonly metadata: Required<MetadataOptions>;
  readonly monitoring: boolean;
  readonly ebsOptimized: boolean;
  readonly disableApiTermination: boolean;
  readonly disableApiStop: boolean;
  readonly shutdownBehavior: "stop" | "terminate";
  readonly sourceDestCheck: boolean;
  readonly volumes: readonly (VolumeSpec & { readonly volumeId: string; readonly sizeGiB: number; readonly type: string })[];
  readonly launchedAt: number;
  readonly launchTemplate?: { readonly id: string; readonly name: string; readonly version: number };
  readonly autoScalingGroup?: string;
  readonly client?: { readonly token: string; readonly request: string };
  /** Why it was stopped or terminated last. */
  readonly reason?: { readonly code: string; readonly message: string; readonly at: number };
  /** When nothing of it was left: shown for an hour. */
  readonly terminatedAt?: number;
  readonly tags: readonly Tag[];
}

/** `/ec2/…/instance-observed/<id>`: its machine's word. Writer: the reconciler of instances. */
export interface InstanceObservation {
  readonly state: "pending" | "running" | "stopping" | "stopped" | "ended";
  readonly boot: number;
  readonly ready: boolean;
  readonly at: number;
  readonly reason?: string;
  readonly console?: string;
}

export interface KeyPairRecord {
  readonly id: string;
  readonly name: string;
  readonly type: "rsa" | "ed25519";
  readonly fingerprint: string;
  /** OpenSSH's form: `ssh-ed25519 AAAA…`. */
  readonly publicKey: string;
  readonly createdAt: number;
  readonly tags: readonly Tag[];
}

export interface LaunchTemplateRecord {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly defaultVersion: number;
  readonly latestVersion: number;
  readonly versions: readonly LaunchTemplateVersion[];
  readonly client?: { readonly token: string; readonly request: string };
  readonly tags: readonly Tag[];
}

export interface LaunchTemplateVersion {
  readonly number: number;
  readonly description?: string;
  readonly createdAt: number;
  readonly createdBy: string;
  /** As it was given, in the SDK's shape. */
  readonly data: unknown;
}

export type InstanceState = "pending" | "running" | "shutting-down" | "terminated" | "stopping" | "stopped";

/** What DescribeInstances shows: where intent and observation meet. */
export function stateOf(
  { desired, boot, terminatedAt, node }: Pick<InstanceRecord, "desired" | "boot" | "terminatedAt" | "node">,
  seen: Pick<InstanceObservation, "state" | "boot"> | undefined,
): InstanceState {
  if (terminatedAt !== undefined) return "terminated";
  if (desired === "terminated") return "shutting-down";
  if (desired === "stopped")
    return node === undefined || !seen || seen.state === "stopped" || seen.state === "ended" ? "stopped" : "stopping";
  if (seen?.state === "running" && seen.boot === boot) return "running";
  // A reboot shows nothing.
  return seen !== undefined && seen.state !== "stopped" && seen.boot === boot - 1 && boot > 1 ? "running" : "pending";
}

/** AWS's numbers of the states. Source: Amazon EC2 API Reference, "InstanceState". */
export const stateCodes: Readonly<Record<InstanceState, number>> = {
  pending: 0,
  running: 16,
  "shutting-down": 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};
