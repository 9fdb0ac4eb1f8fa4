import { mkdir, open, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError, type ExecResult } from "#agent/runtime.ts";
import type { OciProcess, OciSpec } from "#agent/spec/oci.ts";
import type { Clock } from "#platform/clock.ts";
import { inSandbox } from "#agent/spec/sandbox.ts";
import { isNotFound, jsonAny, messageOf, runtimeError, unlessGone, type Containerd } from "./client.ts";

/** Of both streams together, standard output first. */
const outputLimit = 4096;
/** An exec that writes without end keeps no more than this on disk. */
const fileLimit = 1024 * 1024;
const SIGKILL = 9;

export interface ExecOptions {
  readonly containerd: Containerd;
  readonly clock: Clock;
  /** For the output files. */
  readonly directory: string;
  /** For a process inside gVisor, of which the machine's own only waits for its end. */
  readonly inside: { readonly kill: (id: string, execId: string) => Promise<void>; readonly forget: (execId: string) => Promise<void> };
}

/** Runs a command in a running container with the environment, user and limits of the container's own process. */
export async function execInContainer(
  { containerd, clock, directory, inside }: ExecOptions,
  containerId: string,
  { args, timeoutMs }: { readonly args: readonly string[]; readonly timeoutMs: number },
): Promise<ExecResult> {
  const execId = `exec-${crypto.randomUUID()}`;
  // A file for each: where both streams go to one, the shim closes it for both when the first of them ends, and what the other still has to say is lost.
  const outputs = [`${join(directory, execId)}.out`, `${join(directory, execId)}.err`] as const;
  const [stdout, stderr] = outputs;
  await mkdir(directory, { recursive: true });
  for (const path of outputs) await writeFile(path, "");
  let added = false;
  let sandboxed = false;
  try {
    const own = await containerSpec(containerd, containerId);
    const process: OciProcess = { ...own.process, args: [...args], terminal: false };
    sandboxed = inSandbox(own);
    const spec = jsonAny("types.containerd.io/opencontainers/runtime-spec/1/Process", process);
    // Both streams, always: an empty one crashes the shim and takes the group's other containers with it.
    await containerd.tasks.exec({ containerId, execId, stdout, stderr, spec });
    added = true;
    const ended = containerd.tasks.wait({ containerId, execId });
    ended.catch(() => undefined);
    try {
      await containerd.tasks.start({ containerId, execId });
    } catch (error) {
      if (isNotFound(error)) throw error;
      // Docker's codes: 127 for a command that is not there, 126 for one that cannot be run.
      const message = messageOf(error);
      const missing = /executable file not found|no such file or directory/.test(message);
      return { exitCode: missing ? 127 : 126, output: message.slice(0, outputLimit), timedOut: false };
    }
    let timedOut = false;
    const kill = () => {
      timedOut = true;
      const first = sandboxed ? inside.kill(containerId, execId).catch(() => undefined) : Promise.resolve();
      void first.then(() => containerd.tasks.kill({ containerId, execId, signal: SIGKILL, all: false }).catch(() => undefined));
    };
    const cancelKill = clock.after(timeoutMs, kill);
    const guards = outputs.map((path) => guardSize(clock, path));
    try {
      const { exitStatus } = await ended;
      // The shim may still be copying what the process wrote last: deleting waits for it.
      await unlessGone(containerd.tasks.deleteProcess({ containerId, execId })).catch(() => undefined);
      added = false;
      const parts = await Promise.all(guards.map(async (guard, index) => guard.kept() ?? (await head(outputs[index]!))));
      return { exitCode: exitStatus, output: parts.join("").slice(0, outputLimit), timedOut };
    } finally {
      cancelKill();
      for (const guard of guards) guard.stop();
    }
  } catch (error) {
    if (isNotFound(error)) throw new RuntimeError("NotFound", `container ${containerId} is not running`, { cause: error });
    throw runtimeError("CannotStart", error);
  } finally {
    if (added) await unlessGone(containerd.tasks.deleteProcess({ containerId, execId })).catch(() => undefined);
    if (sandboxed) await inside.forget(execId);
    for (const path of outputs) await rm(path, { force: true });
  }
}

export async function containerSpec(containerd: Containerd, id: string): Promise<OciSpec> {
  const { container } = await containerd.containers.get({ id });
  const spec = container?.spec;
  if (!spec) throw new RuntimeError("NotFound", `container ${id} is not known`);
  return JSON.parse(new TextDecoder().decode(spec.value)) as OciSpec;
}

async function head(path: string): Promise<string> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(outputLimit);
    const { bytesRead } = await file.read(buffer, 0, outputLimit, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The shim appends, so a file that is cut while it writes goes on from nothing. */
function guardSize(clock: Clock, path: string) {
  let kept: string | undefined;
  let stopped = false;
  let cancel = () => {};
  const look = async () => {
    const { size } = await stat(path);
    if (size <= fileLimit) return;
    kept ??= await head(path);
    await truncate(path, 0);
  };
  const next = () => {
    cancel = clock.after(250, () => {
      look()
        .catch(() => undefined)
        .finally(() => {
          if (!stopped) next();
        });
    });
  };
  next();
  return {
    kept: () => kept,
    stop() {
      stopped = true;
      cancel();
    },
  };
}
