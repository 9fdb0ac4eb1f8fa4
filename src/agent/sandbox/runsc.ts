import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { mkdir, rename, symlink, writeFile, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

import { environmentScript } from "#agent/secrets/wrapper.ts";

const run = promisify(execFile);

/** What a machine has of gVisor. */
export interface Runsc {
  readonly path: string;
  /** e.g. `0.0~20221219.0` (Debian) or `release-20250101.0`. */
  readonly version: string;
  /** How it catches the system calls of what runs inside. */
  readonly platform: string;
}

/** Says in a sentence what a machine lacks, and what to do. */
export class RunscMissing extends Error {}

const missing =
  "gVisor's runsc is not installed, and a Fargate task runs in a gVisor sandbox: apt-get install runsc, or, to run Fargate tasks with no more than runc's isolation, set GANTRY_FARGATE_RUNTIME=runc";

/** Throws RunscMissing. `platform` is the operator's choice; by default systrap where that runsc knows it, else ptrace: kvm hangs inside many virtual machines. */
export async function findRunsc(platform?: string, path = process.env.PATH ?? "", usual = ["/usr/bin", "/usr/local/bin"]): Promise<Runsc> {
  const found = find([...path.split(delimiter), ...usual]);
  if (!found) throw new RunscMissing(missing);
  try {
    const [version, flags] = await Promise.all([
      run(found, ["--version"], { timeout: 10_000, killSignal: "SIGKILL" }),
      run(found, ["flags"], { timeout: 10_000, killSignal: "SIGKILL" }),
    ]);
    const known = /-platform string\s+([^\n]*)/.exec(flags.stdout + flags.stderr)?.[1] ?? "";
    return {
      path: found,
      version: /version (\S+)/.exec(version.stdout)?.[1] ?? "unknown",
      platform: platform || (/\bsystrap\b/.test(known) ? "systrap" : "ptrace"),
    };
  } catch (error) {
    throw new RunscMissing(`${found} does not run: ${(error as Error).message.split("\n")[0]}`, { cause: error });
  }
}

function find(directories: readonly string[]): string | undefined {
  for (const directory of directories) {
    try {
      const file = join(directory, "runsc");
      if (directory === "") continue;
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

/** The two names under which containerd's shim calls the wrapper: for a sandbox's first container and for the task's own. */
export interface Wrapper {
  readonly sandbox: string;
  readonly container: string;
}

/** Writes src/agent/sandbox/wrapper.sh, filled in for this machine. Replaced whole, so that a call in between finds one or the other. */
export async function writeWrapper(directory: string, runsc: Runsc, secrets: string): Promise<Wrapper> {
  const flags = [
    `--platform=${runsc.platform}`,
    // As under runc: NET_RAW is among Docker's capabilities, and the task's network is its own.
    "--net-raw",
    // A container's writes belong on the task's disk, where they are counted, and not in its memory.
    "--overlay2=none",
  ];
  const source = readFileSync(new URL("wrapper.sh", import.meta.url), "utf8");
  const text = source
    .replaceAll("@RUNSC@", runsc.path)
    .replaceAll("@FLAGS@", flags.join(" "))
    .replace("@ENVIRONMENT@", () => environmentScript(secrets));
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const container = join(directory, "gantry-container");
  const sandbox = join(directory, "gantry-sandbox");
  const fresh = `${container}.${process.pid}`;
  await writeFile(fresh, text, { mode: 0o755 });
  await rename(fresh, container);
  await symlink("gantry-container", sandbox).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
    await rm(`${sandbox}.${process.pid}`, { force: true });
  });
  return { sandbox, container };
}
