import type { ListMetricsCommandInput, ListMetricsCommandOutput, Metric } from "@aws-sdk/client-cloudwatch";
import { pageOf } from "#api/pagination.ts";
import { metricKey } from "#model/metrics/identity.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { checkEnum, checkNamespace } from "./rules.ts";

const pageSize = 500;
/** Metrics that had no data for so long are not listed. */
const listedFor = 14 * 86_400;

export const listMetrics: Operation<ListMetricsCommandInput, Omit<ListMetricsCommandOutput, "$metadata">> = async (
  cloudwatch,
  input,
  context,
) => {
  checkEnum("recentlyActive", input.RecentlyActive, ["PT3H"]);
  if (input.Namespace !== undefined) checkNamespace(input.Namespace);
  const filters = input.Dimensions ?? [];
  if (filters.length > 10) throw errors.validation("The collection Dimensions must not have a size greater than 10.");
  const { account, region } = context;
  const since = context.now / 1000 - (input.RecentlyActive === "PT3H" ? 3 * 3600 : listedFor);
  const found: { key: string; metric: Metric }[] = [];
  for (const units of cloudwatch.metrics().metrics(context, input.Namespace)) {
    const { namespace, name, dimensions } = units[0]!;
    if (input.MetricName !== undefined && name !== input.MetricName) continue;
    if (!units.some(({ last }) => last >= since)) continue;
    if (
      !filters.every((filter) =>
        dimensions.some((each) => each.name === filter.Name && (filter.Value === undefined || each.value === filter.Value)),
      )
    )
      continue;
    const metric = {
      Namespace: namespace,
      MetricName: name,
      Dimensions: dimensions.map((each) => ({ Name: each.name, Value: each.value })),
    };
    found.push({ key: metricKey(units[0]!), metric });
  }
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  const page = pageOf(cloudwatch.deps.sealer, found, ({ key }) => key, {
    scope: JSON.stringify(["ListMetrics", account, region, input.Namespace, input.MetricName, filters, input.RecentlyActive]),
    limit: pageSize,
    token: input.NextToken,
    badToken: errors.badToken,
  });
  return {
    Metrics: page.items.map(({ metric }) => metric),
    NextToken: page.nextToken,
    OwningAccounts: input.IncludeLinkedAccounts ? page.items.map(() => account) : undefined,
  };
};
