/** Docker's engine as a peer: a daemon of the benchmark's own, in a network namespace of its own, so that its bridge and rules go with it. */
import { spawn } from "node:child_process";
import { mkdir, symlink, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { end, run, temporary } from "./support.ts";

export interface Docker {
  /** Runs `docker …` and returns what it printed. */
  docker(...args: string[]): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startDocker(options: readonly string[] = []): Promise<Docker> {
  const home = await temporary("docker");
  const namespace = `gantry-bench-${process.pid}`;
  await run("ip", ["netns", "add", namespace]);
  await run("ip", ["-n", namespace, "link", "set", "lo", "up"]);
  const socket = join(home.path, "docker.sock");
  const args = [
    "--data-root",
    join(home.path, "data"),
    "--exec-root",
    join(home.path, "exec"),
    "-H",
    `unix://${socket}`,
    "--pidfile",
    join(home.path, "pid"),
    ...options,
  ];
  const daemon = spawn("nsenter", [`--net=/var/run/netns/${namespace}`, "dockerd", ...args], { stdio: "ignore" });
  const docker = async (...command: string[]) =>
    (await run("docker", ["-H", `unix://${socket}`, ...command], { maxBuffer: 1 << 24 })).stdout;
  for (let tries = 0; ; tries++) {
    try {
      await docker("version");
      break;
    } catch (error) {
      if (tries > 150) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return {
    docker,
    async [Symbol.asyncDispose]() {
      const running = (await docker("ps", "-aq")).split("\n").filter(Boolean);
      if (running.length > 0) await docker("rm", "-f", ...running);
      await end(daemon);
      await run("ip", ["netns", "del", namespace]);
      await home[Symbol.asyncDispose]();
    },
  };
}

/** A tar of a root file system with Debian's static busybox, for `docker import` and for our image. */
export async function busyboxRoot(directory: string): Promise<string> {
  const bin = join(directory, "root", "bin");
  await mkdir(bin, { recursive: true });
  await copyFile("/bin/busybox", join(bin, "busybox"));
  for (const name of ["sh", "sleep", "echo", "cat", "httpd"]) await symlink("busybox", join(bin, name));
  const tar = join(directory, "root.tar");
  await run("tar", ["-C", join(directory, "root"), "--owner=0", "--group=0", "-cf", tar, "."]);
  return tar;
}
