import { ApiError, type ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { ConfigError } from "#platform/config.ts";
import { loadKeys, writeKeys, type KeyFileOptions } from "#platform/key-file.ts";
import { sealedPrefix } from "#platform/vault.ts";
import { sealingKey } from "#store/sealed.ts";
import type { Compare, Entry, Write } from "#store/store.ts";

/** Sealed at the first start: tells at once whether the key file belongs to this store. */
const checkKey = "/vault/check";
const pageSize = 500;

interface Deps extends Pick<ServerDeps, "store" | "vault" | "random" | "log"> {
  readonly file: KeyFileOptions;
}

export interface KeysStatus {
  /** Where the keys are. */
  readonly path: string;
  /** 16 hex digits that tell the sealing key from others. */
  readonly keyId: string;
  /** Sealed texts in the store. */
  readonly sealed: number;
  /** Of them, how many a rotation that was asked for has sealed anew. */
  readonly resealed?: number;
}

/**
 * The one writer of the key file. A rotation: the new key goes into the file before the old one; the store is told that it seals from now on;
 * every record that holds text sealed by another key is written anew; when a look through all of the store finds none, the old key leaves the
 * file. Each step is safe to repeat, and a file with two keys at the start is a rotation to go on with.
 */
export function createVaultKeys(deps: Deps): ServerPart {
  const { store, vault, random, log, file } = deps;
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = turn.then(work, work);
    turn = next.catch(() => undefined);
    return next;
  };
  const finish = async () => {
    await store.transaction({ writes: [{ put: sealingKey, value: { id: vault.keyId } }] });
    const resealed = await resealAll(deps);
    const [current] = await loadKeys(file, random);
    await writeKeys(file.path, [current!], random);
    vault.use([current!]);
    log.info({ key: vault.keyId, resealed }, "secrets are encrypted with a new key, the old one is gone");
    return resealed;
  };
  const rotate = async (): Promise<KeysStatus> => {
    let keys = await loadKeys(file, random);
    if (keys.length === 1) keys = [Buffer.from(random.hex(32), "hex"), ...keys];
    await writeKeys(file.path, keys, random);
    vault.use(keys);
    const resealed = await finish();
    return { path: file.path, keyId: vault.keyId, sealed: await countSealed(deps), resealed };
  };
  return {
    async start() {
      const check = (await store.get<{ readonly sealed: string }>(checkKey))?.value.sealed;
      try {
        if (check === undefined)
          await store.transaction({ writes: [{ put: checkKey, value: { sealed: vault.seal(checkKey, Buffer.alloc(0)) } }] });
        else vault.open(checkKey, check);
      } catch (error) {
        throw new ConfigError(
          `the key in ${file.path} is not the one that this Gantry's secrets are encrypted with: ${(error as Error).message}`,
        );
      }
      if ((await loadKeys(file, random)).length > 1) {
        log.info("a rotation of the key of secrets was interrupted, going on with it");
        await inTurn(finish);
      }
    },
    async stop() {
      await turn;
    },
    async reset() {
      await store.transaction({ writes: [{ put: checkKey, value: { sealed: vault.seal(checkKey, Buffer.alloc(0)) } }] });
    },
    questions: [
      {
        path: "/_gantry/keys",
        action: "kms:ListKeys",
        answer: async () => ({ path: file.path, keyId: vault.keyId, sealed: await countSealed(deps) }) satisfies KeysStatus,
      },
      {
        path: "/_gantry/keys/rotate",
        method: "POST",
        action: "kms:RotateKeyOnDemand",
        async answer(_query, { principal }) {
          if (principal.identity !== undefined)
            throw new ApiError("AccessDeniedException", "Only the root user may rotate the key of secrets.", 403);
          return inTurn(rotate);
        },
      },
    ],
  };
}

/** One whole look after another, until one finds nothing to do. Returns how many texts were sealed anew. */
async function resealAll(deps: Deps): Promise<number> {
  let resealed = 0;
  for (;;) {
    let found = 0;
    for await (const entries of pages(deps)) {
      const compare: Compare[] = [];
      const writes: Write[] = [];
      for (const { key, value, revision } of entries) {
        let changed = 0;
        const next = mapSealed(value, (text) => {
          const again = deps.vault.reseal(text);
          if (again !== undefined) changed++;
          return again ?? text;
        });
        if (changed === 0) continue;
        found += changed;
        compare.push({ key, revision });
        writes.push({ put: key, value: next });
      }
      // A record that changed meanwhile is found by the next look.
      if (writes.length > 0 && (await deps.store.transaction({ compare, writes })).ok) resealed += writes.length;
    }
    if (found === 0) return resealed;
  }
}

async function countSealed(deps: Deps): Promise<number> {
  let count = 0;
  for await (const entries of pages(deps))
    for (const { value } of entries)
      mapSealed(value, (text) => {
        count++;
        return text;
      });
  return count;
}

/** The whole store: no kind of record can be forgotten. */
async function* pages({ store }: Deps): AsyncGenerator<readonly Entry[]> {
  let after: string | undefined;
  for (;;) {
    const { entries, more }: { entries: readonly Entry[]; more: boolean } = await store.list("/", { limit: pageSize, after });
    yield entries;
    if (!more) return;
    after = entries.at(-1)!.key;
  }
}

/** The same JSON with each sealed text replaced. */
function mapSealed(value: unknown, replace: (text: string) => string): unknown {
  if (typeof value === "string") return value.startsWith(sealedPrefix) ? replace(value) : value;
  if (Array.isArray(value)) return value.map((each) => mapSealed(each, replace));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, mapSealed(each, replace)]));
}
