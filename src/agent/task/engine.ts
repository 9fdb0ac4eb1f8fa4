import type { PayloadTask } from "#agent-protocol/messages.ts";
import type { Credentials } from "#agent-protocol/messages.ts";
import { sandboxOf } from "../runtime.ts";
import { releaseContainer } from "../steps/cleanup.ts";
import { PlanError, planTask, type TaskPlan } from "./plan.ts";
import type { Report } from "./report.ts";
import { TaskRunner } from "./runner.ts";
import type { TaskState } from "./state.ts";
import { connectDirectory, type World } from "./world.ts";

/** All tasks of this machine. The control connection tells it what is wanted; it owns one runner for each task. */
export interface Engine {
  /** Takes the journaled tasks up again and removes whatever the journal does not know. Call once, before the first payload. */
  recover(): Promise<void>;
  /** Stops before starts. A task that can't be run here is reported STOPPED. Returns when all are journaled. */
  apply(tasks: readonly PayloadTask[]): void;
  stop(arn: string, reason: string): void;
  stopAll(reason: string): void;
  tasks(): readonly TaskView[];
  /** Of a task's role, never of its execution role, which is the agent's. They may still have to come: the secret is empty then. */
  credentials(id: string): { readonly credentials: Credentials; readonly arn: string } | undefined;
  renew(arn: string, role: "TaskApplication" | "TaskExecution", credentials: Credentials): boolean;
  /** Resolves when every task has stopped. */
  idle(): Promise<void>;
  /** Leaves; containers run on. */
  close(): void;
}

export interface TaskView {
  readonly plan: TaskPlan;
  readonly state: TaskState;
  readonly finished: boolean;
}

export interface EngineHooks {
  /** A state change lies in the journal, to be sent. */
  reported(arn: string): void;
  readonly health: () => void;
  readonly fatal: (error: unknown) => void;
}

export function createEngine(world: World, hooks: EngineHooks): Engine {
  const { journal, log } = world;
  const runners = new Map<string, TaskRunner>();
  const idleWaiters: (() => void)[] = [];

  const run = (plan: TaskPlan, state: TaskState): TaskRunner => {
    const runner = new TaskRunner(plan, state, world, {
      report(report) {
        journal.queue(report);
        hooks.reported(plan.arn);
      },
      finished: checkIdle,
      health: hooks.health,
      fatal: hooks.fatal,
      gone: () => runners.delete(plan.arn),
    });
    runners.set(plan.arn, runner);
    return runner;
  };
  function checkIdle(): void {
    if (![...runners.values()].every(({ finished }) => finished)) return;
    for (const resolve of idleWaiters.splice(0)) resolve();
  }

  /** All in one writing to the disk, which a task's start waits for. */
  const start = (payloads: readonly PayloadTask[]) => {
    const ready = payloads.flatMap((payload) => {
      try {
        const plan = planTask(payload, world.config);
        return [{ plan, payload, state: firstState(plan, world) }];
      } catch (error) {
        if (error instanceof PlanError) refuse(payload, error.message);
        else notTaken(payload, error);
        return [];
      }
    });
    try {
      journal.accept(ready);
    } catch (error) {
      for (const { payload } of ready) notTaken(payload, error);
      return;
    }
    for (const { plan, payload, state } of ready) attempt(payload, () => run(plan, state).start());
  };

  const attempt = (payload: PayloadTask, work: () => void) => {
    try {
      work();
    } catch (error) {
      notTaken(payload, error);
    }
  };
  const notTaken = (payload: PayloadTask, error: unknown) => {
    log.error({ task: payload.arn, err: error }, "a task of the payload could not be taken on");
    refuse(payload, `The agent could not take the task on: ${(error as Error).message}`);
  };

  const refuse = (payload: PayloadTask, reason: string) => {
    log.warn({ task: payload.arn, reason }, "task refused");
    const containers = (Array.isArray(payload.containers) ? payload.containers : []).map(({ name }) => ({
      containerName: String(name),
      status: "STOPPED" as const,
      reason,
    }));
    const report: Report = { task: payload.arn, status: "STOPPED", reason, containers };
    journal.queue(report);
    hooks.reported(payload.arn);
  };

  const renew: Engine["renew"] = (arn, role, credentials) => {
    const runner = runners.get(arn);
    if (!runner) return false;
    const { payload } = runner.plan;
    const next: PayloadTask =
      role === "TaskApplication" ? { ...payload, roleCredentials: credentials } : { ...payload, executionRoleCredentials: credentials };
    Object.assign(runner.plan, { payload: next });
    journal.savePayload(next);
    return true;
  };

  /** A task that is here already brings new credentials. */
  const renewAll = ({ arn, roleCredentials, executionRoleCredentials }: PayloadTask) => {
    if (roleCredentials) renew(arn, "TaskApplication", roleCredentials);
    if (executionRoleCredentials) renew(arn, "TaskExecution", executionRoleCredentials);
  };

  const known = (payload: PayloadTask): boolean => {
    if (typeof payload?.arn === "string" && payload.arn.includes("/")) return true;
    log.error({ arn: payload?.arn }, "a task without an ARN can't be reported; dropped");
    return false;
  };

  const stop = (payload: PayloadTask) => {
    const runner = runners.get(payload.arn);
    if (runner) {
      runner.stop(undefined, stopTimeoutsOf(payload));
      return;
    }
    // To stop a task that this agent does not have (any more): say that it is stopped.
    const containers = payload.containers?.map(({ name }) => ({ containerName: name, status: "STOPPED" as const })) ?? [];
    journal.queue({ task: payload.arn, status: "STOPPED", containers });
    hooks.reported(payload.arn);
  };

  return {
    async recover() {
      const journaled = journal.tasks();
      const known = new Map((await world.runtime.list()).map((container) => [container.id, container]));
      const owned = new Set<string>();
      const ready: { plan: TaskPlan; state: TaskState }[] = [];
      for (const { payload, state } of journaled) {
        for (const { id } of state.containers) owned.add(id);
        // One that is not in use any more is closed by its runner.
        owned.add(sandboxOf(payload.arn.slice(payload.arn.lastIndexOf("/") + 1)));
        ready.push({ plan: planTask(payload, world.config), state });
      }
      for (const { state } of ready)
        for (const { network } of state.containers) if (network && !network.released) world.network.adopt(network);
      await world.network.reconcile();
      for (const { id } of known.values()) {
        if (owned.has(id)) continue;
        log.warn({ container: id }, "the journal does not know this container; removed");
        await world.runtime.kill(id, 9, true).catch(() => {});
        await world.runtime.remove(id).catch((error: unknown) => log.error({ container: id, err: error }, "could not be removed"));
      }
      await world.storage.reconcile(new Set(ready.map(({ plan }) => plan.id)));
      for (const { plan, state } of ready) {
        if (state.status !== "STOPPED") world.connect.adopt(plan, connectDirectory(world, plan));
        run(plan, state).start(known);
      }
    },
    apply(tasks) {
      const named = new Map(tasks.filter(known).map((payload) => [`${payload.desiredStatus === "STOPPED"} ${payload.arn}`, payload]));
      const payloads = [...named.values()];
      for (const payload of payloads.filter(({ desiredStatus }) => desiredStatus === "STOPPED")) attempt(payload, () => stop(payload));
      for (const payload of payloads.filter(({ arn, desiredStatus }) => desiredStatus !== "STOPPED" && runners.has(arn)))
        attempt(payload, () => renewAll(payload));
      start(payloads.filter(({ arn, desiredStatus }) => desiredStatus !== "STOPPED" && !runners.has(arn)));
    },
    stop: (arn, reason) => runners.get(arn)?.stop(reason),
    stopAll(reason) {
      for (const runner of runners.values()) runner.stop(reason);
    },
    tasks: () => [...runners.values()],
    credentials(id) {
      for (const { plan } of runners.values()) {
        const credentials = plan.payload.roleCredentials;
        if (credentials?.credentialsId === id) return { credentials, arn: plan.arn };
      }
      return undefined;
    },
    renew,
    idle: () =>
      new Promise((resolve) => {
        idleWaiters.push(resolve);
        checkIdle();
      }),
    close() {
      for (const runner of runners.values()) runner.close();
    },
  };
}

function firstState(plan: TaskPlan, { random, clock }: World): TaskState {
  return {
    arn: plan.arn,
    acceptedAt: clock.now(),
    desired: "RUNNING",
    status: "PENDING",
    containers: [...plan.containers.keys()].map((name) => ({
      name,
      id: random.hex(32),
      metadataId: `${plan.id}-${random.hex(16)}`,
      status: "NONE",
      restarts: 0,
    })),
  };
}

/** Ends and removes everything at once, for tear-down. */
export async function removeAll(world: World): Promise<void> {
  for (const { id } of await world.runtime.list()) {
    await world.runtime.kill(id, 9, true).catch(() => {});
    await releaseContainer(world, { name: id, id, metadataId: id, status: "STOPPED", restarts: 0 });
  }
}

/** What a payload says of how long its containers may take to end. */
function stopTimeoutsOf({ containers }: PayloadTask): Readonly<Record<string, number>> | undefined {
  const given = (containers ?? []).flatMap(({ name, stopTimeout }) => (stopTimeout ? [[name, stopTimeout * 1000] as const] : []));
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}
