import type { AllocatedTask, AllocationRecord, Resources } from "#model/ecs-records.ts";
import type { Usage } from "./types.ts";

/** Shared: most tasks hold neither ports nor GPUs. */
const noPorts: ReadonlySet<number> = new Set();
const noGpus: ReadonlySet<string> = new Set();
const none: Usage = { cpu: 0, memory: 0, portsTcp: noPorts, portsUdp: noPorts, gpus: noGpus, tasks: 0, groups: new Map() };

/** Records are never changed in place, so each is added up once however many placements look at it. */
const known = new WeakMap<AllocationRecord, Usage>();

/** What the tasks of an allocation take together. */
export function usageOf(allocation: AllocationRecord | undefined): Usage {
  if (!allocation) return none;
  const before = known.get(allocation);
  if (before) return before;
  let cpu = 0;
  let memory = 0;
  const groups = new Map<string, number>();
  const tasks = Object.values(allocation.tasks);
  for (const task of tasks) {
    cpu += task.cpu;
    memory += task.memory;
    groups.set(task.group, (groups.get(task.group) ?? 0) + 1);
  }
  const all = <T>(empty: ReadonlySet<T>, held: (task: AllocatedTask) => readonly T[]) =>
    tasks.some((task) => held(task).length > 0) ? new Set(tasks.flatMap(held)) : empty;
  const portsTcp = all(noPorts, (task) => task.portsTcp);
  const portsUdp = all(noPorts, (task) => task.portsUdp);
  const gpus = all(noGpus, (task) => task.gpus ?? []);
  const usage: Usage = { cpu, memory, portsTcp, portsUdp, gpus, tasks: tasks.length, groups };
  known.set(allocation, usage);
  return usage;
}

/** The first `count` GPUs of the machine that nobody holds; undefined when there are fewer. */
export function freeGpus(capacity: Resources, usage: Usage, count: number): string[] | undefined {
  const free = (capacity.gpus ?? []).filter((gpu) => !usage.gpus.has(gpu));
  return free.length < count ? undefined : free.slice(0, count);
}
