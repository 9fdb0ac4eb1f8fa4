import type { MetricDataQuery } from "@aws-sdk/client-cloudwatch";
import { type Prepared, prepare } from "#metrics/query.ts";
import type { MetricQuery } from "#model/alarms/records.ts";
import { MathError } from "#model/metrics/math/syntax.ts";
import { errors } from "./errors.ts";
import { checkMetricName, checkNamespace, checkPeriod, checkStatistic, checkUnit, dimensionsOf } from "./rules.ts";

/** `member`: the input's name of the list, e.g. MetricDataQueries. */
export function queriesOf(given: readonly MetricDataQuery[], member: string): MetricQuery[] {
  const ids = new Set<string>();
  return given.map((query, i): MetricQuery => {
    const path = `${member}.member.${i + 1}.`;
    const id = query.Id!;
    if (id.length > 255 || !/^[a-z]\w*$/.test(id))
      throw errors.validation(`The value ${id} for parameter ${path}Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.`);
    if (ids.has(id)) throw errors.validation(`The values for parameter Id in ${member} must be unique: ${id}.`);
    ids.add(id);
    if ((query.MetricStat === undefined) === (query.Expression === undefined))
      throw errors.validation(
        `The parameters ${path}MetricStat and ${path}Expression are mutually exclusive and exactly one must be specified.`,
      );
    if (query.Period !== undefined) checkPeriod(query.Period, `${path}Period`);
    const common = { id, label: query.Label, returnData: query.ReturnData, accountId: query.AccountId };
    if (query.Expression !== undefined) return { ...common, expression: query.Expression, period: query.Period };
    const { Metric: metric, Period: period, Stat: stat, Unit: unit } = query.MetricStat!;
    const at = `${path}MetricStat.`;
    checkPeriod(period!, `${at}Period`);
    checkStatistic(stat!, `${at}Stat`);
    checkUnit(unit, `${at}Unit`);
    if (metric!.Namespace === undefined) throw errors.missing(`${at}Metric.Namespace`);
    if (metric!.MetricName === undefined) throw errors.missing(`${at}Metric.MetricName`);
    checkNamespace(metric!.Namespace, `${at}Metric.Namespace`);
    checkMetricName(metric!.MetricName, `${at}Metric.MetricName`);
    return {
      ...common,
      stat: {
        namespace: metric!.Namespace,
        name: metric!.MetricName,
        dimensions: dimensionsOf(metric!.Dimensions, `${at}Metric.`),
        period: period!,
        stat: stat!,
        unit,
      },
    };
  });
}

export function queryView({ id, label, returnData, expression, period, accountId, stat }: MetricQuery): MetricDataQuery {
  return {
    Id: id,
    Label: label,
    ReturnData: returnData,
    Expression: expression,
    Period: period,
    AccountId: accountId,
    MetricStat: stat && {
      Metric: {
        Namespace: stat.namespace,
        MetricName: stat.name,
        Dimensions: stat.dimensions.map(({ name, value }) => ({ Name: name, Value: value })),
      },
      Period: stat.period,
      Stat: stat.stat,
      Unit: stat.unit as never,
    },
  };
}

export function prepared(queries: readonly MetricQuery[]): Prepared {
  return translated(() => prepare(queries));
}

/** What is wrong with an expression is the client's fault. */
export function translated<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof MathError ? errors.validation(error.message) : error;
  }
}

export async function translatedLater<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof MathError ? errors.validation(error.message) : error;
  }
}
