import type { Hierarchy } from "#agent/cgroups/hierarchy.ts";
import { hasOomKill, readStats } from "#agent/cgroups/stats.ts";
import type { ContainerStats } from "#agent/runtime.ts";
import { isNotFound, runtimeError, type Containerd } from "./client.ts";
import { Shares } from "./shares.ts";

/** Names, as a label of the container, the cgroup that its processes are in: its own, or its sandbox's. */
export const cgroupLabel = "gantry.io/cgroup";

/** What containers use and used, by their cgroups. Only remembers what containerd's records say. */
export class Use {
  readonly #containerd: Containerd;
  readonly #hierarchy: Hierarchy;
  readonly #cgroups = new Map<string, string>();
  readonly #shares = new Shares();

  constructor(containerd: Containerd, hierarchy: Hierarchy) {
    this.#containerd = containerd;
    this.#hierarchy = hierarchy;
  }

  join(id: string, cgroup: string): void {
    this.#cgroups.set(id, cgroup);
    const owner = cgroup.slice(cgroup.lastIndexOf("/") + 1);
    if (owner !== id) this.#shares.join(owner, id);
  }

  leave(id: string): void {
    this.#cgroups.delete(id);
    this.#shares.leave(id);
  }

  /** Undefined for a container that nobody knows. */
  async cgroup(id: string): Promise<string | undefined> {
    const known = this.#cgroups.get(id);
    if (known) return known;
    try {
      const { container } = await this.#containerd.containers.get({ id });
      const cgroup = container?.labels[cgroupLabel];
      if (cgroup) this.join(id, cgroup);
      return cgroup;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw runtimeError("Unavailable", error);
    }
  }

  async outOfMemory(id: string): Promise<boolean> {
    const cgroup = await this.cgroup(id);
    return cgroup !== undefined && hasOomKill(this.#hierarchy, cgroup);
  }

  async stats(id: string, now: number): Promise<ContainerStats | undefined> {
    const cgroup = await this.cgroup(id);
    const stats = cgroup === undefined ? undefined : await readStats(this.#hierarchy, cgroup, now);
    return stats && this.#shares.partOf(id, stats);
  }
}
