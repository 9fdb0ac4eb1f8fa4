/**
 * What the meter writes down: who used what, from when to when. Never a price, so that any price list can be laid over it later. Times are
 * milliseconds since the epoch; a span ends before its `to`.
 */
import type { Scope } from "../ecs-keys.ts";
import type { Tag } from "../ecs-records.ts";

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** What a machine offers and is priced by: CPU units and MiB as registered, `ecs.instance-type` where its agent gives one. */
export interface Machine {
  readonly type?: string;
  readonly cpu: number;
  readonly memory: number;
  readonly architecture?: string;
  /** From the attribute `gantry.volumes`. */
  readonly volumes?: readonly { readonly type: string; readonly gib: number }[];
}

/** All that decides what a task costs and whose cost it is. Tasks that are alike in it are added up. */
export interface TaskClass {
  readonly cluster: string;
  /** `service:<name>`, `family:<name>`, or what RunTask was given. */
  readonly group: string;
  readonly launchType: "EC2" | "FARGATE" | "FARGATE_SPOT" | "EXTERNAL";
  /** CPU units and MiB that it was given. */
  readonly cpu: number;
  readonly memory: number;
  readonly architecture?: string;
  /** Of Fargate, where it is more than the 20 GiB that cost nothing. */
  readonly storageGiB?: number;
  readonly gpus?: number;
  /** What it ran on. Absent on Fargate. */
  readonly machine?: Machine;
  /** As they were when it stopped, in the order of their keys. */
  readonly tags: readonly Tag[];
  /** Its tags are no longer known: there were too many different ones. */
  readonly tagsDropped?: boolean;
}

/**
 * Key `/meter/<account>/<region>/task/<cluster>/<task id>`: a task that has stopped, from the start of its pull to its end. Writer: whoever makes the task STOPPED, in
 * the same transaction; the meter adds it to its days and deletes it, in one transaction, once ECS has forgotten the task.
 */
export interface TaskUsageRecord extends Span {
  readonly class: TaskClass;
}

/** Key `/meter/<account>/<region>/instance/<cluster>/<instance id>`: a registration that is over. Writer: DeregisterContainerInstance, in its transaction. */
export interface InstanceUsageRecord extends Span {
  readonly cluster: string;
  readonly id: string;
  readonly ec2InstanceId: string;
  readonly machine: Machine;
}

/** Key `/meter/<account>/<region>/day/<YYYY-MM-DD, UTC>/<digest of the class>`: what tasks of a class used on that day. Writer: the meter. */
export interface DayUsageRecord {
  readonly class: TaskClass;
  /** By the hour, 0 to 23. */
  readonly hours: Readonly<Record<string, HourUsage>>;
}

export interface HourUsage {
  /** Milliseconds that tasks ran. */
  readonly ms: number;
  /** Milliseconds that Fargate bills: whole seconds, one minute at least for each task. */
  readonly billedMs: number;
  /** Tasks that began. */
  readonly begun: number;
}

const root = ({ account, region }: Scope) => `/meter/${account}/${region}/`;

export const meterKeys = {
  all: "/meter/",
  root,
  task: (scope: Scope, cluster: string, id: string) => `${root(scope)}task/${cluster}/${id}`,
  instance: (scope: Scope, cluster: string, id: string) => `${root(scope)}instance/${cluster}/${id}`,
  days: (scope: Scope, day: string) => `${root(scope)}day/${day}/`,
  day: (scope: Scope, day: string, digest: string) => `${root(scope)}day/${day}/${digest}`,
};

/** The parts of a key under `/meter/`, or undefined for any other. `names`: what follows the kind. */
export function parseMeterKey(
  key: string,
): { readonly scope: Scope; readonly kind: string; readonly names: readonly string[] } | undefined {
  const [empty, meter, account, region, kind, ...names] = key.split("/");
  if (empty !== "" || meter !== "meter" || !account || !region || !kind) return undefined;
  return { scope: { account, region }, kind, names };
}
