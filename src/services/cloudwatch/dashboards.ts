import type {
  DeleteDashboardsCommandInput,
  GetDashboardCommandInput,
  GetDashboardCommandOutput,
  ListDashboardsCommandInput,
  ListDashboardsCommandOutput,
  PutDashboardCommandInput,
  PutDashboardCommandOutput,
} from "@aws-sdk/client-cloudwatch";
import { pageOf } from "#api/pagination.ts";
import { alarmKeys, dashboardArn } from "#model/alarms/keys.ts";
import type { DashboardRecord } from "#model/alarms/records.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { tagsOf } from "./rules.ts";

type Output<T> = Omit<T, "$metadata">;
const maxBody = 1024 * 1024;

/** Kept as it is sent: who draws it reads it as AWS's console does. */
export const putDashboard: Operation<PutDashboardCommandInput, Output<PutDashboardCommandOutput>> = async (cloudwatch, input, context) => {
  const name = input.DashboardName!;
  const body = input.DashboardBody!;
  if (!/^[\w-]{1,255}$/.test(name))
    throw errors.invalid(
      `The value ${name} for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-) and underscore (_).`,
    );
  const problems = problemsOf(body);
  if (problems.length > 0)
    throw errors.badDashboard(`The field DashboardBody must be a valid JSON object: ${problems[0]!.Message}`, problems);
  const tags = tagsOf(input.Tags);
  await cloudwatch.writer.run("cloudwatch", async (unit) => {
    const key = alarmKeys.dashboard(context, name);
    const before = await unit.get<DashboardRecord>(key);
    const dashboard: DashboardRecord = { name, body, modified: context.now, tags: before?.tags ?? tags };
    unit.put(key, dashboard);
  });
  return { DashboardValidationMessages: [] };
};

function problemsOf(body: string): { DataPath: string; Message: string }[] {
  if (Buffer.byteLength(body) > maxBody) return [{ DataPath: "/", Message: "The body is longer than 1 MiB" }];
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return [{ DataPath: "/", Message: "The body is not valid JSON" }];
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    return [{ DataPath: "/", Message: "The body is not a JSON object" }];
  const { widgets } = parsed as { widgets?: unknown };
  if (!Array.isArray(widgets)) return [{ DataPath: "/widgets", Message: "Should have an array of widgets" }];
  if (widgets.length > 500) return [{ DataPath: "/widgets", Message: "Should NOT have more than 500 items" }];
  return widgets.flatMap((widget: unknown, i) => {
    const { type, properties } = (widget ?? {}) as { type?: unknown; properties?: unknown };
    if (typeof type !== "string") return [{ DataPath: `/widgets/${i}`, Message: "Should have required property 'type'" }];
    if (typeof properties !== "object" || properties === null)
      return [{ DataPath: `/widgets/${i}`, Message: "Should have required property 'properties'" }];
    return [];
  });
}

export const getDashboard: Operation<GetDashboardCommandInput, Output<GetDashboardCommandOutput>> = async (cloudwatch, input, context) => {
  const dashboard = (await cloudwatch.deps.store.get<DashboardRecord>(alarmKeys.dashboard(context, input.DashboardName!)))?.value;
  if (!dashboard) throw errors.noDashboard(input.DashboardName!);
  return { DashboardName: dashboard.name, DashboardArn: dashboardArn(context, dashboard.name), DashboardBody: dashboard.body };
};

export const listDashboards: Operation<ListDashboardsCommandInput, Output<ListDashboardsCommandOutput>> = async (
  cloudwatch,
  input,
  context,
) => {
  const { entries } = await cloudwatch.deps.store.list<DashboardRecord>(alarmKeys.dashboards(context));
  const found = entries.map(({ value }) => value).filter(({ name }) => name.startsWith(input.DashboardNamePrefix ?? ""));
  const page = pageOf(cloudwatch.deps.sealer, found, ({ name }) => name, {
    scope: JSON.stringify(["ListDashboards", context.account, context.region, input.DashboardNamePrefix]),
    limit: 1000,
    token: input.NextToken,
    badToken: errors.badToken,
  });
  return {
    DashboardEntries: page.items.map(({ name, body, modified }) => ({
      DashboardName: name,
      DashboardArn: dashboardArn(context, name),
      LastModified: new Date(modified),
      Size: Buffer.byteLength(body),
    })),
    NextToken: page.nextToken,
  };
};

/** All or none. Source: DeleteDashboards. */
export const deleteDashboards: Operation<DeleteDashboardsCommandInput, object> = async (cloudwatch, input, context) => {
  await cloudwatch.writer.run("cloudwatch", async (unit) => {
    for (const name of new Set(input.DashboardNames)) {
      const key = alarmKeys.dashboard(context, name);
      if (!(await unit.get(key))) throw errors.noDashboard(name);
      unit.delete(key);
    }
  });
  return {};
};
