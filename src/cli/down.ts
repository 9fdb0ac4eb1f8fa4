import { spawn } from "node:child_process";
import { readFile, readdir, rm } from "node:fs/promises";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { agentCommand, ownContainerd, socketAnswers } from "./commands.ts";
import { placesOf } from "./places.ts";
import { endProcess, isAlive, nameProcess } from "./processes.ts";
import { askToStop, readState } from "./supervisor.ts";

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);

/** `gantry down`: server, agent and containerd end, tasks run on. With `all`, nothing stays on the machine but the state in the home. */
export async function down(config: Config, options: { readonly all: boolean }): Promise<number> {
  const was = await askToStop(config);
  const state = readState(config.home);
  if (!was) say(`was not running (home ${config.home})`);
  // A supervisor that was killed leaves its children to us.
  if (state && !isAlive(state.supervisor)) {
    for (const { process: left } of Object.values(state.children).toReversed()) if (left) await endProcess(left, 10_000);
  }
  if (!options.all) {
    const running = (await shimsOf(config)).length;
    if (running > 0)
      say(
        `stopped; the containers of ${running} task${running === 1 ? "" : "s"} run on: ./gantry up takes them over again, ./gantry down --all stops them`,
      );
    else if (was) say("stopped");
    return 0;
  }
  return tearDown(config, state?.containerdSocket, state?.ownContainerd ?? true);
}

/** Starts containerd once more if it is ours, lets the agent remove all it made, ends what still stands, and looks what the kernel still knows. */
async function tearDown(config: Config, knownSocket: string | undefined, own: boolean): Promise<number> {
  const identity = await loadIdentity(config.home, systemRandom);
  const containerd = own ? await ownContainerd(config) : undefined;
  const socket = containerd?.socket ?? knownSocket ?? "";
  const daemon = containerd
    ? spawn(containerd.file, containerd.args, { env: containerd.env as NodeJS.ProcessEnv, stdio: "ignore", detached: true })
    : undefined;
  try {
    for (
      let tries = 0;
      tries < 400 &&
      !(await socketAnswers(socket).then(
        () => true,
        () => false,
      ));
      tries++
    )
      await new Promise((resolve) => setTimeout(resolve, 25));
    say("stopping all tasks");
    const { file, args, env } = agentCommand(config, identity, socket, ["--teardown"]);
    const agent = spawn(file, args, { env: env as NodeJS.ProcessEnv, stdio: ["ignore", "inherit", "inherit"] });
    const late = setTimeout(() => agent.kill("SIGKILL"), 120_000);
    const code = await new Promise<number | null>((resolve) => agent.once("exit", resolve));
    clearTimeout(late);
    if (code !== 0) say(`the agent's teardown ended with ${code}`);
  } finally {
    if (daemon?.pid !== undefined) await endProcess(nameProcess(daemon.pid), 10_000);
  }
  for (const shim of await shimsOf(config)) await endProcess(shim, 2000);
  await unmountBelow(config, socket);
  await rm(placesOf(config).state, { force: true });
  const remains = await whatRemains(config, socket);
  for (const each of remains) say(`still there: ${each}`);
  if (remains.length === 0) say("nothing is left running; the state is kept in " + config.home);
  return remains.length === 0 ? 0 : 1;
}

/** containerd's shims of this Gantry: they name its socket on their command line. */
async function shimsOf(config: Config): Promise<readonly ReturnType<typeof nameProcess>[]> {
  const { socket } = await ownContainerd(config);
  const found = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (line.includes("containerd-shim") && line.split("\0").includes(socket)) found.push(nameProcess(Number(pid)));
  }
  return found;
}

async function mountsBelow(directories: readonly string[]): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const points = lines.map((line) => (line.split(" ")[4] ?? "").replace(/\\040/g, " "));
  return points.filter((point) => directories.some((directory) => point.startsWith(`${directory}/`)));
}

async function directoriesOf(config: Config, socket: string): Promise<string[]> {
  return [config.home, socket.replace(/\/[^/]*$/, "")].filter((directory) => directory.length > 4);
}

async function unmountBelow(config: Config, socket: string): Promise<void> {
  const { execFile } = await import("node:child_process");
  const points = await mountsBelow(await directoriesOf(config, socket));
  for (const point of points.toReversed()) await new Promise((resolve) => execFile("umount", ["-l", point], resolve));
}

async function whatRemains(config: Config, socket: string): Promise<string[]> {
  const mounts = await mountsBelow(await directoriesOf(config, socket));
  const shims = await shimsOf(config);
  return [...mounts.map((point) => `mount ${point}`), ...shims.map(({ pid }) => `process ${pid}`)];
}
