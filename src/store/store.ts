/**
 * The revisioned key-value store: the one place for state. Modelled on etcd's KV, Watch and Lease APIs, so that both engines
 * (SQLite, etcd) pass one conformance suite. Keys are UTF-8 strings ordered by bytes, values are JSON documents.
 */
export interface Store {
  get<T>(key: string): Promise<Entry<T> | undefined>;
  /** Entries whose keys start with `prefix`, in key order, all of one revision. */
  list<T>(prefix: string, options?: ListOptions): Promise<Page<T>>;
  /** All writes or none: applied in one revision if every compare holds. On success the promise resolves once the change is durable. */
  transaction(transaction: Transaction): Promise<TransactionResult>;
  /**
   * Changes under `prefix` with a revision greater than `after` (default: from now), one batch a revision, in order, each exactly once.
   * Throws StoreError `Compacted` when that history is gone: list again and watch from the list's revision.
   * Ends without error when `signal` aborts.
   */
  watch(prefix: string, options: { after?: number; signal: AbortSignal }): AsyncIterable<WatchBatch>;
  /** Keys put under the lease vanish (as deletes) when it is not renewed for `ttlMs`, or revoked. */
  lease(ttlMs: number): Promise<Lease>;
  close(): Promise<void>;
}

/** Values are shared, frozen in tests: whoever reads one never changes it. */
export interface Entry<T = unknown> {
  readonly key: string;
  readonly value: T;
  /** Revision at which the key came into being. */
  readonly created: number;
  /** Revision of the last write. */
  readonly revision: number;
}

export interface ListOptions {
  readonly limit?: number;
  /** Continue behind this key (exclusive). */
  readonly after?: string;
}

export interface Page<T = unknown> {
  readonly entries: readonly Entry<T>[];
  /** The store's revision of this reading: a watch after it misses nothing. */
  readonly revision: number;
  /** Whether entries follow behind the last one. */
  readonly more: boolean;
}

export interface Transaction {
  readonly compare?: readonly Compare[];
  readonly writes: readonly Write[];
}

/** Holds when the key's last write has this revision; 0 means that the key must not exist. */
export interface Compare {
  readonly key: string;
  readonly revision: number;
}

/** A key is named by one put or delete of a transaction (else TypeError). `deletePrefix` spares the keys that the same transaction puts. */
export type Write =
  | { readonly put: string; readonly value: unknown; readonly lease?: string }
  | { readonly delete: string }
  | { readonly deletePrefix: string };

export type TransactionResult =
  | { readonly ok: true; readonly revision: number }
  /** `conflicts`: the keys whose compare did not hold. */
  | { readonly ok: false; readonly revision: number; readonly conflicts: readonly string[] };

export interface WatchBatch {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

export type WatchEvent =
  | { readonly type: "put"; readonly key: string; readonly entry: Entry }
  | { readonly type: "delete"; readonly key: string };

export interface Lease {
  readonly id: string;
  renew(): Promise<void>;
  revoke(): Promise<void>;
}

/** `Full`: the disk is full, nothing was written. `Closed`: the store was closed. `Compacted`: see watch. `LeaseExpired`: renew or put under a lease that is gone. */
export type StoreErrorCode = "Full" | "Closed" | "Compacted" | "LeaseExpired" | "Failed";

export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "StoreError";
    this.code = code;
  }
}
