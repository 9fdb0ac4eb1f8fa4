import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import type { Containerd } from "#agent/containerd/client.ts";
import { blobSize, writeBlob } from "./blobs.ts";
import { digestOf, hostPlatform, manifestTypes, type Descriptor, type ImageConfig, type Manifest } from "./manifest.ts";
import { hasSnapshot, unpackLayer, type Unpacker } from "./unpack.ts";

/** An image that is made here: one layer, an uncompressed tar, and a configuration. */
export interface OwnImage {
  readonly layer: string;
  readonly config: { readonly entrypoint: readonly string[]; readonly stopSignal?: string };
}

export interface MadeImage {
  readonly target: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly chainId: string;
  /** Puts it into the content store and unpacks it. */
  store(unpacker: Unpacker, signal: AbortSignal): Promise<void>;
}

export async function describeOwnImage({ layer: file, config: { entrypoint, stopSignal } }: OwnImage): Promise<MadeImage> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  const diffId = `sha256:${hash.digest("hex")}`;
  const platform = hostPlatform();
  const layer: Descriptor = {
    mediaType: "application/vnd.oci.image.layer.v1.tar",
    digest: diffId,
    size: (await stat(file)).size,
  };
  const configuration = document("application/vnd.oci.image.config.v1+json", {
    architecture: platform.architecture,
    os: platform.os,
    config: { Entrypoint: entrypoint, ...(stopSignal === undefined ? {} : { StopSignal: stopSignal }) },
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const manifest = document(manifestTypes.ociManifest, {
    schemaVersion: 2,
    mediaType: manifestTypes.ociManifest,
    config: configuration.descriptor,
    layers: [layer],
  });
  return {
    target: manifest.descriptor,
    manifest: { kind: "manifest", config: configuration.descriptor, layers: [layer] },
    config: {
      diffIds: [diffId],
      platform,
      config: { entrypoint, cmd: [], env: [], user: "", workingDir: "", stopSignal, healthcheck: undefined, volumes: [] },
    },
    // Of a single layer the chain is the layer.
    chainId: diffId,
    async store(unpacker, signal) {
      const { containerd, lease } = unpacker;
      if ((await blobSize(containerd, layer.digest)) === undefined)
        await writeBlob(containerd, layer, { lease, signal, source: (offset) => createReadStream(file, { start: offset }) });
      else await containerd.leases.addResource({ id: lease, resource: { id: layer.digest, type: "content" } });
      await put(containerd, configuration, { [`containerd.io/gc.ref.snapshot.${containerd.snapshotter}`]: diffId }, lease, signal);
      if (!(await hasSnapshot(containerd, diffId))) await unpackLayer(unpacker, layer, { parent: "", chainId: diffId, diffId }, signal);
      const references = {
        "containerd.io/gc.ref.content.config": configuration.descriptor.digest,
        "containerd.io/gc.ref.content.l.0": layer.digest,
      };
      await put(containerd, manifest, references, lease, signal);
    },
  };
}

interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

function document(mediaType: string, value: unknown): Document {
  const bytes = Buffer.from(JSON.stringify(value));
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

function put(
  containerd: Containerd,
  { descriptor, bytes }: Document,
  labels: Record<string, string>,
  lease: string,
  signal: AbortSignal,
): Promise<void> {
  const source = async function* (offset: number) {
    yield bytes.subarray(offset);
  };
  return writeBlob(containerd, descriptor, { lease, labels, signal, source });
}
