import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { BlobStore, BlobUpload, UploadInfo } from "./blobs/blob-store.ts";
import { uploadUnknown } from "./errors.ts";
import type { RepositoryRecord } from "./records.ts";

/** An upload nobody added to for so long is given up. */
const abandonedMs = 24 * 60 * 60 * 1000;
/** After so long without a request its file is closed; the next request opens it again. */
const idleMs = 60 * 1000;

export interface Uploads {
  begin(repository: RepositoryRecord, extra?: UploadInfo): Promise<string>;
  /**
   * Runs `work` on an upload, alone. A client whose connection broke comes back before we notice: the newest request wins, `signal` tells the one before to
   * stop. Throws UploadUnknown.
   */
  use<T>(repository: RepositoryRecord, id: string, work: (upload: BlobUpload, signal: AbortSignal) => Promise<T>): Promise<T>;
  /** How many bytes an upload has, without disturbing a request that adds to it. Throws UploadUnknown. */
  size(repository: RepositoryRecord, id: string): Promise<number>;
  /** Forgets an upload that was committed or aborted. */
  forget(id: string): void;
  /** Closes idle uploads and gives up abandoned ones. */
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export interface UploadsDeps {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

interface Session {
  readonly upload: BlobUpload;
  used: number;
  /** The work under way and behind it the work that waits. */
  tail: Promise<void>;
  running: AbortController | undefined;
  waiting: number;
}

/** The uploads under way. Each belongs to one repository: its id is of no use in another. */
export function createUploads({ blobs, clock, random, log }: UploadsDeps): Uploads {
  const sessions = new Map<string, Session>();
  const opening = new Map<string, Promise<Session | undefined>>();

  const remember = (upload: BlobUpload): Session => {
    const session: Session = { upload, used: clock.now(), tail: Promise.resolve(), running: undefined, waiting: 0 };
    sessions.set(upload.id, session);
    return session;
  };

  async function find(id: string): Promise<Session | undefined> {
    const known = sessions.get(id);
    if (known) return known;
    const resumed = () => blobs.resume(id).then((upload) => upload && remember(upload));
    return opening.get(id) ?? during(id, resumed());
  }

  /** Whoever asks for the upload meanwhile waits for the same. */
  function during(id: string, open: Promise<Session | undefined>): Promise<Session | undefined> {
    const noted = open.finally(() => opening.delete(id));
    opening.set(id, noted);
    return noted;
  }

  async function owned(repository: RepositoryRecord, id: string): Promise<Session> {
    const session = await find(id);
    if (session?.upload.info.repository !== repository.id) throw uploadUnknown(repository, id);
    return session;
  }

  const uploads: Uploads = {
    async begin(repository, extra = {}) {
      const id = random.uuid();
      // Its file is there before we know of it: a sweep whose clock is ahead of the file system's must not take it for abandoned.
      const begun = blobs.begin(id, { ...extra, repository: repository.id }).then(remember);
      await during(id, begun);
      return id;
    },

    async size(repository, id) {
      return (await owned(repository, id)).upload.size;
    },

    async use(repository, id, work) {
      const session = await owned(repository, id);
      session.running?.abort(new Error("a newer request took over this upload"));
      session.waiting++;
      const before = session.tail;
      let finish = () => {};
      session.tail = new Promise<void>((resolve) => (finish = resolve));
      await before;
      const running = new AbortController();
      try {
        // It ended before our turn, or was closed for idleness just now: whether it is still there, `owned` finds out.
        if (sessions.get(id) !== session) return await uploads.use(repository, id, work);
        session.running = running;
        return await work(session.upload, running.signal);
      } finally {
        session.running = undefined;
        session.used = clock.now();
        session.waiting--;
        finish();
      }
    },

    forget(id) {
      sessions.delete(id);
    },

    async sweep() {
      const now = clock.now();
      for (const [id, session] of sessions) {
        if (session.waiting > 0 || now - session.used < idleMs) continue;
        sessions.delete(id);
        await session.upload.close();
      }
      for await (const { id, modified } of blobs.uploads()) {
        if (sessions.has(id) || opening.has(id) || now - modified < abandonedMs) continue;
        await blobs.discard(id);
        log.info({ uploadId: id }, "an abandoned upload was removed");
      }
    },

    async close() {
      for (const session of sessions.values()) {
        session.running?.abort(new Error("the registry stops"));
        await session.tail;
        await session.upload.close();
      }
      sessions.clear();
    },
  };
  return uploads;
}
