import type { Scope } from "./ecs-keys.ts";

/** Auto Scaling groups and their instances. Times are milliseconds since the epoch. */

const root = ({ account, region }: Scope) => `/autoscaling/${account}/${region}`;
const safe = encodeURIComponent;

export const autoscalingKeys = {
  everything: "/autoscaling/",
  groups: (scope: Scope) => `${root(scope)}/group/`,
  group: (scope: Scope, name: string) => `${root(scope)}/group/${safe(name)}`,
  members: (scope: Scope) => `${root(scope)}/member/`,
  membersOf: (scope: Scope, group: string) => `${root(scope)}/member/${safe(group)}/`,
  member: (scope: Scope, group: string, id: string) => `${root(scope)}/member/${safe(group)}/${id}`,
  hooksOf: (scope: Scope, group: string) => `${root(scope)}/hook/${safe(group)}/`,
  hook: (scope: Scope, group: string, name: string) => `${root(scope)}/hook/${safe(group)}/${safe(name)}`,
  activities: (scope: Scope) => `${root(scope)}/activity/`,
  activitiesOf: (scope: Scope, group: string) => `${root(scope)}/activity/${safe(group)}/`,
  activity: (scope: Scope, group: string, { startedAt, id }: Pick<ActivityRecord, "startedAt" | "id">) =>
    `${root(scope)}/activity/${safe(group)}/${String(startedAt).padStart(15, "0")}-${id}`,
};

/** The group that a key under /autoscaling/ is of. */
export function groupOfKey(key: string): { readonly scope: Scope; readonly group: string; readonly kind: string } | undefined {
  const [, service, account, region, kind, group] = key.split("/");
  if (service !== "autoscaling" || !account || !region || !kind || !group) return undefined;
  return { scope: { account, region }, kind, group: decodeURIComponent(group) };
}

export interface TemplateReference {
  readonly id: string;
  readonly name: string;
  /** As it was given: a number, `$Latest` or `$Default`. */
  readonly version: string;
}

/** Writers: the operations; ECS's capacity providers its desired capacity. */
export interface GroupRecord {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  readonly min: number;
  readonly max: number;
  readonly desired: number;
  readonly template: TemplateReference;
  /** The simple form of a mixed instances policy: the first type that can be had. */
  readonly mixed?: { readonly given: unknown; readonly types: readonly string[] };
  readonly subnets: readonly string[];
  readonly zones: readonly string[];
  readonly cooldown: number;
  readonly healthCheckType: string;
  readonly healthCheckGraceSeconds: number;
  readonly newInstancesProtected: boolean;
  readonly terminationPolicies: readonly string[];
  readonly suspended: readonly { readonly name: string; readonly reason: string }[];
  readonly tags: readonly { readonly key: string; readonly value: string; readonly propagate: boolean }[];
  readonly capacityRebalance: boolean;
  readonly defaultInstanceWarmup?: number;
  readonly maxInstanceLifetime?: number;
  readonly serviceLinkedRole: string;
  readonly metrics: readonly string[];
  readonly deleting?: boolean;
  /** A launch failed: not before then the next. */
  readonly pausedUntil?: number;
  readonly failures?: number;
}

export type LifecycleState = "Pending" | "InService" | "Terminating:Wait" | "Terminating:Proceed" | "Terminating";

/** Writers: the operations, and the reconciler of groups, in EC2's one queue. */
export interface MemberRecord {
  readonly id: string;
  readonly group: string;
  readonly zone: string;
  readonly instanceType: string;
  readonly lifecycle: LifecycleState;
  readonly protected: boolean;
  /** Somebody said so, or EC2 did. */
  readonly unhealthy?: boolean;
  readonly template: { readonly id: string; readonly name: string; readonly version: number };
  readonly joinedAt: number;
  readonly inServiceAt?: number;
  /** Of the activity that is under way. */
  readonly activity?: { readonly id: string; readonly startedAt: number };
  /** While hooks wait. */
  readonly waiting?: { readonly token: string; readonly hooks: readonly { readonly name: string; readonly until: number }[] };
}

export interface HookRecord {
  readonly name: string;
  readonly group: string;
  readonly transition: "autoscaling:EC2_INSTANCE_TERMINATING";
  readonly heartbeatSeconds: number;
  readonly defaultResult: "CONTINUE" | "ABANDON";
  readonly notificationTarget?: string;
  readonly roleArn?: string;
  readonly notificationMetadata?: string;
}

export interface ActivityRecord {
  readonly id: string;
  readonly group: string;
  readonly description: string;
  readonly cause: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly status: "InProgress" | "WaitingForInstanceWarmup" | "MidLifecycleAction" | "Successful" | "Failed" | "Cancelled";
  readonly statusMessage?: string;
  readonly progress: number;
  readonly details: string;
}
