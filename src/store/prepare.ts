import type { Compare, Transaction } from "./store.ts";

export type PreparedWrite =
  | { readonly kind: "put"; readonly key: string; readonly text: string; readonly lease: string | undefined }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "deletePrefix"; readonly prefix: string };

export interface Prepared {
  readonly compare: readonly Compare[];
  readonly writes: readonly PreparedWrite[];
  readonly puts: ReadonlySet<string>;
}

/**
 * Checks a transaction and takes its values as JSON, so that what the caller changes later changes nothing here.
 * A TypeError says what no engine takes: a value that is no JSON, a key that is no UTF-8, or a key that is put twice, or put and deleted, in
 * one transaction (etcd refuses that, so no caller may come to depend on it).
 */
export function prepare(transaction: Transaction): Prepared {
  const compare = transaction.compare ?? [];
  for (const { key, revision } of compare) {
    checkKey(key);
    if (!Number.isSafeInteger(revision) || revision < 0) throw new TypeError(`not a revision: ${String(revision)}`);
  }
  const writes = transaction.writes.map((write): PreparedWrite => {
    if ("put" in write) {
      checkKey(write.put);
      const text = JSON.stringify(write.value) as string | undefined;
      if (text === undefined) throw new TypeError(`the value of ${write.put} is no JSON`);
      return { kind: "put", key: write.put, text, lease: write.lease };
    }
    if ("delete" in write) {
      checkKey(write.delete);
      return { kind: "delete", key: write.delete };
    }
    checkKey(write.deletePrefix, "");
    return { kind: "deletePrefix", prefix: write.deletePrefix };
  });
  return { compare, writes, puts: putsOf(writes) };
}

function checkKey(key: string, allowed?: string): void {
  if (typeof key !== "string" || (key === "" && key !== allowed) || !key.isWellFormed())
    throw new TypeError(`not a key: ${JSON.stringify(key)}`);
}

/** The keys that are put. */
function putsOf(writes: readonly PreparedWrite[]): ReadonlySet<string> {
  const puts = new Set<string>();
  for (const write of writes) {
    if (write.kind !== "put") continue;
    if (puts.has(write.key)) throw new TypeError(`a transaction puts ${write.key} twice`);
    puts.add(write.key);
  }
  for (const write of writes)
    if (write.kind === "delete" && puts.has(write.key)) throw new TypeError(`a transaction puts and deletes ${write.key}`);
  return puts;
}
