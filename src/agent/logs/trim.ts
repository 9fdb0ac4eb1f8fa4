import { command } from "../network/commands.ts";

/**
 * Gives the disk space of a file's beginning back and leaves everything else where it is: offsets stay true and a writer that never heard of us
 * goes on, which truncation would not allow (a line written between the last reading and the truncation would be lost).
 */
export async function punch(path: string, offset: number, length: number): Promise<void> {
  // A file system without holes keeps the bytes until the task is cleaned up.
  await command("fallocate", ["--punch-hole", "--offset", String(offset), "--length", String(length), path]).catch(() => {});
}
