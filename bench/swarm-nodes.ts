/** Docker's Swarm of three nodes as a peer: three daemons, each on a machine of its own made of namespaces (machine.ts). The first is the manager, all three run tasks. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Machine, startMachine, type Wire } from "./machine.ts";
import { run } from "./support.ts";

export interface SwarmNodes {
  readonly machines: readonly Machine[];
  /** The daemon of a machine that was booted anew. */
  start(machine: Machine): Promise<void>;
  docker(machine: Machine, ...args: string[]): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

const patience = 300;

export async function startSwarm(wire: Wire, rootTar: string, image: string): Promise<SwarmNodes> {
  const machines: Machine[] = [];
  const socket = (machine: Machine) => `unix://${join(machine.home, "docker.sock")}`;
  const docker: SwarmNodes["docker"] = async (machine, ...args) =>
    (await run("docker", ["-H", socket(machine), ...args], { maxBuffer: 1 << 24, timeout: 120_000 })).stdout;
  const parent = (machine: Machine) => `/bench-${machine.home.split("-").at(-1)!.toLowerCase()}`;

  const start: SwarmNodes["start"] = async (machine) => {
    const place = (name: string) => join(machine.home, name);
    const options = ["--data-root", place("data"), "--exec-root", "/run/docker", "--pidfile", place("pid"), "-H", socket(machine)];
    const command = ["setsid", "-f", "dockerd", ...options, "--cgroup-parent", parent(machine)];
    await machine.run([
      "bash",
      "-c",
      `rm -f ${place("pid")} ${place("docker.sock")}; ${command.join(" ")} >${place("log")} 2>&1 </dev/null`,
    ]);
    for (let tries = 0; ; tries++) {
      const good = await docker(machine, "version").then(
        () => true,
        () => false,
      );
      if (good) return;
      if (tries > patience) throw new Error(`dockerd does not answer: see ${place("log")}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const end = async () => {
    for (const machine of machines) {
      await machine[Symbol.asyncDispose]();
      await run("sh", ["-c", `find /sys/fs/cgroup -depth -type d -path '*${parent(machine)}*' -exec rmdir {} +`]).catch(() => {});
    }
  };
  try {
    for (const index of [2, 3, 4]) {
      // Each task asks for its image at Docker Hub first, whatever is there: with no way out that fails at once, as for a node of an offline site.
      const machine = await startMachine(wire, index, false);
      machines.push(machine);
      await mkdir(join(machine.home, "data"), { recursive: true });
      await start(machine);
      await docker(machine, "import", rootTar, image);
    }
    const [manager, ...workers] = machines as [Machine, ...Machine[]];
    await docker(manager, "swarm", "init", "--advertise-addr", manager.address, "--listen-addr", `${manager.address}:2377`);
    const token = (await docker(manager, "swarm", "join-token", "-q", "worker")).trim();
    for (const worker of workers)
      await docker(worker, "swarm", "join", "--token", token, "--advertise-addr", worker.address, `${manager.address}:2377`);
  } catch (error) {
    await end();
    throw error;
  }
  return { machines, start, docker, [Symbol.asyncDispose]: end };
}
