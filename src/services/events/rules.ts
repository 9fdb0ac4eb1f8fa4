import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { RequestContext } from "#api/contract.ts";
import { matches } from "#model/events/match.ts";
import { parsePattern, PatternError, type Pattern } from "#model/events/pattern.ts";
import { defaultBus, eventKeys, ruleArn, type RuleRecord, type RuleState } from "#model/events/records.ts";
import { parseSchedule, ScheduleError } from "#model/schedules/index.ts";
import { firstTimer } from "#reconcilers/events/timers.ts";
import type { Unit } from "#store/unit.ts";
import { busOf, change, checkName, listed, needBus, type Operation, page, reader, tagsOf } from "./context.ts";
import { errors } from "./errors.ts";

const mostRules = 300;
const longestPattern = 4096;

export function readPattern(text: string): Pattern {
  if (text.length > longestPattern) throw errors.constraint("eventPattern", text, `have length less than or equal to ${longestPattern}`);
  try {
    return parsePattern(text);
  } catch (error) {
    if (error instanceof PatternError) throw errors.pattern(error.message);
    throw error;
  }
}

/** Rules know cron and rate; a moment is EventBridge Scheduler's. */
function checkSchedule(text: string): void {
  try {
    if (parseSchedule(text).kind !== "at") return;
  } catch (error) {
    if (!(error instanceof ScheduleError)) throw error;
  }
  throw errors.invalid("Parameter ScheduleExpression is not valid.");
}

/** The rule's timer is what its record says: written with it. */
export function putTimer(unit: Unit, { now, ...scope }: Pick<RequestContext, "account" | "region" | "now">, rule: RuleRecord): void {
  const key = eventKeys.ruleTimer(scope, rule.bus, rule.name);
  const timer =
    rule.schedule === undefined || rule.state === "DISABLED"
      ? undefined
      : firstTimer(
          { account: scope.account, region: scope.region, kind: "rule", place: rule.bus, name: rule.name },
          { expression: rule.schedule, timeZone: "UTC", now, windowMs: 0, atOnce: false, random: 0 },
        );
  if (timer) unit.put(key, timer);
  else unit.delete(key);
}

export const putRule: Operation<Sdk.PutRuleRequest, Sdk.PutRuleResponse> = async (events, input, context) => {
  const { Name: name = "", EventPattern: pattern, ScheduleExpression: schedule, Description: description, RoleArn: roleArn } = input;
  checkName("name", name);
  const { bus } = busOf(context, input.EventBusName);
  // An empty text takes a pattern or a schedule away.
  const hasPattern = pattern !== undefined && pattern !== "";
  const hasSchedule = schedule !== undefined && schedule !== "";
  if (!hasPattern && !hasSchedule) throw errors.invalid("Parameter(s) EventPattern or ScheduleExpression must be specified.");
  if (hasPattern) readPattern(pattern);
  if (hasSchedule) {
    if (bus !== defaultBus) throw errors.invalid("ScheduleExpression is supported only on the default event bus.");
    checkSchedule(schedule);
  }
  const state = input.State ?? "ENABLED";
  if (!["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"].includes(state))
    throw errors.constraint("state", state, "satisfy enum value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]");
  if ((description ?? "").length > 512) throw errors.constraint("description", description!, "have length less than or equal to 512");
  const tags = tagsOf(input.Tags);
  const key = eventKeys.rule(context, bus, name);
  await change(events, async (unit) => {
    await needBus(unit.get, context, bus);
    const before = await unit.get<RuleRecord>(key);
    if (!before && (await unit.list(eventKeys.rules(context, bus))).size >= mostRules) throw errors.limit();
    const rule: RuleRecord = {
      name,
      bus,
      state: state as RuleState,
      createdAt: before?.createdAt ?? context.now,
      // Of a rule that is there already TagResource changes the tags.
      tags: before?.tags ?? tags,
      targets: before?.targets ?? [],
      ...(hasPattern ? { pattern } : {}),
      ...(hasSchedule ? { schedule } : {}),
      ...(description === undefined ? {} : { description }),
      ...(roleArn === undefined ? {} : { roleArn }),
    };
    unit.put(key, rule);
    if (before?.schedule !== rule.schedule || before?.state !== rule.state) putTimer(unit, context, rule);
  });
  return { RuleArn: ruleArn(context, bus, name) };
};

/** Throws ResourceNotFoundException. */
export async function needRule(
  read: <T>(key: string) => Promise<T | undefined>,
  context: RequestContext,
  bus: string,
  name: string,
): Promise<RuleRecord> {
  await needBus(read, context, bus);
  const rule = await read<RuleRecord>(eventKeys.rule(context, bus, name));
  if (!rule) throw errors.noRule(name, bus);
  return rule;
}

const view = (context: RequestContext, { name, bus, pattern, schedule, state, description, roleArn }: RuleRecord) => ({
  Name: name,
  Arn: ruleArn(context, bus, name),
  EventPattern: pattern,
  ScheduleExpression: schedule,
  State: state,
  Description: description,
  RoleArn: roleArn,
  EventBusName: bus,
});

export const describeRule: Operation<Sdk.DescribeRuleRequest, Sdk.DescribeRuleResponse> = async (
  events,
  { Name = "", EventBusName },
  context,
) => {
  const { bus } = busOf(context, EventBusName);
  return { ...view(context, await needRule(reader(events), context, bus, Name)), CreatedBy: context.account };
};

export const listRules: Operation<Sdk.ListRulesRequest, Sdk.ListRulesResponse> = async (events, input, context) => {
  const { bus } = busOf(context, input.EventBusName);
  await needBus(reader(events), context, bus);
  const rules = await listed<RuleRecord>(events, eventKeys.rules(context, bus));
  const { items, NextToken } = page(events, context, `ListRules ${bus}`, rules, input);
  return { Rules: items.map((rule) => view(context, rule)), NextToken };
};

export const listRuleNamesByTarget: Operation<Sdk.ListRuleNamesByTargetRequest, Sdk.ListRuleNamesByTargetResponse> = async (
  events,
  input,
  context,
) => {
  const { bus } = busOf(context, input.EventBusName);
  await needBus(reader(events), context, bus);
  const rules = await listed<RuleRecord>(events, eventKeys.rules(context, bus));
  const found = rules.filter(({ targets }) => targets.some(({ Arn }) => Arn === input.TargetArn));
  const { items, NextToken } = page(events, context, `ListRuleNamesByTarget ${bus} ${input.TargetArn}`, found, input);
  return { RuleNames: items.map(({ name }) => name), NextToken };
};

export const deleteRule: Operation<Sdk.DeleteRuleRequest, object> = async (events, { Name = "", EventBusName }, context) => {
  const { bus } = busOf(context, EventBusName);
  const key = eventKeys.rule(context, bus, Name);
  await change(events, async (unit) => {
    await needBus(unit.get, context, bus);
    const rule = await unit.get<RuleRecord>(key);
    if (!rule) return;
    if (rule.targets.length > 0) throw errors.invalid("Rule can't be deleted since it has targets.");
    unit.delete(key);
    unit.delete(eventKeys.ruleTimer(context, bus, Name));
  });
  return {};
};

const switched =
  (state: RuleState): Operation<Sdk.EnableRuleRequest, object> =>
  async (events, { Name = "", EventBusName }, context) => {
    const { bus } = busOf(context, EventBusName);
    await change(events, async (unit) => {
      const rule = await needRule(unit.get, context, bus, Name);
      if (rule.state === state) return;
      const next = { ...rule, state };
      unit.put(eventKeys.rule(context, bus, Name), next);
      putTimer(unit, context, next);
    });
    return {};
  };

export const enableRule = switched("ENABLED");
export const disableRule = switched("DISABLED");

const required = ["id", "account", "source", "time", "region", "resources", "detail-type"];

export const testEventPattern: Operation<Sdk.TestEventPatternRequest, Sdk.TestEventPatternResponse> = async (
  _events,
  { EventPattern = "", Event = "" },
) => {
  const pattern = readPattern(EventPattern);
  let event: Record<string, unknown>;
  try {
    event = JSON.parse(Event) as Record<string, unknown>;
  } catch {
    throw errors.invalid("Parameter Event is not valid.");
  }
  const missing = typeof event !== "object" || event === null ? required : required.filter((member) => !Object.hasOwn(event, member));
  if (missing.length > 0) throw errors.invalid(`Parameter Event is not valid. Reason: it has no ${missing.join(", ")}.`);
  return { Result: matches(pattern, event) };
};
