import { pipeline } from "node:stream/promises";
import { Readable, type Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { extract, type Header } from "tar-stream";

/** What a layer may cost before the scan gives up on the image. */
export interface LayerLimits {
  /** Bytes of all layers, unpacked. */
  readonly unpacked: number;
  /** Bytes of one file that is read. */
  readonly file: number;
  /** Bytes of all files that are read. */
  readonly kept: number;
}

export const layerLimits: LayerLimits = { unpacked: 32 * 2 ** 30, file: 128 * 2 ** 20, kept: 192 * 2 ** 20 };

/** The image is at fault: scanning it again would end the same. */
export class UnreadableImage extends Error {}

/** Files of an image, by their path without a leading slash. */
export type Files = ReadonlyMap<string, Buffer>;

/**
 * The files that `wanted` names, as they are once all layers lie upon each other, the lowest first. A whiteout hides what lies below it, an opaque directory all that is below in it, and so does
 * anything but a directory in a directory's place. Links are not followed. Nothing is unpacked to the disk. Throws UnreadableImage. Source: OCI image specification, "Image Layer Filesystem Changeset".
 */
export async function readFiles(
  layers: AsyncIterable<AsyncIterable<Uint8Array>>,
  wanted: (path: string) => boolean,
  limits: LayerLimits = layerLimits,
): Promise<Files> {
  const files = new Map<string, Buffer>();
  let unpacked = 0;
  const count = (bytes: number) => {
    unpacked += bytes;
    if (unpacked > limits.unpacked) throw new UnreadableImage(`its layers have more than ${limits.unpacked} bytes`);
  };
  for await (const layer of layers) {
    const { added, hidden, opaque } = await readLayer(layer, wanted, count, limits);
    for (const path of files.keys())
      if (
        hidden.some((each) => path === each || path.startsWith(`${each}/`)) ||
        opaque.some((each) => each === "" || path.startsWith(`${each}/`))
      )
        files.delete(path);
    for (const [path, bytes] of added) files.set(path, bytes);
    const kept = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    if (kept > limits.kept) throw new UnreadableImage(`its package databases have more than ${limits.kept} bytes`);
  }
  return files;
}

interface LayerContent {
  readonly added: ReadonlyMap<string, Buffer>;
  /** Whited out, or replaced by something that is no directory. */
  readonly hidden: readonly string[];
  readonly opaque: readonly string[];
}

const mostHidden = 100_000;

async function readLayer(
  layer: AsyncIterable<Uint8Array>,
  wanted: (path: string) => boolean,
  count: (bytes: number) => void,
  limits: LayerLimits,
): Promise<LayerContent> {
  const added = new Map<string, Buffer>();
  const hidden = new Set<string>();
  const opaque = new Set<string>();
  let kept = 0;
  const tar = extract();
  tar.on("entry", (header, stream, next) => {
    const pieces: Buffer[] = [];
    const path = plainPath(header.name);
    const keep = header.type === "file" || header.type === "contiguous-file" ? wanted(path) : false;
    let size = 0;
    stream.on("data", (piece) => {
      const bytes = piece as Buffer;
      size += bytes.length;
      if (!keep) return;
      kept += bytes.length;
      if (size > limits.file || kept > limits.kept)
        stream.destroy(new UnreadableImage(`its file /${path} has more than ${limits.file} bytes`));
      else pieces.push(bytes);
    });
    stream.on("error", next);
    stream.on("end", () => {
      note(header, path, keep ? Buffer.concat(pieces) : undefined);
      next(hidden.size > mostHidden || added.size > mostHidden ? new UnreadableImage("a layer of it hides too many files") : undefined);
    });
  });
  const note = (header: Header, path: string, bytes: Buffer | undefined) => {
    const [directory, name] = splitPath(path);
    const whitedOut = name.startsWith(".wh.") ? join(directory, name.slice(".wh.".length)) : undefined;
    if (name === ".wh..wh..opq") {
      if (directory === "" || watchedAbove.has(directory)) opaque.add(directory);
    } else if (whitedOut !== undefined) {
      if (mayHide(whitedOut)) hidden.add(whitedOut);
    } else if (header.type !== "directory" && mayHide(path)) {
      // Of two entries for one path the later one counts; what was below such a path, in this layer too, is not there any more.
      for (const each of watchedAbove.has(path) ? [...added.keys()] : [path])
        if (each === path || each.startsWith(`${path}/`)) added.delete(each);
      hidden.add(path);
      const bytesOfLink = header.type === "link" ? added.get(plainPath(header.linkname ?? "")) : undefined;
      const content = bytes ?? (wanted(path) ? bytesOfLink : undefined);
      if (content) added.set(path, content);
    }
  };
  try {
    await pipeline(Readable.from(counted(await unpack(layer), count), { objectMode: false }), tar);
  } catch (error) {
    if (error instanceof UnreadableImage || !isDataError(error)) throw error;
    throw new UnreadableImage(`a layer of it cannot be read: ${(error as Error).message}`);
  }
  return { added, hidden: [...hidden], opaque: [...opaque] };

  /** Paths by which a package database can go: they, and the directories above them. */
  function mayHide(path: string): boolean {
    return wanted(path) || watchedAbove.has(path);
  }
}

/** Directories whose loss takes a package database away. */
const watchedAbove = new Set(
  ["etc", "var/lib/dpkg/status.d", "var/lib/rpm", "lib/apk/db", "usr/lib/apk/db", "usr/lib/sysimage/rpm"].flatMap((path) =>
    path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/")),
  ),
);

async function* counted(pieces: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    count(piece.length);
    yield piece;
  }
}

/** By its first bytes: clients are not careful with media types. */
async function unpack(layer: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const iterator = layer[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let done = false;
  while (!done && head.length < 4) {
    const next = await iterator.next();
    if (next.done) done = true;
    else head = Buffer.concat([head, next.value]);
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    if (head.length > 0) yield head;
    for (let next = done ? undefined : await iterator.next(); next && !next.done; next = await iterator.next()) yield next.value;
  };
  const through = decompressor(head);
  if (!through) return whole();
  const source = Readable.from(whole(), { objectMode: false });
  source.on("error", (error) => through.destroy(error));
  return source.pipe(through);
}

function decompressor(head: Buffer): Transform | undefined {
  const options = { chunkSize: 256 * 1024 };
  if (head[0] === 0x1f && head[1] === 0x8b) return createGunzip(options);
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? createZstdDecompress(options) : undefined;
}

/** Of zlib, zstd and tar; what comes from elsewhere is not the image's fault. */
const isDataError = (error: unknown) => {
  const { code, message } = error as NodeJS.ErrnoException;
  return (
    /^(Z_|ZSTD_|ERR_ZLIB|ERR_ZSTD|ERR_STREAM_PREMATURE_CLOSE)/.test(code ?? "") || /tar|header|Unexpected end|Premature/i.test(message)
  );
};

function plainPath(name: string): string {
  const parts: string[] = [];
  for (const part of name.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

const join = (directory: string, name: string) => (directory === "" ? name : `${directory}/${name}`);

function splitPath(path: string): [string, string] {
  const at = path.lastIndexOf("/");
  return at < 0 ? ["", path] : [path.slice(0, at), path.slice(at + 1)];
}
