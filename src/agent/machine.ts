import { dirname, join } from "node:path";
import { systemClock } from "#platform/clock.ts";
import { createLogger } from "#platform/log.ts";
import { createTaskCgroup, removeTaskCgroup } from "./cgroups/cgroups.ts";
import type { AgentConfig } from "./config.ts";
import { createContainerdRuntime } from "./containerd/runtime.ts";
import type { Runtime } from "./runtime.ts";
import type { TaskCgroups } from "./task/world.ts";

/** The real machine under an agent: containerd behind its socket, the kernel's cgroups. Fails with `Unavailable` while containerd does not answer. */
export async function openMachine(config: AgentConfig): Promise<{ readonly runtime: Runtime; readonly cgroups: TaskCgroups }> {
  const runtime = await createContainerdRuntime({
    socket: config.containerdSocket,
    namespace: `gantry-${config.instance}`,
    stateDirectory: join(config.home, "runtime"),
    containerdRoot: dirname(config.dataDir),
    clock: systemClock,
    log: createLogger("runtime"),
  });
  return {
    runtime,
    cgroups: {
      ensure: (parent, { cpus, memoryMiB }) => createTaskCgroup({ parent, cpuLimit: cpus, memoryMiB }),
      remove: (parent) => removeTaskCgroup(parent),
    },
  };
}
