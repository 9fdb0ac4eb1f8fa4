import type { ElasticNetworkInterface } from "./vpc.ts";

/** What a machine says in its registration when it can run local EC2 instances. */
export const instancesAttribute = "gantry.instances";

/**
 * Ours, which standard agents drop: all local instances that the agent's machine is to have, whole each time, at the start of a connection and after each change. What is
 * not named here is taken away with all that it kept.
 */
export interface InstanceStateMessage {
  readonly messageId: string;
  readonly instances: readonly LocalInstance[];
}

export interface LocalInstance {
  /** `i-…`. */
  readonly instanceId: string;
  /** `stopped` keeps its disk and its address. */
  readonly desired: "running" | "stopped";
  /** Raised by each start and each reboot. */
  readonly boot: number;
  readonly instanceType: string;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly imageId: string;
  readonly account: string;
  readonly region: string;
  readonly availabilityZone: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly groups: readonly string[];
  readonly networkInterface: ElasticNetworkInterface;
  readonly publicIp?: string;
  readonly privateDnsName: string;
  /** In OpenSSH's form; who has its private half gets in as `ec2-user`. */
  readonly publicKey?: { readonly name: string; readonly material: string };
  /** Base64, as it was given. */
  readonly userData?: string;
  readonly metadata: {
    readonly enabled: boolean;
    readonly tokenRequired: boolean;
    readonly tags: boolean;
    /** How many hops the answer with a token may go. */
    readonly hopLimit: number;
  };
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  /** Milliseconds since the epoch. */
  readonly launchedAt: number;
}

/**
 * Ours, which standard agents drop: who this machine's local instances are, whole each time; at the start of a connection before their states, after each change, and well before any of it ends.
 * An instance that is not named has nothing.
 */
export interface InstanceCredentialsMessage {
  readonly messageId: string;
  readonly instances: readonly InstanceIdentity[];
}

export interface InstanceIdentity {
  readonly instanceId: string;
  /** Of the ECS agent in the instance: an agent's rights, for this instance only. */
  readonly agent: SessionKeys;
  /** Absent: it has no instance profile. */
  readonly profile?: InstanceProfile;
}

export interface SessionKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** ISO 8601, both. */
  readonly issued: string;
  readonly expiration: string;
}

export interface InstanceProfile {
  readonly arn: string;
  readonly id: string;
  /** IAM knows it; one that was deleted, or made again under its name, is not found. */
  readonly found: boolean;
  /** The role that it holds, if any; without credentials: EC2 cannot become it. */
  readonly role?: { readonly name: string; readonly credentials?: SessionKeys };
}

/** From the agent: all instances that it has, whole, at the start of a connection and after each change. One that is not named is not there. */
export interface InstanceReportMessage {
  readonly messageId: string;
  readonly instances: readonly InstanceReport[];
}

export interface InstanceReport {
  readonly instanceId: string;
  /** `ended`: it shut itself down, or its first process died. */
  readonly state: "pending" | "running" | "stopping" | "stopped" | "ended";
  readonly boot: number;
  /** Its user data has run, and it can be reached. */
  readonly ready: boolean;
  /** What went wrong, in a sentence. */
  readonly reason?: string;
  /** The last of its console, with its report of `ready` and `ended`. */
  readonly console?: string;
}
