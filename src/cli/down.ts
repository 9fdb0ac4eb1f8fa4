import { spawn } from "node:child_process";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import type { Part } from "./child.ts";
import { joinedParts } from "./join/parts.ts";
import { readJoined } from "./join/state.ts";
import { partsOf, type Parts } from "./parts.ts";
import { listenerOf } from "./processes.ts";
import { describeRemains, findRemains, removeRemains } from "./remains.ts";
import { endLeftovers, readState, stopSupervisor, supervise } from "./supervisor.ts";

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);

/** `gantry down`: server, agent and containerd end, tasks run on. With `all`, nothing stays on the machine but the state in the home. Returns the exit code. */
export async function down(config: Config, options: { readonly all: boolean }): Promise<number> {
  const was = await stopSupervisor(config.home, say);
  // A supervisor that was killed leaves its children to us.
  await endLeftovers(config.home, say);
  if (!was) say(`was not running (home ${config.home})`);
  const state = readState(config.home);
  const socket = state?.ownContainerd === false ? state.containerdSocket : undefined;
  const joined = readJoined(config.home);
  const parts = joined
    ? await joinedParts(config, joined, socket)
    : await partsOf(config, await loadIdentity(config.home, systemRandom), socket);
  const before = await findRemains(config.home);
  if (options.all) return tearDown(config, parts, describeRemains(before).length > 0);
  // The containers of a task share a shim.
  const tasks = before.processes.filter(({ text }) => text.includes("containerd-shim")).length;
  if (tasks > 0)
    say(
      `stopped; ${tasks} task${tasks === 1 ? "" : "s"} run${tasks === 1 ? "s" : ""} on: ./gantry up takes over again, ./gantry down --all stops everything`,
    );
  else if (was) say("stopped");
  return 0;
}

/**
 * containerd and the server are started once more, so that the agent can stop its tasks in order and the server hears of it; then what still
 * stands is removed by force, and the kernel is asked what is left.
 */
async function tearDown(config: Config, parts: Parts, something: boolean): Promise<number> {
  if (something) {
    say("stopping all tasks");
    const taken = parts.server && (await listenerOf(config.port));
    if (taken) say(`port ${config.port} is taken by ${taken}: the server will hear of the stopped tasks at its next start`);
    const stop = new AbortController();
    const code = { value: 1 };
    const helpers: Part[] = [...(parts.engine ? [parts.engine] : []), ...(taken || !parts.server ? [] : [parts.server])];
    await supervise({
      config,
      containerd: parts.containerd,
      parts: helpers,
      progress: () => {},
      ready: () =>
        void runTearDown(parts)
          .catch((error: Error) => {
            say(error.message);
            return 1;
          })
          .then((result) => {
            code.value = result;
            stop.abort();
          }),
      signal: stop.signal,
    }).catch((error: Error) => say(error.message));
    if (code.value !== 0) say("the agent could not remove everything, the rest is removed by force");
  }
  const left = describeRemains(await removeRemains(config.home));
  for (const each of left) say(`still there: ${each}`);
  if (left.length === 0) say(`nothing is left on this machine but the state in ${config.home}`);
  return left.length === 0 ? 0 : 1;
}

async function runTearDown(parts: Parts): Promise<number> {
  const { file, args, env } = await parts.tearDown();
  // What it logs matters only when it fails.
  const agent = spawn(file, args, { env: env as NodeJS.ProcessEnv, stdio: ["ignore", "ignore", "pipe"], detached: true });
  let text = "";
  agent.stderr.on("data", (data: Buffer) => (text = (text + data.toString()).slice(-4000)));
  const late = setTimeout(() => agent.kill("SIGKILL"), 120_000);
  const code = await new Promise<number>((resolve) => {
    agent.once("error", () => resolve(1));
    agent.once("exit", (status) => resolve(status ?? 1));
  });
  clearTimeout(late);
  if (code !== 0) process.stderr.write(text);
  return code;
}
