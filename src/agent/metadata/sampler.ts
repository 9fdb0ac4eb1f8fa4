import type { TaskView } from "../task/engine.ts";
import type { ContainerState } from "../task/state.ts";
import type { World } from "../task/world.ts";
import type { Sample } from "./stats.ts";

/** Remembers the last two readings of each running container: the endpoint's `precpu_stats` and telemetry's growth need both. */
export interface Sampler {
  /** Reads now; undefined while the container does not run. */
  take(container: ContainerState): Promise<{ readonly before: Sample | undefined; readonly now: Sample } | undefined>;
  /** Forgets containers that are gone. */
  keep(tasks: readonly TaskView[]): void;
}

export function createSampler({ runtime, network }: Pick<World, "runtime" | "network">): Sampler {
  const last = new Map<string, Sample>();
  return {
    async take(container) {
      if (container.status !== "RUNNING") return undefined;
      const [stats, counters] = await Promise.all([
        runtime.stats(container.id).catch(() => undefined),
        container.network ? network.counters(container.network) : undefined,
      ]);
      if (!stats) return undefined;
      const now = { stats, network: counters };
      const before = last.get(container.id);
      last.set(container.id, now);
      return { before, now };
    },
    keep(tasks) {
      const alive = new Set(tasks.flatMap(({ state }) => state.containers.map(({ id }) => id)));
      for (const id of last.keys()) if (!alive.has(id)) last.delete(id);
    },
  };
}
