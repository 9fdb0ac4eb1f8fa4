import { ApiError, type RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { elbKeys } from "#model/elb-keys.ts";
import { VpcError } from "#reconcilers/vpc/errors.ts";
import type { InterfaceMaking } from "#reconcilers/vpc/interfaces.ts";
import type { Unit, Writer } from "#store/unit.ts";

export interface ElbDeps extends ServerDeps {
  readonly writer: Writer;
}

/** Records of one account and region, out of the store or of a unit. */
export interface Records {
  readonly scope: Scope;
  readonly now: number;
  get<T>(key: string): Promise<T | undefined>;
  /** In the order of the keys. */
  list<T>(prefix: string): Promise<readonly T[]>;
}

/** What an operation that changes something is given: its whole effect is the unit's. */
export interface Change extends Records {
  readonly unit: Unit;
  readonly making: InterfaceMaking;
  /** The domain of DNS names. */
  readonly domain: string;
}

/** What an operation that only reads is given. */
export interface Question extends Records {
  readonly deps: ElbDeps;
}

/** Where no domain is configured. `.internal` is kept for names like these: nobody else has them. */
export const defaultDomain = "gantry.internal";

const scopeOf = ({ account, region }: RequestContext): Scope => ({ account, region });

/**
 * Makes a handler of an operation that changes something: one transaction, nothing at all when it throws. What it decides from lists still holds
 * when it is applied: every other change raises the same version.
 */
export function changing<I extends object, O>(deps: ElbDeps, operation: (change: Change, input: I) => Promise<O>) {
  return handler(deps, async (change, input: I) => {
    const key = elbKeys.version(change.scope);
    const { version } = (await change.get<{ version: number }>(key)) ?? { version: 0 };
    const output = await operation(change, input);
    change.unit.put(key, { version: version + 1 });
    return output;
  });
}

/** The same for registrations, which are many and hinder nobody: they decide from what they read by key, and raise no version. */
export function registering<I extends object, O>(deps: ElbDeps, operation: (change: Change, input: I) => Promise<O>) {
  return handler(deps, operation);
}

function handler<I extends object, O>(deps: ElbDeps, operation: (change: Change, input: I) => Promise<O>) {
  return async (input: I, context: RequestContext): Promise<O> => {
    const scope = scopeOf(context);
    try {
      return await deps.writer.run(elbKeys.root(scope), (unit) => operation(changeOf(deps, scope, unit, context.now), input));
    } catch (error) {
      throw error instanceof VpcError ? fromVpc(error) : error;
    }
  };
}

/** EC2 refused what the load balancer needs. */
function fromVpc({ code, message }: VpcError): ApiError {
  if (code === "InvalidSubnetID.NotFound") return new ApiError("SubnetNotFound", message);
  if (code === "InvalidGroup.NotFound") return new ApiError("InvalidSecurityGroup", message);
  if (code === "InsufficientFreeAddressesInSubnet") return new ApiError("InvalidSubnet", message);
  return new ApiError("InvalidConfigurationRequest", message);
}

function changeOf({ random, config }: ElbDeps, scope: Scope, unit: Unit, now: number): Change {
  return {
    unit,
    scope,
    now,
    making: { random, now, publicPool: config.publicPool },
    domain: config.domain ?? defaultDomain,
    get: (key) => unit.get(key),
    list: async <T>(prefix: string) => [...(await unit.list<T>(prefix))].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value),
  };
}

/** Makes a handler of an operation that only reads. */
export function asking<I extends object, O>(deps: ElbDeps, operation: (question: Question, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> =>
    operation(
      {
        deps,
        scope: scopeOf(context),
        now: context.now,
        get: async <T>(key: string) => (await deps.store.get<T>(key))?.value,
        list: async <T>(prefix: string) => (await deps.store.list<T>(prefix)).entries.map(({ value }) => value),
      },
      input,
    );
}
