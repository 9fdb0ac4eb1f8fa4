import { join } from "node:path";
import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { renewAgentCredentials } from "./agent-credentials.ts";
import { agentConnected } from "./agent-connected.ts";
import type { Command, Part } from "./child.ts";
import { agentCommand, serverAnswers, serverCommand, socketAnswers } from "./commands.ts";

/** What Gantry consists of on this machine, in the order in which it is started. */
export interface Parts {
  readonly containerd: { readonly socket: string; readonly own: boolean };
  /** Undefined: someone else runs it. */
  readonly engine: Part | undefined;
  /** Undefined: this machine has joined another's. */
  readonly server: Part | undefined;
  readonly agent: Part;
  /** What ends all tasks and takes away what the agent made. */
  readonly tearDown: () => Promise<Command>;
}

export async function enginePart(
  config: Pick<Config, "home">,
  containerdSocket: string | undefined,
): Promise<Pick<Parts, "containerd" | "engine">> {
  // Loaded here and not above: containerd's generated client is no small thing, and most commands never need it.
  const { containerdCommand, socketDirectory } = await import("#agent/containerd/daemon.ts");
  const own = containerdSocket === undefined;
  const socket = containerdSocket ?? join(socketDirectory(config.home), "containerd.sock");
  return {
    containerd: { socket, own },
    engine: own
      ? {
          name: "containerd",
          command: async () => {
            const { file, args, env } = containerdCommand({ home: config.home });
            return { file, args, env: { ...process.env, ...env } };
          },
          probe: () => socketAnswers(socket),
          readyTimeoutMs: 30_000,
          stopGraceMs: 10_000,
        }
      : undefined,
  };
}

export async function partsOf(config: Config, identity: Identity, containerdSocket: string | undefined): Promise<Parts> {
  const { containerd, engine } = await enginePart(config, containerdSocket);
  const { socket } = containerd;
  return {
    containerd,
    engine,
    server: {
      name: "server",
      command: async () => serverCommand(config),
      probe: async (pid) => {
        const answer = await serverAnswers(config);
        if (answer.pid !== pid) throw new Error(`process ${answer.pid} answers on port ${config.port}, not the server that was started`);
      },
      readyTimeoutMs: 30_000,
      stopGraceMs: 10_000,
    },
    agent: {
      name: "agent",
      command: async () => agentCommand(config, await renewAgentCredentials(config, identity), socket),
      probe: async () => void (await agentConnected(config, identity)),
      readyTimeoutMs: 60_000,
      stopGraceMs: 10_000,
    },
    tearDown: async () => agentCommand(config, await renewAgentCredentials(config, identity), socket, ["--teardown"]),
  };
}
