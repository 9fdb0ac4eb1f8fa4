/** A Docker daemon of the test's own, for its client side of a registry: no bridge, no firewall rules, everything under one directory. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

export interface DockerDaemon {
  /** For `DOCKER_HOST`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** `more`: further flags and environment of the daemon. */
export async function startDockerDaemon(
  more: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<DockerDaemon> {
  const home = await mkdtemp(join(tmpdir(), "gantry-docker-"));
  const host = `unix://${join(home, "docker.sock")}`;
  const args = [
    "--data-root",
    join(home, "data"),
    "--exec-root",
    join(home, "exec"),
    "-H",
    host,
    "--pidfile",
    join(home, "pid"),
    "--iptables=false",
    "--ip6tables=false",
    "--bridge=none",
    ...(more.args ?? []),
  ];
  // When the machine is so busy that its containerd does not answer, dockerd has it write down its stacks in TMPDIR before it starts it again.
  const daemon = spawn("/usr/sbin/dockerd", args, { stdio: "ignore", env: { ...process.env, TMPDIR: home, ...more.env } });
  const gone = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  const answers = async () => {
    if (daemon.exitCode !== null) throw new Error(`dockerd ended with ${daemon.exitCode}`);
    const probe = spawn("docker", ["-H", host, "version"], { stdio: "ignore" });
    return (await new Promise((resolve) => probe.once("exit", resolve))) === 0;
  };
  try {
    await until("dockerd answers", answers, { ms: 120_000, every: 100 });
  } catch (error) {
    daemon.kill("SIGTERM");
    await gone;
    await rm(home, { recursive: true, force: true });
    throw error;
  }
  return {
    host,
    async stop() {
      daemon.kill("SIGTERM");
      await gone;
      await rm(home, { recursive: true, force: true });
    },
  };
}
