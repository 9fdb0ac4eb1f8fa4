import type * as Sdk from "@aws-sdk/client-scheduler";
import { type ScheduleRecord } from "#model/events/records.ts";
import { problemOfRetry, type RetryPolicy } from "#model/events/retry.ts";
import { isTimeZone, parseSchedule, ScheduleError } from "#model/schedules/index.ts";
import { universalTarget } from "#reconcilers/events/targets/schedule-targets.ts";
import { kindOf } from "#reconcilers/events/targets/index.ts";
import { errors } from "./errors.ts";

export type Given = Sdk.CreateScheduleInput | Sdk.UpdateScheduleInput;

/** What is given, checked, with AWS's defaults. Source: EventBridge Scheduler API Reference, CreateSchedule. */
export function settingsOf(input: Given): Omit<ScheduleRecord, "name" | "group" | "createdAt" | "updatedAt"> {
  const { ScheduleExpression: expression = "", ScheduleExpressionTimezone: timeZone = "UTC", State: state = "ENABLED" } = input;
  if (input.KmsKeyArn !== undefined) throw errors.notYet("Gantry encrypts no schedules with KMS keys: leave KmsKeyArn out.");
  let kind: string;
  try {
    ({ kind } = parseSchedule(expression));
  } catch (error) {
    if (error instanceof ScheduleError) throw errors.invalid(`Invalid Schedule Expression ${expression}.`);
    throw error;
  }
  if (!isTimeZone(timeZone)) throw errors.invalid(`The timezone ${timeZone} is not valid.`);
  if (state !== "ENABLED" && state !== "DISABLED") throw errors.constraint("state", state, "satisfy enum value set: [ENABLED, DISABLED]");
  const { Mode: mode, MaximumWindowInMinutes: window } = input.FlexibleTimeWindow ?? {};
  if (mode !== "OFF" && mode !== "FLEXIBLE")
    throw errors.constraint("flexibleTimeWindow.mode", String(mode), "satisfy enum value set: [OFF, FLEXIBLE]");
  if (mode === "OFF" && window !== undefined) throw errors.invalid("MaximumWindowInMinutes must not be set when Mode is OFF.");
  if (mode === "FLEXIBLE" && (window === undefined || !Number.isInteger(window) || window < 1 || window > 1440))
    throw errors.invalid("MaximumWindowInMinutes must be between 1 and 1440 when Mode is FLEXIBLE.");
  const after = input.ActionAfterCompletion ?? "NONE";
  if (after !== "NONE" && after !== "DELETE")
    throw errors.constraint("actionAfterCompletion", after, "satisfy enum value set: [NONE, DELETE]");
  if ((input.Description ?? "").length > 512)
    throw errors.constraint("description", input.Description!, "have length less than or equal to 512");
  const [startDate, endDate] = [input.StartDate?.getTime(), input.EndDate?.getTime()];
  if (startDate !== undefined && endDate !== undefined && endDate <= startDate)
    throw errors.invalid("The EndDate must come after the StartDate.");
  checkTarget(input.Target!);
  return {
    expression,
    timeZone,
    state,
    windowMinutes: window ?? 0,
    afterCompletion: after,
    target: input.Target as unknown as ScheduleRecord["target"],
    ...(input.Description === undefined ? {} : { description: input.Description }),
    // A moment has neither beginning nor end.
    ...(startDate === undefined || kind === "at" ? {} : { startDate }),
    ...(endDate === undefined || kind === "at" ? {} : { endDate }),
    ...(input.ClientToken === undefined ? {} : { clientToken: input.ClientToken }),
  };
}

function checkTarget(target: Sdk.Target): void {
  const { Arn: arn = "", RoleArn: role = "", Input: input, RetryPolicy: retry } = target;
  const kind = kindOf(arn);
  if (kind === undefined || kind === "logs" || kind === "api-destination")
    throw errors.notYet(
      `Gantry has no targets such as ${arn}: a schedule's target is an ECS cluster, an event bus or arn:aws:scheduler:::aws-sdk:<service>:<operation>.`,
    );
  if (!/^arn:aws:iam::\d{12}:role\/.+$/.test(role)) throw errors.invalid(`The role ARN ${role} is not valid.`);
  if (target.DeadLetterConfig?.Arn !== undefined) throw errors.notYet("Gantry has no queues: leave DeadLetterConfig out.");
  if (retry) {
    const problem = problemOfRetry(retry as RetryPolicy);
    if (problem !== undefined) throw errors.invalid(`1 validation error detected: ${problem}`);
  }
  const others = [
    "KinesisParameters",
    "SageMakerPipelineParameters",
    "SqsParameters",
    "EventBridgePutEventsV2Parameters",
    "EventBridgePutRawEventsParameters",
  ] as const;
  for (const name of others) if (target[name]) throw errors.invalid(`${name} is not valid for the target ${arn}.`);
  if (target.EcsParameters && kind !== "ecs") throw errors.invalid(`EcsParameters is not valid for the target ${arn}.`);
  if (target.EventBridgeParameters && kind !== "event-bus")
    throw errors.invalid(`EventBridgeParameters is not valid for the target ${arn}.`);
  if (kind === "ecs") checkEcs(target);
  if (kind === "event-bus") {
    if (!target.EventBridgeParameters) throw errors.invalid("EventBridgeParameters is required for a target that is an event bus.");
    if (target.EventBridgeParameters.Source?.startsWith("aws.")) throw errors.invalid("Source must not start with aws.");
    needJson(input, "an event's detail");
  }
  if (kind !== "universal") return;
  const call = universalTarget(arn);
  if (!call) throw errors.invalid(`Invalid RequestJson provided. Reason: ${arn} is no operation of a service that Gantry has.`);
  if (/^(Get|Describe|List|BatchGet|Discover|Search|Test|Validate)/.test(call.operation))
    throw errors.invalid(`The target ${arn} is not supported: it only reads.`);
  needJson(input, "the operation's input");
}

function needJson(input: string | undefined, what: string): void {
  try {
    const value: unknown = JSON.parse(input ?? "");
    if (typeof value === "object" && value !== null) return;
  } catch {
    // Said below.
  }
  throw errors.invalid(`Input must be a JSON object: ${what}.`);
}

function checkEcs({ EcsParameters: ecs, Arn }: Sdk.Target): void {
  if (!ecs) throw errors.invalid(`EcsParameters is required for the target ${Arn}.`);
  const { TaskDefinitionArn = "", TaskCount: count = 1, LaunchType, CapacityProviderStrategy = [] } = ecs;
  if (!/^arn:aws:ecs:[^:]+:\d{12}:task-definition\/.+$/.test(TaskDefinitionArn))
    throw errors.invalid(`The task definition ARN ${TaskDefinitionArn} is not valid.`);
  if (!Number.isInteger(count) || count < 1 || count > 10)
    throw errors.constraint(
      "target.ecsParameters.taskCount",
      String(count),
      count < 1 ? "have value greater than or equal to 1" : "have value less than or equal to 10",
    );
  if (LaunchType !== undefined && CapacityProviderStrategy.length > 0)
    throw errors.invalid("LaunchType and CapacityProviderStrategy cannot both be given.");
}
