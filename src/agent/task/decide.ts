import type { ContainerRules, ContainerState, TaskState } from "./state.ts";

/** What to do next with one container. Every action is safe to repeat. */
export type Action =
  | { readonly type: "pull" | "prepare" | "launch" | "cancel" | "abandon"; readonly container: string }
  | { readonly type: "signal"; readonly container: string; readonly kill: boolean }
  | { readonly type: "fail"; readonly container: string; readonly reason: string; readonly exitCode: number };

/** What the runner has in hand for a container; not journaled, a restart begins with nothing in hand. */
export interface Progress {
  readonly inHand: ReadonlySet<"pull" | "prepare" | "launch" | "signal">;
  /** Network, volumes and log driver stand. */
  readonly prepared: boolean;
}

export interface Decision {
  readonly actions: readonly Action[];
  /** Decide again at this time even if nothing happens before. */
  readonly wakeAt?: number;
}

const idle: Progress = { inHand: new Set(), prepared: false };

/** What a container that never started is said to have ended with when what it waits for cannot come, as the standard agent reports it. */
const neverStarted = 143;

/**
 * The next actions of a task: pure. Order on the way up is that of dependsOn, on the way down its reverse.
 * Source: ECS API Reference, ContainerDefinition (dependsOn, startTimeout, stopTimeout, essential).
 */
export function decide(rules: readonly ContainerRules[], task: TaskState, progress: ReadonlyMap<string, Progress>, now: number): Decision {
  const actions: Action[] = [];
  let wakeAt: number | undefined;
  const wake = (at: number) => (wakeAt = wakeAt === undefined ? at : Math.min(wakeAt, at));
  for (const container of task.containers) {
    const rule = rules.find(({ name }) => name === container.name);
    if (!rule || container.status === "STOPPED") continue;
    const { inHand, prepared } = progress.get(container.name) ?? idle;
    if (task.desired === "STOPPED") stop(rule, container, inHand);
    else if (container.status === "NONE") rise(rule, container, inHand, prepared);
  }
  return { actions, wakeAt };

  function rise(rule: ContainerRules, { name, image }: ContainerState, inHand: Progress["inHand"], prepared: boolean): void {
    if (!image && !inHand.has("pull")) actions.push({ type: "pull", container: name });
    if (!prepared && !inHand.has("prepare")) actions.push({ type: "prepare", container: name });
    if (inHand.has("launch")) return;
    const waits = dependencies(rules, task, rule, now);
    if (waits.impossible) actions.push({ type: "fail", container: name, reason: waits.impossible, exitCode: neverStarted });
    else if (waits.until !== undefined) wake(waits.until);
    else if (waits.open === 0 && image && prepared) actions.push({ type: "launch", container: name });
  }

  function stop(rule: ContainerRules, container: ContainerState, inHand: Progress["inHand"]): void {
    const { name, status } = container;
    if (status !== "RUNNING") {
      if (inHand.has("pull") || inHand.has("prepare") || inHand.has("launch")) actions.push({ type: "cancel", container: name });
      else actions.push({ type: "abandon", container: name });
      return;
    }
    if (!mayStop(rules, task, name) || inHand.has("signal")) return;
    if (container.signalledAt === undefined) actions.push({ type: "signal", container: name, kill: false });
    else if (container.killedAt === undefined) {
      const killAt = container.signalledAt + (task.stopTimeouts?.[name] ?? rule.stopTimeoutMs);
      if (now >= killAt) actions.push({ type: "signal", container: name, kill: true });
      else wake(killAt);
    } else if (now >= container.killedAt + killAgainMs) actions.push({ type: "signal", container: name, kill: true });
    else wake(container.killedAt + killAgainMs);
  }
}

/** A SIGKILL that shows no effect (the runtime was away) is sent again. */
const killAgainMs = 10_000;

interface Waits {
  /** Conditions not met yet. */
  readonly open: number;
  readonly until?: number;
  readonly impossible?: string;
}

function dependencies(rules: readonly ContainerRules[], task: TaskState, rule: ContainerRules, now: number): Waits {
  // A container that ran once and is started again by its restart policy waits for nobody.
  const own = task.containers.find(({ name }) => name === rule.name);
  if (own?.startedAt !== undefined) return { open: 0 };
  let open = 0;
  let until: number | undefined;
  for (const { container, condition } of rule.dependsOn) {
    const other = task.containers.find(({ name }) => name === container);
    const otherRule = rules.find(({ name }) => name === container);
    if (!other || !otherRule) return { open, impossible: dependencyError(rule.name, container, condition, "does not exist") };
    const state = conditionState(other, condition);
    if (state === "met") continue;
    if (state !== "open") return { open, impossible: dependencyError(rule.name, container, condition, state) };
    open++;
    // The clock of startTimeout begins when the dependency's process does: a long pull is not held against it.
    if (otherRule.startTimeoutMs === undefined || other.startedAt === undefined) continue;
    const deadline = other.startedAt + otherRule.startTimeoutMs;
    if (now >= deadline) {
      return { open, impossible: dependencyError(rule.name, container, condition, `timed out after ${otherRule.startTimeoutMs / 1000} s`) };
    }
    until = Math.min(until ?? deadline, deadline);
  }
  return { open, until };
}

/** `met`, `open`, or why it can't be met any more. */
function conditionState(other: ContainerState, condition: string): string {
  const stopped = other.status === "STOPPED";
  const ran = other.startedAt !== undefined;
  if (condition === "CREATED") return other.status !== "NONE" || ran ? "met" : "open";
  if (condition === "START") return ran ? "met" : stopped ? "did not start" : "open";
  if (condition === "COMPLETE") return stopped && ran ? "met" : stopped ? "did not start" : "open";
  if (condition === "SUCCESS") {
    if (!stopped) return "open";
    return other.exitCode === 0 ? "met" : ran ? `did not exit successfully (exit code ${other.exitCode ?? "unknown"})` : "did not start";
  }
  if (stopped) return "stopped before it was healthy";
  return other.health?.status === "HEALTHY" ? "met" : "open";
}

function dependencyError(target: string, dependency: string, condition: string, why: string): string {
  return `CannotStartContainerError: dependency graph: failed to resolve container dependency: container ${target} depends on ${dependency} (${condition}), which ${why}`;
}

/** Whoever depends on it has stopped. */
export function mayStop(rules: readonly ContainerRules[], task: TaskState, name: string): boolean {
  return rules.every(
    (rule) =>
      !rule.dependsOn.some(({ container }) => container === name) ||
      task.containers.find((container) => container.name === rule.name)?.status === "STOPPED",
  );
}

/** The containers of a circle of dependencies, or undefined. */
export function findCycle(rules: readonly ContainerRules[]): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const { container } of rules.find((rule) => rule.name === name)?.dependsOn ?? []) {
      const cycle = visit(container, [...path, name]);
      if (cycle) return cycle;
    }
    done.add(name);
    return undefined;
  };
  for (const { name } of rules) {
    const cycle = visit(name, []);
    if (cycle) return cycle;
  }
  return undefined;
}
