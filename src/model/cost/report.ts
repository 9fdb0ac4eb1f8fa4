import { formatAmount } from "./amount.ts";
import type { TaskClass } from "./records.ts";
import type { Tally, TallyRow } from "./tally.ts";
import { hourMs } from "./usage.ts";

/** Quantities and amounts are decimals as text, each rounded for itself to six places; the totals are those of the exact amounts. */
export interface CostRow {
  /** What was grouped by: a cluster, a group of tasks, a launch type, a tag's value, a task. */
  readonly key: string;
  /** Where rows are of one cluster. */
  readonly cluster?: string;
  readonly launchType: TaskClass["launchType"];
  /** Not the tasks' shares of the instances but what no task took. */
  readonly unused: boolean;
  /** Tasks that began in the period. */
  readonly tasksBegun: number;
  readonly taskHours: string;
  readonly vcpuHours: string;
  readonly gbHours: string;
  /** Ephemeral storage above 20 GiB. */
  readonly storageGbHours: string;
  readonly cost: string;
  /** The same work on the other launch type. */
  readonly elsewhere: string;
  /** Some of it would not run there, and is not in `elsewhere`. */
  readonly elsewhereLacks: boolean;
}

export interface CostReport {
  readonly rows: readonly CostRow[];
  readonly total: { readonly cost: string; readonly elsewhere: string; readonly elsewhereLacks: boolean };
  readonly instances: readonly {
    readonly cluster: string;
    readonly id: string;
    readonly ec2InstanceId: string;
    readonly type?: string;
    readonly hours: string;
    readonly cost: string;
  }[];
}

const decimals = 6;
const decimal = (count: bigint, of: number) => formatAmount({ numerator: count, denominator: BigInt(of) }, decimals);

export function reportOf({ rows, own, other, instances }: Tally): CostReport {
  return {
    rows: rows.map(shownRow),
    total: {
      cost: formatAmount(own, decimals),
      elsewhere: formatAmount(other, decimals),
      elsewhereLacks: rows.some(({ lacks }) => lacks),
    },
    instances: instances.map(({ instance: { cluster, id, ec2InstanceId, machine }, ms, cost }) => ({
      cluster,
      id,
      ec2InstanceId,
      ...(machine.type !== undefined && { type: machine.type }),
      hours: decimal(BigInt(ms), hourMs),
      cost: formatAmount(cost, decimals),
    })),
  };
}

function shownRow(row: TallyRow): CostRow {
  return {
    key: row.key,
    ...(row.cluster !== undefined && { cluster: row.cluster }),
    launchType: row.launchType,
    unused: row.unused,
    tasksBegun: row.begun,
    taskHours: decimal(row.ms, hourMs),
    vcpuHours: decimal(row.cpuMs, hourMs * 1024),
    gbHours: decimal(row.memoryMs, hourMs * 1024),
    storageGbHours: decimal(row.storageMs, hourMs),
    cost: formatAmount(row.own, decimals),
    elsewhere: formatAmount(row.other, decimals),
    elsewhereLacks: row.lacks,
  };
}
