import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Config } from "#platform/config.ts";
import { down } from "../down.ts";
import { askAsMachine } from "./machine-credentials.ts";
import type { OwnMachine } from "./parts.ts";
import { forgetJoined, readJoined } from "./state.ts";

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);
const lookMs = 500;

/**
 * `gantry leave`: the instance is drained (services start their tasks elsewhere first), then its tasks are stopped, everything of Gantry's on this machine is taken away, and the
 * server forgets it. With `force` nobody waits, and a server that does not answer is told nothing. Safe to repeat. Returns the exit code.
 */
export async function leave(config: Config, options: { readonly force: boolean; readonly timeoutMs: number }): Promise<number> {
  const joined = readJoined(config.home);
  if (!joined) {
    say(`this machine has not joined another's Gantry (home ${config.home})`);
    return 1;
  }
  if (!options.force) {
    try {
      await drain(config.home, joined, options.timeoutMs);
    } catch (error) {
      say(`the machine could not be drained: ${(error as Error).message}. ./gantry leave --force stops its tasks all the same`);
      return 1;
    }
  }
  const code = await down(config, { all: true });
  try {
    await askAsMachine(config.home, joined, "/_gantry/machine/leave", "POST");
  } catch (error) {
    say(`the server was not told: ${(error as Error).message}. There: ./gantry nodes remove ${joined.machine}`);
    if (!options.force) return 1;
  }
  if (code !== 0) return code;
  forgetJoined(config.home);
  for (const each of ["agent", "containerd", "runtime", "storage", "instances", "load-balancers", "gantry.service"])
    await rm(`${config.home}/${each}`, { recursive: true, force: true });
  say(`this machine has left the cluster ${joined.cluster}`);
  return 0;
}

async function drain(home: string, joined: NonNullable<ReturnType<typeof readJoined>>, timeoutMs: number): Promise<void> {
  const own = (await askAsMachine(home, joined, "/_gantry/machine/drain", "POST")) as unknown as OwnMachine;
  let left = own.tasks;
  if (left > 0) say(`draining: ${left} tasks`);
  for (const end = Date.now() + timeoutMs; left > 0; await delay(lookMs)) {
    if (Date.now() > end)
      throw new Error(`${left} tasks are still here after ${timeoutMs / 1000} s (tasks that no service started stay until they end)`);
    const now = (await askAsMachine(home, joined, "/_gantry/machine")) as unknown as OwnMachine;
    if (now.tasks !== left && now.tasks > 0) say(`draining: ${now.tasks} tasks`);
    left = now.tasks;
  }
}
