/** The whole server as a process of its own, in open mode, that a test may kill. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export interface ServerProcess {
  readonly port: number;
  readonly endpoint: string;
  /** Ends it at once, as a power failure would (but for the page cache). */
  kill(): Promise<void>;
  /** The most memory it ever had, in MiB. */
  peakMiB(): Promise<number>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startProcess(home: string, port: number): Promise<ServerProcess> {
  const child = spawn(process.execPath, [new URL("../../src/server/main.ts", import.meta.url).pathname], {
    env: {
      ...process.env,
      GANTRY_HOME: home,
      GANTRY_PORT: String(port),
      GANTRY_OPEN: "1",
      GANTRY_CREATE_ON_PUSH: "1",
      GANTRY_LOG_LEVEL: "error",
    },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    const up = await fetch(`${endpoint}/v2/`).then(
      (response) => response.arrayBuffer(),
      () => undefined,
    );
    if (up) break;
    if (tries > 1000 || child.exitCode !== null) throw new Error(`the server did not start (exit code ${child.exitCode})`);
    await pause(10);
  }
  return {
    port,
    endpoint,
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
    async peakMiB() {
      const status = await readFile(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024;
    },
  };
}
