import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { defaultBus, type EventBusRecord, eventKeys } from "#model/events/records.ts";
import type { RuleIndex } from "#reconcilers/events/rule-index.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { errors } from "./errors.ts";

/** What EventBridge's operations work on. */
export interface Events {
  readonly deps: ServerDeps;
  readonly writer: Writer;
  readonly index: RuleIndex;
  /** There is no room for more events that wait. */
  readonly full: () => boolean;
}

export type Operation<I, O> = (events: Events, input: I, context: RequestContext) => Promise<O>;

/** Writes records of rules and buses, and waits until events are matched with them: who made a rule may count on it from then on. */
export async function change<T>({ writer, index }: Events, work: (unit: Unit) => Promise<T>): Promise<T> {
  const { value, revision } = await writer.commit("events", work);
  if (revision > 0) await index.reached(revision);
  return value;
}

export const write = <T>({ writer }: Events, work: (unit: Unit) => Promise<T>): Promise<T> => writer.run("events", work);

const name = /^[.\-_A-Za-z0-9]+$/;

export function checkName(member: string, value: string, longest = 64): void {
  if (value.length < 1 || value.length > longest) throw errors.constraint(member, value, `have length less than or equal to ${longest}`);
  if (!name.test(value)) throw errors.constraint(member, value, "satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+");
}

/** A bus by its name or ARN; another account's by ARN alone. */
export function busOf(scope: Scope, given: string | undefined): { readonly scope: Scope; readonly bus: string } {
  const arn = /^arn:aws:events:([^:]+):(\d{12}):event-bus\/(.+)$/.exec(given ?? "");
  const bus = arn ? arn[3]! : (given ?? defaultBus);
  checkName("eventBusName", bus, 256);
  return { scope: arn ? { region: arn[1]!, account: arn[2]! } : scope, bus };
}

/** Throws ResourceNotFoundException. The bus `default` needs no record. */
export async function needBus(read: <T>(key: string) => Promise<T | undefined>, scope: Scope, bus: string): Promise<EventBusRecord> {
  const record = await read<EventBusRecord>(eventKeys.bus(scope, bus));
  if (record) return record;
  if (bus !== defaultBus) throw errors.noBus(bus);
  return { name: defaultBus, createdAt: 0, updatedAt: 0, tags: {} };
}

export const reader =
  ({ deps }: Events) =>
  async <T>(key: string): Promise<T | undefined> =>
    (await deps.store.get<T>(key))?.value;

export async function listed<T>({ deps }: Events, prefix: string): Promise<readonly T[]> {
  return (await deps.store.list<T>(prefix)).entries.map(({ value }) => value);
}

/** One page of what has names. */
export function page<T extends { readonly name: string }>(
  { deps }: Events,
  { account, region }: Scope,
  question: string,
  items: readonly T[],
  {
    NamePrefix = "",
    NextToken,
    Limit = 100,
  }: { readonly NamePrefix?: string | undefined; readonly NextToken?: string | undefined; readonly Limit?: number | undefined },
): { readonly items: readonly T[]; readonly NextToken: string | undefined } {
  if (!Number.isInteger(Limit) || Limit < 1 || Limit > 100)
    throw errors.constraint(
      "limit",
      String(Limit),
      Limit < 1 ? "have value greater than or equal to 1" : "have value less than or equal to 100",
    );
  const wanted = items.filter((item) => item.name.startsWith(NamePrefix)).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const scope = JSON.stringify([question, account, region, NamePrefix]);
  const found = pageOf(deps.sealer, wanted, (item) => item.name, { scope, limit: Limit, token: NextToken, badToken: errors.badToken });
  return { items: found.items, NextToken: found.nextToken };
}

const mostTags = 50;

export function tagsOf(
  given: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const tags = { ...before, ...Object.fromEntries((given ?? []).map(({ Key = "", Value = "" }) => [Key, Value])) };
  for (const [key, value] of Object.entries(tags)) {
    if (key.length < 1 || key.length > 128) throw errors.constraint("tags", key, "have length less than or equal to 128");
    if (key.toLowerCase().startsWith("aws:")) throw errors.invalid("Tag keys must not start with aws:.");
    if (value.length > 256) throw errors.constraint("tags", value, "have length less than or equal to 256");
  }
  if (Object.keys(tags).length > mostTags) throw errors.invalid(`A resource can have at most ${mostTags} tags.`);
  return tags;
}
