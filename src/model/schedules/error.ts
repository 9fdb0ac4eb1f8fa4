/** Why an expression is none. Each service answers it by its own error. */
export class ScheduleError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ScheduleError";
  }
}
