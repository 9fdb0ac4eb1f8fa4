import { RuntimeError } from "#agent/runtime.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { Code, connectContainerd, isCode, isNotFound, messageOf } from "./client.ts";

/** overlayfs, or plain copies where the file system below cannot carry it: then containerd has not loaded that snapshotter. */
export async function chooseSnapshotter(options: {
  readonly socket: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly connectTimeoutMs?: number;
}): Promise<string> {
  const { socket, namespace, clock, log, connectTimeoutMs = 10_000 } = options;
  const until = clock.now() + connectTimeoutMs;
  const containerd = connectContainerd({ socket, namespace, snapshotter: "overlayfs" });
  try {
    for (;;) {
      try {
        await containerd.snapshots.stat({ snapshotter: "overlayfs", key: "none" }, { timeoutMs: 5000 });
        return "overlayfs";
      } catch (error) {
        if (isNotFound(error)) return "overlayfs";
        if (isCode(error, Code.InvalidArgument)) {
          log.warn("containerd has no overlayfs here: snapshots are plain copies, which are slow and large");
          return "native";
        }
        if (clock.now() >= until)
          throw new RuntimeError("Unavailable", `containerd at ${socket} does not answer: ${messageOf(error)}`, { cause: error });
        await sleep(clock, 100);
      }
    }
  } finally {
    containerd.close();
  }
}
