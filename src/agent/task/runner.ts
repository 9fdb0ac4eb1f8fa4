import { sleep } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { closeSandbox, releaseContainer, removeTask } from "../steps/cleanup.ts";
import { watchHealth } from "../steps/health.ts";
import { limitCpu } from "../steps/sandbox.ts";
import { launch } from "../steps/launch.ts";
import { prepare } from "../steps/prepare.ts";
import { pull } from "../steps/pull.ts";
import { Cancelled, reasonOf } from "../steps/step-error.ts";
import { RuntimeError, type KnownContainer } from "../runtime.ts";
import { decide, type Action } from "./decide.ts";
import { exitReason, exitHint } from "./exit-reason.ts";
import type { ContainerPlan, TaskPlan } from "./plan.ts";
import { reduce } from "./reduce.ts";
import { reportOf, type Report } from "./report.ts";
import { signalNumber } from "./signals.ts";
import type { ContainerState, TaskEvent, TaskState } from "./state.ts";
import type { TaskContext, World } from "./world.ts";

export interface RunnerHooks {
  /** The task has something new to tell the control plane. */
  report(report: Report): void;
  health(): void;
  /** The task has stopped, is reported, and its wait for clean-up is over. */
  gone(): void;
  /** The journal can't be written: nothing that this process knows may be acted upon any more. */
  fatal(error: unknown): void;
  /** Stopped, logged and reported, in this life of the agent or an earlier one. */
  finished(): void;
}

/** STOPPED is not held back longer than this by a runtime that does not answer. */
const longestReleaseMs = 10_000;

type Hand = "pull" | "prepare" | "launch" | "signal";
interface InHand {
  readonly inHand: Set<Hand>;
  prepared: boolean;
  readonly abort: AbortController;
  /** Ends what follows a running process: its exit watch and health probes. */
  watch?: AbortController;
  releasing?: Promise<void>;
}

/**
 * The one owner of a task: nobody else changes its state. Every event goes through `#apply`: reduce, journal, then decide, then act.
 * Actions run by themselves and come back as events, so a slow pull never holds up a stop.
 */
export class TaskRunner {
  readonly plan: TaskPlan;
  readonly #world: World;
  readonly #hooks: RunnerHooks;
  readonly #log: Logger;
  readonly #context: TaskContext;
  readonly #hands = new Map<string, InHand>();
  #state: TaskState;
  #cancelWake: (() => void) | undefined;
  #cancelCleanup: (() => void) | undefined;
  #deciding = false;
  #again = false;
  #closed = false;
  #finishing = false;
  #finished = false;
  #lastReport: string | undefined;

  constructor(plan: TaskPlan, state: TaskState, world: World, hooks: RunnerHooks) {
    this.plan = plan;
    this.#state = state;
    this.#world = world;
    this.#hooks = hooks;
    this.#log = world.log.child({ task: plan.id });
    this.#context = { plan, world, log: this.#log, state: () => this.#state };
    this.#lastReport = world.journal.lastReport(plan.arn);
    for (const name of plan.containers.keys()) this.#hands.set(name, { inHand: new Set(), prepared: false, abort: new AbortController() });
  }

  get state(): TaskState {
    return this.#state;
  }

  /** Stopped, and everything it said is written to its logs. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Begins, or goes on after a restart of the agent with what the runtime knows of its containers. */
  start(known: ReadonlyMap<string, KnownContainer> = new Map()): void {
    for (const container of this.#state.containers) this.#recover(container, known.get(container.id));
    this.#decide();
  }

  /** `stopTimeouts`: by container, milliseconds, in the place of the definition's. */
  stop(reason?: string, stopTimeouts?: Readonly<Record<string, number>>): void {
    if (this.#state.desired !== "STOPPED") this.#apply({ type: "stop", reason, stopTimeouts, at: this.#world.clock.now() });
  }

  /** The agent leaves; containers run on. */
  close(): void {
    this.#closed = true;
    this.#cancelWake?.();
    this.#cancelCleanup?.();
    for (const hand of this.#hands.values()) {
      hand.watch?.abort();
      hand.abort.abort();
    }
  }

  #recover(container: ContainerState, known: KnownContainer | undefined): void {
    const there = known !== undefined && (known.state === "running" || known.state === "stopped");
    if (container.status === "CREATED" && !there) this.#apply({ type: "rewound", container: container.name }, true);
    else if (container.status === "CREATED") {
      this.#apply({ type: "started", container: container.name, at: this.#world.clock.now() }, true);
      this.#resume(container.name);
    } else if (container.status === "RUNNING" && there) this.#resume(container.name);
    else if (container.status === "RUNNING") {
      this.#world.logs.resume(this.#context, this.#planOf(container.name));
      const reason = "ContainerRuntimeError: the container was gone when the agent came back (was the machine restarted?)";
      this.#apply({ type: "exited", container: container.name, at: this.#world.clock.now(), reason }, true);
    } else if (container.status === "STOPPED" && container.startedAt !== undefined && this.#state.stoppedAt === undefined) {
      this.#world.logs.resume(this.#context, this.#planOf(container.name));
    }
  }

  #resume(name: string): void {
    this.#world.logs.resume(this.#context, this.#planOf(name));
    const hand = this.#hand(name);
    hand.prepared = true;
    // The agent may have been killed between the start and this.
    limitCpu(this.#context).catch((error: unknown) => this.#log.error({ container: name, err: error }, "the CPU limit was not set"));
    this.#watch(name);
  }

  #apply(event: TaskEvent, quiet = false): void {
    if (this.#closed) return;
    const next = reduce(this.plan.rules, this.#state, event);
    if (next === this.#state) return;
    this.#world.journal.save(next);
    this.#state = next;
    this.#log.debug(
      { event: event.type, container: "container" in event ? event.container : undefined, status: this.#state.status },
      "event",
    );
    if (!quiet) this.#decide();
  }

  /** Decides until nothing is left to do at once. Actions may apply events meanwhile: those ask for another round, they don't nest. */
  #decide(): void {
    if (this.#closed || this.#deciding) {
      this.#again = true;
      return;
    }
    this.#deciding = true;
    try {
      do {
        this.#again = false;
        const { actions, wakeAt } = decide(this.plan.rules, this.#state, this.#hands, this.#world.clock.now());
        this.#cancelWake?.();
        this.#cancelWake = undefined;
        if (wakeAt !== undefined)
          this.#cancelWake = this.#world.clock.after(Math.max(1, wakeAt - this.#world.clock.now()), () => this.#decide());
        for (const action of actions) {
          this.#act(action);
          // The state is another now: what was decided for the old one may not hold.
          if (this.#again) break;
        }
      } while (this.#again);
    } finally {
      this.#deciding = false;
    }
    this.#release();
    this.#report();
  }

  #act(action: Action): void {
    const { container: name } = action;
    const hand = this.#hand(name);
    const container = this.#planOf(name);
    const now = this.#world.clock.now();
    switch (action.type) {
      case "pull":
        this.#apply({ type: "pulling", container: name, at: now });
        this.#run(name, "pull", "CannotPull", async () => {
          const image = await pull(this.#context, container, hand.abort.signal);
          this.#apply({ type: "pulled", container: name, image, at: this.#world.clock.now() });
        });
        return;
      case "prepare": {
        if (!this.#container(name).network && !this.#allocate(container)) return;
        this.#run(name, "prepare", "CannotStart", async () => {
          await prepare(this.#context, container, hand.abort.signal);
          hand.prepared = true;
        });
        return;
      }
      case "launch":
        this.#run(name, "launch", "CannotStart", () => this.#launch(container));
        return;
      case "signal":
        this.#run(name, "signal", "CannotStart", () => this.#signal(name, action.kill));
        return;
      case "cancel":
        hand.abort.abort();
        return;
      case "abandon":
        this.#apply({ type: "abandoned", container: name, at: now });
        return;
      case "fail":
        this.#apply({ type: "failed", container: name, at: now, reason: action.reason, exitCode: action.exitCode });
    }
  }

  /** Runs one action; its failure is the container's end, unless the task is to stop anyway. */
  #run(name: string, kind: Hand, step: "CannotPull" | "CannotCreate" | "CannotStart", work: () => Promise<void>): void {
    const hand = this.#hand(name);
    hand.inHand.add(kind);
    const done = work()
      .catch((error: unknown) => {
        if (this.#closed) return undefined;
        if (kind === "signal") {
          this.#log.warn({ container: name, err: error }, "signal failed, it will be sent again");
          return sleep(this.#world.clock, 1000);
        }
        if (error instanceof Cancelled || hand.abort.signal.aborted) return undefined;
        hand.inHand.delete(kind);
        this.#log.warn({ container: name, step: kind, err: error }, "step failed");
        hand.abort.abort();
        this.#apply({ type: "failed", container: name, at: this.#world.clock.now(), reason: reasonOf(error, step) });
        return undefined;
      })
      .finally(() => {
        hand.inHand.delete(kind);
        if (!this.#closed) this.#decide();
      });
    this.#guard(done);
  }

  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => this.#hooks.fatal(error));
  }

  #allocate(container: ContainerPlan): boolean {
    try {
      const network = this.#world.network.allocate(this.plan, container);
      this.#apply({ type: "attached", container: container.name, network });
      return !this.#closed;
    } catch (error) {
      const reason = `CannotStartContainerError: ${(error as Error).message}`;
      this.#apply({ type: "failed", container: container.name, at: this.#world.clock.now(), reason });
      return false;
    }
  }

  async #launch(container: ContainerPlan): Promise<void> {
    const { name } = container;
    await launch(this.#context, container, {
      created: () => {
        if (this.#closed || this.#state.desired === "STOPPED") return false;
        this.#apply({ type: "created", container: name, at: this.#world.clock.now() }, true);
        return true;
      },
      started: () => {
        this.#world.logs.started(this.#context, container);
        this.#apply({ type: "started", container: name, at: this.#world.clock.now() });
        if (!this.#closed) this.#watch(name);
      },
    });
  }

  async #signal(name: string, kill: boolean): Promise<void> {
    const { id, image } = this.#container(name);
    await this.#world.runtime.kill(id, kill ? 9 : signalNumber(image?.config.stopSignal));
    this.#apply({ type: "signalled", container: name, kill, at: this.#world.clock.now() });
  }

  /** Follows a started process: its end, and its health until then. */
  #watch(name: string): void {
    const container = this.#container(name);
    const hand = this.#hand(name);
    hand.watch?.abort();
    const watch = (hand.watch = new AbortController());
    const { healthCheck } = this.#planOf(name);
    if (healthCheck) {
      const { id, startedAt = this.#world.clock.now(), health } = container;
      const report = (next: ContainerState["health"]) => {
        if (next) this.#apply({ type: "health", container: name, health: next });
        this.#hooks.health();
      };
      watchHealth(this.#world, healthCheck, { id, startedAt, health }, report, watch.signal);
    }
    this.#guard(this.#exit(name, container, watch));
  }

  async #exit(name: string, container: ContainerState, watch: AbortController): Promise<void> {
    try {
      const exit = await this.#world.runtime.wait(container.id, watch.signal);
      if (watch.signal.aborted) return;
      watch.abort();
      const asked = this.#container(name).signalledAt !== undefined;
      const reason = exitReason(exit) ?? (exit.exitCode !== 0 && !asked ? await exitHint(this.#context, container, exit) : undefined);
      this.#apply({ type: "exited", container: name, at: exit.exitedAt, exitCode: exit.exitCode, reason });
    } catch (error) {
      if (watch.signal.aborted || this.#closed) return;
      if (!(error instanceof RuntimeError) || error.code !== "NotFound") {
        // The runtime is away or being started again; containers live on without it.
        this.#log.warn({ container: name, err: error }, "the container can't be watched, trying again");
        await sleep(this.#world.clock, 1000);
        if (!watch.signal.aborted && !this.#closed) return this.#exit(name, container, watch);
        return;
      }
      watch.abort();
      const reason = `ContainerRuntimeError: ${error instanceof Error ? error.message : String(error)}`;
      this.#apply({ type: "exited", container: name, at: this.#world.clock.now(), reason });
    }
  }

  /** Gives back what stopped containers held, each once; then ends the task. */
  #release(): void {
    for (const container of this.#state.containers) {
      const hand = this.#hand(container.name);
      if (container.status !== "STOPPED" || hand.releasing || hand.inHand.size > 0) continue;
      hand.releasing = releaseContainer(this.#world, container)
        .then(() => this.#apply({ type: "released", container: container.name }, true))
        .catch((error: unknown) => this.#log.error({ container: container.name, err: error }, "release failed"));
    }
    if (this.#state.status === "STOPPED" && !this.#finishing) {
      this.#finishing = true;
      this.#guard(this.#finish());
    }
  }

  /** STOPPED is reported after the last line of the log is where it belongs. */
  async #finish(): Promise<void> {
    // Removing a container waits for the runtime to have written its output out.
    await Promise.race([this.#released(), sleep(this.#world.clock, longestReleaseMs)]);
    await Promise.all(this.#state.containers.map(({ name }) => this.#world.logs.finish(this.#context, this.#planOf(name))));
    if (this.#closed) return;
    this.#finished = true;
    this.#report();
    this.#hooks.finished();
    const wait = (this.#state.stoppedAt ?? 0) + this.#world.config.cleanupWaitMs - this.#world.clock.now();
    this.#cancelCleanup = this.#world.clock.after(Math.max(1, wait), () => this.#guard(this.#cleanUp()));
  }

  /** Containers first: a sandbox that goes takes them along without a word. */
  async #released(): Promise<void> {
    for (const { releasing } of this.#hands.values()) await releasing;
    await closeSandbox(this.#world, this.plan).catch((error: unknown) => this.#log.error({ err: error }, "the sandbox was not closed"));
  }

  async #cleanUp(): Promise<void> {
    await this.#released();
    if (this.#closed) return;
    if (this.#world.journal.nextReport(this.plan.arn)) {
      this.#cancelCleanup = this.#world.clock.after(this.#world.config.cleanupWaitMs, () => this.#guard(this.#cleanUp()));
      return;
    }
    try {
      await removeTask(this.#world, this.plan);
    } catch (error) {
      this.#log.error({ err: error }, "clean-up failed, it will be tried again");
      this.#cancelCleanup = this.#world.clock.after(this.#world.config.cleanupWaitMs, () => this.#guard(this.#cleanUp()));
      return;
    }
    this.#closed = true;
    this.#world.journal.forget(this.plan.arn);
    this.#hooks.gone();
  }

  #report(): void {
    if (this.#state.status === "STOPPED" && !this.#finished) return;
    const report = reportOf(this.plan, this.#state);
    const text = report && JSON.stringify(report);
    if (!report || text === this.#lastReport) return;
    this.#lastReport = text;
    this.#hooks.report(report);
  }

  #hand(name: string): InHand {
    return this.#hands.get(name) as InHand;
  }

  #planOf(name: string): ContainerPlan {
    return this.plan.containers.get(name) as ContainerPlan;
  }

  #container(name: string): ContainerState {
    return this.#state.containers.find((container) => container.name === name) as ContainerState;
  }
}
