import type { KnownContainer } from "#agent/runtime.ts";
import { runtimeError, type Containerd } from "./client.ts";
import { Status } from "./generated/api/types/task/task_pb.ts";
import { cgroupLabel } from "./use.ts";

/** The image's layers that a container stands on. */
export const chainLabel = "gantry.io/chain";

/** What containerd has of ours, with the cgroup that each was given. Fails with `Unavailable`. */
export async function knownContainers(containerd: Containerd): Promise<(KnownContainer & { readonly cgroup: string | undefined })[]> {
  try {
    const [{ containers }, { tasks }] = await Promise.all([
      containerd.containers.list({ filters: [] }),
      containerd.tasks.list({ filter: "" }),
    ]);
    const byId = new Map(tasks.map((task) => [task.containerId || task.id, task]));
    return containers.map(({ id, labels }) => {
      const task = byId.get(id);
      const { [cgroupLabel]: cgroup, [chainLabel]: _, ...own } = labels;
      return { id, labels: own, state: stateOf(task?.status), pid: task?.pid ?? 0, cgroup };
    });
  } catch (error) {
    throw runtimeError("Unavailable", error);
  }
}

function stateOf(status: Status | undefined): KnownContainer["state"] {
  if (status === Status.CREATED) return "created";
  if (status === Status.RUNNING || status === Status.PAUSED || status === Status.PAUSING) return "running";
  if (status === Status.STOPPED) return "stopped";
  return "unknown";
}
