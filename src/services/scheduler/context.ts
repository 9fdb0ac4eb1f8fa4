import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import { defaultGroup, schedulerKeys, type ScheduleGroupRecord } from "#model/events/records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Writer } from "#store/unit.ts";
import { errors } from "./errors.ts";

/** What Scheduler's operations work on. */
export interface Scheduler {
  readonly deps: ServerDeps;
  readonly writer: Writer;
}

export type Operation<I, O> = (scheduler: Scheduler, input: I, context: RequestContext) => Promise<O>;
export type Read = <T>(key: string) => Promise<T | undefined>;

export const queue = "scheduler";

export const reader =
  ({ deps }: Scheduler): Read =>
  async <T>(key: string) =>
    (await deps.store.get<T>(key))?.value;

export function checkName(member: string, value: string): void {
  if (value.length < 1 || value.length > 64) throw errors.constraint(member, value, "have length less than or equal to 64");
  if (!/^[0-9a-zA-Z-_.]+$/.test(value)) throw errors.constraint(member, value, "satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$");
}

/** The group `default` needs no record. Throws ResourceNotFoundException. */
export async function needGroup(read: Read, scope: Scope, name: string): Promise<ScheduleGroupRecord> {
  const record = await read<ScheduleGroupRecord>(schedulerKeys.group(scope, name));
  if (record) return record;
  if (name !== defaultGroup) throw errors.noGroup(name);
  return { name, state: "ACTIVE", createdAt: 0, updatedAt: 0, tags: {} };
}

export function page<T>(
  { deps }: Scheduler,
  question: readonly unknown[],
  items: readonly T[],
  position: (item: T) => string,
  { NextToken, MaxResults = 100 }: { readonly NextToken?: string | undefined; readonly MaxResults?: number | undefined },
): { readonly items: readonly T[]; readonly NextToken: string | undefined } {
  if (!Number.isInteger(MaxResults) || MaxResults < 1 || MaxResults > 100)
    throw errors.constraint(
      "maxResults",
      String(MaxResults),
      MaxResults < 1 ? "have value greater than or equal to 1" : "have value less than or equal to 100",
    );
  const sorted = items.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const found = pageOf(deps.sealer, sorted, position, {
    scope: JSON.stringify(question),
    limit: MaxResults,
    token: NextToken,
    badToken: errors.badToken,
  });
  return { items: found.items, NextToken: found.nextToken };
}
