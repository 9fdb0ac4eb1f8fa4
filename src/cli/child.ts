import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { type Clock, sleep } from "#platform/clock.ts";
import { lastLines, openLog, rotateLog } from "./log-file.ts";
import { endProcess, nameProcess, type ProcessName } from "./processes.ts";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** What the supervisor runs. */
export interface Part {
  readonly name: string;
  readonly command: () => Promise<Command>;
  /** Resolves when the process with this number does its work; rejects with why it doesn't yet. Asked again all its life. */
  readonly probe: (pid: number) => Promise<void>;
  readonly readyTimeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly stopGraceMs: number;
}

export interface ChildOptions extends Part {
  readonly log: string;
  readonly clock: Clock;
  readonly changed: () => void;
  readonly progress: (text: string) => void;
}

export interface ChildState {
  readonly process: ProcessName | undefined;
  readonly ready: boolean;
  readonly restarts: number;
  /** Why it ended the last time, and what it said then. `at` in milliseconds since the epoch. */
  readonly lastEnd: { readonly at: number; readonly reason: string; readonly lines: readonly string[] } | undefined;
  /** Why it is not ready, by its probe. */
  readonly waitingFor?: string;
}

const healthyMs = 30_000;
const startsBeforeGivingUp = 5;

/** One supervised process: started again when it dies, at once the first time, then after 0.2, 0.4 … 10 s, from the beginning after 30 s of life. */
export class Child {
  readonly name: string;
  readonly #options: ChildOptions;
  #state: ChildState = { process: undefined, ready: false, restarts: 0, lastEnd: undefined };
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Starts it and waits until it is ready. Rejects, with its last words, when it is not within the time or dies again and again. Call once. */
  async start(): Promise<void> {
    this.#loop = this.#run(this.#stopping.signal);
    const { clock, readyTimeoutMs, log } = this.#options;
    const end = clock.now() + readyTimeoutMs;
    while (!this.#state.ready) {
      this.#stopping.signal.throwIfAborted();
      const { lastEnd, waitingFor, restarts } = this.#state;
      if (clock.now() > end || restarts >= startsBeforeGivingUp) {
        const why = lastEnd?.reason ?? `was not ready within ${readyTimeoutMs / 1000} s${waitingFor ? `: ${waitingFor}` : ""}`;
        throw new Error(`${this.name} ${why}${(lastEnd?.lines ?? lastLines(log, 5)).map((line) => `\n    ${line}`).join("")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  /** Ends it, and waits until it is gone. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`${this.name} was stopped`));
    if (this.#state.process) await endProcess(this.#state.process, this.#options.stopGraceMs);
    await this.#loop;
    this.#set({ ready: false, process: undefined, waitingFor: undefined });
  }

  #set(change: Partial<ChildState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.changed();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, log, progress } = this.#options;
    let delay = 0;
    while (!signal.aborted) {
      const began = clock.now();
      const reason = await this.#once(signal).catch((error: Error) => `could not be started: ${error.message}`);
      if (signal.aborted) return;
      if (clock.now() - began > healthyMs) delay = 0;
      const lines = lastLines(log, 5);
      this.#set({
        process: undefined,
        ready: false,
        restarts: this.#state.restarts + 1,
        lastEnd: { at: clock.now(), reason, lines },
        waitingFor: undefined,
      });
      const next = delay === 0 ? "at once" : `in ${delay / 1000} s`;
      progress(`${this.name} ${reason}, starting it again ${next}${lines.map((line) => `\n    ${line}`).join("")}`);
      await sleep(clock, delay, signal).catch(() => undefined);
      delay = Math.min(10_000, delay === 0 ? 200 : delay * 2);
    }
  }

  /** One life; resolves with how it ended. */
  async #once(signal: AbortSignal): Promise<string> {
    const { command, log, probe, clock } = this.#options;
    const { file, args, env } = await command();
    if (signal.aborted) return "was stopped";
    rotateLog(log);
    const output = openLog(log);
    // A session of its own: Ctrl-C in the terminal goes to the supervisor, which ends its children in order.
    const child = spawn(file, args, { env: env as NodeJS.ProcessEnv, stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    let over = false;
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      child.once("exit", (code, by) => resolve(by ? `was ended by ${by}` : `ended with exit code ${code}`));
    }).finally(() => (over = true));
    const { pid } = child;
    if (pid === undefined) return ended;
    this.#set({ process: nameProcess(pid), waitingFor: undefined });
    const watch = async () => {
      while (!over && !signal.aborted) {
        const waitingFor = await probe(pid).then(
          () => undefined,
          (error: Error) => error.message,
        );
        const ready = waitingFor === undefined;
        if (!over && (ready !== this.#state.ready || waitingFor !== this.#state.waitingFor)) this.#set({ ready, waitingFor });
        rotateLog(log);
        await sleep(clock, ready ? 2000 : 20, signal).catch(() => undefined);
      }
    };
    void watch();
    return ended;
  }
}
