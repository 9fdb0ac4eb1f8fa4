import { statfs } from "node:fs/promises";
import { isAlreadyExists, isNotFound, leased, unlessGone, type Containerd } from "#agent/containerd/client.ts";
import type { Clock } from "#platform/clock.ts";
import { InvalidImage, type Descriptor } from "./manifest.ts";

export interface UnpackLimits {
  /** Bytes that one layer may take on disk; undefined: what the disk has, less the reserve. */
  readonly maxUnpackedBytes: number | undefined;
  /** A directory on the file system that holds the snapshots, to watch its free space; undefined: not watched. */
  readonly snapshotDirectory: string | undefined;
  /** Bytes of that file system that stay free whatever a layer holds. */
  readonly reserveBytes: number;
}

export interface Unpacker {
  readonly containerd: Containerd;
  readonly clock: Clock;
  readonly limits: UnpackLimits;
  readonly lease: string;
}

export async function hasSnapshot(containerd: Containerd, chainId: string): Promise<boolean> {
  try {
    await containerd.snapshots.stat({ snapshotter: containerd.snapshotter, key: chainId });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/**
 * Unpacks one layer over `parent` (the chain id before it, empty for the first) into the snapshot `chainId`. The layer's blob is in the
 * content store. Throws InvalidImage when its uncompressed bytes are not `diffId`'s, or more than the limits allow; then nothing is left of it.
 */
export async function unpackLayer(
  unpacker: Unpacker,
  layer: Descriptor,
  { parent, chainId, diffId }: { parent: string; chainId: string; diffId: string },
  signal: AbortSignal,
): Promise<void> {
  const { containerd, lease } = unpacker;
  const { snapshotter } = containerd;
  const key = `unpack-${chainId}-${crypto.randomUUID().slice(0, 8)}`;
  const prepared = await containerd.snapshots.prepare({ snapshotter, key, parent }, leased(lease, signal));
  try {
    const watch = watchSize(unpacker, key, signal);
    let applied: string | undefined;
    try {
      const diff = { mediaType: layer.mediaType, digest: layer.digest, size: BigInt(layer.size) };
      const response = await containerd.diff.apply({ diff, mounts: prepared.mounts }, leased(lease, watch.signal));
      applied = response.applied?.digest;
      watch.unpacked(Number(response.applied?.size ?? 0n));
    } catch (error) {
      throw watch.tooLarge() ?? error;
    } finally {
      watch.stop();
    }
    if (applied !== diffId) throw new InvalidImage(`layer ${layer.digest} unpacks to ${applied}, not to its diff_id ${diffId}`);
    await containerd.snapshots.commit({ snapshotter, key, name: chainId }, leased(lease, signal));
  } catch (error) {
    await unlessGone(containerd.snapshots.remove({ snapshotter, key }));
    // Another process of ours unpacked the same chain meanwhile.
    if (isAlreadyExists(error)) return;
    throw error;
  }
}

const watchInterval = 200;

/**
 * A layer of a few kilobytes can unpack to terabytes. containerd unpacks without a limit of its own, so the disk is watched while it does:
 * free space first, which costs nothing, and the snapshot's own usage once enough is gone to matter. Aborting the call stops containerd.
 */
function watchSize({ containerd, clock, limits }: Unpacker, key: string, signal: AbortSignal) {
  const abort = new AbortController();
  const forward = () => abort.abort(signal.reason);
  signal.addEventListener("abort", forward, { once: true });
  let error: InvalidImage | undefined;
  let stopped = false;
  let freeAtStart: number | undefined;
  let cancel = () => {};

  const tooLarge = () => new InvalidImage(`failed to extract layer: it unpacks to more than ${limits.maxUnpackedBytes} bytes`);
  const check = async () => {
    const free = await freeBytes(limits.snapshotDirectory);
    freeAtStart ??= free;
    if (free !== undefined && free < limits.reserveBytes) {
      error = new InvalidImage(`failed to extract layer: no space left on device: less than ${limits.reserveBytes} bytes would stay free`);
    } else if (limits.maxUnpackedBytes !== undefined) {
      const gone = free === undefined || freeAtStart === undefined ? Infinity : freeAtStart - free;
      if (gone * 2 < limits.maxUnpackedBytes) return;
      const { size } = await containerd.snapshots.usage({ snapshotter: containerd.snapshotter, key });
      if (Number(size) > limits.maxUnpackedBytes) {
        error = tooLarge();
      }
    }
    if (error) abort.abort(error);
  };
  const next = () => {
    if (stopped) return;
    check()
      .catch(() => undefined)
      .finally(() => {
        if (!stopped) cancel = clock.after(watchInterval, next);
      });
  };
  next();
  return {
    signal: abort.signal,
    tooLarge: () => error,
    /** A layer may have been done before the first look at it. */
    unpacked(size: number) {
      if (limits.maxUnpackedBytes !== undefined && size > limits.maxUnpackedBytes) throw (error = tooLarge());
    },
    stop() {
      stopped = true;
      cancel();
      signal.removeEventListener("abort", forward);
    },
  };
}

async function freeBytes(directory: string | undefined): Promise<number | undefined> {
  if (!directory) return undefined;
  try {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}
