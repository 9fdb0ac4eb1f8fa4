import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";

/** A tool of the system failed; the message is what it wrote. */
export class CommandError extends Error {}

/**
 * Runs a command with `input` on its standard input; resolves to its standard output. 30 s at most: a machine may be slow, and a task fails by this.
 *
 * Commands run from three small shells that stay: starting a process from one of Node's size copies its page tables and holds the event loop
 * for some milliseconds each time, several times in a task's start.
 */
export function command(program: string, args: readonly string[], input = ""): Promise<string> {
  const line = [program, ...args].map(quote).join(" ");
  const shell = shells.reduce((least, each) => (each.waiting < least.waiting ? each : least));
  return shell.run(line, input).then(({ code, output, errors }) => {
    if (code === 0) return output;
    throw new CommandError(`${program} ${args.join(" ")}: ${errors.trim() || output.trim() || `ended with ${code}`}`);
  });
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

interface Result {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

interface Job {
  readonly line: string;
  readonly input: string;
  readonly resolve: (result: Result) => void;
}

const timeoutMs = 30_000;
const mark = "\u0001";

class Shell {
  readonly #queue: Job[] = [];
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #current: Job | undefined;
  #output = "";
  #errors = "";
  #timer: NodeJS.Timeout | undefined;

  get waiting(): number {
    return this.#queue.length + (this.#current ? 1 : 0);
  }

  run(line: string, input: string): Promise<Result> {
    return new Promise((resolve) => {
      this.#queue.push({ line, input, resolve });
      this.#next();
    });
  }

  #next(): void {
    if (this.#current) return;
    const job = this.#queue.shift();
    if (!job) {
      this.#hold(false);
      return;
    }
    this.#current = job;
    this.#output = "";
    this.#errors = "";
    const child = (this.#child ??= this.#start());
    this.#hold(true);
    this.#timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    // Input goes through a here-document whose end can't occur in what we send.
    child.stdin.write(
      `${job.line} <<'${mark}END'\n${job.input.endsWith("\n") || job.input === "" ? job.input : `${job.input}\n`}${mark}END\n`,
    );
    child.stdin.write(`code=$?; printf '${mark}' >&2; printf '${mark}%d\\n' $code\n`);
  }

  #start(): ChildProcessByStdio<Writable, Readable, Readable> {
    const child = spawn("/bin/sh", [], { stdio: ["pipe", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      this.#check();
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors += text;
      this.#check();
    });
    child.stdin.on("error", () => {});
    child.on("error", (error) => this.#ended(child, error.message));
    child.on("close", (code, signal) =>
      this.#ended(child, signal ? `did not end within ${timeoutMs / 1000} s` : `the shell ended with ${code}`),
    );
    return child;
  }

  /** Done when both streams carry the mark. */
  #check(): void {
    const end = new RegExp(`${mark}(\\d+)\\n$`).exec(this.#output);
    if (!end || !this.#errors.endsWith(mark)) return;
    this.#finish({ code: Number(end[1]), output: this.#output.slice(0, end.index), errors: this.#errors.slice(0, -1) });
  }

  #ended(child: unknown, why: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#finish({ code: -1, output: "", errors: `${this.#errors.replaceAll(mark, "")} ${why}` });
  }

  #finish(result: Result): void {
    clearTimeout(this.#timer);
    const job = this.#current;
    this.#current = undefined;
    job?.resolve(result);
    this.#next();
  }

  /** A shell keeps the process alive only while a command runs. */
  #hold(busy: boolean): void {
    const child = this.#child;
    if (!child) return;
    const streams = [child.stdin, child.stdout, child.stderr] as unknown as Socket[];
    for (const each of [child, ...streams]) {
      if (busy) each.ref();
      else each.unref();
    }
  }
}

const shells = [new Shell(), new Shell(), new Shell()];
