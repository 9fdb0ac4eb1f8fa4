import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentConfig } from "#agent/config.ts";
import type { Logger } from "#platform/log.ts";
import { findRunsc } from "./runsc.ts";

/** What isolates this machine's Fargate tasks, as its agent found it when it started. */
export interface Isolation {
  readonly runtime: string;
  /** For people, e.g. `gVisor 0.0~20221219.0, ptrace`. */
  readonly detail: string;
  /** Why no Fargate task can run here, and what to do. */
  readonly problem?: string;
}

export async function findIsolation({
  fargateRuntime,
  runscPlatform,
}: Pick<AgentConfig, "fargateRuntime" | "runscPlatform">): Promise<Isolation> {
  const runtime = fargateRuntime;
  if (runtime === "runc") return { runtime, detail: "runc, as GANTRY_FARGATE_RUNTIME says: Fargate tasks share this machine's kernel" };
  if (runtime !== "runsc") return { runtime, detail: `${runtime}, as GANTRY_FARGATE_RUNTIME says` };
  try {
    const { version, platform } = await findRunsc(runscPlatform);
    return { runtime, detail: `gVisor ${version}, ${platform}` };
  } catch (error) {
    return { runtime, detail: "gVisor is missing", problem: (error as Error).message };
  }
}

/** Says it in the log, loudly where something is missing, and leaves it for `./gantry status`, whose environment may be another than the agent's. */
export async function announceIsolation(config: AgentConfig, log: Logger): Promise<void> {
  const isolation = await findIsolation(config);
  if (isolation.problem) log.error({ problem: isolation.problem }, "FARGATE TASKS CANNOT RUN HERE");
  else if (isolation.runtime === "runc") log.warn(isolation.detail);
  else log.info(`Fargate tasks: ${isolation.detail}`);
  writeFileSync(fileOf(config.dataDir), JSON.stringify(isolation));
}

/** Undefined where no agent has started yet. */
export function announcedIsolation(dataDir: string): Isolation | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), "utf8")) as Isolation;
  } catch {
    return undefined;
  }
}

const fileOf = (dataDir: string): string => join(dataDir, "isolation.json");
