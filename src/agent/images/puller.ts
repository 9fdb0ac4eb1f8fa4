import type { IncomingMessage } from "node:http";
import { Code, isCode, messageOf, type Containerd } from "#agent/containerd/client.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { abortWrite, blobSize, setLabels, ShortBlob, writeBlob, type Blob } from "./blobs.ts";
import { discard, NetworkError, readBody, type Http } from "./http.ts";
import {
  chainIds,
  digestOf,
  InvalidImage,
  layerCompression,
  manifestTypes,
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
import type { ImageReference } from "./reference.ts";
import { RegistryError, RegistrySession, startOf } from "./registry.ts";
import { Gate, Shared } from "./shared.ts";
import type { Source } from "./sources.ts";
import { hasSnapshot, unpackLayer, type UnpackLimits } from "./unpack.ts";

export interface PullerOptions {
  readonly containerd: Containerd;
  readonly clock: Clock;
  readonly log: Logger;
  readonly http: Http;
  readonly platform: Platform;
  readonly limits: UnpackLimits;
  /** Layers fetched at a time for one image. */
  readonly parallelLayers: number;
}

export interface Pulled {
  /** What the name points to: the index where there is one. */
  readonly target: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly chainId: string;
}

/** Fetches images into containerd: blobs into its content store, layers unpacked into snapshots. Everything stays under `lease` until the caller names it. */
export class Puller {
  readonly #options: PullerOptions;
  /** By digest: a layer is fetched once however many pulls want it. */
  readonly #fetching = new Shared<void>();
  /** By chain id. */
  readonly #unpacking = new Shared<void>();

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** The digest that the name points to now, by HEAD; undefined when the registry does not say. */
  async digest(reference: ImageReference, source: Source, signal?: AbortSignal): Promise<string | undefined> {
    const session = this.#session(source);
    return this.#resolving(reference, source, session, async () => {
      const response = await session.manifest(reference.digest ?? reference.tag ?? "latest", "HEAD", signal);
      discard(response);
      const digest = response.headers["docker-content-digest"];
      return typeof digest === "string" ? digest : undefined;
    });
  }

  async pull(reference: ImageReference, source: Source, lease: string, signal: AbortSignal): Promise<Pulled> {
    const session = this.#session(source);
    const { target, documents, manifest } = await this.#resolving(reference, source, session, () =>
      this.#resolve(reference, session, signal),
    );
    try {
      const configBytes = await this.#document(
        session,
        () => session.blob(manifest.config.digest, 0, signal),
        manifest.config,
        maxConfigBytes,
      );
      const config = parseConfig(configBytes);
      this.#check(manifest, config);
      const chain = chainIds(config.diffIds);
      await this.#layers(session, manifest, config, chain, lease, signal);

      // Children before parents, so that whatever is in the store is whole.
      const { containerd } = this.#options;
      const chainId = chain.at(-1)!;
      const snapshotLabel = { [`containerd.io/gc.ref.snapshot.${containerd.snapshotter}`]: chainId };
      await this.#store(manifest.config, configBytes, snapshotLabel, lease, signal);
      for (const document of documents) await this.#store(document.descriptor, document.bytes, document.labels, lease, signal);
      return { target, manifest, config, chainId };
    } catch (error) {
      if (signal.aborted || error instanceof PullError) throw error;
      const retried = `ref pull has been retried ${session.attempts} time(s): `;
      if (error instanceof RegistryError)
        throw new PullError(`${retried}failed to copy: httpReadSeeker: failed open: ${error.message}`, { cause: error });
      if (error instanceof NetworkError || error instanceof ShortBlob)
        throw new PullError(`${retried}failed to copy: ${error.message}`, { cause: error });
      throw new PullError(retried + messageOf(error), { cause: error });
    }
  }

  #session(source: Source): RegistrySession {
    const { http, clock } = this.#options;
    return new RegistrySession({ http, clock, repository: source.repository, credentials: source.credentials });
  }

  async #resolve(reference: ImageReference, session: RegistrySession, signal: AbortSignal) {
    const wanted = reference.digest ?? reference.tag ?? "latest";
    const top = await this.#manifest(session, wanted, reference.digest, signal);
    if (top.parsed.kind === "manifest") {
      return { target: top.descriptor, manifest: top.parsed, documents: [withLabels(top, manifestLabels(top.parsed))] };
    }
    const chosen = selectManifest(top.parsed, this.#options.platform);
    const inner = await this.#manifest(session, chosen.digest, chosen.digest, signal);
    if (inner.parsed.kind !== "manifest") throw new InvalidImage("index within an index");
    if (inner.bytes.length !== chosen.size)
      throw new InvalidImage(`manifest ${chosen.digest} has ${inner.bytes.length} bytes, not ${chosen.size}`);
    const indexLabels = { "containerd.io/gc.ref.content.m.0": chosen.digest };
    return {
      target: top.descriptor,
      manifest: inner.parsed,
      documents: [withLabels(inner, manifestLabels(inner.parsed)), withLabels(top, indexLabels)],
    };
  }

  async #manifest(session: RegistrySession, wanted: string, expected: string | undefined, signal: AbortSignal) {
    const response = await session.manifest(wanted, "GET", signal);
    const contentType = response.headers["content-type"];
    const bytes = await readBody(response, maxManifestBytes, "manifest");
    const digest = digestOf(bytes);
    const said = response.headers["docker-content-digest"];
    if (expected?.startsWith("sha256:") && digest !== expected) throw new InvalidImage(`manifest ${expected} has the digest ${digest}`);
    if (!expected && typeof said === "string" && said.startsWith("sha256:") && said !== digest) {
      throw new InvalidImage(`manifest ${wanted} has the digest ${digest}, not ${said} as the registry says`);
    }
    const parsed = parseManifest(bytes, contentType);
    const fallback = parsed.kind === "index" ? manifestTypes.ociIndex : manifestTypes.ociManifest;
    const own = (JSON.parse(bytes.toString("utf8")) as { mediaType?: string }).mediaType;
    const mediaType = own ?? contentType?.split(";")[0]?.trim() ?? fallback;
    return { parsed, bytes, descriptor: { mediaType, digest, size: bytes.length } };
  }

  #check(manifest: Manifest, config: ImageConfig): void {
    if (manifest.layers.length !== config.diffIds.length) {
      throw new InvalidImage(`number of layers and diffIDs don't match: ${manifest.layers.length} != ${config.diffIds.length}`);
    }
    if (manifest.layers.length === 0) throw new InvalidImage("the image has no layers");
    for (const layer of manifest.layers) layerCompression(layer.mediaType);
    selectManifest(
      { kind: "index", manifests: [{ ...manifest.config, platform: config.platform, attestation: false }] },
      this.#options.platform,
    );
  }

  /** Fetches several layers at a time and unpacks them in order, each as soon as it and its parent are there. */
  async #layers(
    session: RegistrySession,
    manifest: Manifest,
    config: ImageConfig,
    chain: readonly string[],
    lease: string,
    signal: AbortSignal,
  ) {
    const { containerd } = this.#options;
    const present = await this.#deepestSnapshot(chain);
    if (present >= 0)
      await containerd.leases.addResource({ id: lease, resource: { id: chain[present]!, type: `snapshots/${containerd.snapshotter}` } });
    const failed = new AbortController();
    const both = AbortSignal.any([signal, failed.signal]);
    const gate = new Gate(this.#options.parallelLayers);
    const fetched = manifest.layers.map((layer, at) =>
      at <= present ? undefined : gate.run(() => this.#fetching.run(layer.digest, both, (own) => this.#fetch(session, layer, lease, own))),
    );
    // Each is awaited in its turn below; one that fails early must not count as unhandled until then.
    for (const fetch of fetched) fetch?.catch((error: unknown) => failed.abort(error));
    try {
      for (const [at, layer] of manifest.layers.entries()) {
        if (at <= present) continue;
        await fetched[at];
        const place = { parent: chain[at - 1] ?? "", chainId: chain[at]!, diffId: config.diffIds[at]! };
        await this.#unpacking.run(place.chainId, both, async (own) => {
          if (await hasSnapshot(containerd, place.chainId)) return;
          await unpackLayer({ ...this.#options, lease }, layer, place, own);
          await setLabels(containerd, layer.digest, { "containerd.io/uncompressed": place.diffId });
        });
      }
    } catch (error) {
      failed.abort(error);
      await Promise.allSettled(fetched.filter((fetch) => fetch !== undefined));
      throw failed.signal.reason === error || signal.aborted ? error : (failed.signal.reason as Error);
    }
  }

  async #deepestSnapshot(chain: readonly string[]): Promise<number> {
    for (let at = chain.length - 1; at >= 0; at--) if (await hasSnapshot(this.#options.containerd, chain[at]!)) return at;
    return -1;
  }

  /** One layer's blob; goes on where the connection broke, as long as each attempt brings something. */
  async #fetch(session: RegistrySession, layer: Descriptor, lease: string, signal: AbortSignal): Promise<void> {
    const { containerd, clock, log } = this.#options;
    let idle = 0;
    let furthest = 0;
    let resumed = false;
    const source = (offset: number) => {
      if (offset > 0) resumed = true;
      return layerBytes(session, layer, offset, signal);
    };
    const resume = async (error: unknown, offset: number) => {
      if (signal.aborted || !(error instanceof NetworkError || error instanceof ShortBlob)) return false;
      idle = offset > furthest ? 0 : idle + 1;
      furthest = Math.max(furthest, offset);
      if (idle > 3) return false;
      session.attempts++;
      log.debug({ layer: layer.digest, offset, error: error.message }, "the connection broke, going on");
      await sleep(clock, 200 * 3 ** idle, signal);
      return true;
    };
    const existing = await blobSize(containerd, layer.digest, signal);
    if (existing !== undefined && existing !== layer.size)
      throw new InvalidImage(`layer ${layer.digest} has ${existing} bytes, not ${layer.size}`);
    try {
      await writeBlob(containerd, layer, { lease, signal, source, resume });
    } catch (error) {
      if (signal.aborted) throw error;
      const mismatch = isCode(error, Code.FailedPrecondition, Code.InvalidArgument, Code.OutOfRange);
      if (mismatch || error instanceof OversizeBlob) await abortWrite(containerd, layer.digest);
      // What an earlier attempt left may have been the bad part.
      if (!mismatch || !resumed) throw error;
      await writeBlob(containerd, layer, { lease, signal, source, resume }).catch(async (second: unknown) => {
        await abortWrite(containerd, layer.digest);
        throw second;
      });
    }
  }

  async #document(session: RegistrySession, get: () => Promise<IncomingMessage>, blob: Blob, limit: number): Promise<Buffer> {
    if (blob.size > limit) throw new InvalidImage(`blob ${blob.digest} of ${blob.size} bytes is larger than ${limit}`);
    for (let attempt = 1; ; attempt++) {
      try {
        const bytes = await readBody(await get(), limit, `blob ${blob.digest}`);
        if (bytes.length !== blob.size) throw new InvalidImage(`blob ${blob.digest} has ${bytes.length} bytes, not ${blob.size}`);
        if (digestOf(bytes) !== blob.digest) throw new InvalidImage(`unexpected digest ${digestOf(bytes)}, expected ${blob.digest}`);
        return bytes;
      } catch (error) {
        if (!(error instanceof NetworkError) || attempt > 3) throw error;
        session.attempts++;
      }
    }
  }

  async #store(blob: Blob, bytes: Uint8Array, labels: Record<string, string>, lease: string, signal: AbortSignal): Promise<void> {
    const source = async function* (offset: number) {
      yield bytes.subarray(offset);
    };
    await this.#fetching.run(blob.digest, signal, (own) =>
      writeBlob(this.#options.containerd, blob, { lease, labels, signal: own, source }),
    );
  }

  /** Puts ECS's words around what goes wrong while a name is resolved. */
  async #resolving<T>(reference: ImageReference, source: Source, session: RegistrySession, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const retried = `pull image manifest has been retried ${session.attempts} time(s): `;
      const failed = `${retried}failed to resolve ref ${reference.name}: `;
      if (error instanceof RegistryError) {
        const { status } = error;
        const wanted = reference.digest ?? reference.tag;
        const host = source.repository.url.host;
        const pulling = `pulling from host ${host} failed with status code [manifests ${wanted}]: `;
        if (status === 404) throw new PullError(`${failed}${reference.name}: not found`, { cause: error, missing: true });
        if (status === 401)
          throw new PullError(`${failed}pull access denied, repository does not exist or may require authorization: ${error.message}`, {
            cause: error,
          });
        if (status > 0 && error.message.startsWith("unexpected status code")) {
          throw new PullError(failed + pulling + error.message.replace(/^unexpected status code \S+: /, ""), { cause: error });
        }
        throw new PullError(failed + error.message, { cause: error });
      }
      if (error instanceof NetworkError) throw new PullError(failed + error.message, { cause: error });
      if (error instanceof Error && !isAbort(error)) throw new PullError(retried + error.message, { cause: error });
      throw error;
    }
  }
}

/** A pull that failed, in ECS's words. `missing`: the source has no such image, another may. */
export class PullError extends Error {
  readonly missing: boolean;
  constructor(message: string, options: ErrorOptions & { missing?: boolean } = {}) {
    super(message, options);
    this.missing = options.missing ?? false;
  }
}

class OversizeBlob extends Error {}

async function* layerBytes(session: RegistrySession, layer: Descriptor, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const response = await session.blob(layer.digest, offset, signal);
  const start = startOf(response);
  if (start < 0 || start > offset) {
    response.destroy();
    throw new RegistryError(0, `the registry answered another range than was asked for: ${response.headers["content-range"]}`);
  }
  // A registry without ranges sends all of it again: what is there already is passed over.
  let skip = offset - start;
  let left = layer.size - offset;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      const fresh = skip >= part.length ? undefined : part.subarray(skip);
      skip = Math.max(0, skip - part.length);
      if (!fresh) continue;
      left -= fresh.length;
      if (left < 0) throw new OversizeBlob(`layer ${layer.digest} is larger than its declared size ${layer.size}`);
      yield fresh;
    }
  } catch (error) {
    if (error instanceof OversizeBlob || isAbort(error as Error)) throw error;
    throw new NetworkError(`unexpected EOF: ${(error as Error).message}`, { cause: error });
  } finally {
    if (!response.readableEnded) response.destroy();
  }
}

function isAbort(error: Error): boolean {
  return error.name === "AbortError" || (error as NodeJS.ErrnoException).code === "ABORT_ERR";
}

function manifestLabels(manifest: Manifest): Record<string, string> {
  const labels: Record<string, string> = { "containerd.io/gc.ref.content.config": manifest.config.digest };
  for (const [at, layer] of manifest.layers.entries()) labels[`containerd.io/gc.ref.content.l.${at}`] = layer.digest;
  return labels;
}

function withLabels(document: { descriptor: Descriptor; bytes: Buffer }, labels: Record<string, string>) {
  return { descriptor: document.descriptor, bytes: document.bytes, labels };
}
