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

export interface ChildOptions {
  readonly name: string;
  readonly command: () => Promise<Command>;
  readonly log: string;
  /** Resolves when the child does its work; rejects with why it doesn't yet. Asked again until it does. */
  readonly probe: () => Promise<void>;
  readonly readyTimeoutMs: number;
  readonly stopGraceMs: number;
  readonly clock: Clock;
  readonly changed: () => void;
}

export interface ChildState {
  readonly process: ProcessName | undefined;
  readonly ready: boolean;
  readonly restarts: number;
  /** Why it ended the last time, and what it said then. */
  readonly lastEnd: { readonly at: number; readonly reason: string; readonly lines: readonly string[] } | undefined;
}

/** One supervised process: started again when it dies, at once the first time, then after 0.2, 0.4 … 10 s, from the start after 30 s of health. */
export class Child {
  readonly name: string;
  readonly #options: ChildOptions;
  #state: ChildState = { process: undefined, ready: false, restarts: 0, lastEnd: undefined };
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: ChildOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Starts it and waits until it is ready. Rejects, with its last words, when it is not within the time; it is tried on all the same. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#loop = this.#run(this.#stopping.signal);
    const { clock, readyTimeoutMs, log } = this.#options;
    const end = clock.now() + readyTimeoutMs;
    while (!this.#state.ready) {
      if (clock.now() > end || this.#state.restarts >= 5) {
        const lines = this.#state.lastEnd?.lines ?? lastLines(log, 5);
        throw new Error(
          `${this.name} ${this.#state.lastEnd?.reason ?? `was not ready within ${readyTimeoutMs / 1000} s`}${lines.map((line) => `\n    ${line}`).join("")}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error("stopping"));
    if (this.#state.process) await endProcess(this.#state.process, this.#options.stopGraceMs);
    await this.#loop;
    this.#set({ ready: false, process: undefined });
  }

  #set(change: Partial<ChildState>): void {
    this.#state = { ...this.#state, ...change };
    this.#options.changed();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let delay = 0;
    while (!signal.aborted) {
      const began = clock.now();
      const reason = await this.#once(signal).catch((error: Error) => `could not be started: ${error.message}`);
      if (signal.aborted) return;
      this.#set({
        process: undefined,
        ready: false,
        restarts: this.#state.restarts + 1,
        lastEnd: { at: clock.now(), reason, lines: lastLines(log, 5) },
      });
      delay = clock.now() - began > 30_000 ? 0 : Math.min(10_000, delay === 0 ? 200 : delay * 2);
      await sleep(clock, this.#state.restarts === 1 ? 0 : delay, signal).catch(() => undefined);
    }
  }

  async #once(signal: AbortSignal): Promise<string> {
    const { command, log, probe, clock } = this.#options;
    const { file, args, env } = await command();
    rotateLog(log);
    const output = openLog(log);
    // A session of its own: Ctrl-C in the terminal goes to the supervisor, which ends its children in order.
    const child = spawn(file, args, { env: env as NodeJS.ProcessEnv, stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`could not be started: ${error.message}`));
      child.once("exit", (code, by) => resolve(by ? `was ended by ${by}` : `ended with exit code ${code}`));
    });
    if (child.pid === undefined) return ended;
    this.#set({ process: nameProcess(child.pid) });
    if (signal.aborted) child.kill("SIGTERM");
    let over = false;
    void ended.then(() => (over = true));
    const watch = async () => {
      while (!over && !signal.aborted) {
        const ready = await probe().then(
          () => true,
          () => false,
        );
        if (!over && ready !== this.#state.ready) this.#set({ ready });
        rotateLog(log);
        await sleep(clock, ready ? 2000 : 20, signal).catch(() => undefined);
      }
    };
    void watch();
    return ended;
  }
}
