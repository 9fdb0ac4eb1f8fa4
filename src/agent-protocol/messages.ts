/**
 * The frames of ACS (Agent Communication Service) and TCS (telemetry) as the standard ECS agent speaks them, field names included.
 * Source: the public source of amazon-ecs-agent, see shared facts "How a standard ECS agent talks to its control plane".
 * Every frame is text: `{"type": T, "message": {…}}`.
 */
import type { ExecSessionMessage } from "./exec/contents.ts";
import type { LoadBalancerStateMessage, LoadBalancerTrafficMessage, TargetHealthMessage } from "./load-balancers.ts";
import type {
  GeneralMetricsWrapper,
  PayloadServiceConnect,
  ServiceConnectStateMessage,
  ServiceConnectSubscription,
} from "./service-connect.ts";
import type { InstanceCredentialsMessage, InstanceReportMessage, InstanceStateMessage } from "./instances.ts";
import type { ElasticNetworkInterface, VpcStateMessage } from "./vpc.ts";

export type * from "./vpc.ts";

export interface Frame<T extends string = string, M = unknown> {
  readonly type: T;
  readonly message: M;
}

export interface Credentials {
  readonly credentialsId: string;
  readonly roleArn: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  /** ISO 8601. */
  readonly expiration: string;
}

export interface NameValue {
  readonly name: string;
  readonly value: string;
}

export type Condition = "START" | "COMPLETE" | "SUCCESS" | "HEALTHY";

export interface PayloadContainer {
  readonly name: string;
  readonly image: string;
  readonly containerArn: string;
  /** CPU shares, 1024 a core; 0 is not set. */
  readonly cpu: number;
  /** Hard limit in MiB; 0 is not set. */
  readonly memory: number;
  readonly essential: boolean;
  readonly command?: readonly string[];
  readonly entryPoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly environmentFiles?: readonly { readonly value: string; readonly type: string }[];
  readonly links?: readonly string[];
  readonly portMappings?: readonly PayloadPortMapping[];
  readonly mountPoints?: readonly { readonly sourceVolume: string; readonly containerPath: string; readonly readOnly: boolean }[];
  readonly volumesFrom?: readonly { readonly sourceContainer: string; readonly readOnly: boolean }[];
  /** JSON: `{"command": […]}` only; every other override is merged beforehand. */
  readonly overrides?: string;
  readonly dockerConfig: DockerConfig;
  readonly healthCheckType?: "docker";
  readonly registryAuthentication?: RegistryAuthentication;
  readonly secrets?: readonly PayloadSecret[];
  readonly dependsOn?: readonly { readonly containerName: string; readonly condition: Condition }[];
  /** Seconds. */
  readonly startTimeout?: number;
  /** Seconds. */
  readonly stopTimeout?: number;
  readonly restartPolicy?: {
    readonly enabled: boolean;
    readonly ignoredExitCodes?: readonly number[];
    readonly restartAttemptPeriod?: number;
  };
  readonly linuxParameters?: LinuxParameters;
  readonly privileged?: boolean;
}

export interface PayloadSecret {
  readonly name: string;
  readonly valueFrom: string;
  /** Secrets Manager or Parameter Store. */
  readonly provider: "asm" | "ssm";
  readonly type: "ENVIRONMENT_VARIABLE";
  readonly region?: string;
  /** Of the container, or an option of its log driver. Default: CONTAINER. */
  readonly target?: "CONTAINER" | "LOG_DRIVER";
}

export interface PayloadPortMapping {
  readonly containerPort?: number;
  readonly hostPort?: number;
  readonly containerPortRange?: string;
  readonly protocol: "tcp" | "udp";
}

export interface LinuxParameters {
  readonly initProcessEnabled?: boolean;
  readonly devices?: readonly { readonly hostPath: string; readonly containerPath?: string; readonly permissions?: readonly string[] }[];
  /** MiB. */
  readonly sharedMemorySize?: number;
  readonly tmpfs?: readonly { readonly containerPath: string; readonly size: number; readonly mountOptions?: readonly string[] }[];
  readonly maxSwap?: number;
  readonly swappiness?: number;
}

/** `config` and `hostConfig` are JSON texts in Docker Engine casing; `hostConfig` wins over what the agent computed. */
export interface DockerConfig {
  readonly version?: string;
  /** See DockerContainerConfig. */
  readonly config: string;
  /** See DockerHostConfig. */
  readonly hostConfig: string;
}

export interface DockerContainerConfig {
  readonly Labels?: Readonly<Record<string, string>>;
  /** Times in nanoseconds. */
  readonly Healthcheck?: {
    readonly Test: readonly string[];
    readonly Interval?: number;
    readonly Timeout?: number;
    readonly Retries?: number;
    readonly StartPeriod?: number;
  };
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Hostname?: string;
  readonly OpenStdin?: boolean;
  readonly Tty?: boolean;
  readonly NetworkDisabled?: boolean;
}

export interface DockerHostConfig {
  /** `bridge`, `host`, `none` or `awsvpc`; `default` means bridge. */
  readonly NetworkMode?: string;
  readonly CapAdd?: readonly string[];
  readonly CapDrop?: readonly string[];
  readonly Ulimits?: readonly { readonly Name: string; readonly Soft: number; readonly Hard: number }[];
  readonly LogConfig?: { readonly Type: string; readonly Config?: Readonly<Record<string, string>> };
  readonly ReadonlyRootfs?: boolean;
  readonly Privileged?: boolean;
  readonly Dns?: readonly string[];
  readonly DnsSearch?: readonly string[];
  readonly ExtraHosts?: readonly string[];
  readonly SecurityOpt?: readonly string[];
  readonly Sysctls?: Readonly<Record<string, string>>;
  /** Bytes. */
  readonly MemoryReservation?: number;
  readonly PidMode?: string;
  readonly IpcMode?: string;
}

/** `type: "ecr"`: call GetAuthorizationToken at `endpointOverride` (or the agent's own endpoint). */
export interface RegistryAuthentication {
  readonly type: "ecr" | "asm";
  readonly ecrAuthData?: {
    readonly registryId: string;
    readonly region: string;
    readonly endpointOverride?: string;
    readonly useExecutionRole?: boolean;
  };
  readonly asmAuthData?: { readonly region: string; readonly credentialsParameter: string };
}

export interface PayloadVolume {
  readonly name: string;
  readonly type: "host" | "docker";
  /** Empty or absent `sourcePath`: a directory that lives as long as the task. */
  readonly host?: { readonly sourcePath?: string };
  readonly dockerVolumeConfiguration?: {
    readonly scope?: "task" | "shared";
    readonly autoprovision?: boolean;
    readonly driver?: string;
    readonly driverOpts?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

export interface PayloadTask {
  readonly arn: string;
  readonly taskClusterArn: string;
  readonly family: string;
  readonly version: string;
  readonly desiredStatus: "RUNNING" | "STOPPED";
  readonly overrides?: string;
  readonly taskDefinitionAccountId?: string;
  readonly launchType?: string;
  readonly networkMode?: string;
  /** vCPU: 0.25 is a quarter of a core. */
  readonly cpu?: number;
  /** MiB. */
  readonly memory?: number;
  readonly containers: readonly PayloadContainer[];
  readonly volumes?: readonly PayloadVolume[];
  readonly roleCredentials?: Credentials;
  readonly executionRoleCredentials?: Credentials;
  readonly elasticNetworkInterfaces?: readonly ElasticNetworkInterface[];
  /** GiB; absent: the machine's disk is the limit. Ours, standard agents ignore it. */
  readonly ephemeralStorage?: number;
  /** The sandbox that the task's containers share. Ours, standard agents ignore it. */
  readonly isolation?: "FARGATE";
  /** Ours, standard agents ignore it. */
  readonly serviceConnect?: PayloadServiceConnect;
  /** Its containers' ExecuteCommandAgent is to be reported. Ours: a standard agent would be told by `managedAgents` of each container, and would start AWS's own. */
  readonly enableExecuteCommand?: boolean;
  readonly pidMode?: string;
  readonly ipcMode?: string;
  readonly serviceName?: string;
  readonly group?: string;
  readonly zone?: string;
  /** GPUs: `name` is the id that the agent registered, `containers` the one that has it. */
  readonly associations?: readonly {
    readonly name: string;
    readonly type: "gpu";
    readonly containers: readonly string[];
    readonly content: { readonly encoding: "base64"; readonly value: string };
  }[];
}

// From the server.
export interface PayloadMessage {
  readonly messageId: string;
  readonly clusterArn: string;
  readonly containerInstanceArn: string;
  readonly tasks: readonly PayloadTask[];
  readonly seqNum: number;
  /** Milliseconds since the epoch. */
  readonly generatedAt: number;
  /** One counter, ever increasing, for payloads and manifests. */
  readonly timeline?: number;
}

export interface TaskManifestMessage {
  readonly messageId: string;
  readonly clusterArn: string;
  readonly containerInstanceArn: string;
  readonly generatedAt: number;
  readonly timeline: number;
  readonly tasks: readonly { readonly taskArn: string; readonly taskClusterArn: string; readonly desiredStatus: "RUNNING" | "STOPPED" }[];
}

export interface StopTask {
  readonly taskArn: string;
  readonly taskClusterArn: string;
  readonly desiredStatus?: "STOPPED";
}

export interface TaskStopVerificationAck {
  readonly messageId: string;
  readonly stopTasks: readonly StopTask[];
  readonly generatedAt: number;
}

export interface HeartbeatMessage {
  readonly healthy: boolean;
  readonly messageId: string;
}

export interface IamRoleCredentialsMessage {
  readonly messageId: string;
  readonly taskArn: string;
  readonly roleType: "TaskApplication" | "TaskExecution";
  readonly roleCredentials: Credentials;
}

export type FromServer =
  | Frame<"PayloadMessage", PayloadMessage>
  | Frame<"TaskManifestMessage", TaskManifestMessage>
  | Frame<"TaskStopVerificationAck", TaskStopVerificationAck>
  | Frame<"HeartbeatMessage", HeartbeatMessage>
  | Frame<"IAMRoleCredentialsMessage", IamRoleCredentialsMessage>
  | Frame<"VpcStateMessage", VpcStateMessage>
  | Frame<"LoadBalancerStateMessage", LoadBalancerStateMessage>
  | Frame<"ServiceConnectStateMessage", ServiceConnectStateMessage>
  | Frame<"InstanceStateMessage", InstanceStateMessage>
  | Frame<"InstanceCredentialsMessage", InstanceCredentialsMessage>
  | Frame<"ExecSessionMessage", ExecSessionMessage>
  | Frame<
      | "CloseMessage"
      | "ErrorMessage"
      | "ServerException"
      | "BadRequestException"
      | "InvalidClusterException"
      | "InvalidInstanceException"
      | "AccessDeniedException"
      | "InactiveInstanceException",
      { readonly message: string }
    >;

// From the agent.
export interface AckRequest {
  readonly cluster: string;
  readonly containerInstance: string;
  readonly messageId: string;
}

export interface TaskStopVerificationMessage {
  readonly messageId: string;
  readonly stopCandidates: readonly StopTask[];
}

export type FromAgent =
  | Frame<"AckRequest", AckRequest>
  | Frame<"HeartbeatAckRequest", { readonly messageId: string }>
  | Frame<"IAMRoleCredentialsAckRequest", { readonly messageId: string; readonly credentialsId: string; readonly expiration: string }>
  | Frame<"TaskStopVerificationMessage", TaskStopVerificationMessage>
  | Frame<"TargetHealthMessage", TargetHealthMessage>
  | Frame<"LoadBalancerTrafficMessage", LoadBalancerTrafficMessage>
  | Frame<"ServiceConnectSubscription", ServiceConnectSubscription>
  | Frame<"InstanceReportMessage", InstanceReportMessage>
  | Frame<"NackRequest", { readonly messageId: string; readonly reason: string }>;

// Telemetry, from the agent (each frame behind a block of signed HTTP headers and an empty line).
export interface StatsSet {
  readonly min: number;
  readonly max: number;
  readonly sampleCount: number;
  readonly sum: number;
}

export interface ContainerMetric {
  readonly containerName: string;
  readonly containerArn?: string;
  /** Percent of one core. */
  readonly cpuStatsSet?: StatsSet;
  /** MiB. */
  readonly memoryStatsSet?: StatsSet;
  readonly networkStatsSet?: Readonly<Record<string, unknown>>;
  readonly storageStatsSet?: Readonly<Record<string, unknown>>;
}

export interface PublishMetricsRequest {
  readonly metadata: {
    readonly cluster: string;
    readonly containerInstance: string;
    readonly messageId: string;
    readonly idle: boolean;
    readonly fin: boolean;
  };
  /** 10 a message at most. */
  readonly taskMetrics: readonly {
    readonly taskArn: string;
    readonly taskDefinitionFamily: string;
    readonly taskDefinitionVersion: string;
    readonly containerMetrics: readonly ContainerMetric[];
    readonly serviceConnectMetricsWrapper?: readonly GeneralMetricsWrapper[];
  }[];
  readonly timestamp: string | number;
}

export interface PublishHealthRequest {
  readonly metadata: PublishMetricsRequest["metadata"];
  readonly tasks: readonly {
    readonly taskArn: string;
    readonly taskDefinitionFamily: string;
    readonly taskDefinitionVersion: string;
    readonly containers: readonly {
      readonly containerName: string;
      readonly healthStatus: "HEALTHY" | "UNHEALTHY" | "UNKNOWN";
      readonly statusSince: string | number;
    }[];
  }[];
  readonly timestamp: string | number;
}

export type TelemetryFromAgent =
  | Frame<"PublishMetricsRequest", PublishMetricsRequest>
  | Frame<"PublishHealthRequest", PublishHealthRequest>
  | Frame<
      "PublishInstanceStatusRequest",
      {
        readonly metadata: unknown;
        readonly statuses: readonly {
          readonly type: "ContainerRuntime";
          readonly status: string;
          readonly lastUpdated: string;
          readonly lastStatusChange: string;
        }[];
      }
    >;

export type TelemetryFromServer =
  | Frame<"AckPublishMetric" | "AckPublishHealth" | "AckPublishInstanceStatus", { readonly message?: string }>
  | Frame<"HeartbeatMessage", HeartbeatMessage>;
