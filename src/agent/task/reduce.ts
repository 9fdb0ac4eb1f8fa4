import type { ContainerRules, ContainerState, TaskEvent, TaskState } from "./state.ts";

/**
 * The task after an event. Pure. Keeps these promises, whatever the order of events: a status only rises (a restart keeps the task's),
 * STOPPED containers and tasks change no more but for their network's release, and the end of an essential container ends the task.
 */
export function reduce(rules: readonly ContainerRules[], task: TaskState, event: TaskEvent): TaskState {
  if (event.type === "stop") {
    const { reason, stopTimeouts } = event;
    const next: TaskState = { ...task, desired: "STOPPED", reason: task.reason ?? reason, ...(stopTimeouts ? { stopTimeouts } : {}) };
    return settle(rules, next, event.at);
  }
  const before = task.containers.find(({ name }) => name === event.container);
  const rule = rules.find(({ name }) => name === event.container);
  if (!before || !rule) return task;
  const after = reduceContainer(rule, task, before, event);
  if (after === before) return task;
  const containers = task.containers.map((container) => (container === before ? after : container));
  const at = "at" in event ? event.at : 0;
  let next: TaskState = { ...task, containers };
  if (event.type === "pulling") next = { ...next, pullStartedAt: next.pullStartedAt ?? at };
  if (event.type === "pulled" && containers.every(({ image, status }) => image || status === "STOPPED"))
    next = { ...next, pullStoppedAt: at };
  if (after.status === "STOPPED" && before.status !== "STOPPED" && rule.essential) {
    const reason = after.startedAt === undefined ? undefined : "Essential container in task exited";
    next = {
      ...next,
      reason: next.desired === "STOPPED" ? next.reason : reason,
      desired: "STOPPED",
      executionStoppedAt: next.executionStoppedAt ?? (after.startedAt === undefined ? undefined : at),
    };
  }
  return settle(rules, next, at);
}

function reduceContainer(rule: ContainerRules, task: TaskState, container: ContainerState, event: TaskEvent): ContainerState {
  if (event.type === "released") return container.network ? { ...container, network: { ...container.network, released: true } } : container;
  if (container.status === "STOPPED") return container;
  switch (event.type) {
    case "pulling":
      // Only the task's pullStartedAt changes.
      return { ...container };
    case "pulled":
      return { ...container, image: event.image };
    case "attached":
      return { ...container, network: event.network };
    case "created":
      return container.status === "NONE" ? { ...container, status: "CREATED", createdAt: event.at } : container;
    case "started":
      return container.status === "CREATED" ? { ...container, status: "RUNNING", startedAt: event.at } : container;
    case "rewound":
      return container.status === "CREATED" ? { ...container, status: "NONE" } : container;
    case "signalled":
      return event.kill ? { ...container, killedAt: event.at } : { ...container, signalledAt: container.signalledAt ?? event.at };
    case "health":
      return container.status === "RUNNING" ? { ...container, health: event.health } : container;
    case "failed":
    case "abandoned":
      return {
        ...container,
        status: "STOPPED",
        finishedAt: event.at,
        exitCode: event.type === "failed" ? event.exitCode : undefined,
        reason: event.type === "failed" ? event.reason : container.reason,
      };
    case "exited": {
      if (mayRestart(rule, task, container, event)) {
        return { ...container, status: "NONE", restarts: container.restarts + 1, health: undefined, finishedAt: event.at };
      }
      return { ...container, status: "STOPPED", finishedAt: event.at, exitCode: event.exitCode, reason: event.reason ?? container.reason };
    }
    default:
      return container;
  }
}

/** "Restart individual containers in Amazon ECS tasks with container restart policies": it must have run for restartAttemptPeriod. */
function mayRestart(rule: ContainerRules, task: TaskState, container: ContainerState, event: { exitCode?: number; at: number }): boolean {
  if (!rule.restart || task.desired === "STOPPED" || container.startedAt === undefined || event.exitCode === undefined) return false;
  return !rule.restart.ignoredExitCodes.includes(event.exitCode) && event.at - container.startedAt >= rule.restart.periodMs;
}

function settle(_rules: readonly ContainerRules[], task: TaskState, at: number): TaskState {
  if (task.status === "STOPPED") return task;
  if (task.containers.every(({ status }) => status === "STOPPED")) return { ...task, desired: "STOPPED", status: "STOPPED", stoppedAt: at };
  const all = task.containers.every(({ status, startedAt }) => status === "RUNNING" || status === "STOPPED" || startedAt !== undefined);
  return all && task.status === "PENDING" ? { ...task, status: "RUNNING" } : task;
}
