import type { ExecResult } from "#agent/runtime.ts";

/** Runs what does not end by itself with a time limit that lets it write something first: a short one, and longer ones for a busy machine. */
export async function execUntil(exec: (timeoutMs: number) => Promise<ExecResult>): Promise<ExecResult> {
  for (let timeoutMs = 500; ; timeoutMs *= 4) {
    const result = await exec(timeoutMs);
    if (result.output !== "" || timeoutMs > 20_000) return result;
  }
}
