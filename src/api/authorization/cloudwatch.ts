import { each, type Input, none, type Resources, type ServiceActions, textAt, type Where } from "./table.ts";

/** Dashboards are global: their ARNs have no region. */
const dashboardArn = ({ account }: Where, name: string) => `arn:aws:cloudwatch::${account}:dashboard/${name}`;
const dashboard: Resources = (input, where) => {
  const name = textAt(input, "DashboardName");
  return name === undefined ? [] : [dashboardArn(where, name)];
};
const dashboards: Resources = (input, where) => {
  const names = input["DashboardNames"];
  return Array.isArray(names) ? names.map((name) => dashboardArn(where, String(name))) : [];
};
const alarms = (input: Input, { region, account }: Where) => {
  const names = input["AlarmNames"];
  return Array.isArray(names) && names.length > 0
    ? names.map((name) => `arn:aws:cloudwatch:${region}:${account}:alarm:${String(name)}`)
    : [];
};
const everyAlarm: Resources = (input, where) => {
  const named = alarms(input, where);
  return named.length > 0 ? named : [`arn:aws:cloudwatch:${where.region}:${where.account}:alarm:*`];
};
const alarm: Resources = (input, { region, account }) => [
  `arn:aws:cloudwatch:${region}:${account}:alarm:${textAt(input, "AlarmName") ?? "*"}`,
];

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon CloudWatch". */
export const cloudwatch: ServiceActions = {
  prefix: "cloudwatch",
  operations: {
    PutMetricData: { on: none, keys: (input) => ({ "cloudwatch:namespace": textAt(input, "Namespace") }) },
    ...each(none, "GetMetricData GetMetricStatistics ListMetrics ListDashboards DescribeAlarmsForMetric"),
    ...each(everyAlarm, "DescribeAlarms DeleteAlarms EnableAlarmActions DisableAlarmActions"),
    ...each(alarm, "DescribeAlarmHistory SetAlarmState"),
    PutMetricAlarm: { on: alarm, tagging: { action: "TagResource" } },
    PutCompositeAlarm: { on: alarm, tagging: { action: "TagResource" } },
    ...each(dashboard, "PutDashboard GetDashboard"),
    DeleteDashboards: dashboards,
    ...each("{ResourceARN}", "ListTagsForResource TagResource UntagResource"),
  },
};
