import { spawn } from "node:child_process";
import { once } from "node:events";

const block = 4096;

/**
 * Gives the disk space of a log's first `upTo` bytes back, while its container goes on writing. The shim holds the file open for appending, so
 * nothing is renamed or truncated: a hole is punched. Offsets stay valid, no line can be lost between reading and trimming; the
 * hole reads as zeros. Whole blocks only: returns the offset up to which space was freed, 0 where the file system cannot do it.
 */
export async function trimLog(path: string, upTo: number): Promise<number> {
  const length = Math.floor(upTo / block) * block;
  if (length <= 0) return 0;
  const args = ["--punch-hole", "--offset", "0", "--length", String(length), path];
  const child = spawn("fallocate", args, { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  child.stderr.on("data", (data: Buffer) => (complaint += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return length;
  if (/not supported|unsupported/i.test(complaint)) return 0;
  throw new Error(`the log ${path} was not trimmed: ${complaint.trim()}`);
}
