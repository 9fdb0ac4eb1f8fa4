import type { Scope } from "#model/ecs-keys.ts";

/** EventBridge's and EventBridge Scheduler's records, and where they lie in the store. Times are milliseconds since the epoch. */

const safe = encodeURIComponent;
const at = (root: string, { account, region }: Scope) => `/${root}/${account}/${region}`;
const timeText = (time: number) => String(time).padStart(15, "0");

export const eventKeys = {
  /** What decides where an event goes: `EventBusRecord`s and `RuleRecord`s of all accounts. */
  everything: "/events/",
  buses: (scope: Scope) => `${at("events", scope)}/bus/`,
  /** The bus `default` is there without a record. */
  bus: (scope: Scope, name: string) => `${at("events", scope)}/bus/${safe(name)}`,
  allRules: (scope: Scope) => `${at("events", scope)}/rule/`,
  rules: (scope: Scope, bus: string) => `${at("events", scope)}/rule/${safe(bus)}/`,
  rule: (scope: Scope, bus: string, name: string) => `${at("events", scope)}/rule/${safe(bus)}/${safe(name)}`,
  connections: (scope: Scope) => `${at("events-connection", scope)}/`,
  connection: (scope: Scope, name: string) => `${at("events-connection", scope)}/${safe(name)}`,
  apiDestinations: (scope: Scope) => `${at("events-destination", scope)}/`,
  apiDestination: (scope: Scope, name: string) => `${at("events-destination", scope)}/${safe(name)}`,
  /** `DeliveryRecord`s of all accounts, oldest first. */
  deliveries: "/events-delivery/",
  delivery: (time: number, id: string) => `/events-delivery/${timeText(time)}-${id}`,
  /** `TimerRecord`s of all accounts. */
  timers: "/events-timer/",
  ruleTimer: (scope: Scope, bus: string, name: string) => `${at("events-timer", scope)}/rule/${safe(bus)}/${safe(name)}`,
  scheduleTimer: (scope: Scope, group: string, name: string) => `${at("events-timer", scope)}/schedule/${safe(group)}/${safe(name)}`,
};

export const schedulerKeys = {
  groups: (scope: Scope) => `${at("scheduler", scope)}/group/`,
  /** The group `default` is there without a record. */
  group: (scope: Scope, name: string) => `${at("scheduler", scope)}/group/${safe(name)}`,
  allSchedules: (scope: Scope) => `${at("scheduler", scope)}/schedule/`,
  schedules: (scope: Scope, group: string) => `${at("scheduler", scope)}/schedule/${safe(group)}/`,
  schedule: (scope: Scope, group: string, name: string) => `${at("scheduler", scope)}/schedule/${safe(group)}/${safe(name)}`,
};

/** As rules see it and targets get it. Source: EventBridge User Guide, "AWS service event structure". */
export interface BusEvent {
  readonly version: "0";
  readonly id: string;
  readonly "detail-type": string;
  readonly source: string;
  readonly account: string;
  /** `2020-05-23T12:31:14Z`. */
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface EventBusRecord {
  readonly name: string;
  readonly description?: string;
  /** JSON. */
  readonly policy?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly tags: Readonly<Record<string, string>>;
}

export type RuleState = "ENABLED" | "DISABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS";

export interface RuleRecord {
  readonly name: string;
  readonly bus: string;
  readonly pattern?: string;
  readonly schedule?: string;
  readonly state: RuleState;
  readonly description?: string;
  readonly roleArn?: string;
  readonly createdAt: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly targets: readonly RuleTarget[];
}

/** A target as PutTargets was given it: the SDK's Target. */
export interface RuleTarget extends Readonly<Record<string, unknown>> {
  readonly Id: string;
  readonly Arn: string;
  readonly RoleArn?: string;
}

export interface HttpParameter {
  readonly Key: string;
  readonly Value: string;
  readonly IsValueSecret: boolean;
}

export interface ConnectionRecord {
  readonly name: string;
  readonly id: string;
  readonly description?: string;
  readonly authorization: "BASIC" | "API_KEY";
  readonly state: "AUTHORIZED" | "DEAUTHORIZED";
  /** What is no secret of it: a user's or a key's name, parameters whose values are open. */
  readonly shown: ConnectionShown;
  /** `ConnectionSecrets` as JSON, sealed by the vault; none when it is deauthorized. */
  readonly sealed?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly authorizedAt?: number;
}

export interface ConnectionShown {
  readonly username?: string;
  readonly apiKeyName?: string;
  readonly headers: readonly HttpParameter[];
  readonly query: readonly HttpParameter[];
  readonly body: readonly HttpParameter[];
}

/** Values of the parameters that are secret stand at their keys. */
export interface ConnectionSecrets {
  readonly password?: string;
  readonly apiKeyValue?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, string>>;
}

export interface ApiDestinationRecord {
  readonly name: string;
  readonly id: string;
  readonly description?: string;
  readonly connectionArn: string;
  readonly endpoint: string;
  readonly method: string;
  readonly ratePerSecond: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a target is still to get. Written in the transaction that made the event true; deleted when the target has it, or nobody tries any more. */
export interface DeliveryRecord extends Scope {
  readonly id: string;
  readonly origin: DeliveryOrigin;
  /** As it was when the event came: what is changed or deleted meanwhile is not changed for this event. */
  readonly target: RuleTarget;
  readonly event: BusEvent;
  readonly createdAt: number;
  /** Calls of the target that failed. */
  readonly attempts: number;
  /** Not before then. */
  readonly nextAt: number;
  /** It came from another bus by a rule: it goes to no further one. */
  readonly forwarded?: true;
  readonly lastError?: string;
}

export type DeliveryOrigin =
  | { readonly kind: "rule"; readonly arn: string; readonly name: string; readonly bus: string }
  | { readonly kind: "schedule"; readonly arn: string; readonly name: string; readonly group: string };

/** When a rule or a schedule falls due next. Written by the operations with what it belongs to, moved on by the runner with what it makes happen. */
export interface TimerRecord extends Scope {
  readonly kind: "rule" | "schedule";
  /** The bus or the group. */
  readonly place: string;
  readonly name: string;
  /** The moment of the schedule, … */
  readonly next: number;
  /** … and when it is carried out: later within a flexible window. */
  readonly due: number;
  /** A rate is counted from here. */
  readonly start: number;
}

export interface ScheduleGroupRecord {
  readonly name: string;
  readonly state: "ACTIVE" | "DELETING";
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly clientToken?: string;
}

export interface ScheduleRecord {
  readonly name: string;
  readonly group: string;
  readonly expression: string;
  readonly timeZone: string;
  readonly description?: string;
  readonly state: "ENABLED" | "DISABLED";
  readonly startDate?: number;
  readonly endDate?: number;
  /** 0: no flexible window. */
  readonly windowMinutes: number;
  readonly afterCompletion: "NONE" | "DELETE";
  /** As CreateSchedule was given it. */
  readonly target: Readonly<Record<string, unknown>> & { readonly Arn: string; readonly RoleArn: string };
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly clientToken?: string;
}

export const defaultBus = "default";
export const defaultGroup = "default";

export const busArn = ({ account, region }: Scope, bus: string) => `arn:aws:events:${region}:${account}:event-bus/${bus}`;
export const ruleArn = ({ account, region }: Scope, bus: string, name: string) =>
  `arn:aws:events:${region}:${account}:rule/${bus === defaultBus ? "" : `${bus}/`}${name}`;
export const connectionArn = ({ account, region }: Scope, { name, id }: { readonly name: string; readonly id: string }) =>
  `arn:aws:events:${region}:${account}:connection/${name}/${id}`;
export const apiDestinationArn = ({ account, region }: Scope, { name, id }: { readonly name: string; readonly id: string }) =>
  `arn:aws:events:${region}:${account}:api-destination/${name}/${id}`;
export const scheduleArn = ({ account, region }: Scope, group: string, name: string) =>
  `arn:aws:scheduler:${region}:${account}:schedule/${group}/${name}`;
export const scheduleGroupArn = ({ account, region }: Scope, group: string) =>
  `arn:aws:scheduler:${region}:${account}:schedule-group/${group}`;

/** Seconds are as fine as EventBridge tells the time. */
export const eventTime = (time: number) => new Date(time).toISOString().replace(/\.\d{3}Z$/, "Z");
