import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import { followChanges, valueOf } from "#reconcilers/feed.ts";
import { createKeyQueue } from "#reconcilers/queue.ts";
import type { Images } from "#registry/images.ts";
import { RegistryError } from "#registry/errors.ts";
import { everything, isRepositoryKey, lifecycleKey } from "#registry/keys.ts";
import type { LifecycleRecord, RepositoryRecord } from "#registry/records.ts";
import { eachEntry } from "#store/each-entry.ts";
import type { Store } from "#store/store.ts";
import { expiringNow } from "./expiring.ts";

/** A repository is looked at when nobody has changed it for a while, for a push is many changes; and at the latest after this while of changes without end. */
export const quietMs = 60_000;
export const longestQuietMs = 15 * 60_000;

export interface LifecycleDeps {
  readonly store: Store;
  readonly images: Images;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Wake {
  /** Of the first change since the last look. */
  readonly since: number;
  readonly cancel: () => void;
}

/**
 * Deletes the images that the repositories' lifecycle policies expire: a while after each change of a repository, and when an image reaches its age. AWS
 * promises no more than "within 24 hours". What expires is decided from what the repository holds, and deleted only if nothing of that has changed
 * (src/registry/expire.ts); the collector takes the blobs. Starting again looks at every repository with a policy.
 */
export function createLifecycle({ store, images, clock, log }: LifecycleDeps): { start(): void; stop(): Promise<void> } {
  const changes = new Map<string, Wake>();
  const ages = new KeyTimers(clock);
  const queue = createKeyQueue({ clock, log, name: "image lifecycle", concurrency: 2, handle });
  const stopped = new AbortController();
  let following: Promise<void> = Promise.resolve();

  function changed(key: string, repository: RepositoryRecord | undefined): void {
    const known = changes.get(key);
    known?.cancel();
    changes.delete(key);
    if (repository?.lifecyclePolicy === undefined) {
      ages.clear(key);
      return;
    }
    const now = clock.now();
    const since = known?.since ?? now;
    const cancel = clock.after(Math.min(now + quietMs, since + longestQuietMs) - now, () => {
      changes.delete(key);
      queue.add(key);
    });
    changes.set(key, { since, cancel });
  }

  async function handle(key: string): Promise<void> {
    const entry = await store.get<RepositoryRecord>(key);
    if (entry?.value.lifecyclePolicy === undefined) return;
    const now = clock.now();
    let again = now;
    try {
      const gone = await images.expire(entry.value, (held) => {
        const expiry = expiringNow(held, now);
        ({ again } = expiry);
        return expiry.digests;
      });
      if (gone.length > 0)
        log.info({ repository: entry.value.name, count: gone.length, images: gone.slice(0, 20) }, "expired by the lifecycle policy");
    } catch (error) {
      // Deleted meanwhile.
      if (error instanceof RegistryError && error.kind === "RepositoryUnknown") return;
      throw error;
    }
    await noteEvaluation(key, now);
    ages.set(key, again - clock.now(), () => queue.add(key));
  }

  /** Compared with the repository, so that no record outlives it. When that changed just now it is looked at again anyway. */
  async function noteEvaluation(key: string, evaluatedAt: number): Promise<void> {
    const entry = await store.get<RepositoryRecord>(key);
    if (!entry) return;
    const value: LifecycleRecord = { evaluatedAt };
    await store.transaction({ compare: [{ key, revision: entry.revision }], writes: [{ put: lifecycleKey(entry.value), value }] });
  }

  const behind = () =>
    eachEntry<RepositoryRecord>(
      store,
      everything,
      (key, repository) => {
        if (isRepositoryKey(key)) changed(key, repository);
      },
      stopped.signal,
    );

  return {
    start() {
      following = followChanges({
        store,
        clock,
        log,
        prefix: everything,
        signal: stopped.signal,
        behind,
        changed(event) {
          if (isRepositoryKey(event.key)) changed(event.key, valueOf(event) as RepositoryRecord | undefined);
        },
      });
    },
    async stop() {
      stopped.abort();
      await following;
      for (const { cancel } of changes.values()) cancel();
      ages.stop();
      await queue.stop();
    },
  };
}
