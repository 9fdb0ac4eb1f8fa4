/** The whole server as a process of its own, in open mode, that a test may kill. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { until } from "../support/until.ts";

export interface ServerProcess {
  readonly port: number;
  readonly endpoint: string;
  /** Ends it at once, as a power failure would (but for the page cache). */
  kill(): Promise<void>;
  /** The most memory it ever had, in MiB. */
  peakMiB(): Promise<number>;
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
  const answers = () =>
    fetch(`${endpoint}/v2/`).then(
      (response) => response.arrayBuffer(),
      () => undefined,
    );
  await until("the server's answer, or its end", async () => (await answers()) !== undefined || child.exitCode !== null, { every: 10 });
  if (child.exitCode !== null) throw new Error(`the server did not start (exit code ${child.exitCode})`);
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
