import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { sealIn } from "#store/sealed.ts";
import type { Unit, Writer } from "#store/unit.ts";

export interface SecretDeps extends ServerDeps {
  readonly writer: Writer;
}

/** The records of one account and region, out of the store or of a unit. */
export interface Records {
  readonly deps: SecretDeps;
  readonly scope: Scope;
  readonly context: RequestContext;
  readonly now: number;
  get<T>(key: string): Promise<T | undefined>;
  /** In the order of their keys. */
  list<T>(prefix: string): Promise<readonly T[]>;
}

/** What an operation that changes something is given: its whole effect is the unit's. */
export interface Change extends Records {
  readonly unit: Unit;
  /** Encrypts what is to lie at `key`. */
  seal(key: string, plaintext: Uint8Array | string): Promise<string>;
}

const scopeOf = ({ account, region }: RequestContext): Scope => ({ account, region });

/** Makes a handler of an operation that changes something: one transaction, nothing at all when it throws. */
export function changing<I, O>(deps: SecretDeps, service: string, operation: (change: Change, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> => {
    const scope = scopeOf(context);
    return deps.writer.run(`secrets/${service}/${scope.account}/${scope.region}`, (unit) =>
      operation(
        {
          deps,
          unit,
          scope,
          context,
          now: context.now,
          get: (key) => unit.get(key),
          list: async <T>(prefix: string) => [...(await unit.list<T>(prefix)).values()],
          seal: (key, plaintext) => sealIn(deps.vault, unit, key, plaintext),
        },
        input,
      ),
    );
  };
}

/** Makes a handler of an operation that only reads. */
export function asking<I, O>(deps: SecretDeps, operation: (question: Records, input: I) => Promise<O>) {
  return (input: I, context: RequestContext): Promise<O> =>
    operation(
      {
        deps,
        scope: scopeOf(context),
        context,
        now: context.now,
        get: async <T>(key: string) => (await deps.store.get<T>(key))?.value,
        list: async <T>(prefix: string) => (await deps.store.list<T>(prefix)).entries.map(({ value }) => value),
      },
      input,
    );
}
