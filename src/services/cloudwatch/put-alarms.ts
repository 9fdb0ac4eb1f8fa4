import type { PutCompositeAlarmCommandInput, PutMetricAlarmCommandInput, Tag } from "@aws-sdk/client-cloudwatch";
import type { RequestContext } from "#api/contract.ts";
import { comparisonOperators } from "#model/alarms/evaluate.ts";
import { alarmKeys, type Scope } from "#model/alarms/keys.ts";
import type { AlarmRecord, ComparisonOperator, CompositeAlarmRule, MetricAlarmRule, MissingData } from "#model/alarms/records.ts";
import { alarmsOf, parseRule, RuleError } from "#model/alarms/rule.ts";
import { periodOf } from "#reconcilers/alarms/judge.ts";
import { putAlarm } from "#reconcilers/alarms/put.ts";
import type { Unit } from "#store/unit.ts";
import type { CloudWatch, Operation } from "./context.ts";
import { constraint, errors } from "./errors.ts";
import { prepared, queriesOf } from "./queries.ts";
import {
  checkBasicStatistic,
  checkEnum,
  checkLength,
  checkMetricName,
  checkNamespace,
  checkPeriod,
  checkRange,
  checkStatistic,
  checkUnit,
  dimensionsOf,
  tagsOf,
} from "./rules.ts";

type Common = Pick<
  PutMetricAlarmCommandInput,
  "AlarmName" | "AlarmDescription" | "ActionsEnabled" | "OKActions" | "AlarmActions" | "InsufficientDataActions" | "Tags"
>;

export const putMetricAlarm: Operation<PutMetricAlarmCommandInput, object> = async (cloudwatch, input, context) => {
  const common = commonOf(input);
  const metric = metricRule(input);
  await put(cloudwatch, context, common, { metric }, input.Tags);
  return {};
};

export const putCompositeAlarm: Operation<PutCompositeAlarmCommandInput, object> = async (cloudwatch, input, context) => {
  const common = commonOf(input);
  const rule = input.AlarmRule!;
  checkLength("alarmRule", rule, 10_240);
  const names = alarmsInRule(rule);
  if (
    input.ActionsSuppressor === undefined &&
    (input.ActionsSuppressorWaitPeriod !== undefined || input.ActionsSuppressorExtensionPeriod !== undefined)
  )
    throw errors.validation("ActionsSuppressorWaitPeriod and ActionsSuppressorExtensionPeriod need ActionsSuppressor.");
  if (input.ActionsSuppressor !== undefined) {
    checkLength("actionsSuppressor", input.ActionsSuppressor, 1600);
    if (input.ActionsSuppressorWaitPeriod === undefined)
      throw errors.validation("ActionsSuppressorWaitPeriod is required with ActionsSuppressor.");
    if (input.ActionsSuppressorExtensionPeriod === undefined)
      throw errors.validation("ActionsSuppressorExtensionPeriod is required with ActionsSuppressor.");
  }
  const composite: CompositeAlarmRule = {
    rule,
    suppressor: input.ActionsSuppressor,
    waitPeriod: input.ActionsSuppressorWaitPeriod,
    extensionPeriod: input.ActionsSuppressorExtensionPeriod,
  };
  const suppressor = composite.suppressor?.split(":alarm:").at(-1);
  await put(cloudwatch, context, common, { composite }, input.Tags, async (unit) => {
    for (const name of [...names, ...(suppressor === undefined ? [] : [suppressor])])
      if (name !== common.name && !(await unit.get(alarmKeys.alarm(context, name))))
        throw errors.validation(`AlarmRule must not contain non-existent alarms: ${name}`);
    if (await reaches(unit, context, names, common.name))
      throw errors.validation("AlarmRule must not contain a cycle of composite alarms.");
  });
  return {};
};

function alarmsInRule(rule: string): string[] {
  try {
    const names = alarmsOf(parseRule(rule));
    if (names.length > 100) throw new RuleError("AlarmRule refers to more than 100 alarms.");
    return names;
  } catch (error) {
    throw error instanceof RuleError ? errors.validation(error.message) : error;
  }
}

async function reaches(unit: Unit, scope: Scope, names: readonly string[], goal: string): Promise<boolean> {
  const seen = new Set<string>();
  const left = [...names];
  while (left.length > 0) {
    const name = left.pop()!;
    if (name === goal) return true;
    if (seen.has(name)) continue;
    seen.add(name);
    const rule = (await unit.get<AlarmRecord>(alarmKeys.alarm(scope, name)))?.composite?.rule;
    if (rule !== undefined) left.push(...alarmsOf(parseRule(rule)));
  }
  return false;
}

function commonOf(input: Common) {
  const name = input.AlarmName!;
  checkLength("alarmName", name, 255);
  if (input.AlarmDescription !== undefined) checkLength("alarmDescription", input.AlarmDescription, 1024, 0);
  const targets = (member: string, arns: readonly string[] | undefined): readonly string[] => {
    if (!arns) return [];
    if (arns.length > 5) throw constraint(member, arns, "have length less than or equal to 5");
    for (const arn of arns)
      if (arn.length > 1024 || !/^arn:[\w-]+:[\w-]+:[\w-]*:[\w-]*:.+/.test(arn)) throw errors.validation(`Invalid arn syntax: ${arn}`);
    return [...arns];
  };
  return {
    name,
    description: input.AlarmDescription,
    actionsEnabled: input.ActionsEnabled ?? true,
    okActions: targets("oKActions", input.OKActions),
    alarmActions: targets("alarmActions", input.AlarmActions),
    insufficientDataActions: targets("insufficientDataActions", input.InsufficientDataActions),
  };
}

function metricRule(input: PutMetricAlarmCommandInput): MetricAlarmRule {
  for (const member of [
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
  ] as const)
    if (input[member] !== undefined) throw errors.notYet(`${member} of PutMetricAlarm`);
  if (input.ThresholdMetricId !== undefined) throw errors.notYet("Anomaly detection (ThresholdMetricId)");
  if (/^(LessThanLower|GreaterThanUpper)/.test(input.ComparisonOperator ?? ""))
    throw errors.notYet(`Anomaly detection (${input.ComparisonOperator})`);
  if (input.ComparisonOperator === undefined) throw errors.missing("ComparisonOperator");
  checkEnum("comparisonOperator", input.ComparisonOperator, comparisonOperators);
  if (input.EvaluationPeriods === undefined) throw errors.missing("EvaluationPeriods");
  checkRange("evaluationPeriods", input.EvaluationPeriods, 1, 1_000_000);
  checkRange("datapointsToAlarm", input.DatapointsToAlarm, 1, 1_000_000);
  if (input.DatapointsToAlarm !== undefined && input.DatapointsToAlarm > input.EvaluationPeriods)
    throw errors.validation(`DatapointsToAlarm must be less than or equal to EvaluationPeriods`);
  if (input.Threshold === undefined) throw errors.missing("Threshold");
  if (!Number.isFinite(input.Threshold)) throw errors.invalid("The parameter Threshold must be a number.");
  if (input.TreatMissingData !== undefined && !["breaching", "notBreaching", "ignore", "missing"].includes(input.TreatMissingData))
    throw errors.validation(
      `The value ${input.TreatMissingData} is not supported for TreatMissingData parameter. Supported values are [breaching, notBreaching, ignore, missing].`,
    );
  if (input.EvaluateLowSampleCountPercentile !== undefined && !["evaluate", "ignore"].includes(input.EvaluateLowSampleCountPercentile))
    throw errors.validation(
      `Option ${input.EvaluateLowSampleCountPercentile} is not supported for EvaluateLowSampleCountPercentile. Supported options are [evaluate, ignore].`,
    );
  const rule: MetricAlarmRule = {
    ...(input.Metrics ? metricMath(input) : oneMetric(input)),
    evaluationPeriods: input.EvaluationPeriods,
    datapointsToAlarm: input.DatapointsToAlarm,
    threshold: input.Threshold,
    comparisonOperator: input.ComparisonOperator as ComparisonOperator,
    treatMissingData: input.TreatMissingData as MissingData | undefined,
    lowSampleCount: input.EvaluateLowSampleCountPercentile as "evaluate" | "ignore" | undefined,
  };
  const period = periodOf(rule);
  const days = period >= 3600 ? 7 : 1;
  if (period * rule.evaluationPeriods > days * 86_400)
    throw errors.validation(
      `Metrics cannot be checked across more than ${days === 1 ? "a day" : "seven days"} (EvaluationPeriods * Period must be <= ${days * 86_400}).`,
    );
  return rule;
}

function metricMath(input: PutMetricAlarmCommandInput): Pick<MetricAlarmRule, "dimensions" | "metrics"> {
  for (const member of ["MetricName", "Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic"] as const)
    if (input[member] !== undefined) throw errors.validation(`${member} must not be specified together with Metrics.`);
  if (input.Metrics!.length > 20) throw errors.validation("The collection Metrics must not have a size greater than 20.");
  const metrics = queriesOf(input.Metrics!, "Metrics");
  const shown = metrics.filter(({ returnData }) => returnData !== false);
  if (shown.length !== 1) throw errors.validation("Exactly one element of the metrics list should return data.");
  if (metrics.filter(({ stat }) => stat).length > 10) throw errors.validation("An alarm can be based on 10 metrics at most.");
  prepared(metrics);
  if (/\bSEARCH\s*\(/i.test(metrics.map(({ expression }) => expression ?? "").join(" ")))
    throw errors.validation("SEARCH is not supported in alarms.");
  return { dimensions: [], metrics };
}

function oneMetric(input: PutMetricAlarmCommandInput) {
  if (input.MetricName === undefined) throw errors.missing("MetricName");
  if (input.Namespace === undefined) throw errors.missing("Namespace");
  if (input.Period === undefined) throw errors.missing("Period");
  checkMetricName(input.MetricName, "MetricName");
  checkNamespace(input.Namespace);
  if (![10, 20, 30].includes(input.Period) && input.Period % 60 !== 0)
    throw errors.validation("Period must be 10, 20, 30 or a multiple of 60");
  checkPeriod(input.Period, "Period");
  checkUnit(input.Unit, "Unit");
  if ((input.Statistic === undefined) === (input.ExtendedStatistic === undefined))
    throw errors.combination("Exactly one of Statistic and ExtendedStatistic must be specified.");
  if (input.Statistic !== undefined) checkBasicStatistic(input.Statistic, "statistic");
  if (input.ExtendedStatistic !== undefined) checkStatistic(input.ExtendedStatistic, "ExtendedStatistic");
  return {
    metricName: input.MetricName,
    namespace: input.Namespace,
    statistic: input.Statistic,
    extendedStatistic: input.ExtendedStatistic,
    dimensions: dimensionsOf(input.Dimensions, ""),
    period: input.Period,
    unit: input.Unit,
  };
}

async function put(
  cloudwatch: CloudWatch,
  context: RequestContext,
  common: ReturnType<typeof commonOf>,
  rule: Pick<AlarmRecord, "metric" | "composite">,
  tags: readonly Tag[] | undefined,
  check: (unit: Unit) => Promise<void> = async () => {},
): Promise<void> {
  const given = tagsOf(tags);
  await cloudwatch.writer.run("cloudwatch", async (unit) => {
    const before = await unit.get<AlarmRecord>(alarmKeys.alarm(context, common.name));
    if (before && Boolean(before.composite) !== Boolean(rule.composite))
      throw errors.validation(`Alarm ${common.name} exists with another type.`);
    await check(unit);
    await putAlarm({ unit, scope: context, random: cloudwatch.deps.random, now: context.now }, { ...common, ...rule, tags: given });
  });
  cloudwatch.wake();
}
