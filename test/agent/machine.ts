import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { instanceOf } from "#agent/config.ts";
import { connectContainerd } from "#agent/containerd/client.ts";
import { containerdCommand } from "#agent/containerd/daemon.ts";
import { knownContainers } from "#agent/containerd/known.ts";
import { memoryPlace } from "#agent/containerd/memory.ts";
import { startRegistry } from "../containerd/support/registry.ts";
import { until } from "../support/until.ts";
import { FakeControlPlane } from "./fake-control-plane.ts";

const run = promisify(execFile);
const repository = new URL("../..", import.meta.url).pathname;

/** A machine for the agent: containerd and a registry of its own, the agent as the process that it is, a fake control plane above. */
export interface Machine {
  readonly home: string;
  readonly plane: FakeControlPlane;
  /** An image with busybox: `/bin/sh` and its applets, `/data/seed` owned by 1000, users root and app. */
  readonly image: string;
  startAgent(env?: Record<string, string>): Promise<void>;
  /** SIGKILL. */
  killAgent(): Promise<void>;
  /** The signal, then waits for the end; its exit code. */
  endAgent(signal: NodeJS.Signals): Promise<number | null>;
  /** Whether the processes of all containers of a task have ended, as containerd knows it. */
  exited(task: string): Promise<boolean>;
  agentOutput(): string;
  close(): Promise<void>;
}

export async function startMachine(): Promise<Machine> {
  const home = mkdtempSync(join(tmpdir(), "gantry-agent-"));
  const daemon = containerdCommand({ home });
  const containerd = spawn(daemon.file, daemon.args, { env: { ...process.env, ...daemon.env }, stdio: "ignore" });
  const registry = await startRegistry(join(home, "registry"));
  const image = `${registry.host.replace("127.0.0.1", "localhost")}/busybox:1`;
  await pushImage(home, image);
  const client = connectContainerd({ socket: daemon.socket, namespace: `gantry-${instanceOf(home)}`, snapshotter: "overlayfs" });
  const plane = new FakeControlPlane();
  await plane.listen();
  let agent: ChildProcess | undefined;
  let output = "";
  const ended = (child: ChildProcess) =>
    new Promise<number | null>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(child.exitCode);
      else child.once("exit", (code) => resolve(code));
    });
  const endAgent = async (signal: NodeJS.Signals) => {
    if (!agent) return null;
    const child = agent;
    agent = undefined;
    child.kill(signal);
    return ended(child);
  };
  return {
    home,
    plane,
    image,
    async startAgent(env = {}) {
      const before = plane.connections;
      agent = spawn(process.execPath, [join(repository, "src/agent/main.ts")], {
        env: { ...process.env, GANTRY_HOME: home, GANTRY_CONTAINERD_SOCKET: daemon.socket, ECS_BACKEND_HOST: plane.endpoint, ...env },
        stdio: ["ignore", "inherit", "pipe"],
      });
      agent.stderr?.setEncoding("utf8").on("data", (text: string) => (output += text));
      const child = agent;
      await until("the agent's connection, or its end", () => plane.connections > before || child.exitCode !== null, { every: 10 });
      if (plane.connections === before) throw new Error(`the agent did not connect: ${output}`);
    },
    killAgent: async () => void (await endAgent("SIGKILL")),
    endAgent,
    agentOutput: () => output,
    async exited(task) {
      const own = (await knownContainers(client)).filter(({ labels }) => labels["com.amazonaws.ecs.task-arn"]?.endsWith(`/${task}`));
      return own.length > 0 && own.every(({ state }) => state === "stopped");
    },
    async close() {
      await endAgent("SIGKILL");
      await plane.close();
      client.close();
      containerd.kill("SIGTERM");
      await ended(containerd);
      await registry.stop();
      await run("sh", ["-c", `for m in $(grep -o '${home}[^ ]*' /proc/mounts | sort -r); do umount -l "$m" 2>/dev/null; done; true`]);
      rmSync(home, { recursive: true, force: true });
      rmSync(daemon.state, { recursive: true, force: true });
      const memory = memoryPlace(join(home, "runtime"));
      if (memory) rmSync(memory, { recursive: true, force: true });
    },
  };
}

/** An OCI layout by hand, and skopeo to push it. */
async function pushImage(home: string, image: string): Promise<void> {
  const root = join(home, "rootfs");
  for (const directory of ["bin", "etc", "tmp", "data"]) mkdirSync(join(root, directory), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const applet of [
    "sh",
    "cat",
    "echo",
    "sleep",
    "env",
    "id",
    "ls",
    "nc",
    "touch",
    "test",
    "true",
    "false",
    "stat",
    "grep",
    "hostname",
  ]) {
    symlinkSync("busybox", join(root, "bin", applet));
  }
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\napp:x:1000:\n");
  writeFileSync(join(root, "data/seed"), "from the image\n");
  await run("chown", ["-R", "1000:1000", join(root, "data")]);
  const layout = join(home, "layout");
  mkdirSync(join(layout, "blobs/sha256"), { recursive: true });
  const blob = (bytes: Buffer, mediaType: string) => {
    const hash = createHash("sha256").update(bytes).digest("hex");
    writeFileSync(join(layout, "blobs/sha256", hash), bytes);
    return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
  };
  await run("tar", ["--numeric-owner", "-C", root, "-cf", join(home, "layer.tar"), "."]);
  const layer = blob(readFileSync(join(home, "layer.tar")), "application/vnd.oci.image.layer.v1.tar");
  const config = blob(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin", "FROM_IMAGE=yes"] },
        rootfs: { type: "layers", diff_ids: [layer.digest] },
      }),
    ),
    "application/vnd.oci.image.config.v1+json",
  );
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = blob(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers: [layer] })), manifestType);
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations: { "org.opencontainers.image.ref.name": "1" } }] };
  writeFileSync(join(layout, "index.json"), JSON.stringify(index));
  await run("skopeo", ["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", `oci:${layout}:1`, `docker://${image}`]);
}
