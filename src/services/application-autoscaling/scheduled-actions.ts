import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { actionArn, resourceId, scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { ScheduledActionRecord } from "#model/application-autoscaling/records.ts";
import { isTimeZone, nextTime, parseSchedule, type Schedule, ScheduleError } from "#model/schedules/index.ts";
import { forget } from "#reconcilers/application-autoscaling/activities.ts";
import { type Change, constraint, errors, filterOf, needTarget, type Question, resourceOf, where } from "./context.ts";
import { page } from "./page.ts";
import { checkName } from "./policies.ts";
import { checkCapacity } from "./targets.ts";
import { actionView } from "./views.ts";

/** Scheduled actions. Source: Application Auto Scaling API Reference, "PutScheduledAction" and its kin. */

const mostActions = 200;
const { validation } = errors;

function scheduleOf(expression: string): Schedule {
  try {
    return parseSchedule(expression);
  } catch (error) {
    throw error instanceof ScheduleError ? validation(`The schedule ${expression} is not valid: ${error.message}.`) : error;
  }
}

/** What is not given stays as it was, but for the times of start and end, which end. Source: PutScheduledAction. */
export async function putAction(change: Change, input: Sdk.PutScheduledActionRequest): Promise<object> {
  const { unit, scope, random, now } = change;
  const name = checkName("scheduledActionName", input.ScheduledActionName);
  if (!/^[^\p{Cc}|:/]+$/u.test(name))
    throw constraint(
      "scheduledActionName",
      name,
      "satisfy regular expression pattern: (?!((^[ ]+.*)|(.*([\\u0000-\\u001f]|[\\u007f-\\u009f]|[:/|])+.*)|(.*[ ]+$))).+",
    );
  const resource = resourceOf(input);
  await needTarget(change, resource);
  const key = scalingKeys.action(scope, resource, name);
  const known = await unit.get<ScheduledActionRecord>(key);
  const expression = input.Schedule ?? known?.schedule;
  if (expression === undefined) throw validation("Schedule is required to create a scheduled action.");
  const schedule = scheduleOf(expression);
  const timezone = input.Timezone ?? known?.timezone;
  if (timezone !== undefined && !isTimeZone(timezone)) throw validation(`The time zone ${timezone} is not valid.`);
  const [startTime, endTime] = [input.StartTime?.getTime(), input.EndTime?.getTime()];
  if (endTime !== undefined && startTime !== undefined && endTime <= startTime) throw validation("EndTime must be after StartTime.");
  if (endTime !== undefined && endTime <= now) throw validation("EndTime must be in the future.");
  if (schedule.kind === "at" && input.Schedule !== undefined && nextTime(schedule, now, timezone) === undefined)
    throw validation(`The schedule ${expression} is in the past.`);
  const given = input.ScalableTargetAction;
  checkCapacity("scalableTargetAction.minCapacity", given?.MinCapacity);
  checkCapacity("scalableTargetAction.maxCapacity", given?.MaxCapacity);
  const limits = given ? { min: given.MinCapacity, max: given.MaxCapacity } : { min: known?.min, max: known?.max };
  if (limits.min === undefined && limits.max === undefined)
    throw validation("ScalableTargetAction must have at least one of MinCapacity and MaxCapacity.");
  if (limits.min !== undefined && limits.max !== undefined && limits.min > limits.max)
    throw validation("Minimum capacity cannot be greater than maximum capacity");
  if (!known && (await unit.list(scalingKeys.actionsOf(scope, resource))).size >= mostActions)
    throw errors.limit(`A scalable target has ${mostActions} scheduled actions at most.`);
  const action: ScheduledActionRecord = {
    ...resource,
    name,
    arn: known?.arn ?? actionArn(scope, resource, random.uuid(), name),
    createdAt: known?.createdAt ?? now,
    updatedAt: Math.max(now, (known?.updatedAt ?? 0) + 1),
    schedule: expression,
    ...(timezone === undefined ? {} : { timezone }),
    ...(startTime === undefined ? {} : { startTime }),
    ...(endTime === undefined ? {} : { endTime }),
    ...(limits.min === undefined ? {} : { min: limits.min }),
    ...(limits.max === undefined ? {} : { max: limits.max }),
  };
  unit.put(key, action);
  return {};
}

export async function deleteAction(change: Change, input: Sdk.DeleteScheduledActionRequest): Promise<object> {
  const resource = resourceOf(input);
  const name = checkName("scheduledActionName", input.ScheduledActionName);
  const key = scalingKeys.action(change.scope, resource, name);
  if (!(await change.unit.get(key)))
    throw errors.notFound(`No scheduled action found for ${where(resource)}, scheduled action name: ${name}`);
  change.unit.delete(key);
  await forget(change, resource, { action: name });
  return {};
}

export async function describeActions(
  question: Question,
  input: Sdk.DescribeScheduledActionsRequest,
): Promise<Sdk.DescribeScheduledActionsResponse> {
  const { scope, deps } = question;
  const resource = filterOf(input);
  const names = input.ScheduledActionNames ?? [];
  if (names.length > 50) throw constraint("scheduledActionNames", names, "have length less than or equal to 50");
  const prefix = resource ? scalingKeys.actionsOf(scope, resource) : scalingKeys.actions(scope);
  const all = (await deps.store.list<ScheduledActionRecord>(prefix)).entries.map(({ value }) => value);
  const wanted = all.filter(({ name }) => names.length === 0 || names.includes(name));
  const { items, NextToken } = page(
    question,
    "DescribeScheduledActions",
    wanted,
    ({ name, ...of }) => `${resourceId(of)} ${name}`,
    input,
    50,
  );
  return { ScheduledActions: items.map(actionView), NextToken };
}
