import { open } from "node:fs/promises";
import { sleep } from "#platform/clock.ts";
import type { Exit } from "../runtime.ts";
import { containerDirectory, type TaskContext } from "./world.ts";
import type { ContainerState } from "./state.ts";

/** AWS's reason for an exit that was not the process's own wish. */
export function exitReason(exit: Exit): string | undefined {
  return exit.outOfMemory && exit.exitCode !== 0 ? "OutOfMemoryError: Container killed due to memory usage" : undefined;
}

const hintBytes = 400;
const hintLines = 3;

/**
 * Where AWS gives no reason at all (a process that ended with an error by itself) the last lines it wrote say more than nothing:
 * `Exit code 1. Last output: …`. Source of the wish: aws/containers-roadmap 2561.
 */
export async function exitHint({ world, plan }: TaskContext, container: ContainerState, exit: Exit): Promise<string | undefined> {
  // The runtime copies the last output while it already tells of the exit.
  await sleep(world.clock, 10);
  const directory = containerDirectory(world, plan, container.name);
  for (const stream of ["stderr", "stdout"]) {
    const text = await tail(`${directory}/${stream}.${container.restarts}`);
    if (text) return `Exit code ${exit.exitCode}. Last output: ${text}`;
  }
  return undefined;
}

async function tail(path: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const length = Math.min(size, hintBytes);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer
      .toString("utf8")
      // oxlint-disable-next-line no-control-regex -- terminal codes and the hole of a trimmed log have no place in a reason
      .replace(/\u001b\[[0-9;]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\ufffd]/g, "")
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    return lines.slice(-hintLines).join(" | ");
  } catch {
    return "";
  }
}
