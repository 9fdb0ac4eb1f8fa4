import { writeSync } from "node:fs";

/** One line on standard output, written when this returns, also to a pipe that is full for the moment: whoever reads it may be slow. */
export function say(line: string): void {
  for (;;)
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
}
