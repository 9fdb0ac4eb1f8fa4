/** Where CloudWatch keeps what it was told. Names hold no slash but the last. */
export interface Scope {
  readonly account: string;
  readonly region: string;
}

const part = (text: string) => encodeURIComponent(text);
const inScope = (root: string, { account, region }: Scope, ...rest: string[]) => [`/${root}`, account, region, ...rest.map(part)].join("/");

export const alarmKeys = {
  allAlarms: "/cloudwatch-alarm/",
  alarms: (scope: Scope) => inScope("cloudwatch-alarm", scope, ""),
  alarm: (scope: Scope, name: string) => inScope("cloudwatch-alarm", scope, name),
  allStates: "/cloudwatch-alarm-state/",
  states: (scope: Scope) => inScope("cloudwatch-alarm-state", scope, ""),
  state: (scope: Scope, name: string) => inScope("cloudwatch-alarm-state", scope, name),
  histories: (scope: Scope) => inScope("cloudwatch-history", scope, ""),
  allHistories: "/cloudwatch-history/",
  /** In order of time. `id` tells apart what happens in one millisecond. */
  history: (scope: Scope, at: number, id: string) => inScope("cloudwatch-history", scope, `${String(at).padStart(15, "0")}-${id}`),
  allActions: "/cloudwatch-action/",
  /** Those of one alarm for one target, in order of time. */
  actions: (scope: Scope, alarm: string, action: string) => inScope("cloudwatch-action", scope, alarm, action, ""),
  action: (scope: Scope, alarm: string, action: string, at: number, id: string) =>
    inScope("cloudwatch-action", scope, alarm, action, `${String(at).padStart(15, "0")}-${id}`),
  dashboards: (scope: Scope) => inScope("cloudwatch-dashboard", scope, ""),
  dashboard: (scope: Scope, name: string) => inScope("cloudwatch-dashboard", scope, name),
};

export const alarmArn = ({ account, region }: Scope, name: string): string => `arn:aws:cloudwatch:${region}:${account}:alarm:${name}`;
export const dashboardArn = ({ account }: Scope, name: string): string => `arn:aws:cloudwatch::${account}:dashboard/${name}`;
