import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { SchedulerOperations } from "#api/generated/scheduler.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { schedulerKeys } from "#model/events/records.ts";
import { createWriter } from "#store/unit.ts";
import type { Operation, Scheduler } from "./context.ts";
import * as groups from "./groups.ts";
import * as schedules from "./schedules.ts";

/** Amazon EventBridge Scheduler: what it says here, the engine of events does. Source: EventBridge Scheduler API Reference and User Guide. */
export function createScheduler(deps: ServerDeps): ServerPart {
  const scheduler: Scheduler = { deps, writer: createWriter(deps.store) };
  const bind =
    <I, O>(operation: Operation<I, O>) =>
    (input: I, context: RequestContext) =>
      operation(scheduler, input, context);
  const handlers = {
    CreateSchedule: bind(schedules.createSchedule),
    UpdateSchedule: bind(schedules.updateSchedule),
    GetSchedule: bind(schedules.getSchedule),
    ListSchedules: bind(schedules.listSchedules),
    DeleteSchedule: bind(schedules.deleteSchedule),
    CreateScheduleGroup: bind(groups.createScheduleGroup),
    GetScheduleGroup: bind(groups.getScheduleGroup),
    ListScheduleGroups: bind(groups.listScheduleGroups),
    DeleteScheduleGroup: bind(groups.deleteScheduleGroup),
    ListTagsForResource: bind(groups.listTagsForResource),
    TagResource: bind(groups.tagResource),
    UntagResource: bind(groups.untagResource),
  } satisfies Handlers<SchedulerOperations>;
  return {
    registrations: [{ service: "scheduler", handlers: handlers as Readonly<Record<string, Handler>> }],
    resources: [
      tagFacts(deps.store, "scheduler", (arn) => {
        const name = /^schedule-group\/(.+)$/.exec(arn.resource)?.[1];
        return name === undefined ? undefined : schedulerKeys.group(arn, name);
      }),
    ],
  };
}
