import { formatArn } from "#model/arn.ts";

/** What lies in the store for CloudWatch Logs. Written by the API's handlers only; the events are in files (storage/). */
export interface GroupRecord {
  /** Names the folder of the group's events. */
  readonly id: string;
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly logGroupClass: string;
  readonly retentionInDays?: number;
  readonly deletionProtection: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

export interface StreamRecord {
  /** Names the folder of the stream's events, inside the group's. */
  readonly id: string;
  readonly name: string;
  readonly created: number;
}

/** Turns events of a group into a metric. */
export interface MetricFilterRecord {
  readonly name: string;
  /** The group's name. */
  readonly group: string;
  readonly pattern: string;
  readonly created: number;
  readonly transformation: {
    readonly metricName: string;
    readonly metricNamespace: string;
    readonly metricValue: string;
    readonly defaultValue?: number;
    readonly dimensions?: Readonly<Record<string, string>>;
    readonly unit?: string;
  };
}

/** Lets others write: AWS's services, for their own logs and events. */
export interface ResourcePolicyRecord {
  readonly name: string;
  /** JSON. */
  readonly document: string;
  readonly updated: number;
}

export interface Scope {
  readonly account: string;
  readonly region: string;
}

const root = ({ account, region }: Scope) => `/logs/${account}/${region}`;

export const keys = {
  everything: "/logs/",
  groups: (scope: Scope) => `${root(scope)}/group/`,
  group: (scope: Scope, name: string) => `${root(scope)}/group/${name}`,
  streams: (scope: Scope, groupId: string) => `${root(scope)}/stream/${groupId}/`,
  resourcePolicies: (scope: Scope) => `${root(scope)}/resource-policy/`,
  resourcePolicy: (scope: Scope, name: string) => `${root(scope)}/resource-policy/${encodeURIComponent(name)}`,
  allFilters: (scope: Scope) => `${root(scope)}/filter/`,
  filters: (scope: Scope, groupId: string) => `${root(scope)}/filter/${groupId}/`,
  filter: (scope: Scope, groupId: string, name: string) => `${root(scope)}/filter/${groupId}/${name}`,
  stream: (scope: Scope, groupId: string, name: string) => `${root(scope)}/stream/${groupId}/${name}`,
};

export function groupArn({ account, region }: Scope, name: string): string {
  return formatArn({ service: "logs", region, account, resource: `log-group:${name}` });
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Events before this time have expired. */
export function expiry(group: GroupRecord, now: number): number {
  return group.retentionInDays === undefined ? -Infinity : now - group.retentionInDays * DAY_MS;
}
