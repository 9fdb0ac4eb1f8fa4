import type { LifecycleStage } from "./lifecycle-stages.ts";
import type { Tag } from "./ecs-records.ts";
import type { ResolvedConnect } from "./service-connect.ts";

/**
 * Records of ECS services. Times are milliseconds since the epoch. Members that the API keeps exactly as given are `unknown` JSON here.
 * What a deployment replaces tasks for is in its revision, which never changes; everything else of a service takes effect at once.
 */

/** Key `/ecs/<account>/<region>/service/<cluster>/<name>`. Writers: the service operations; the service reconciler, to roll back and to end DRAINING. */
export interface ServiceRecord {
  readonly arn: string;
  readonly name: string;
  readonly cluster: string;
  readonly status: "ACTIVE" | "DRAINING" | "INACTIVE";
  readonly createdAt: number;
  readonly createdBy: string;
  /** Raised by each write: what was decided on an older one is not applied. */
  readonly version: number;
  readonly schedulingStrategy: "REPLICA" | "DAEMON";
  readonly deploymentController: "ECS" | "EXTERNAL";
  /** Of a daemon service: 0, the number of its instances counts. */
  readonly desiredCount: number;
  readonly deploymentConfiguration: DeploymentConfigurationRecord;
  readonly placementConstraints: readonly { readonly type?: string; readonly expression?: string }[];
  readonly placementStrategy: readonly { readonly type?: string; readonly field?: string }[];
  readonly healthCheckGracePeriodSeconds?: number;
  readonly availabilityZoneRebalancing: "ENABLED" | "DISABLED";
  readonly enableECSManagedTags: boolean;
  readonly propagateTags: "NONE" | "SERVICE" | "TASK_DEFINITION";
  readonly enableExecuteCommand: boolean;
  readonly role?: string;
  /** `ecs-svc/…` of the PRIMARY deployment; none with the controller EXTERNAL. */
  readonly deployment?: string;
  /** Of the controller EXTERNAL. */
  readonly primaryTaskSet?: string;
  readonly inactiveAt?: number;
  readonly tags: readonly Tag[];
}

/** AWS's defaults filled in. */
export interface DeploymentConfigurationRecord {
  readonly minimumHealthyPercent: number;
  readonly maximumPercent: number;
  readonly strategy?: string;
  readonly deploymentCircuitBreaker?: {
    readonly enable: boolean;
    readonly rollback: boolean;
    readonly resetOnHealthyTask?: boolean;
    readonly thresholdConfiguration?: { readonly type: string; readonly value: number };
  };
  readonly alarms?: { readonly alarmNames: readonly string[]; readonly rollback: boolean; readonly enable: boolean };
  readonly earlySuccessCriteria?: {
    readonly enable: boolean;
    readonly healthyPercent?: number;
    readonly sourceServiceRevisionCleanup?: string;
  };
  readonly bakeTimeInMinutes?: number;
  readonly lifecycleHooks?: readonly LifecycleHookRecord[];
  /** LINEAR. Without a member: AWS's default. */
  readonly linearConfiguration?: { readonly stepPercent?: number; readonly stepBakeTimeInMinutes?: number };
  /** CANARY. */
  readonly canaryConfiguration?: { readonly canaryPercent?: number; readonly canaryBakeTimeInMinutes?: number };
}

/** As given. */
export interface LifecycleHookRecord {
  readonly targetType?: "AWS_LAMBDA" | "PAUSE";
  readonly hookTargetArn?: string;
  readonly roleArn?: string;
  readonly lifecycleStages: readonly LifecycleStage[];
  readonly hookDetails?: unknown;
  readonly timeoutConfiguration?: { readonly timeoutInMinutes?: number; readonly action?: "CONTINUE" | "ROLLBACK" };
}

/** What a change of replaces tasks: the part of a service that a revision holds. As given. */
export interface RevisionSpec {
  readonly taskDefinition?: string;
  readonly launchType?: "EC2" | "FARGATE" | "EXTERNAL";
  readonly capacityProviderStrategy?: readonly { readonly capacityProvider: string; readonly weight: number; readonly base: number }[];
  readonly platformVersion?: string;
  readonly networkConfiguration?: unknown;
  readonly loadBalancers?: readonly unknown[];
  readonly serviceRegistries?: readonly unknown[];
  readonly serviceConnectConfiguration?: unknown;
  readonly volumeConfigurations?: readonly unknown[];
  readonly monitoring?: MonitoringRecord;
}

/** How finely CPUUtilization and MemoryUtilization of the service are published: 60 seconds where nothing is said. */
export interface MonitoringRecord {
  readonly metricConfigurations: readonly { readonly metricNames: readonly string[]; readonly resolutionSeconds: number }[];
}

/** Key `/ecs/<account>/<region>/service-revision/<cluster>/<service>/<id>`. Writer: the service operations, once. */
export interface ServiceRevisionRecord extends RevisionSpec {
  readonly id: string;
  readonly arn: string;
  readonly createdAt: number;
  /** The target groups that its tasks are registered with, one for each of `loadBalancers`, where a deployment strategy chose between two. */
  readonly targetGroups?: readonly string[];
  /** What `serviceConnectConfiguration` came to when the deployment began. */
  readonly serviceConnect?: ResolvedConnect;
}

/**
 * Key `/ecs/<account>/<region>/deployment/<cluster>/<service>/<number of the id>`. Writers: the service operations make it; from then on the
 * service reconciler, but for `stop`, which StopServiceDeployment sets, and a PAUSE hook's status, which ContinueServiceDeployment sets. It is the API's
 * Deployment and ServiceDeployment in one.
 */
export interface DeploymentRecord {
  /** `ecs-svc/<19 digits>`: its tasks' `startedBy`. */
  readonly id: string;
  readonly serviceDeploymentArn: string;
  /** INACTIVE: over, kept for DescribeServiceDeployments. */
  readonly status: "PRIMARY" | "ACTIVE" | "INACTIVE";
  readonly version: number;
  readonly revision: string;
  /** What ran before: revisions with the number of tasks that they were to run. */
  readonly sources: readonly { readonly revision: string; readonly deployment: string; readonly tasks: number }[];
  readonly configuration: DeploymentConfigurationRecord;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly finishedAt?: number;
  readonly stoppedAt?: number;
  readonly rolloutState: "IN_PROGRESS" | "COMPLETED" | "FAILED";
  readonly rolloutStateReason: string;
  readonly failedTasks: number;
  /** The API's ServiceDeployment status. */
  readonly outcome:
    | "PENDING"
    | "IN_PROGRESS"
    | "SUCCESSFUL"
    | "STOP_REQUESTED"
    | "STOPPED"
    | "ROLLBACK_REQUESTED"
    | "ROLLBACK_IN_PROGRESS"
    | "ROLLBACK_SUCCESSFUL"
    | "ROLLBACK_FAILED";
  readonly outcomeReason?: string;
  /** Asked for by StopServiceDeployment. */
  readonly stop?: "ABORT" | "ROLLBACK";
  readonly rollback?: { readonly reason: string; readonly startedAt: number; readonly revision: string; readonly deployment: string };
  /** Of every strategy but ROLLING. */
  readonly shift?: ShiftRecord;
  /** Of one that its configuration's alarms may fail, from the reconciler's first look on. */
  readonly alarms?: DeploymentAlarmsRecord;
  /** What it was doing or waiting for, from when on: together they account for all its time. */
  readonly timeline: readonly { readonly at: number; readonly phase: string }[];
}

export interface DeploymentAlarmsRecord {
  /** No: one of them was in ALARM when it began, or it is gone back to. */
  readonly watched: boolean;
  /** How long they are watched on once a rolling deployment has all its tasks. */
  readonly bakeMs: number;
  readonly bakingSince?: number;
  /** Those that failed it. */
  readonly triggered?: readonly string[];
}

/**
 * How far a deployment has come that shifts traffic. What listeners are to forward follows from it alone, and is written in the transaction that changes it.
 * A deployment that gets its traffic back stands at CLEAN_UP again.
 */
export interface ShiftRecord {
  readonly stage: LifecycleStage;
  /** When the stage began. */
  readonly since: number;
  /** Shifts of production traffic that were begun. */
  readonly step: number;
  /** Percent of production and test traffic that this deployment is to have. */
  readonly production: number;
  readonly test: number;
  /** The deployment that served when this one began, keeps its tasks until CLEAN_UP and gets all traffic back when this one fails; none: nothing did. */
  readonly blue?: string;
  readonly routes: readonly RouteRecord[];
  /** Those of the stage. */
  readonly hooks: readonly HookRecord[];
}

/** Where one of a service's load balancers sends its traffic: ARNs. */
export interface RouteRecord {
  readonly targetGroup: string;
  /** The other side's. */
  readonly otherTargetGroup: string;
  /** A listener rule, or a listener of a network load balancer. */
  readonly production: string;
  readonly test?: string;
}

/** One lifecycle hook of the current stage. */
export interface HookRecord {
  /** The same for each call at this stage of this deployment: who is asked twice can tell. */
  readonly id: string;
  readonly targetType: "AWS_LAMBDA" | "PAUSE";
  readonly targetArn?: string;
  readonly status: "AWAITING_ACTION" | "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "TIMED_OUT";
  /** IN_PROGRESS: not to be called before then. */
  readonly callAt?: number;
  readonly expiresAt: number;
  readonly timeoutAction: "CONTINUE" | "ROLLBACK";
  /** What it is told of: the configuration's, or what it answered last. */
  readonly details?: unknown;
  /** Why it FAILED. */
  readonly reason?: string;
}

/** Key `/ecs/<account>/<region>/task-set/<cluster>/<service>/<number of the id>`. Writer: the task set operations. */
export interface TaskSetRecord extends RevisionSpec {
  /** `ecs-svc/<19 digits>`: its tasks' `startedBy`. */
  readonly id: string;
  readonly arn: string;
  readonly status: "PRIMARY" | "ACTIVE" | "DRAINING";
  readonly version: number;
  readonly externalId?: string;
  readonly startedBy?: string;
  readonly scale: { readonly value: number; readonly unit: "PERCENT" };
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly tags: readonly Tag[];
}

/** Key `/ecs/<account>/<region>/service-state/<cluster>/<name>`. Writer: the service reconciler. */
export interface ServiceStateRecord {
  /** Newest first, at most 100, as DescribeServices shows them. */
  readonly events: readonly ServiceEventRecord[];
  /** It has reached its steady state, and nothing has disturbed it since. */
  readonly steady: boolean;
  /** Instances that a daemon service is to run on. */
  readonly daemonDesired?: number;
  /** The last placement that failed, until one succeeds. */
  readonly placement?: PlacementFailureRecord;
  /** The deployment whose tasks keep failing to start, said in an event. */
  readonly impaired?: string;
  /** Minimum and maximum percent that leave no room to move, said in an event. */
  readonly stuck?: boolean;
  /** The task that makes room for one in a zone with fewer. */
  readonly rebalancing?: string;
  /** Task sets that were not steady yet when this was written. */
  readonly unsteadyTaskSets?: readonly string[];
}

export interface ServiceEventRecord {
  readonly id: string;
  readonly createdAt: number;
  readonly message: string;
}

export interface PlacementFailureRecord {
  readonly at: number;
  readonly missing: number;
  /** The first of the instances that were considered, and what each lacked. */
  readonly rejections: readonly { readonly instance: string; readonly reason: string; readonly detail: string }[];
  readonly considered: number;
}

/** Key `/ecs/<account>/<region>/task-protection/<cluster>/<task id>`. Writer: UpdateTaskProtection. */
export interface TaskProtectionRecord {
  readonly expiresAt: number;
}
