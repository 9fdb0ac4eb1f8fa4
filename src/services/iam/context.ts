import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { EntityKind, GroupRecord, RoleRecord, UserRecord } from "#model/iam-records.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { errors } from "./errors.ts";

export interface IamDeps extends ServerDeps {
  readonly writer: Writer;
}

/** IAM's records of one account, out of the store or of a unit. */
export interface Records {
  readonly account: string;
  readonly context: RequestContext;
  get<T>(key: string): Promise<T | undefined>;
  /** In the order of their keys. */
  list<T>(prefix: string): Promise<readonly T[]>;
}

/** What an operation that changes something is given: its whole effect is the unit's. */
export interface Change extends Records {
  readonly unit: Unit;
  readonly random: Random;
  readonly sealer: Sealer;
  readonly now: number;
  /** Where this Gantry is: IAM itself is asked in us-east-1. */
  readonly homeRegion: string;
}

/** What an operation that only reads is given. */
export interface Question extends Records {
  readonly deps: IamDeps;
}

/** Makes a handler of an operation that changes something: one transaction, nothing at all when it throws. */
export function changing<I, O>(deps: IamDeps, operation: (change: Change, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> => {
    const { account } = context;
    return deps.writer.run(`iam/${account}`, async (unit) => {
      const records: Change = {
        unit,
        account,
        context,
        random: deps.random,
        sealer: deps.sealer,
        now: context.now,
        homeRegion: deps.config.region,
        get: (key) => unit.get(key),
        list: async <T>(prefix: string) => [...(await unit.list<T>(prefix)).values()],
      };
      const answer = await operation(records, input);
      unit.put(iamKeys.changed(account), {});
      return answer;
    });
  };
}

/** Makes a handler of an operation that only reads. */
export function asking<I, O>(deps: IamDeps, operation: (question: Question, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> =>
    operation(
      {
        deps,
        account: context.account,
        context,
        get: async <T>(key: string) => (await deps.store.get<T>(key))?.value,
        list: async <T>(prefix: string) => (await deps.store.list<T>(prefix)).entries.map(({ value }) => value),
      },
      input,
    );
}

export interface EntityRecords {
  readonly user: UserRecord;
  readonly group: GroupRecord;
  readonly role: RoleRecord;
}

/** Throws NoSuchEntity. */
export async function need<K extends EntityKind>(records: Records, kind: K, name: string | undefined): Promise<EntityRecords[K]> {
  const record = await records.get<EntityRecords[K]>(iamKeys.entity(records.account, kind, name ?? ""));
  if (!record) throw errors.noEntity(kind, name ?? "");
  return record;
}

/** A role that may be changed by its account. Throws NoSuchEntity, UnmodifiableEntity. */
export async function needOwn<K extends EntityKind>(change: Change, kind: K, name: string | undefined): Promise<EntityRecords[K]> {
  const record = await need(change, kind, name);
  if ("service" in record && record.service !== undefined) throw errors.protectedRole(record.name);
  return record;
}

export function put<K extends EntityKind>(change: Change, kind: K, record: EntityRecords[K]): void {
  change.unit.put(iamKeys.entity(change.account, kind, record.name), record);
}

export interface PageInput {
  readonly Marker?: string;
  readonly MaxItems?: number;
}

/** A page of sorted things in IAM's form. Throws ValidationError for a bad Marker or MaxItems. */
export function page<T>(
  { deps, account }: Question,
  items: readonly T[],
  position: (item: T) => string,
  request: PageInput & { readonly operation: string; readonly asked?: unknown },
): { readonly items: readonly T[]; readonly IsTruncated: boolean; readonly Marker?: string } {
  const { Marker, MaxItems = 100 } = request;
  if (!Number.isInteger(MaxItems) || MaxItems < 1 || MaxItems > 1000)
    throw errors.constraints([
      `Value '${MaxItems}' at 'maxItems' failed to satisfy constraint: Member must have value ${MaxItems < 1 ? "greater than or equal to 1" : "less than or equal to 1000"}`,
    ]);
  const found = pageOf(deps.sealer, items, position, {
    scope: JSON.stringify([request.operation, account, request.asked]),
    limit: MaxItems,
    token: Marker,
    badToken: () => errors.validation(`Invalid Marker: ${Marker}`),
  });
  return {
    items: found.items,
    IsTruncated: found.nextToken !== undefined,
    ...(found.nextToken === undefined ? {} : { Marker: found.nextToken }),
  };
}

/** Names sort as their keys do. */
export const byName = ({ name }: { readonly name: string }) => name.toLowerCase();
