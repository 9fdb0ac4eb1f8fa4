import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { Scope } from "#model/ecs-keys.ts";
import { problemOfInput } from "#model/events/input.ts";
import { eventKeys, type RuleRecord, type RuleTarget } from "#model/events/records.ts";
import { problemOfRetry } from "#model/events/retry.ts";
import { kindOf } from "#reconcilers/events/targets/index.ts";
import { busOf, change, checkName, type Operation, page, reader } from "./context.ts";
import { errors } from "./errors.ts";
import { needRule } from "./rules.ts";

const mostTargets = 5;

/** Throws what is wrong with a target, whatever rule it is for. */
function checkTarget(target: Sdk.Target, { account, region }: Scope): void {
  const { Id: id = "", Arn: arn = "", RoleArn: role } = target;
  checkName("targets.member.id", id);
  const kind = kindOf(arn);
  if (!/^arn:[^:]+:[^:]+:.*/.test(arn))
    throw errors.invalid(`Parameter ${arn} is not valid. Reason: Provided Arn is not in correct format.`);
  if (kind === undefined || kind === "universal")
    throw errors.notYet(
      `Gantry has no targets such as ${arn}: a target is an ECS cluster, a log group, an API destination or an event bus.`,
    );
  if (kind !== "event-bus" && !arn.startsWith(`arn:aws:${arn.split(":")[2]}:${region}:${account}:`))
    throw errors.invalid(`Parameter ${arn} is not valid. Reason: Provided Arn is not of the rule's account and region.`);
  if (target.DeadLetterConfig?.Arn !== undefined) throw errors.notYet("Gantry has no queues: leave DeadLetterConfig out.");
  if (target.RetryPolicy) {
    const problem = problemOfRetry(target.RetryPolicy as Parameters<typeof problemOfRetry>[0]);
    if (problem !== undefined) throw errors.invalid(`1 validation error detected: ${problem}`);
  }
  const problem = problemOfInput(target as Parameters<typeof problemOfInput>[0]);
  if (problem !== undefined) throw errors.invalid(problem);
  if (role === undefined && (kind === "ecs" || kind === "api-destination")) throw errors.invalid(`RoleArn is required for target ${arn}.`);
  if (role !== undefined && !/^arn:aws:iam::\d{12}:role\/.+$/.test(role)) throw errors.invalid(`Parameter RoleArn ${role} is not valid.`);
  if (kind === "logs" && role !== undefined) throw errors.invalid(`RoleArn is not supported for target ${arn}.`);
  if (kind === "ecs") checkEcs(target);
  else if (target.EcsParameters) throw errors.invalid(`Parameter(s) EcsParameters not valid for target ${arn}.`);
  if (target.HttpParameters && kind !== "api-destination") throw errors.invalid(`Parameter(s) HttpParameters not valid for target ${arn}.`);
  for (const name of [
    "KinesisParameters",
    "RunCommandParameters",
    "BatchParameters",
    "SqsParameters",
    "RedshiftDataParameters",
    "SageMakerPipelineParameters",
    "AppSyncParameters",
  ] as const)
    if (target[name]) throw errors.invalid(`Parameter(s) ${name} not valid for target ${arn}.`);
}

function checkEcs({ EcsParameters: ecs, Arn }: Sdk.Target): void {
  if (!ecs) throw errors.invalid(`Parameter EcsParameters is required for target ${Arn}.`);
  const { TaskDefinitionArn = "", TaskCount: count = 1, LaunchType, CapacityProviderStrategy = [], Tags = [], Group = "" } = ecs;
  if (!/^arn:aws:ecs:[^:]+:\d{12}:task-definition\/.+$/.test(TaskDefinitionArn))
    throw errors.invalid(`Parameter ${TaskDefinitionArn} is not valid. Reason: Provided Arn is not in correct format.`);
  if (!Number.isInteger(count) || count < 1)
    throw errors.constraint("targets.member.ecsParameters.taskCount", String(count), "have value greater than or equal to 1");
  if (count > 10) throw errors.invalid("Parameter TaskCount is not valid: RunTask starts 10 tasks at most.");
  if (LaunchType !== undefined && !["EC2", "FARGATE", "EXTERNAL"].includes(LaunchType))
    throw errors.constraint("targets.member.ecsParameters.launchType", LaunchType, "satisfy enum value set: [EC2, FARGATE, EXTERNAL]");
  if (LaunchType !== undefined && CapacityProviderStrategy.length > 0)
    throw errors.invalid("Parameters LaunchType and CapacityProviderStrategy cannot both be given.");
  if (Tags.length > 50) throw errors.invalid("Parameter Tags is not valid: 50 at most.");
  if (Group.length > 255) throw errors.invalid("Parameter Group is not valid: 255 letters at most.");
}

export const putTargets: Operation<Sdk.PutTargetsRequest, Sdk.PutTargetsResponse> = async (events, input, context) => {
  const { Rule: name = "", Targets: targets = [] } = input;
  const { bus } = busOf(context, input.EventBusName);
  if (targets.length === 0) throw errors.constraint("targets", "[]", "have length greater than or equal to 1");
  if (targets.length > 100) throw errors.constraint("targets", `[${targets.length} targets]`, "have length less than or equal to 100");
  for (const target of targets) checkTarget(target, context);
  if (new Set(targets.map(({ Id }) => Id)).size < targets.length) throw errors.invalid("Target Ids must be unique.");
  await change(events, async (unit) => {
    const rule = await needRule(unit.get, context, bus, name);
    const fresh = new Map(targets.map((target) => [target.Id, target as unknown as RuleTarget]));
    const all = [
      ...rule.targets.map((target) => fresh.get(target.Id) ?? target),
      ...[...fresh.values()].filter(({ Id }) => !rule.targets.some((each) => each.Id === Id)),
    ];
    if (all.length > mostTargets) throw errors.limit();
    unit.put(eventKeys.rule(context, bus, name), { ...rule, targets: all } satisfies RuleRecord);
  });
  return { FailedEntryCount: 0, FailedEntries: [] };
};

export const removeTargets: Operation<Sdk.RemoveTargetsRequest, Sdk.RemoveTargetsResponse> = async (events, input, context) => {
  const { Rule: name = "", Ids: ids = [] } = input;
  const { bus } = busOf(context, input.EventBusName);
  const missing = await change(events, async (unit) => {
    const rule = await needRule(unit.get, context, bus, name);
    const left = rule.targets.filter(({ Id }) => !ids.includes(Id));
    if (left.length < rule.targets.length) unit.put(eventKeys.rule(context, bus, name), { ...rule, targets: left } satisfies RuleRecord);
    return ids.filter((id) => !rule.targets.some(({ Id }) => Id === id));
  });
  return {
    FailedEntryCount: missing.length,
    FailedEntries: missing.map((id) => ({
      TargetId: id,
      ErrorCode: "ResourceNotFoundException",
      ErrorMessage: `Rule ${name} does not have target(s) with Id ${id}.`,
    })),
  };
};

export const listTargetsByRule: Operation<Sdk.ListTargetsByRuleRequest, Sdk.ListTargetsByRuleResponse> = async (events, input, context) => {
  const { bus } = busOf(context, input.EventBusName);
  const rule = await needRule(reader(events), context, bus, input.Rule ?? "");
  const named = rule.targets.map((target) => ({ name: target.Id, target }));
  const { items, NextToken } = page(events, context, `ListTargetsByRule ${bus} ${rule.name}`, named, { ...input, NamePrefix: "" });
  return { Targets: items.map(({ target }) => target as unknown as Sdk.Target), NextToken };
};
