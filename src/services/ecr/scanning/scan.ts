import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants, setPriority } from "node:os";
import { buffer, text } from "node:stream/consumers";
import type { Config } from "#platform/config.ts";
import { BlobCorrupt, type BlobStore } from "#registry/blobs/blob-store.ts";
import type { Digest } from "#registry/blobs/digest.ts";
import { type Descriptor, parseManifest } from "#registry/manifest.ts";
import type { ManifestReader } from "#registry/manifest-reader.ts";
import { decodeOutcome, frameOf, layerEnd, type Outcome } from "./messages.ts";

export interface ScanDeps {
  readonly config: Pick<Config, "home">;
  readonly blobs: BlobStore;
  readonly manifests: ManifestReader;
  /** A process that neither takes anything nor answers for so long is caught in what it reads. Default: a minute. */
  readonly silenceMs?: number;
}

const program = new URL("./process.ts", import.meta.url).pathname;
/** MiB of its heap. File contents are outside of it, and bounded by LayerLimits. */
const heapMb = 512;

/**
 * Scans the layers of an image in a process of their own: the server's event loop waits for nothing, and an image that was made to harm ends that process at worst (a thread would take the server along
 * when its memory is full). An image that cannot be scanned is an outcome; an error is worth another try.
 */
export async function scanImage(
  digest: Digest,
  { config, blobs, manifests, silenceMs = 60_000 }: ScanDeps,
  signal: AbortSignal,
): Promise<Outcome> {
  const bytes = await manifests.read(digest);
  if (!bytes) return failed("its manifest is damaged: push it again");
  const { layers } = parseManifest(bytes, undefined);
  signal.throwIfAborted();
  const args = ["--disable-warning=ExperimentalWarning", `--max-old-space-size=${heapMb}`, program, config.home];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "pipe"], signal, killSignal: "SIGKILL" });
  const ended = new AbortController();
  const closed = once(child, "close").finally(() => ended.abort()) as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  closed.catch(() => {});
  if (child.pid !== undefined) yieldTo(child.pid);
  // It may answer before it has read everything.
  child.stdin.on("error", () => {});
  const [said, complained] = [buffer(child.stdout), text(child.stderr)];
  let silent = false;
  const kill = () => {
    silent = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill, silenceMs);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(kill, silenceMs);
  };
  try {
    const fed = feed(layers, blobs, async (frame) => {
      if (!child.stdin.write(frame)) await once(child.stdin, "drain", { signal: ended.signal }).catch(() => {});
      heard();
      return !ended.signal.aborted;
    });
    fed.catch(() => {});
    const wrong = await Promise.race([fed, closed.then(() => undefined)]);
    if (wrong) return wrong;
    child.stdin.end();
    const [code, killed] = await closed;
    signal.throwIfAborted();
    if (silent) return failed(`reading it came to no end within ${silenceMs / 1000} s`);
    if (killed) return failed(`the process that read it was ended by ${killed}, as when its package databases take too much memory`);
    const outcome = decodeOutcome(await said);
    if (code !== 0 || !outcome) throw new Error(`the scan's process ended with ${code}: ${(await complained).trim().slice(-2000)}`);
    return outcome;
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    await closed.catch(() => {});
  }
}

/** Writes the layers out as `layersOf` reads them, until `write` says that nobody wants more. An outcome: the image is not whole. */
async function feed(
  layers: readonly Descriptor[],
  blobs: BlobStore,
  write: (frame: Buffer) => Promise<boolean>,
): Promise<Outcome | undefined> {
  for (const { digest, urls } of layers) {
    if (urls?.length) return failed(`its layer ${digest} is kept elsewhere`);
    const read = await blobs.read(digest);
    if (!read) return failed(`its layer ${digest} is not in the registry any more: push it again`);
    try {
      for await (const piece of read.pieces()) if (!(await write(frameOf(piece)))) return undefined;
    } catch (error) {
      if (error instanceof BlobCorrupt) return failed(`${error.message}: push it again`);
      throw error;
    } finally {
      await read.close();
    }
    if (!(await write(layerEnd))) return undefined;
  }
  return undefined;
}

/** Behind whatever else wants the processor. */
function yieldTo(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
}

const failed = (why: string): Outcome => ({ kind: "failed", reason: `The image cannot be scanned: ${why}.` });
