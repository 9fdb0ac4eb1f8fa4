import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import type { Part } from "./child.ts";
import { agentCommand, agentConnected, awsClient, ownContainerd, serverAnswers, serverCommand, socketAnswers } from "./commands.ts";

/** What Gantry consists of on this machine, in the order in which it is started. */
export interface Parts {
  readonly containerd: { readonly socket: string; readonly own: boolean };
  /** Undefined: someone else runs it. */
  readonly engine: Part | undefined;
  readonly server: Part;
  readonly agent: Part;
}

export async function partsOf(config: Config, identity: Identity, containerdSocket: string | undefined): Promise<Parts> {
  const own = containerdSocket === undefined ? await ownContainerd(config) : undefined;
  const socket = own?.socket ?? (containerdSocket as string);
  const ecs = awsClient(config, identity, "ecs");
  return {
    containerd: { socket, own: own !== undefined },
    engine: own && {
      name: "containerd",
      command: async () => own,
      probe: () => socketAnswers(socket),
      readyTimeoutMs: 30_000,
      stopGraceMs: 10_000,
    },
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
      command: async () => agentCommand(config, identity, socket),
      probe: async () => void (await agentConnected(config, ecs)),
      readyTimeoutMs: 60_000,
      stopGraceMs: 10_000,
    },
  };
}
