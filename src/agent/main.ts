import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#platform/clock.ts";
import { createLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { trust } from "#platform/tls.ts";
import { startAgent } from "./agent.ts";
import { AgentConfigError, readAgentConfig, type AgentConfig } from "./config.ts";
import { makeSpread } from "./containerd/spread.ts";
import { watchCredentials } from "./credentials.ts";
import { announceIsolation } from "./sandbox/isolation.ts";
import { openMachine } from "./machine.ts";

/**
 * The agent's process: `node src/agent/main.ts`. SIGTERM and SIGINT: it leaves, tasks run on. `--teardown`, or SIGUSR2 to a running agent:
 * all tasks are stopped and everything this Gantry made on the machine is removed; then it leaves with 0, or with 1 and the list of what remains.
 */
const log = createLogger("agent");

async function main(given: AgentConfig, tearDown: boolean): Promise<void> {
  const { authority, credentialsFile } = given;
  trust(authority);
  const config = credentialsFile ? { ...given, credentials: watchCredentials(credentialsFile, systemClock, log) } : given;
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  // The tasks' directories come and go with them.
  await makeSpread([join(config.dataDir, "tasks")]);
  await announceIsolation(config, log);
  const deps = { clock: systemClock, random: systemRandom, log };
  const agent = await startAgent({ config, ...deps, ...(await openMachine(config, deps)) });
  // Timers of ours never keep the process alive by themselves; this one does.
  const alive = setInterval(() => {}, 1 << 30);
  let leaving = false;
  const leave = (work: () => Promise<number>) => {
    if (leaving) return;
    leaving = true;
    work()
      .catch((error: unknown) => {
        log.error({ err: error }, "leaving failed");
        return 1;
      })
      .then((code) => {
        clearInterval(alive);
        process.exit(code);
      })
      .catch(() => process.exit(1));
  };
  const end = () =>
    leave(async () => {
      await agent.stop();
      return 0;
    });
  const removeAll = () =>
    leave(async () => {
      const remaining = await agent.tearDown();
      if (remaining.length > 0) log.error({ remaining }, "could not be removed");
      return remaining.length > 0 ? 1 : 0;
    });
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("SIGUSR2", removeAll);
  if (tearDown) removeAll();
}

process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));
process.on("uncaughtException", (error) => {
  // The journal is true at every moment: starting again is the recovery.
  log.fatal({ err: error }, "uncaught exception");
  process.exit(70);
});

try {
  await main(readAgentConfig(process.env), process.argv.includes("--teardown"));
} catch (error) {
  if (error instanceof AgentConfigError) process.stderr.write(`gantry agent: ${error.message}\n`);
  else log.fatal({ err: error }, "the agent could not start");
  process.exit(error instanceof AgentConfigError ? 64 : 1);
}
