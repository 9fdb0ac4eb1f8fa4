import { add, compare, nothing, times, type Amount } from "./amount.ts";
import { smallestFargateSize } from "./fargate-sizes.ts";
import type { Architecture, Prices, Rate } from "./prices.ts";
import type { Machine, TaskClass } from "./records.ts";
import { hourMs } from "./usage.ts";

const monthHours = 730;

/** CPU units in a vCPU, MiB in a GiB. */
const unit = 1024;

/**
 * How much more a vCPU counts than a GiB when the price of an instance is split among its tasks. Source: AWS Data Exports User Guide, split cost
 * allocation data for Amazon ECS.
 */
const vcpuWeight = 9;

/** What one hour of a task costs. */
export interface HourPrice {
  /** On its own launch type: Fargate's price, or its share of the instance's. */
  readonly own: Amount;
  /** On the other one; undefined where it would not run there. */
  readonly other: Amount | undefined;
}

const architectureOf = (text: string | undefined): Architecture => (text === "arm64" || text === "aarch64" ? "arm64" : "x86_64");

const sized = ({ vcpuHour, gbHour }: Rate, cpu: number, memory: number): Amount =>
  add(times(vcpuHour, cpu, unit), times(gbHour, memory, unit));

/** An hour of a machine with its volumes: by its type's price, else by its vCPUs and memory. */
export function machineHour(machine: Machine, prices: Prices): Amount {
  const type = machine.type === undefined ? undefined : prices.types.get(machine.type);
  const hour = type?.hour ?? sized(prices.machine[architectureOf(machine.architecture)], machine.cpu, machine.memory);
  return (machine.volumes ?? []).reduce((sum, { type: volume, gib }) => {
    const month = prices.volumeGbMonth.get(volume);
    return month ? add(sum, times(month, gib, monthHours)) : sum;
  }, hour);
}

/** An hour of the task on Fargate, at the smallest size that holds it; undefined when none does, or it needs GPUs. */
export function fargateHour(of: TaskClass, prices: Prices): Amount | undefined {
  const given = of.launchType === "FARGATE" || of.launchType === "FARGATE_SPOT";
  const size = given ? of : smallestFargateSize(of.cpu, of.memory);
  if (!size || (of.gpus ?? 0) > 0) return undefined;
  const list = of.launchType === "FARGATE_SPOT" ? prices.fargateSpot : prices.fargate;
  const architecture = architectureOf(of.architecture ?? of.machine?.architecture);
  return add(sized(list[architecture], size.cpu, size.memory), times(prices.storageGbHour, Math.max(0, (of.storageGiB ?? 0) - 20)));
}

/** The task's part of its instance: of what the instance offers, vCPUs weighing nine times as much as GiBs. */
function shareHour({ cpu, memory, machine }: TaskClass, prices: Prices): Amount {
  if (!machine) return nothing;
  const whole = vcpuWeight * machine.cpu + machine.memory;
  return whole > 0 ? times(machineHour(machine, prices), Math.min(whole, vcpuWeight * cpu + memory), whole) : nothing;
}

/**
 * An hour of the task on EC2: its part of the instance type that is cheapest for it when as many of it run there as fit, so the dearer of its
 * parts of CPU and memory. Burstable types don't give all of their CPU for long: they are left out. Storage above 20 GiB as a gp3 volume.
 */
function packedHour(of: TaskClass, prices: Prices): Amount {
  const architecture = architectureOf(of.architecture);
  let best: Amount | undefined;
  for (const type of prices.types.values()) {
    const [cpu, memory] = [type.vcpu * unit, type.gb * unit];
    if (type.burstable || type.architecture !== architecture || of.cpu > cpu || of.memory > memory) continue;
    const part = of.cpu * memory > of.memory * cpu ? times(type.hour, of.cpu, cpu) : times(type.hour, of.memory, memory);
    if (!best || compare(part, best) < 0) best = part;
  }
  const hour = best ?? sized(prices.machine[architecture], of.cpu, of.memory);
  const month = prices.volumeGbMonth.get("gp3");
  return month && of.storageGiB ? add(hour, times(month, of.storageGiB - 20, monthHours)) : hour;
}

export function hourPriceOf(of: TaskClass, prices: Prices): HourPrice {
  if (of.launchType === "FARGATE" || of.launchType === "FARGATE_SPOT")
    return { own: fargateHour(of, prices) ?? nothing, other: packedHour(of, prices) };
  return { own: shareHour(of, prices), other: fargateHour(of, prices) };
}

export const forTime = (hour: Amount, ms: number): Amount => times(hour, ms, hourMs);
