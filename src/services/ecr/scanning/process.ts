/** A scan's process: an image on standard input, its outcome on standard output, and nothing else. Whatever the image was made to do, it does to this process; the server kills it when it is silent. */
import { encodeOutcome, layersOf } from "./messages.ts";
import { inspect, type Inspection, isInspected } from "./inspect.ts";
import { readFiles, UnreadableImage } from "./rootfs.ts";

async function scan(home: string): Promise<Inspection> {
  try {
    return await inspect(await readFiles(layersOf(process.stdin), isInspected), home);
  } catch (error) {
    if (error instanceof UnreadableImage) return { kind: "failed", reason: `The image cannot be scanned: ${error.message}.` };
    throw error;
  }
}

const outcome = encodeOutcome(await scan(process.argv[2]!));
process.stdout.write(outcome, () => process.exit(0));
