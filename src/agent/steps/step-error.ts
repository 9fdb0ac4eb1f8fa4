import { RuntimeError } from "../runtime.ts";

/** A step failed for good. The message is the container's reason, AWS's error name first. */
export class StepError extends Error {}

/** The task was told to stop while the step ran. */
export class Cancelled extends Error {}

const names = {
  CannotPull: "CannotPullContainerError",
  CannotCreate: "CannotCreateContainerError",
  CannotStart: "CannotStartContainerError",
} as const;

/** The reason for any error of a step, with AWS's name for it ("Stopped tasks error codes", ECS Developer Guide). */
export function reasonOf(error: unknown, step: keyof typeof names): string {
  if (error instanceof StepError) return error.message;
  const code = error instanceof RuntimeError && error.code in names ? (error.code as keyof typeof names) : step;
  const name = error instanceof RuntimeError && error.code === "Unavailable" ? "ContainerRuntimeError" : names[code];
  const message = error instanceof Error ? error.message : String(error);
  return message.startsWith(`${name}:`) ? message : `${name}: ${message}`;
}
