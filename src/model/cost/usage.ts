import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "../ecs-records.ts";
import { isStopped } from "../task-state.ts";
import type { InstanceUsageRecord, Machine, Span, TaskClass, TaskUsageRecord } from "./records.ts";

const secondMs = 1000;
export const hourMs = 3_600_000;
const freeStorageGiB = 20;

/**
 * What is billed of a span: whole seconds, one minute at least. Source: AWS Fargate Pricing ("rounded up to the nearest second … one-minute
 * minimum"), Amazon EC2 On-Demand Pricing (per second, 60 seconds at least).
 */
export function billed({ from, to }: Span): Span {
  return { from, to: from + Math.max(60 * secondMs, Math.ceil((to - from) / secondMs) * secondMs) };
}

/** Milliseconds that the two have in common. Over periods that follow each other these add up to the whole span, exactly. */
export function overlap(a: Span, b: Span): number {
  return Math.max(0, Math.min(a.to, b.to) - Math.max(a.from, b.from));
}

/**
 * From the start of the image pull to the end, or until now: what Fargate bills (AWS Fargate Pricing). Undefined for a task that came to neither
 * pull nor start: it cost nothing. The agent's clock tells when the pull began, ours the rest: it never lies outside the task's life.
 */
export function spanOf(task: TaskRecord, observation: TaskObservation | undefined, now: number): Span | undefined {
  const began = observation?.pullStartedAt ?? observation?.startedAt;
  if (began === undefined) return undefined;
  const to = Math.max(task.createdAt, isStopped(observation) ? (observation?.stoppedAt ?? now) : now);
  return { from: Math.min(Math.max(began, task.createdAt), to), to };
}

/** `machine`: of a task that does not run on Fargate. */
export function classOf(task: TaskRecord, machine: Machine | undefined): TaskClass {
  const { cluster, group, resources, cpuArchitecture, ephemeralStorageGiB = 0 } = task;
  const fargate = task.launchType === "FARGATE";
  const gpus = resources.gpus?.length ?? 0;
  return {
    cluster,
    group,
    launchType: fargate && task.capacityProviderName === "FARGATE_SPOT" ? "FARGATE_SPOT" : task.launchType,
    cpu: (fargate && Number(task.cpu)) || resources.cpu,
    memory: (fargate && Number(task.memory)) || resources.memory,
    ...(cpuArchitecture !== undefined && { architecture: cpuArchitecture }),
    ...(fargate && ephemeralStorageGiB > freeStorageGiB && { storageGiB: ephemeralStorageGiB }),
    ...(gpus > 0 && { gpus }),
    ...(!fargate && machine && { machine }),
    tags: task.tags.map(({ key, value }) => ({ key, value })).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)),
  };
}

/** What a stopped task used; undefined when that is nothing. */
export function taskUsage(task: TaskRecord, stopped: TaskObservation, machine: Machine | undefined): TaskUsageRecord | undefined {
  const span = spanOf(task, stopped, stopped.stoppedAt ?? task.createdAt);
  return span && { ...span, class: classOf(task, machine) };
}

export function machineOf({ registeredResources: { cpu, memory }, attributes }: ContainerInstanceRecord): Machine {
  const attribute = (name: string) => attributes.find((each) => each.name === name)?.value;
  const [type, architecture] = [attribute("ecs.instance-type"), attribute("ecs.cpu-architecture")];
  const volumes = volumesIn(attribute("gantry.volumes") ?? "");
  return { ...(type && { type }), cpu, memory, ...(architecture && { architecture }), ...(volumes.length > 0 && { volumes }) };
}

export function instanceUsage(instance: ContainerInstanceRecord, to: number): InstanceUsageRecord {
  const { cluster, id, ec2InstanceId, registeredAt: from } = instance;
  return { cluster, id, ec2InstanceId, machine: machineOf(instance), from, to: Math.max(from, to) };
}

/** `gp3:100,st1:500`: type and GiB. What is not of this form is passed over: an attribute is anybody's text. */
function volumesIn(text: string): NonNullable<Machine["volumes"]> {
  return [...text.matchAll(/(?<=^|[,\s])([a-z][a-z0-9]*):(\d{1,6})(?=$|[,\s])/g)].map(([, type = "", gib]) => ({ type, gib: Number(gib) }));
}
