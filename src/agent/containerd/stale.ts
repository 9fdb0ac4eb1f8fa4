import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/** Removes runc's record of a container whose process is gone; one without a state yet is still being made. */
export async function forgetStale(directory: string): Promise<boolean> {
  const state = await readFile(join(directory, "state.json"), "utf8").catch(() => undefined);
  // containerd's own cleaning after the failed attempt may have removed it meanwhile.
  if (state === undefined) return !existsSync(directory);
  const { init_process_pid: pid } = JSON.parse(state) as { init_process_pid?: number };
  if (pid && existsSync(`/proc/${pid}`)) return false;
  await rm(directory, { recursive: true, force: true });
  return true;
}
