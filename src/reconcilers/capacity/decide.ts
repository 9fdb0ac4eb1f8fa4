/** How many instances a capacity provider's group is to have. Pure. Source: ECS Developer Guide, "Amazon ECS managed scaling behavior"; AWS blog "Deep dive on Amazon ECS cluster auto scaling". */
export interface ScalingFacts {
  readonly desired: number;
  readonly min: number;
  readonly max: number;
  /** Instances of the group that are there or on their way (N). */
  readonly instances: number;
  /** Those with a task that is not a daemon's. */
  readonly busy: number;
  /** What each task in PROVISIONING needs. */
  readonly waiting: readonly Need[];
  /** What an instance of the group has for tasks. */
  readonly size: { readonly cpu: number; readonly memory: number };
  readonly targetCapacity: number;
  readonly minimumStep: number;
  readonly maximumStep: number;
  /** Since when fewer would do. */
  readonly belowSince: number | undefined;
  /** So long fewer must do before any goes: AWS waits for 15 minutes. */
  readonly scaleInAfterMs: number;
}

export interface Need {
  readonly cpu: number;
  readonly memory: number;
  /** Host ports that no two of one instance can have. */
  readonly ports: readonly number[];
}

export interface Scaling {
  /** M: as many instances as all tasks need. */
  readonly needed: number;
  /** CapacityProviderReservation, in percent. */
  readonly reservation: number;
  readonly desired: number;
  readonly belowSince: number | undefined;
}

export function decideScaling(facts: ScalingFacts, now: number): Scaling {
  const { desired, min, max, instances, busy, waiting, size, targetCapacity } = facts;
  const needed = busy + freshInstances(waiting, size);
  const reservation = instances === 0 ? (needed === 0 ? 100 : 200) : (needed / instances) * 100;
  const wanted = Math.ceil((needed * 100) / targetCapacity - 1e-9);
  const within = (count: number) => Math.min(max, Math.max(min, count));
  if (wanted > desired) {
    const step = Math.min(facts.maximumStep, Math.max(facts.minimumStep, wanted - desired));
    return { needed, reservation, desired: Math.max(desired, within(desired + step)), belowSince: undefined };
  }
  if (within(wanted) >= desired || waiting.length > 0) return { needed, reservation, desired, belowSince: undefined };
  const belowSince = facts.belowSince ?? now;
  if (now - belowSince < facts.scaleInAfterMs) return { needed, reservation, desired, belowSince };
  return { needed, reservation, desired: within(wanted), belowSince: undefined };
}

/** The first fit, the largest first: ECS's own estimate is no lower. What fits on none would fit on no further one either. */
export function freshInstances(waiting: readonly Need[], size: { readonly cpu: number; readonly memory: number }): number {
  const open: { cpu: number; memory: number; ports: Set<number> }[] = [];
  const weight = ({ cpu, memory }: Need) => Math.max(cpu / Math.max(1, size.cpu), memory / Math.max(1, size.memory));
  for (const need of waiting.toSorted((a, b) => weight(b) - weight(a))) {
    if (need.cpu > size.cpu || need.memory > size.memory) continue;
    let place = open.find(
      ({ cpu, memory, ports }) => need.cpu <= cpu && need.memory <= memory && !need.ports.some((port) => ports.has(port)),
    );
    if (!place) open.push((place = { cpu: size.cpu, memory: size.memory, ports: new Set() }));
    place.cpu -= need.cpu;
    place.memory -= need.memory;
    for (const port of need.ports) place.ports.add(port);
  }
  return open.length;
}
