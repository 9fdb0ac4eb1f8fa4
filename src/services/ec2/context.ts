import { createHash } from "node:crypto";
import { ApiError, type RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { ClientRequest } from "#model/vpc-records.ts";
import type { Random } from "#platform/random.ts";
import { LaunchError } from "#reconcilers/instances/launch.ts";
import { runsInstances } from "#reconcilers/instances/hosts.ts";
import { VpcError } from "#reconcilers/vpc/errors.ts";
import { type InterfaceMaking, interfacesOf } from "#reconcilers/vpc/interfaces.ts";
import { changeVpc, ensureDefaultVpc } from "#reconcilers/vpc/make-vpc.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { ec2Errors } from "./errors.ts";
import { checkId, type Kind, type Kinds, notFound } from "./kinds.ts";

export interface Ec2Deps extends ServerDeps {
  readonly writer: Writer;
}

/** EC2's records of one account and region, out of the store or of a unit. */
export interface Records {
  get<K extends Kind>(kind: K, id: string): Promise<Kinds[K] | undefined>;
  /** In the order of their ids. */
  all<K extends Kind>(kind: K): Promise<readonly Kinds[K][]>;
}

/** What an operation that changes something is given: its whole effect is the unit's. */
export interface Change extends Records {
  readonly unit: Unit;
  readonly scope: Scope;
  readonly random: Random;
  readonly now: number;
  readonly making: InterfaceMaking;
  put<K extends Kind>(kind: K, id: string, record: Kinds[K]): void;
  delete(kind: Kind, id: string): void;
  /** Memory in MiB of the largest machine that can run instances; undefined: there is none yet. */
  largestMachine(): Promise<number | undefined>;
}

/** What an operation that only reads is given. */
export interface Question extends Records {
  readonly scope: Scope;
  readonly now: number;
  readonly deps: Ec2Deps;
  /** How many IPv4 addresses are given out, by subnet. */
  addressCounts(): Promise<ReadonlyMap<string, number>>;
}

/** The record, or EC2's error for an id that is malformed or not there. */
export async function need<K extends Kind>(records: Records, kind: K, id: string): Promise<Kinds[K]> {
  checkId(kind, id);
  const record = await records.get(kind, id);
  if (!record) throw notFound(kind, id);
  return record;
}

const scopeOf = ({ account, region }: RequestContext): Scope => ({ account, region });
const countAddresses = (prefix: string, keys: Iterable<string>) => {
  const counts = new Map<string, number>();
  for (const key of keys) {
    if (key.includes(":")) continue;
    const subnet = key.slice(prefix.length, key.lastIndexOf("/"));
    counts.set(subnet, (counts.get(subnet) ?? 0) + 1);
  }
  return counts;
};

/** Makes a handler of an operation that changes something: one transaction, nothing at all when it throws or with DryRun. */
export function changing<I extends object, O>(deps: Ec2Deps, operation: (change: Change, input: I) => Promise<O>) {
  return async (input: I, context: RequestContext): Promise<O> => {
    const scope = scopeOf(context);
    await ensureDefaultVpc(deps, scope, deps.random);
    try {
      return await changeVpc(deps.writer, scope, async (unit) => {
        const output = await operation(changeOf(deps, scope, unit, context.now), input);
        if ((input as { DryRun?: boolean }).DryRun) throw ec2Errors.dryRun();
        return output;
      });
    } catch (error) {
      throw error instanceof VpcError || error instanceof LaunchError ? new ApiError(error.code, error.message) : error;
    }
  };
}

function changeOf(deps: Ec2Deps, scope: Scope, unit: Unit, now: number): Change {
  const { random, config } = deps;
  return {
    unit,
    scope,
    random,
    now,
    making: { random, now, publicPool: config.publicPool },
    get: (kind, id) => unit.get(vpcKeys.one(scope, kind, id)),
    async all<K extends Kind>(kind: K) {
      if (kind === "network-interface") return (await interfacesOf(unit, scope)) as readonly Kinds[Kind][] as readonly Kinds[K][];
      return [...(await unit.list<Kinds[K]>(vpcKeys.of(scope, kind))).values()];
    },
    put: (kind, id, record) => unit.put(vpcKeys.one(scope, kind, id), record),
    delete: (kind, id) => unit.delete(vpcKeys.one(scope, kind, id)),
    async largestMachine() {
      const instances = await unit.list<ContainerInstanceRecord>(`${ecsKeys.root(config)}/container-instance/`);
      const able = [...instances.values()].filter((each) => each.status !== "INACTIVE" && runsInstances(each));
      return able.length === 0 ? undefined : Math.max(...able.map(({ registeredResources }) => registeredResources.memory));
    },
  };
}

/** Makes a handler of an operation that only reads. */
export function asking<I extends object, O>(deps: Ec2Deps, operation: (question: Question, input: I) => Promise<O>) {
  return async (input: I, context: RequestContext): Promise<O> => {
    const scope = scopeOf(context);
    await ensureDefaultVpc(deps, scope, deps.random);
    const output = await operation(questionOf(deps, scope, context.now), input);
    if ((input as { DryRun?: boolean }).DryRun) throw ec2Errors.dryRun();
    return output;
  };
}

function questionOf(deps: Ec2Deps, scope: Scope, now: number): Question {
  const { store } = deps;
  return {
    scope,
    now,
    deps,
    get: async <K extends Kind>(kind: K, id: string) => (await store.get<Kinds[K]>(vpcKeys.one(scope, kind, id)))?.value,
    all: async <K extends Kind>(kind: K) => (await store.list<Kinds[K]>(vpcKeys.of(scope, kind))).entries.map(({ value }) => value),
    async addressCounts() {
      const prefix = vpcKeys.allAddresses(scope);
      return countAddresses(
        prefix,
        (await store.list(prefix)).entries.map(({ key }) => key),
      );
    },
  };
}

/**
 * What a record remembers of the request that made it, so that a repetition of it makes nothing more. Throws IdempotentParameterMismatch when the token
 * came with another request. Source: Amazon EC2 API Reference, "Ensuring idempotency".
 */
export function repeated<T extends { readonly client?: ClientRequest }>(
  made: readonly T[],
  input: { readonly ClientToken?: string },
): { readonly client: ClientRequest | undefined; readonly earlier: T | undefined } {
  const { ClientToken: token, ...rest } = input;
  if (token === undefined) return { client: undefined, earlier: undefined };
  const request = createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 16);
  const earlier = made.find(({ client }) => client?.token === token);
  if (earlier && earlier.client?.request !== request)
    throw new ApiError(
      "IdempotentParameterMismatch",
      "The client token you have provided is associated with a resource with different parameters.",
    );
  return { client: { token, request }, earlier };
}
