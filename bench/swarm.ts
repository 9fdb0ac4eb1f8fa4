/** Docker's Swarm as a peer: one manager, which is the only worker, on the benchmark's own daemon. */
import type { Docker } from "./docker.ts";
import type { Services } from "./services.ts";

/**
 * Its service is on Docker's default bridge (no overlay network, no published port), as our tasks in network mode bridge. The rolling update is
 * the closest that Swarm has to minimumHealthyPercent 100 and maximumPercent 200: `start-first`, all 20 at once.
 */
export async function swarmServices(docker: Docker, image: string): Promise<Services> {
  await docker.docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377");
  const name = "bench";
  const quiet = async (done: () => Promise<boolean>) => {
    for (let tries = 0; !(await done()); tries++) {
      if (tries > 600) throw new Error("Swarm does not come to rest");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const replicas = async () => (await docker.docker("service", "ls", "--format", "{{.Replicas}}")).trim();
  return {
    async create(directory, count, command) {
      await docker.docker(
        ...["service", "create", "--detach", "--name", name, "--replicas", String(count), "--no-resolve-image", "--limit-memory", "32m"],
        ...["--mount", `type=bind,src=${directory},dst=/out`, "--env", "VERSION=1", "--restart-condition", "any"],
        ...["--update-parallelism", "0", "--update-order", "start-first", "--update-monitor", "1s"],
        ...[image, ...command],
      );
    },
    async update() {
      await docker.docker("service", "update", "--detach", "--no-resolve-image", "--env-add", "VERSION=2", name);
    },
    async scaleToZero() {
      await docker.docker("service", "scale", "--detach", `${name}=0`);
    },
    async settled(count) {
      const state = ["service", "inspect", "--format", "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}", name];
      await quiet(async () => (await replicas()) === `${count}/${count}` && /^(completed)?$/.test((await docker.docker(...state)).trim()));
    },
    async remove() {
      await docker.docker("service", "rm", name);
      await quiet(async () => (await docker.docker("ps", "-aq")).trim() === "");
    },
    async [Symbol.asyncDispose]() {
      await docker.docker("swarm", "leave", "--force");
    },
  };
}
