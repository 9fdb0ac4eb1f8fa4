/**
 * ECS's records as they lie in the store. Every record has one writer (named at each); views join them into the API's shapes.
 * Times are milliseconds since the epoch. Members that the API keeps exactly as given are `unknown` JSON here.
 */
import type { NodePlace } from "./ecs-keys.ts";
import type { TaskConnect } from "./service-connect.ts";
import type { TaskNetwork } from "./vpc-records.ts";

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** Key `/ecs/<account>/<region>/cluster/<name>`. Writer: the cluster operations. Deleted clusters stay as INACTIVE for a while. */
export interface ClusterRecord {
  readonly arn: string;
  readonly name: string;
  readonly status: "ACTIVE" | "INACTIVE";
  readonly createdAt: number;
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  readonly configuration?: unknown;
  readonly capacityProviders: readonly string[];
  readonly defaultCapacityProviderStrategy: readonly unknown[];
  readonly serviceConnectDefaults?: unknown;
  readonly tags: readonly Tag[];
}

/**
 * Key `/ecs/<account>/<region>/task-definition/<family>/<revision, 10 digits>`. Writer: the task definition operations.
 * `definition` is what RegisterTaskDefinition was given, every member kept exactly, with AWS's defaults filled in; `tags` beside it.
 */
export interface TaskDefinitionRecord {
  readonly arn: string;
  readonly family: string;
  readonly revision: number;
  readonly status: "ACTIVE" | "INACTIVE" | "DELETE_IN_PROGRESS";
  readonly registeredAt: number;
  readonly registeredBy: string;
  readonly deregisteredAt?: number;
  readonly deleteRequestedAt?: number;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly compatibilities: readonly string[];
  readonly requiresAttributes: readonly { readonly name: string; readonly value?: string }[];
  readonly tags: readonly Tag[];
}

/** Key `/ecs/<account>/<region>/family/<family>`. Writer: the task definition operations, always together with the revision that changes. */
export interface FamilyRecord {
  /** The highest revision ever given, which deleting does not lower. */
  readonly revision: number;
  /** The newest ACTIVE revision, so that nobody has to read a family of thousands to find it. */
  readonly active?: number;
  /** Revisions that are there, whatever their status. */
  readonly kept: number;
}

/** Key `/ecs/<account>/<region>/container-instance/<cluster>/<id>`. Writer: the container instance operations. */
export interface ContainerInstanceRecord {
  readonly arn: string;
  readonly id: string;
  readonly cluster: string;
  readonly ec2InstanceId: string;
  readonly status: "ACTIVE" | "DRAINING" | "INACTIVE" | "DEREGISTERING";
  readonly statusReason?: string;
  readonly registeredAt: number;
  readonly registeredResources: Resources;
  /** In the order of the registration; what the agent sent is echoed exactly. */
  readonly attributes: readonly { readonly name: string; readonly value?: string }[];
  readonly versionInfo: { readonly agentVersion?: string; readonly agentHash?: string; readonly dockerVersion?: string };
  readonly capacityProviderName?: string;
  readonly tags: readonly Tag[];
  /** Who registered it: an account for its root user, else a user's or role's id, with the session's name where that is the machine's. Never shown. */
  readonly owner?: string;
  /** Raised by each write of the API. The API's `version` adds the changes of the allocation and the connection, which come here when those records go. */
  readonly version: number;
}

/** What a machine has, or a task takes. CPU in units (1024 a core), memory in MiB, host ports by protocol, GPUs by the ids that the machine gave them. */
export interface Resources {
  readonly cpu: number;
  readonly memory: number;
  readonly portsTcp: readonly number[];
  readonly portsUdp: readonly number[];
  /** Absent: none. */
  readonly gpus?: readonly string[];
}

/**
 * Key `/ecs/<account>/<region>/allocation/<cluster>/<instance id>`. Writer: placement (RunTask, StartTask, release on STOPPED), always in one
 * transaction with the task that takes or frees, compared on this record's revision: so no instance is ever over-committed.
 */
export interface AllocationRecord {
  /** By task id: every task of the instance that is not STOPPED. */
  readonly tasks: Readonly<Record<string, AllocatedTask>>;
  /** How often a task took or freed something since the record is there. */
  readonly changes?: number;
  /** When Spot tasks were last asked to leave for others: for a while no new ones come. */
  readonly reclaimedAt?: number;
}

/** What a task holds, and its group: spread and distinctInstance count by it. */
export interface AllocatedTask extends Resources {
  readonly group: string;
  /** The task's key, where the task is not of the instance's own cluster: Fargate's. */
  readonly key?: string;
  /** On FARGATE_SPOT: it makes room for others when there is none left. */
  readonly spot?: boolean;
}

/** Key `/ecs/<account>/<region>/connection/<cluster>/<instance id>`. Writer: the ACS endpoint. Absent: never connected. */
export interface ConnectionRecord {
  readonly connected: boolean;
  /** Of one that is away: its last sign of life. */
  readonly since: number;
  /** It is known, not only supposed, that nothing runs on its machine any more. */
  readonly gone?: true;
  /** How often `connected` has changed. */
  readonly changes?: number;
}

export interface TaskServiceRegistry {
  readonly registryArn?: string;
  readonly port?: number;
  readonly containerName?: string;
  readonly containerPort?: number;
}

export interface TaskLoadBalancer {
  readonly group: string;
  /** The target group's. */
  readonly arn: string;
  readonly targetType: "ip" | "instance";
  readonly container: string;
  /** The container's. */
  readonly port: number;
  /** `slow_start.duration_seconds` when the task was made: before it is over no other task leaves for this one. */
  readonly slowStartSeconds: number;
}

/** Key `/ecs/<account>/<region>/task/<cluster>/<id>`: the intent. Writers: RunTask, StartTask (create), StopTask and reconcilers (desiredStatus). */
export interface TaskRecord {
  readonly arn: string;
  readonly id: string;
  readonly cluster: string;
  readonly taskDefinitionArn: string;
  /** Empty while it waits. */
  readonly containerInstanceId: string;
  /** It is PROVISIONING: its capacity provider has no room for it yet. What its place and its interface depend on. */
  readonly waiting?: {
    readonly since: number;
    readonly constraints: readonly { readonly type?: string; readonly expression?: string }[];
    readonly strategy: readonly { readonly type?: string; readonly field?: string }[];
    readonly network?: { readonly subnets: readonly string[]; readonly groups: readonly string[]; readonly assignPublicIp: boolean };
    readonly gpuCount?: number;
  };
  /** Of a Fargate task: where the machine of `containerInstanceId` is registered, which its owner never sees. Absent: in the task's own cluster. */
  readonly node?: NodePlace;
  readonly platformVersion?: string;
  /** Of an `awsvpc` task. */
  readonly network?: TaskNetwork;
  /** Where its containers are registered while it runs. `group`: the target group's id. */
  readonly loadBalancers?: readonly TaskLoadBalancer[];
  /** Cloud Map's services that it is found by while it runs; as given. */
  readonly serviceRegistries?: readonly TaskServiceRegistry[];
  readonly serviceConnect?: TaskConnect;
  /** Of the machine, where a container is reached by its port (network mode bridge). */
  readonly hostAddress?: string;
  /** The machine's, for targets of type instance. */
  readonly ec2InstanceId?: string;
  /** The instance's `ecs.availability-zone` and `ecs.cpu-architecture` when the task was placed. */
  readonly availabilityZone?: string;
  readonly cpuArchitecture?: string;
  readonly launchType: "EC2" | "FARGATE" | "EXTERNAL";
  readonly capacityProviderName?: string;
  readonly group: string;
  readonly startedBy?: string;
  readonly desiredStatus: "RUNNING" | "STOPPED";
  readonly createdAt: number;
  /** Why it is to stop: set with desiredStatus STOPPED. */
  readonly stop?: { readonly at: number; readonly code: string; readonly reason: string };
  readonly resources: Resources;
  /** As shown: the task definition's or the override's, as decimal text; absent when neither gives one. */
  readonly cpu?: string;
  readonly memory?: string;
  readonly ephemeralStorageGiB?: number;
  /** TaskOverride exactly as given. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly containers: readonly {
    readonly name: string;
    readonly arn: string;
    readonly image: string;
    readonly cpu: string;
    readonly memory?: string;
    readonly memoryReservation?: string;
    readonly essential: boolean;
    /** How many GPUs it asks for, and which of its task's it has. */
    readonly gpuCount?: number;
    readonly gpuIds?: readonly string[];
    /** The definition gives a health check. */
    readonly healthCheck?: boolean;
  }[];
  readonly enableExecuteCommand: boolean;
  readonly tags: readonly Tag[];
}

/** Key `/ecs/<account>/<region>/task-observed/<cluster>/<id>`. Writer: SubmitTaskStateChange and the ACS/TCS endpoints (the agent's word), for a lost agent the reconciler. */
export interface TaskObservation {
  readonly lastStatus:
    | "PROVISIONING"
    | "PENDING"
    | "ACTIVATING"
    | "RUNNING"
    | "DEACTIVATING"
    | "STOPPING"
    | "DEPROVISIONING"
    | "STOPPED"
    | "DELETED";
  /** Raised by each change: part of the API's `version`. */
  readonly version: number;
  readonly pullStartedAt?: number;
  readonly pullStoppedAt?: number;
  readonly startedAt?: number;
  readonly executionStoppedAt?: number;
  /** When it began to stop by itself; a stop that was asked for is the task record's `stop.at`. */
  readonly stoppingAt?: number;
  readonly stoppedAt?: number;
  readonly connectivityAt?: number;
  /** The agent's reason, when it stopped by itself. */
  readonly reason?: string;
  readonly stopCode?: string;
  readonly containers: readonly {
    readonly name: string;
    readonly lastStatus: "PENDING" | "RUNNING" | "STOPPED";
    readonly exitCode?: number;
    readonly reason?: string;
    readonly runtimeId?: string;
    /** ExecuteCommandAgent's, as the agent says; absent: it said nothing. */
    readonly execAgent?: { readonly lastStatus: "PENDING" | "RUNNING" | "STOPPED"; readonly startedAt?: number; readonly reason?: string };
    readonly imageDigest?: string;
    readonly healthStatus?: "HEALTHY" | "UNHEALTHY" | "UNKNOWN";
    readonly networkBindings?: readonly {
      readonly bindIP?: string;
      readonly containerPort?: number;
      readonly hostPort?: number;
      readonly protocol?: string;
    }[];
  }[];
}
