import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Config } from "#platform/config.ts";
import { BlobCorrupt, type BlobStore } from "#registry/blobs/blob-store.ts";
import type { Digest } from "#registry/blobs/digest.ts";
import { parseManifest } from "#registry/manifest.ts";
import type { ManifestReader } from "#registry/manifest-reader.ts";
import type { Outcome } from "./inspect.ts";
import type { FromScan, ScanInput, ToScan } from "./messages.ts";

export interface ScanDeps {
  readonly config: Pick<Config, "home">;
  readonly blobs: BlobStore;
  readonly manifests: ManifestReader;
}

/** A thread that is silent for so long has been caught by what it reads. */
const silenceMs = 60_000;
/** MiB of its heap. File contents are outside of it, and bounded by LayerLimits. */
const heapMb = 512;

/** Scans the layers of an image in a thread of their own. An image that cannot be scanned is an outcome; an error is worth another try. */
export async function scanImage(digest: Digest, { config, blobs, manifests }: ScanDeps, signal: AbortSignal): Promise<Outcome> {
  const bytes = await manifests.read(digest);
  if (!bytes) return failed("its manifest is damaged: push it again");
  const { layers } = parseManifest(bytes, undefined);
  const workerData: ScanInput = { home: config.home };
  const worker = new Worker(new URL("./thread.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const stop = new AbortController();
  const died = Promise.withResolvers<never>();
  worker.once("error", (error: NodeJS.ErrnoException) => died.reject(error));
  worker.once("exit", () => died.reject(new Error("the scan's thread ended without a word")));
  const aborted = () => died.reject(new Error("the server ends"));
  signal.addEventListener("abort", aborted, { once: true });
  died.promise.catch(() => stop.abort());
  const ask = () => within(Promise.race([once(worker, "message", { signal: stop.signal }), died.promise]) as Promise<[FromScan]>);
  const tell = (message: ToScan) => worker.postMessage(message, "piece" in message ? [message.piece.buffer as ArrayBuffer] : []);
  try {
    for (const layer of layers) {
      if (layer.urls?.length) return failed(`its layer ${layer.digest} is kept elsewhere`);
      const read = await blobs.read(layer.digest);
      if (!read) return failed(`its layer ${layer.digest} is not in the registry any more: push it again`);
      try {
        for await (const piece of read.pieces()) {
          const [message] = await ask();
          if ("outcome" in message) return message.outcome;
          tell({ piece: Uint8Array.from(piece) });
        }
      } finally {
        await read.close();
      }
      const [message] = await ask();
      if ("outcome" in message) return message.outcome;
      tell({ layerEnds: true });
    }
    for (;;) {
      const [message] = await ask();
      if ("outcome" in message) return message.outcome;
      tell({ imageEnds: true });
    }
  } catch (error) {
    if (error instanceof BlobCorrupt) return failed(`${error.message}: push it again`);
    if ((error as NodeJS.ErrnoException).code === "ERR_WORKER_OUT_OF_MEMORY")
      return failed("reading its package databases takes too much memory");
    if (error instanceof Silent) return failed(`reading it came to no end within ${silenceMs / 1000} s`);
    throw error;
  } finally {
    signal.removeEventListener("abort", aborted);
    died.promise.catch(() => {});
    await worker.terminate();
  }
}

class Silent extends Error {}

async function within<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Silent()), silenceMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const failed = (why: string): Outcome => ({ kind: "failed", reason: `The image cannot be scanned: ${why}.` });
