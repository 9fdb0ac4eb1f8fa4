import { createWriteStream } from "node:fs";
import { open, opendir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { OsvError } from "#model/vulnerabilities/osv.ts";
import { isLoopback } from "#platform/config.ts";
import { filesOfZip } from "./zip-file.ts";

/** Bytes of one JSON document: the largest records of the kernel have some hundred thousand. */
const longestDocument = 64 * 2 ** 20;

/** The JSON documents of a source, one after the other; an array is as many as it has elements. Throws OsvError for what cannot be read. */
export async function* documentsOf(source: string, download: string): AsyncGenerator<unknown> {
  if (/^https?:\/\//.test(source)) {
    await fetchTo(source, download);
    yield* (await isZip(download)) ? ofZip(download) : ofJson(download);
    return;
  }
  const found = await stat(source).catch(() => undefined);
  if (!found) throw new OsvError(`there is no file ${source}`);
  yield* found.isDirectory() ? ofDirectory(source) : ofFile(source);
}

async function isZip(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(4) });
    return bytesRead === 4 && buffer.toString("latin1") === "PK\u0003\u0004";
  } finally {
    await file.close();
  }
}

async function* ofFile(path: string): AsyncGenerator<unknown> {
  yield* path.endsWith(".zip") ? ofZip(path) : ofJson(path);
}

async function* ofDirectory(path: string): AsyncGenerator<unknown> {
  for await (const entry of await opendir(path, { recursive: true }))
    if (entry.isFile() && /\.(json|zip)$/.test(entry.name)) yield* ofFile(join(entry.parentPath, entry.name));
}

async function* ofJson(path: string): AsyncGenerator<unknown> {
  yield* parsed(await readFile(path), path);
}

async function* ofZip(path: string): AsyncGenerator<unknown> {
  const files = filesOfZip(path);
  try {
    for (;;) {
      const next = await files.next().catch((error: Error) => {
        throw new OsvError(`${path} is no zip file that can be read: ${error.message}`);
      });
      if (next.done) return;
      const { name, size, content } = next.value;
      if (!name.endsWith(".json")) continue;
      if (size > longestDocument) throw new OsvError(`${path} holds ${name}: too long`);
      const bytes = await content().catch((error: Error) => {
        throw new OsvError(`${path}: ${name} cannot be unpacked: ${error.message}`);
      });
      yield* parsed(bytes, `${path}: ${name}`);
    }
  } finally {
    await files.return(undefined);
  }
}

function* parsed(bytes: Buffer, where: string): Generator<unknown> {
  if (bytes.length > longestDocument) throw new OsvError(`${where} is longer than ${longestDocument} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new OsvError(`${where} is no JSON: ${(error as Error).message}`);
  }
  if (Array.isArray(value)) yield* value as unknown[];
  else yield value;
}

async function fetchTo(source: string, path: string): Promise<void> {
  const { protocol, hostname } = new URL(source);
  if (protocol !== "https:" && !isLoopback(hostname)) throw new OsvError(`${source}: only https`);
  const response = await fetch(source).catch((error: Error) => {
    throw new OsvError(`${source} cannot be fetched: ${(error.cause as Error | undefined)?.message ?? error.message}`);
  });
  if (!response.ok || !response.body) throw new OsvError(`${source} answers ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(path, { mode: 0o600 }));
}
