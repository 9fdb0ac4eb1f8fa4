import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { pack, type Header } from "tar-stream";

/** Images made by hand, so that a test says exactly what is in them, valid or not. */
export interface Blob {
  readonly digest: string;
  readonly bytes: Buffer;
}

export interface Layer extends Blob {
  readonly mediaType: string;
  readonly diffId: string;
}

export interface TestImage {
  readonly blobs: readonly Blob[];
  readonly manifest: Blob & { readonly mediaType: string };
  readonly config: Blob;
  readonly layers: readonly Layer[];
}

export function blob(bytes: Buffer): Blob {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, bytes };
}

export type Entry = Partial<Header> & { readonly name: string; readonly content?: string | Buffer };

export async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const stream = pack();
  const parts: Buffer[] = [];
  const done = (async () => {
    for await (const part of stream as AsyncIterable<Buffer>) parts.push(part);
  })();
  for (const { content, ...header } of entries) stream.entry({ mode: 0o755, mtime: new Date(0), ...header }, content ?? "");
  stream.finalize();
  await done;
  return Buffer.concat(parts);
}

export type Compression = "gzip" | "zstd" | "none";

export function layer(tarball: Buffer, compression: Compression = "gzip", docker = false): Layer {
  const bytes = compression === "gzip" ? gzipSync(tarball, { level: 1 }) : compression === "zstd" ? zstdCompressSync(tarball) : tarball;
  const oci = "application/vnd.oci.image.layer.v1.tar" + (compression === "none" ? "" : `+${compression}`);
  const mediaType = docker ? "application/vnd.docker.image.rootfs.diff.tar" + (compression === "none" ? "" : `.${compression}`) : oci;
  return { ...blob(bytes), mediaType, diffId: blob(tarball).digest };
}

export function image(
  layers: readonly Layer[],
  options: { config?: object; docker?: boolean; architecture?: string; diffIds?: readonly string[]; layerSizes?: readonly number[] } = {},
): TestImage {
  const config = blob(
    Buffer.from(
      JSON.stringify({
        architecture: options.architecture ?? hostArchitecture,
        os: "linux",
        config: options.config ?? {},
        rootfs: { type: "layers", diff_ids: options.diffIds ?? layers.map((entry) => entry.diffId) },
      }),
    ),
  );
  const mediaType = options.docker ? "application/vnd.docker.distribution.manifest.v2+json" : "application/vnd.oci.image.manifest.v1+json";
  const configType = options.docker ? "application/vnd.docker.container.image.v1+json" : "application/vnd.oci.image.config.v1+json";
  const manifest = blob(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType,
        config: { mediaType: configType, digest: config.digest, size: config.bytes.length },
        layers: layers.map((entry, at) => ({
          mediaType: entry.mediaType,
          digest: entry.digest,
          size: options.layerSizes?.[at] ?? entry.bytes.length,
        })),
      }),
    ),
  );
  return { blobs: [config, ...layers], manifest: { ...manifest, mediaType }, config, layers };
}

export const hostArchitecture = process.arch === "x64" ? "amd64" : process.arch;

export function index(
  images: readonly { image: TestImage; architecture: string; variant?: string }[],
): Blob & { readonly mediaType: string } {
  const mediaType = "application/vnd.oci.image.index.v1+json";
  const manifests = images.map(({ image: { manifest }, architecture, variant }) => ({
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    platform: { os: "linux", architecture, ...(variant ? { variant } : {}) },
  }));
  return { ...blob(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }))), mediaType };
}

const applets =
  "sh cat echo sleep ls id env true false kill ps mount grep touch dd hostname ulimit wc tail head stat seq test nc wget httpd mkdir rm chmod".split(
    " ",
  );

/** Debian's busybox-static with a few users. */
export async function busyboxLayer(compression: Compression = "gzip", docker = false): Promise<Layer> {
  const busybox = readFileSync("/bin/busybox");
  const entries: Entry[] = ["bin", "etc", "tmp", "proc", "sys", "dev", "home", "root"].map((name) => ({ name, type: "directory" }));
  entries.push({ name: "bin/busybox", content: busybox });
  for (const applet of applets) entries.push({ name: `bin/${applet}`, type: "symlink", linkname: "/bin/busybox" });
  entries.push({ name: "etc/passwd", mode: 0o644, content: "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home:/bin/sh\n" });
  entries.push({ name: "etc/group", mode: 0o644, content: "root:x:0:\napp:x:1001:\nextra:x:2000:app\n" });
  return layer(await tar(entries), compression, docker);
}
