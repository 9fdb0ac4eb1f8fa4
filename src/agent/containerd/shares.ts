import type { ContainerStats } from "#agent/runtime.ts";

type Growth = Pick<ContainerStats, "cpuNanoseconds" | "readBytes" | "writtenBytes">;

/**
 * What each container of a sandbox is said to use. The machine's kernel sees the sandbox only, so its growth and its memory are shared out evenly among those that are there: a task's
 * sum is right, a container's part is not known. Counts begin at nothing with the agent.
 */
export class Shares {
  readonly #sandboxes = new Map<string, { members: Set<string>; last?: Growth; totals: Map<string, Growth> }>();
  readonly #sandboxOf = new Map<string, string>();

  join(sandbox: string, id: string): void {
    let known = this.#sandboxes.get(sandbox);
    if (!known) this.#sandboxes.set(sandbox, (known = { members: new Set(), totals: new Map() }));
    known.members.add(id);
    this.#sandboxOf.set(id, sandbox);
  }

  leave(id: string): void {
    const sandbox = this.#sandboxOf.get(id);
    const known = sandbox === undefined ? undefined : this.#sandboxes.get(sandbox);
    this.#sandboxOf.delete(id);
    known?.members.delete(id);
    known?.totals.delete(id);
    if (sandbox !== undefined && known?.members.size === 0) this.#sandboxes.delete(sandbox);
  }

  /** The container's part of what its sandbox's cgroup says now; all of it for one that shares with nobody. */
  partOf(id: string, whole: ContainerStats): ContainerStats {
    const sandbox = this.#sandboxOf.get(id);
    const known = sandbox === undefined ? undefined : this.#sandboxes.get(sandbox);
    if (!known) return whole;
    const count = known.members.size;
    for (const member of known.members) known.totals.set(member, grown(known.totals.get(member), known.last, whole, count));
    known.last = whole;
    return {
      ...whole,
      ...known.totals.get(id),
      memoryBytes: Math.round(whole.memoryBytes / count),
      memoryCacheBytes: Math.round(whole.memoryCacheBytes / count),
      pids: Math.max(1, Math.round(whole.pids / count)),
    };
  }
}

function grown(total: Growth | undefined, last: Growth | undefined, now: Growth, count: number): Growth {
  const part = (key: keyof Growth) => (total?.[key] ?? 0) + Math.max(0, Math.round((now[key] - (last?.[key] ?? 0)) / count));
  return { cpuNanoseconds: part("cpuNanoseconds"), readBytes: part("readBytes"), writtenBytes: part("writtenBytes") };
}
