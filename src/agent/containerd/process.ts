import { execFile } from "node:child_process";
import { constants, openSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { RuntimeError, type ContainerProcess, type ProcessOptions, type TerminalSize } from "#agent/runtime.ts";
import type { OciProcess, OciSpec } from "#agent/spec/oci.ts";
import { inSandbox } from "#agent/spec/sandbox.ts";
import { isNotFound, jsonAny, runtimeError, unlessGone } from "./client.ts";
import { containerSpec, type ExecOptions } from "./exec.ts";
import { closed, readOut, streamOf, written } from "./fifo.ts";

const run = promisify(execFile);
const SIGKILL = 9;
const streamNames = ["stdin", "stdout", "stderr"] as const;

/**
 * Runs a command beside a container's own process, as root, and gives its streams. They are FIFOs in a directory of the process's own, which says whose it is: what an
 * agent that died has left is found there (`endProcesses`).
 */
export async function openProcess(
  options: ExecOptions,
  containerId: string,
  { name: execId, args, terminal }: ProcessOptions,
): Promise<ContainerProcess> {
  const { containerd, clock, inside } = options;
  const directory = join(options.directory, execId);
  const paths = streamNames.map((stream) => join(directory, stream));
  const [stdin, stdout, stderr] = paths as [string, string, string];
  const streams: Socket[] = [];
  const close = async () => {
    for (const stream of streams) stream.destroy();
    await rm(directory, { recursive: true, force: true });
  };
  let added = false;
  let sandboxed = false;
  const remove = async () => {
    if (added) await unlessGone(containerd.tasks.deleteProcess({ containerId, execId })).catch(() => undefined);
    if (sandboxed) await inside.forget(execId);
  };
  try {
    const own = await containerSpec(containerd, containerId);
    sandboxed = inSandbox(own);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(join(directory, "container"), JSON.stringify({ containerId, sandboxed }));
    await run("mkfifo", ["-m", "600", ...paths]);
    // Both ways, so that it can be opened before the shim does, and the process never sees an end that nobody meant.
    const input = streamOf(stdin, constants.O_RDWR, { writable: true, readable: false });
    const output = streamOf(stdout, constants.O_RDONLY, { readable: true, writable: false });
    const errors = terminal ? undefined : streamOf(stderr, constants.O_RDONLY, { readable: true, writable: false });
    streams.push(input, output, ...(errors ? [errors] : []));
    const spec = jsonAny("types.containerd.io/opencontainers/runtime-spec/1/Process", processOf(own, args, terminal));
    await containerd.tasks.exec({ containerId, execId, stdin, stdout, stderr, terminal: terminal !== undefined, spec });
    added = true;
    const exited = containerd.tasks.wait({ containerId, execId }).then(({ exitStatus }) => exitStatus);
    exited.catch(() => undefined);
    await containerd.tasks.start({ containerId, execId });
    const resize = async ({ cols, rows }: TerminalSize) => {
      await containerd.tasks.resizePty({ containerId, execId, width: cols, height: rows });
    };
    if (terminal) await resize(terminal).catch(() => undefined);
    const over = Promise.all([closed(output), ...(errors ? [closed(errors)] : [])]);
    let inputOver = false;
    return {
      stdout: output,
      stderr: errors,
      stdin: input,
      resize,
      async endInput() {
        if (inputOver) return;
        inputOver = true;
        await Promise.race([written(input), exited]);
        input.destroy();
        await unlessGone(containerd.tasks.closeIO({ containerId, execId, stdin: true })).catch(() => undefined);
      },
      async kill() {
        if (sandboxed) await inside.kill(containerId, execId).catch(() => undefined);
        await containerd.tasks.kill({ containerId, execId, signal: SIGKILL, all: false }).catch(() => undefined);
      },
      ended: (async () => {
        // The shim or containerd went: so did the process.
        const exitCode = await exited.catch(() => 255);
        input.destroy();
        await readOut(clock, over, errors ? [output, errors] : [output]);
        for (const stream of streams) stream.destroy();
        await remove();
        await close();
        return exitCode;
      })(),
    };
  } catch (error) {
    await remove();
    await close();
    if (isNotFound(error)) throw new RuntimeError("NotFound", `container ${containerId} is not running`, { cause: error });
    throw runtimeError("CannotStart", error);
  }
}

/** Ends the processes that an earlier life of the agent opened, and takes their streams away; returns their names. */
export async function endProcesses({ containerd, directory, inside }: Omit<ExecOptions, "clock">): Promise<readonly string[]> {
  const left = await readdir(directory).catch(() => []);
  for (const execId of left) {
    const text = await readFile(join(directory, execId, "container"), "utf8").catch(() => "");
    const { containerId = "", sandboxed = false } = (text === "" ? {} : JSON.parse(text)) as { containerId?: string; sandboxed?: boolean };
    if (containerId !== "") {
      if (sandboxed) await inside.kill(containerId, execId).catch(() => undefined);
      await containerd.tasks.kill({ containerId, execId, signal: SIGKILL, all: false }).catch(() => undefined);
      // The shim waits for a reader of what the process wrote last.
      const readers = ["stdout", "stderr"].map((stream) => drain(join(directory, execId, stream)));
      await Promise.race([
        containerd.tasks.wait({ containerId, execId }, { timeoutMs: 5_000 }).catch(() => undefined),
        new Promise((resolve) => setTimeout(resolve, 5_000).unref()),
      ]);
      await unlessGone(containerd.tasks.deleteProcess({ containerId, execId }, { timeoutMs: 10_000 })).catch(() => undefined);
      if (sandboxed) await inside.forget(execId);
      for (const stop of readers) stop();
    }
    await rm(join(directory, execId), { recursive: true, force: true });
  }
  return left;
}

function drain(path: string): () => void {
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stream = new Socket({ fd, readable: true, writable: false });
    stream.on("error", () => {}).resume();
    return () => stream.destroy();
  } catch {
    return () => {};
  }
}

/**
 * Root, whoever the container's own process is, with what root has in this container; in the container's environment and directory.
 * Source: ECS Developer Guide, "Monitor Amazon ECS containers with ECS Exec": commands run as the root user. aws/amazon-ssm-agent, session/shell: TERM, LANG.
 */
function processOf({ process: own }: OciSpec, args: readonly string[], terminal: TerminalSize | undefined): OciProcess {
  const { bounding } = own.capabilities;
  const nameOf = (variable: string) => variable.slice(0, variable.indexOf("="));
  const language = own.env.some((variable) => nameOf(variable) === "LANG") ? [] : ["LANG=C.UTF-8"];
  const added = [...(own.user.uid === 0 ? [] : ["HOME=/root"]), ...(terminal ? ["TERM=xterm-256color", ...language] : [])];
  const names = new Set(added.map(nameOf));
  return {
    ...own,
    args: [...args],
    terminal: terminal !== undefined,
    user: { uid: 0, gid: 0, additionalGids: [] },
    capabilities: { bounding, effective: bounding, permitted: bounding },
    env: [...own.env.filter((variable) => !names.has(nameOf(variable))), ...added],
  };
}
