import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { ask } from "./ask.ts";

/** Rejects, saying why, until this machine is a connected container instance of its cluster. Resolves with the instance's ARN. */
export async function agentConnected(config: Config, identity: Identity): Promise<string> {
  const query = new URLSearchParams({ cluster: config.cluster });
  const { registered, connected } = (await ask(config, identity, `/_gantry/connected?${query}`)) as {
    registered: number;
    connected?: string;
  };
  if (registered === 0) throw new Error(`no container instance has registered in the cluster ${config.cluster}`);
  if (connected === undefined) throw new Error("the container instance is registered, but its agent is not connected");
  return connected;
}
