import { createHash } from "node:crypto";
import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { pageOf } from "#api/pagination.ts";
import { parseArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, CreatorRequest, InstanceRecord, NamespaceRecord, OperationRecord } from "#model/cloud-map-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Random } from "#platform/random.ts";
import { newOperationId } from "#reconcilers/names/ids.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { errors } from "./errors.ts";
import { limitOf } from "./rules.ts";

export interface CloudMapDeps extends ServerDeps {
  readonly writer: Writer;
}

/** Cloud Map's records of one account and region, out of the store or of a unit. */
export interface Records {
  readonly scope: Scope;
  get<T>(key: string): Promise<T | undefined>;
  /** In the order of their keys. */
  list<T>(prefix: string): Promise<readonly T[]>;
}

/** What an operation that changes something is given: its whole effect is the unit's. */
export interface Change extends Records {
  readonly unit: Unit;
  readonly random: Random;
  readonly now: number;
}

/** What an operation that only reads is given. */
export interface Question extends Records {
  readonly deps: CloudMapDeps;
}

const scopeOf = ({ account, region }: RequestContext): Scope => ({ account, region });

/** Makes a handler of an operation that changes something: one transaction, nothing at all when it throws. */
export function changing<I, O>(deps: CloudMapDeps, operation: (change: Change, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> => {
    const scope = scopeOf(context);
    return deps.writer.run(`servicediscovery/${scope.account}/${scope.region}`, (unit) =>
      operation(
        {
          unit,
          scope,
          random: deps.random,
          now: context.now,
          get: (key) => unit.get(key),
          list: async <T>(prefix: string) => [...(await unit.list<T>(prefix)).values()],
        },
        input,
      ),
    );
  };
}

/** Makes a handler of an operation that only reads. */
export function asking<I, O>(deps: CloudMapDeps, operation: (question: Question, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> =>
    operation(
      {
        deps,
        scope: scopeOf(context),
        get: async <T>(key: string) => (await deps.store.get<T>(key))?.value,
        list: async <T>(prefix: string) => (await deps.store.list<T>(prefix)).entries.map(({ value }) => value),
      },
      input,
    );
}

/** The id in an id or an ARN of this account and region. */
function idOf(scope: Scope, kind: "namespace" | "service", given: string): string {
  if (!given.startsWith("arn:")) return given;
  const arn = parseArn(given);
  const own = arn?.service === "servicediscovery" && arn.account === scope.account && arn.region === scope.region;
  return own && arn.resource.startsWith(`${kind}/`) ? arn.resource.slice(kind.length + 1) : given;
}

/** By id or ARN. Throws NamespaceNotFound. */
export async function needNamespace(records: Records, given: string | undefined): Promise<NamespaceRecord> {
  const id = idOf(records.scope, "namespace", given ?? "");
  const record = id.includes("/") ? undefined : await records.get<NamespaceRecord>(cloudMapKeys.namespace(records.scope, id));
  if (!record) throw errors.noNamespace(given ?? "");
  return record;
}

/** By id or ARN. Throws ServiceNotFound. */
export async function needService(records: Records, given: string | undefined): Promise<CloudMapServiceRecord> {
  const id = idOf(records.scope, "service", given ?? "");
  const record = id.includes("/") ? undefined : await records.get<CloudMapServiceRecord>(cloudMapKeys.service(records.scope, id));
  if (!record) throw errors.noService(given ?? "");
  return record;
}

/** Throws InstanceNotFound. */
export async function needInstance(records: Records, service: string, id: string): Promise<InstanceRecord> {
  const record = await records.get<InstanceRecord>(cloudMapKeys.instance(records.scope, service, id));
  if (!record) throw errors.noInstance(id);
  return record;
}

export async function servicesOf(records: Records, namespaceId: string): Promise<readonly CloudMapServiceRecord[]> {
  const all = await records.list<CloudMapServiceRecord>(cloudMapKeys.services(records.scope));
  return all.filter((service) => service.namespaceId === namespaceId);
}

export const instancesOf = (records: Records, service: string) =>
  records.list<InstanceRecord>(cloudMapKeys.instances(records.scope, service));

/** Writes down what was done, or why it was not; the answer carries its id. */
export function writeOperation(
  { unit, scope, random, now }: Change,
  type: OperationRecord["type"],
  targets: OperationRecord["targets"],
  failure?: { readonly code: string; readonly message: string },
): { OperationId: string } {
  const id = newOperationId(random);
  const record: OperationRecord = {
    id,
    type,
    status: failure ? "FAIL" : "SUCCESS",
    ...(failure ? { errorCode: failure.code, errorMessage: failure.message } : {}),
    at: now,
    targets,
  };
  unit.put(cloudMapKeys.operation(scope, id), record);
  return { OperationId: id };
}

/** What a record remembers of its request, so that a repetition of it makes nothing more. */
export function creatorOf({ CreatorRequestId: id, ...rest }: { readonly CreatorRequestId?: string }): CreatorRequest | undefined {
  if (id === undefined) return undefined;
  if (id.length > 64) throw errors.invalid("CreatorRequestId can have at most 64 characters.");
  return { id, digest: createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 16) };
}

export const sameCreator = (a: CreatorRequest | undefined, b: CreatorRequest | undefined) =>
  a !== undefined && b !== undefined && a.id === b.id && a.digest === b.digest;

/** A page of sorted records. Throws InvalidInput for a bad token or MaxResults. */
export function page<T>(
  { deps, scope }: Question,
  items: readonly T[],
  position: (item: T) => string,
  request: { readonly operation: string; readonly asked?: unknown; readonly MaxResults?: number; readonly NextToken?: string },
): { readonly items: readonly T[]; readonly NextToken?: string } {
  const found = pageOf(deps.sealer, items, position, {
    scope: JSON.stringify([request.operation, scope.account, scope.region, request.asked]),
    limit: limitOf(request.MaxResults, 100),
    token: request.NextToken,
    badToken: errors.badToken,
  });
  return { items: found.items, ...(found.nextToken === undefined ? {} : { NextToken: found.nextToken }) };
}
