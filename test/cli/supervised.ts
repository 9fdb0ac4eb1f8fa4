/**
 * A supervisor in a process of its own, over scripts in place of containerd, server and agent: `node supervised.ts <home> <name>=<shell script> …`.
 * A part is ready when its script has made `<home>/<name>.ready`. Prints what the supervisor says, and `READY`. How long it has patience, for tests of its end: `SUPERVISED_READY_MS` and `SUPERVISED_GRACE_MS`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { supervise } from "#cli/supervisor.ts";

const [home = "", ...scripts] = process.argv.slice(2);
const stop = new AbortController();
process.on("SIGTERM", () => stop.abort());
const say = (text: string) => void process.stdout.write(`${text}\n`);

try {
  await supervise({
    config: { home, port: 1, bind: "127.0.0.1", open: false, tls: undefined },
    containerd: { socket: "", own: false },
    parts: scripts.map((text) => {
      const [name = "", script = ""] = text.split(/=(.*)/s);
      const ready = join(home, `${name}.ready`);
      return {
        name,
        command: async () => ({ file: "/bin/sh", args: ["-c", `rm -f "$0"\n${script}`, ready], env: process.env }),
        probe: async () => {
          if (!existsSync(ready)) throw new Error(`${name} has not made its file`);
        },
        readyTimeoutMs: Number(process.env.SUPERVISED_READY_MS ?? 60_000),
        stopGraceMs: Number(process.env.SUPERVISED_GRACE_MS ?? 30_000),
      };
    }),
    progress: say,
    ready: () => say("READY"),
    signal: stop.signal,
  });
} catch (error) {
  say(`FAILED ${(error as Error).message}`);
  process.exitCode = 1;
}
