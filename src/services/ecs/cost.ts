import { readFile } from "node:fs/promises";
import { ApiError, type Question } from "#api/contract.ts";
import { awsPrices, parsePrices, PricesError, type Prices } from "#model/cost/prices.ts";
import {
  meterKeys,
  parseMeterKey,
  type DayUsageRecord,
  type InstanceUsageRecord,
  type Span,
  type TaskUsageRecord,
} from "#model/cost/records.ts";
import { reportOf, type CostReport } from "#model/cost/report.ts";
import { tally, type Grouping, type Metered, type MeteredTask } from "#model/cost/tally.ts";
import { classOf, hourMs, instanceUsage, machineOf, spanOf } from "#model/cost/usage.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import type { EcsDeps } from "./context.ts";

/** What `./gantry cost` shows. Times are milliseconds since the epoch. */
export interface CostAnswer extends CostReport {
  readonly since: number;
  readonly until: number;
  readonly by: string;
  readonly prices: Pick<Prices, "name" | "date" | "currency">;
}

/**
 * `by` (cluster, service, launch-type, task, tag:<key>), `since` and `until` (milliseconds; whole hours, since rounded down and until up; without
 * `until` all that is metered so far), `cluster`, and `prices`: a price list as JSON, instead of the server's.
 */
export function costQuestion({ store, config }: Pick<EcsDeps, "store" | "config">): Question {
  return {
    path: "/_gantry/cost",
    action: "ce:GetCostAndUsage",
    async answer(query, { account, region, now }): Promise<CostAnswer> {
      const grouping = groupingOf(query.get("by") ?? "service");
      const period = periodOf(query.get("since"), query.get("until"), now);
      const prices = await pricesOf(query.get("prices"), config.prices);
      const metered = await readMeter(store, { account, region }, now);
      const report = reportOf(tally(metered, period, grouping, prices, query.get("cluster")?.split("/").at(-1)));
      const { name, date, currency } = prices;
      const by = grouping.by === "tag" ? `tag:${grouping.tag}` : grouping.by;
      return { since: period.from, until: Math.min(period.to, now), by, prices: { name, date, currency }, ...report };
    },
  };
}

const invalid = (message: string) => new ApiError("InvalidParameterException", message);

function groupingOf(by: string): Grouping {
  if (by === "cluster" || by === "service" || by === "launch-type" || by === "task") return { by };
  if (by.startsWith("tag:") && by.length > 4) return { by: "tag", tag: by.slice(4) };
  throw invalid(`by: ${by} is none of cluster, service, launch-type, task and tag:<key>.`);
}

function periodOf(since: string | null, until: string | null, now: number): Span {
  const time = (name: string, text: string) => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text)) throw invalid(`${name}: ${text} is no time in milliseconds since the epoch.`);
    return value;
  };
  const month = new Date(now);
  const from = since === null ? Date.UTC(month.getUTCFullYear(), month.getUTCMonth()) : time("since", since);
  const to = until === null ? Number.MAX_SAFE_INTEGER : time("until", until);
  if (to <= from) throw invalid("until: the period ends before it begins.");
  return { from: Math.floor(from / hourMs) * hourMs, to: until === null ? to : Math.ceil(to / hourMs) * hourMs };
}

async function pricesOf(given: string | null, path: string | undefined): Promise<Prices> {
  const where = given !== null ? "the given price list" : `the price list ${path}`;
  if (given === null && path === undefined) return awsPrices;
  try {
    return parsePrices(JSON.parse(given ?? (await readFile(path!, "utf8"))));
  } catch (error) {
    if (error instanceof PricesError || error instanceof SyntaxError) throw new ApiError("InvalidPrices", `${where}: ${error.message}`);
    throw new ApiError("InvalidPrices", `${where} can't be read: ${(error as Error).message}`);
  }
}

/** Users name clusters by these characters; machines in any other (Fargate's own) are nobody's instances. */
const isUsers = (cluster: string) => /^[A-Za-z0-9_-]{1,255}$/.test(cluster);

/**
 * Everything that was metered, each task once. What lives is read first: a task that stops in between has its record then, which counts. The meter is read at one
 * revision, so a record that moves into its days is seen on one side or the other.
 */
export async function readMeter(store: Store, scope: Scope, now: number): Promise<Metered> {
  const root = `${ecsKeys.root(scope)}/`;
  const [{ entries: tasks }, { entries: observed }, { entries: instances }] = await Promise.all([
    store.list<TaskRecord>(`${root}task/`),
    store.list<TaskObservation>(`${root}task-observed/`),
    store.list<ContainerInstanceRecord>(`${root}container-instance/`),
  ]);
  const { entries: metered } = await store.list(meterKeys.root(scope));

  const counted = new Map<string, MeteredTask>();
  const days: (DayUsageRecord & { day: string })[] = [];
  const registrations = new Map<string, InstanceUsageRecord>();
  for (const { key, value } of metered) {
    const { kind, names } = parseMeterKey(key)!;
    if (kind === "task") counted.set(names.join("/"), { id: names[1]!, ...(value as TaskUsageRecord) });
    else if (kind === "day") days.push({ day: names[0]!, ...(value as DayUsageRecord) });
    else if (kind === "instance") registrations.set(names.join("/"), value as InstanceUsageRecord);
  }

  const machines = new Map(instances.map(({ value }) => [`${value.cluster}/${value.id}`, value]));
  for (const [name, instance] of machines) {
    if (instance.status !== "INACTIVE" && !registrations.has(name)) registrations.set(name, instanceUsage(instance, now));
  }
  const observations = new Map(observed.map(({ key, value }) => [key.slice(`${root}task-observed/`.length), value]));
  for (const { value: task } of tasks) {
    const name = `${task.cluster}/${task.id}`;
    if (counted.has(name)) continue;
    const span = spanOf(task, observations.get(name), now);
    const machine = machines.get(`${task.cluster}/${task.containerInstanceId}`);
    if (span) counted.set(name, { id: task.id, ...span, class: classOf(task, machine && machineOf(machine)) });
  }
  return {
    tasks: counted.values(),
    days,
    instances: [...registrations.values()].filter(({ cluster }) => isUsers(cluster)),
  };
}
