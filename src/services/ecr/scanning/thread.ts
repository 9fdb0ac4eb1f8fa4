/** The thread of one scan: asks for the image's layers piece by piece, and says once what came of it. The server's own thread never waits for a layer to be unpacked, and survives one that was made to harm. */
import { parentPort, workerData } from "node:worker_threads";
import { inspect, isInspected, type Outcome } from "./inspect.ts";
import type { FromScan, ScanInput, ToScan } from "./messages.ts";
import { readFiles, UnreadableImage } from "./rootfs.ts";

const port = parentPort!;
const { home } = workerData as ScanInput;

/** One question at a time, so one answer is enough. */
function next(): Promise<ToScan> {
  return new Promise((resolve) => {
    port.once("message", resolve);
    port.postMessage({ want: true } satisfies FromScan);
  });
}

async function* layers(): AsyncGenerator<AsyncIterable<Uint8Array>> {
  for (let first = await next(); !("imageEnds" in first); first = await next()) {
    const whole = { ended: false };
    const layer = pieces(first, whole);
    yield layer;
    // What follows the end of the archive is nobody's, but it has to be taken.
    if (!whole.ended) for await (const _rest of layer);
  }
}

async function* pieces(first: ToScan, whole: { ended: boolean }): AsyncGenerator<Uint8Array> {
  try {
    for (let each = first; "piece" in each; each = await next()) yield each.piece;
  } finally {
    whole.ended = true;
  }
}

async function scan(): Promise<Outcome> {
  try {
    return await inspect(await readFiles(layers(), isInspected), home);
  } catch (error) {
    if (error instanceof UnreadableImage) return { kind: "failed", reason: `The image cannot be scanned: ${error.message}.` };
    throw error;
  }
}

port.postMessage({ outcome: await scan() } satisfies FromScan);
port.close();
