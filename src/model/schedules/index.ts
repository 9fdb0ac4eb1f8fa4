export { ScheduleError } from "./error.ts";
export { nextTime, parseSchedule, type Schedule } from "./schedule.ts";
export { isTimeZone } from "./zone.ts";
