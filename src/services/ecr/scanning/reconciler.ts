import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { followChanges } from "#reconcilers/feed.ts";
import { createKeyQueue } from "#reconcilers/queue.ts";
import { type Digest, digestOf } from "#registry/blobs/digest.ts";
import { everything, isScanKey, repositoryKey } from "#registry/keys.ts";
import type { CompleteScan, FailedScan, RepositoryRecord, ScanRecord } from "#registry/records.ts";
import type { Registry } from "#registry/registry.ts";
import { eachEntry } from "#store/each-entry.ts";
import type { Store } from "#store/store.ts";
import { scanImage, type ScanDeps } from "./scan.ts";

/** A scan is begun so often: then what it reads ends the server, or the disk fails. */
const mostBegun = 5;

export interface ScannerDeps extends Pick<ScanDeps, "config"> {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/**
 * Scans the images whose records say PENDING, one after the other. The outcome and the event that tells of it are one transaction on the record as it was when the scan began: begun again after a
 * crash it tells once, and an image that was deleted meanwhile has no outcome. Starting again looks at every record.
 */
export function createScanner({ store, registry, clock, random, log, config }: ScannerDeps): { start(): void; stop(): Promise<void> } {
  const queue = createKeyQueue({ clock, log, name: "image scan", concurrency: 1, handle });
  const stopped = new AbortController();
  let following: Promise<void> = Promise.resolve();

  async function handle(key: string): Promise<void> {
    const entry = await store.get<ScanRecord>(key);
    if (entry?.value.state !== "PENDING") return;
    const record = entry.value;
    if (record.begun >= mostBegun) {
      await conclude(key, entry.revision, record, { state: "FAILED", reason: `The scan was begun ${mostBegun} times and never ended.` });
      return;
    }
    const begun = await store.transaction({
      compare: [{ key, revision: entry.revision }],
      writes: [{ put: key, value: { ...record, begun: record.begun + 1 } satisfies ScanRecord }],
    });
    // Somebody asked anew, which wakes this key again, or the image is gone.
    if (!begun.ok) return;
    const deps = { config, blobs: registry.blobs, manifests: registry.manifests };
    const outcome = await scanImage(record.digest, deps, stopped.signal).catch((error: unknown) => {
      if (stopped.signal.aborted) return undefined;
      throw error;
    });
    if (!outcome) return;
    if (outcome.kind === "failed") {
      await conclude(key, begun.revision, record, { state: "FAILED", reason: outcome.reason });
      return;
    }
    const { findings: bytes, sourceUpdatedAt, importedAt, counts } = outcome;
    const blob = bytes && digestOf(bytes);
    // From here until the record names it, the collector leaves the blob alone.
    const release = blob === undefined ? () => {} : await registry.pin(blob);
    try {
      if (bytes && blob) await storeFindings(blob, bytes);
      const complete = { state: "COMPLETE", sourceUpdatedAt, importedAt, counts } as const;
      await conclude(key, begun.revision, record, blob === undefined ? complete : { ...complete, findings: blob });
    } finally {
      release();
    }
  }

  async function storeFindings(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (await registry.blobs.stat(digest)) return;
    const upload = await registry.blobs.begin(random.uuid(), {});
    try {
      await upload.append(one(bytes));
      await upload.commit(digest);
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  async function conclude(
    key: string,
    revision: number,
    { account, region, repository, repositoryId, digest, requestedAt }: ScanRecord,
    end: Omit<CompleteScan, "completedAt" | "tags"> | Omit<FailedScan, "completedAt" | "tags">,
  ): Promise<void> {
    const known = (await store.get<RepositoryRecord>(repositoryKey({ account, region }, repository)))?.value;
    const all = known ? await registry.images.tags(known) : new Map<string, Digest>();
    const tags = [...all].filter(([, tagged]) => tagged === digest).map(([tag]) => tag);
    const value: ScanRecord = { account, region, repository, repositoryId, digest, requestedAt, completedAt: clock.now(), tags, ...end };
    const { ok } = await store.transaction({ compare: [{ key, revision }], writes: [{ put: key, value }] });
    if (!ok) return;
    const outcome = value.state === "COMPLETE" ? { counts: value.counts } : value.state === "FAILED" ? { reason: value.reason } : {};
    log.info({ repository, digest, state: value.state, ...outcome }, "an image was scanned");
  }

  const pending = (key: string, value: unknown) => isScanKey(key) && (value as ScanRecord).state === "PENDING";
  const fresh = (value: unknown) => (value as ScanRecord & { state: "PENDING" }).begun === 0;

  return {
    start() {
      following = followChanges({
        store,
        clock,
        log,
        prefix: everything,
        signal: stopped.signal,
        behind: () =>
          eachEntry(
            store,
            everything,
            (key, value) => {
              if (pending(key, value)) queue.add(key);
            },
            stopped.signal,
          ),
        changed: (event) => {
          // That it was begun is our own word: it is no reason to look again.
          if (event.type === "put" && pending(event.key, event.entry.value) && fresh(event.entry.value)) queue.add(event.key);
        },
      });
    },
    async stop() {
      stopped.abort();
      await following;
      await queue.stop();
    },
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
