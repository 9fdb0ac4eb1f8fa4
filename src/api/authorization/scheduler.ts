import { passRoles } from "./pass-role.ts";
import { each, none, type ServiceActions } from "./table.ts";

const schedule = "schedule/{GroupName=default}/{Name}";
const group = "schedule-group/{Name}";
const service = "scheduler.amazonaws.com";

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EventBridge Scheduler". */
export const scheduler: ServiceActions = {
  prefix: "scheduler",
  operations: {
    CreateSchedule: { on: schedule, also: (input, where) => passRoles(input, where, service, "Target.RoleArn") },
    UpdateSchedule: { on: schedule, also: (input, where) => passRoles(input, where, service, "Target.RoleArn") },
    ...each(schedule, "GetSchedule DeleteSchedule"),
    CreateScheduleGroup: { on: group, tagging: { action: "TagResource" } },
    ...each(group, "GetScheduleGroup DeleteScheduleGroup"),
    ...each(none, "ListSchedules ListScheduleGroups"),
    ...each("{ResourceArn}", "ListTagsForResource TagResource UntagResource"),
  },
};
