/** A whole Gantry for a test, started by the same commands a user types, with a home and a port of its own. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./port.ts";

export { freePort } from "./port.ts";
const execute = promisify(execFile);
export const repository = new URL("../..", import.meta.url).pathname;

export interface RunningGantry {
  readonly home: string;
  readonly port: number;
  readonly endpoint: string;
  /** The environment that `eval "$(./gantry env)"` gives a shell. */
  readonly env: Readonly<Record<string, string>>;
  /** Runs a line in bash after `eval "$(./gantry env)"`, as a user would type it. Rejects with what it printed when it fails. */
  shell(line: string, options?: { readonly timeoutMs?: number; readonly input?: string }): Promise<string>;
  gantry(...args: string[]): Promise<string>;
  status(): Promise<GantryStatus>;
  /** `down --all`, and the state removed. */
  stop(): Promise<void>;
}

/** The root user's keys, of a Gantry that checks signatures. */
export async function rootKeys({ home }: Pick<RunningGantry, "home">): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const identity = JSON.parse(await readFile(join(home, "identity.json"), "utf8")) as Record<string, string>;
  return { accessKeyId: identity.rootAccessKeyId!, secretAccessKey: identity.rootSecretAccessKey! };
}

export interface GantryStatus {
  readonly ok: boolean;
  readonly parts: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly pid?: number;
    readonly detail?: string;
    readonly problem?: string;
  }[];
}

async function newHome(fits: (home: string) => boolean): Promise<string> {
  for (;;) {
    const home = await mkdtemp(join(tmpdir(), "gantry-test-"));
    if (fits(home)) return home;
    await rm(home, { recursive: true });
  }
}

/** `home`: whether a path will do, for those who need one whose name makes something of it. */
export async function startGantry(
  options: { readonly open?: boolean; readonly env?: Record<string, string>; readonly home?: (home: string) => boolean } = {},
): Promise<RunningGantry> {
  const home = await newHome(options.home ?? (() => true));
  const port = await freePort();
  const base = { ...(process.env as Record<string, string>), GANTRY_HOME: home, GANTRY_PORT: String(port), ...options.env };
  const run = async (file: string, args: readonly string[], extra: { timeoutMs?: number; input?: string } = {}) => {
    const child = execute(file, args, { env: base, timeout: extra.timeoutMs ?? 240_000, maxBuffer: 1 << 26 });
    if (extra.input !== undefined) child.child.stdin?.end(extra.input);
    try {
      return (await child).stdout;
    } catch (error) {
      const failed = error as { stdout?: string; stderr?: string; message: string };
      throw new Error(`${[file, ...args].join(" ")}: ${failed.message}\n${failed.stdout ?? ""}\n${failed.stderr ?? ""}`, { cause: error });
    }
  };
  const gantry = (...args: string[]) => run(join(repository, "gantry"), args);
  try {
    await gantry("up", "--detach", ...(options.open ? ["--open"] : []));
  } catch (error) {
    await gantry("down", "--all").catch(() => {});
    await rm(home, { recursive: true, force: true });
    throw error;
  }
  return {
    home,
    port,
    endpoint: `http://127.0.0.1:${port}`,
    env: base,
    gantry,
    shell: (line, extra) => run("bash", ["-euo", "pipefail", "-c", `eval "$('${join(repository, "gantry")}' env)"\n${line}`], extra),
    async status() {
      return JSON.parse(
        await gantry("status", "--json").catch((error: Error) => /\{[\s\S]*\}/.exec(error.message)?.[0] ?? "{}"),
      ) as GantryStatus;
    },
    async stop() {
      await gantry("down", "--all");
      await rm(home, { recursive: true, force: true });
    },
  };
}
