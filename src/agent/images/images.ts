import type { Image as ImageRecord } from "#agent/containerd/generated/api/services/images/v1/images_pb.ts";
import { isAlreadyExists, isNotFound, runtimeError, unlessGone, type Containerd } from "#agent/containerd/client.ts";
import { RuntimeError, type Image, type Images, type PullRequest } from "#agent/runtime.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { readBlob } from "./blobs.ts";
import type { Http } from "./http.ts";
import { PullLease } from "./lease.ts";
import { describeOwnImage, type OwnImage } from "./own-image.ts";
import {
  chainIds,
  maxConfigBytes,
  maxManifestBytes,
  parseConfig,
  parseManifest,
  selectManifest,
  type Descriptor,
  type ImageConfig,
  type Manifest,
  type Platform,
} from "./manifest.ts";
import { PullError, Puller, type Pulled } from "./puller.ts";
import { InvalidReference, parseReference, type ImageReference } from "./reference.ts";
import { sourcesOf, type SourceOptions } from "./sources.ts";
import { hasSnapshot, type UnpackLimits } from "./unpack.ts";

export interface ImagesOptions extends SourceOptions {
  readonly containerd: Containerd;
  readonly clock: Clock;
  readonly log: Logger;
  readonly http: Http;
  readonly platform: Platform;
  readonly limits: UnpackLimits;
  readonly parallelLayers: number;
  /** Called before images go: lets go of whatever holds layers that no container stands on. */
  readonly release: () => Promise<void>;
}

const usedLabel = "gantry.io/used";
/** How stale the time of last use in containerd may be; writing it costs a disk flush. */
const usedGranularity = 10 * 60_000;

/** The machine's images: containerd's own store, which alone says what is there; the memory beside it only spares reading documents again. */
export class ImageStore implements Images {
  readonly #options: ImagesOptions;
  readonly #puller: Puller;
  readonly #lease: PullLease;
  /** By configuration digest. */
  readonly #chains = new Map<string, string>();
  readonly #known = new Map<string, { readonly target: string; readonly image: Image }>();
  readonly #used = new Map<string, number>();

  constructor(options: ImagesOptions) {
    this.#options = options;
    this.#puller = new Puller(options);
    this.#lease = new PullLease(options.containerd);
  }

  async ensure(request: PullRequest): Promise<Image> {
    request.signal?.throwIfAborted();
    try {
      const reference = parseReference(request.image);
      const image = await this.#ensure(reference, request);
      this.#touch(image.name);
      return image;
    } catch (error) {
      if (request.signal?.aborted) throw request.signal.reason;
      if (error instanceof PullError || error instanceof InvalidReference)
        throw new RuntimeError("CannotPull", error.message, { cause: error });
      throw runtimeError("CannotPull", error);
    }
  }

  async #ensure(reference: ImageReference, request: PullRequest): Promise<Image> {
    const local = await this.#local(reference.name);
    // A digest never changes what it names, so a local image named by one is as good as the registry's.
    if (local && (request.policy !== "always" || reference.digest)) return local.image;
    const sources = await sourcesOf(reference, request.credentials && once(request.credentials), this.#options);
    let failure: unknown;
    for (const source of sources) {
      try {
        if (local && (await this.#puller.digest(reference, source, request.signal)) === local.target) return local.image;
        return await this.#lease.hold(async (lease) => {
          const signal = request.signal ?? new AbortController().signal;
          return this.#name(reference, await this.#puller.pull(reference, source, lease, signal));
        });
      } catch (error) {
        failure = error;
        if (!(error instanceof PullError) || !error.missing) throw error;
      }
    }
    throw failure;
  }

  async make(name: string, own: OwnImage): Promise<Image> {
    try {
      const made = await describeOwnImage(own);
      const reference = parseReference(name);
      const local = await this.#local(reference.name);
      if (local?.target === made.target.digest) {
        this.#touch(reference.name);
        return local.image;
      }
      return await this.#lease.hold(async (lease) => {
        await made.store({ ...this.#options, lease }, new AbortController().signal);
        return this.#name(reference, made);
      });
    } catch (error) {
      throw runtimeError("CannotPull", error);
    }
  }

  /** The image of that name if all of it is here. */
  async #local(name: string): Promise<{ target: string; image: Image } | undefined> {
    const { containerd } = this.#options;
    let record: ImageRecord | undefined;
    try {
      record = (await containerd.images.get({ name })).image;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    const target = record?.target?.digest;
    if (!record || !target) {
      this.#known.delete(name);
      return undefined;
    }
    this.#used.set(name, Math.max(this.#used.get(name) ?? 0, Number(record.labels[usedLabel] ?? "0")));
    const known = this.#known.get(name);
    if (known?.target === target) return known;
    try {
      const { manifest, config } = await this.#read(target);
      const chainId = chainIds(config.diffIds).at(-1)!;
      if (!(await hasSnapshot(containerd, chainId))) return undefined;
      return this.#remember(name, target, manifest, config, chainId);
    } catch (error) {
      // Half an image is none: it is pulled again.
      this.#options.log.warn({ image: name, error: (error as Error).message }, "the local image cannot be read");
      return undefined;
    }
  }

  async #read(target: string): Promise<{ manifest: Manifest; config: ImageConfig }> {
    const { containerd, platform } = this.#options;
    let parsed = parseManifest(await readBlob(containerd, target, maxManifestBytes), undefined);
    if (parsed.kind === "index") {
      parsed = parseManifest(await readBlob(containerd, selectManifest(parsed, platform).digest, maxManifestBytes), undefined);
    }
    if (parsed.kind === "index") throw new Error("index within an index");
    return { manifest: parsed, config: parseConfig(await readBlob(containerd, parsed.config.digest, maxConfigBytes)) };
  }

  #remember(name: string, target: string, manifest: Manifest, config: ImageConfig, chainId: string) {
    const size = [manifest.config, ...manifest.layers].reduce((sum: number, blob: Descriptor) => sum + blob.size, 0);
    const image: Image = { name, digest: target, configDigest: manifest.config.digest, sizeBytes: size, config: config.config };
    const known = { target, image };
    this.#chains.set(image.configDigest, chainId);
    this.#known.set(name, known);
    return known;
  }

  async #name(reference: ImageReference, pulled: Pulled): Promise<Image> {
    const { containerd, clock } = this.#options;
    const { mediaType, digest, size } = pulled.target;
    const used = String(clock.now());
    const image = { name: reference.name, labels: { [usedLabel]: used }, target: { mediaType, digest, size: BigInt(size) } };
    try {
      await containerd.images.create({ image });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await containerd.images.update({ image, updateMask: { paths: ["target", `labels.${usedLabel}`] } });
    }
    this.#used.set(reference.name, Number(used));
    return this.#remember(reference.name, digest, pulled.manifest, pulled.config, pulled.chainId).image;
  }

  /** Name of the snapshot that containers of this image start from. */
  async chainId(image: Image): Promise<string> {
    const known = this.#chains.get(image.configDigest);
    if (known) return known;
    const config = parseConfig(await readBlob(this.#options.containerd, image.configDigest, maxConfigBytes));
    const chainId = chainIds(config.diffIds).at(-1)!;
    this.#chains.set(image.configDigest, chainId);
    return chainId;
  }

  #touch(name: string): void {
    const { clock, containerd, log } = this.#options;
    const now = clock.now();
    const written = this.#used.get(name) ?? 0;
    if (now - written < usedGranularity) return;
    this.#used.set(name, now);
    const update = containerd.images.update({
      image: { name, labels: { [usedLabel]: String(now) } },
      updateMask: { paths: [`labels.${usedLabel}`] },
    });
    update.catch((error: unknown) => log.debug({ image: name, error: String(error) }, "the time of last use was not written"));
  }

  async prune(before: number): Promise<readonly string[]> {
    const { containerd } = this.#options;
    const { containers } = await containerd.containers.list({ filters: [] });
    const inUse = new Set(containers.map((container) => container.image));
    const { images } = await containerd.images.list({ filters: [] });
    const unused = images.filter(({ name, labels }) => {
      const used = Math.max(this.#used.get(name) ?? 0, Number(labels[usedLabel] ?? "0"));
      return !inUse.has(name) && used < before;
    });
    if (unused.length > 0) await this.#options.release();
    for (const [at, { name }] of unused.entries()) {
      // With the last one containerd collects, so that the space is free when this returns.
      await unlessGone(containerd.images.delete({ name, sync: at === unused.length - 1 }));
      this.#known.delete(name);
      this.#used.delete(name);
    }
    return unused.map(({ name }) => name);
  }

  /** Resolves when nothing of an ended pull is on its way any more. */
  async settled(): Promise<void> {
    await this.#lease.settled();
  }
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => (answer ??= ask());
}
