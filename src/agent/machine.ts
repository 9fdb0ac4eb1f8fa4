import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { createTaskCgroup, removeTaskCgroup } from "./cgroups/cgroups.ts";
import { detectHierarchy } from "./cgroups/hierarchy.ts";
import type { AgentConfig } from "./config.ts";
import { placesOfContainerd } from "./containerd/daemon.ts";
import { createContainerdRuntime } from "./containerd/runtime.ts";
import { rewriteToLocal } from "./registry-logins.ts";
import type { Runtime } from "./runtime.ts";
import type { TaskCgroups } from "./task/world.ts";

/** The real machine beneath the agent: containerd by its socket, the kernel's cgroups. Waits until containerd answers. */
export async function openMachine(
  config: AgentConfig,
  deps: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): Promise<{ readonly runtime: Runtime; readonly cgroups: TaskCgroups }> {
  const own = placesOfContainerd(config.home);
  const runtime = await createContainerdRuntime({
    socket: config.containerdSocket,
    namespace: `gantry-${config.instance}`,
    stateDirectory: join(config.home, "runtime"),
    containerdRoot: config.home,
    own: own.socket === config.containerdSocket ? own : undefined,
    runscPlatform: config.runscPlatform,
    registryHosts: config.registryHosts,
    insecureRegistries: config.insecureRegistries,
    rewrite: rewriteToLocal({ config, ...deps }),
    ...deps,
  });
  // Read once: while containers start, the kernel's list of mounts is long, and its readers wait for those who mount.
  const hierarchy = detectHierarchy();
  return {
    runtime,
    cgroups: {
      ensure: (parent, { cpus, memoryMiB, pids }) => createTaskCgroup({ parent, cpuLimit: cpus, memoryMiB, pids }, hierarchy),
      remove: (parent) => removeTaskCgroup(parent, hierarchy),
    },
  };
}
