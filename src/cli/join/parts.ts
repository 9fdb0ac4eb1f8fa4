import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "#platform/config.ts";
import { agentCommand } from "../commands.ts";
import type { Command } from "../child.ts";
import { enginePart, type Parts } from "../parts.ts";
import { askAsMachine, renewMachineCredentials } from "./machine-credentials.ts";
import { authorityFile, type Joined } from "./state.ts";

/** A machine that joined: containerd and the agent; the server is elsewhere. */
export async function joinedParts(config: Config, joined: Joined, containerdSocket: string | undefined): Promise<Parts> {
  const { containerd, engine } = await enginePart(config, containerdSocket);
  const command = async (extra: readonly string[] = []) => {
    const { path, url } = await renewMachineCredentials(config.home, joined);
    return joinedAgent(config, joined, url, path, containerd.socket, extra);
  };
  return {
    containerd,
    engine,
    server: undefined,
    agent: {
      name: "agent",
      command: () => command(),
      probe: async () => void (await machineConnected(config.home, joined)),
      readyTimeoutMs: 60_000,
      stopGraceMs: 10_000,
    },
    tearDown: () => command(["--teardown"]),
  };
}

/** Rejects, saying why, until this machine is a connected container instance. */
export async function machineConnected(home: string, joined: Joined): Promise<OwnMachine> {
  const own = (await askAsMachine(home, joined, "/_gantry/machine")) as unknown as OwnMachine;
  if (!own.instance) throw new Error(`this machine has not registered in the cluster ${joined.cluster} yet`);
  if (!own.instance.connected) throw new Error("the container instance is registered, but its agent is not connected");
  return own;
}

/** As the server answers (src/services/ecs/machines/own.ts). */
export interface OwnMachine {
  readonly cluster: string;
  readonly instance?: { readonly arn: string; readonly status: string; readonly connected: boolean };
  readonly tasks: number;
  readonly running: number;
}

/** Neither networks of VPCs nor load balancers nor EC2 instances reach from machine to machine: nothing of these is placed here. */
function joinedAgent(config: Config, joined: Joined, url: string, credentials: string, socket: string, extra: readonly string[]): Command {
  const { cluster, region, port, address, attributes, authority } = joined;
  const { file, args, env } = agentCommand({ ...config, cluster, region }, credentials, socket, extra);
  const given = JSON.parse(process.env.ECS_INSTANCE_ATTRIBUTES || "{}") as object;
  const hosts = JSON.parse(process.env.GANTRY_REGISTRY_HOSTS || "{}") as object;
  return {
    file,
    args,
    env: {
      ...env,
      ECS_BACKEND_HOST: url,
      GANTRY_FARGATE: "false",
      GANTRY_VPC: "false",
      GANTRY_TLS_CA: authority === undefined ? "" : authorityFile(config.home),
      ECS_INSTANCE_ATTRIBUTES: JSON.stringify({
        ...(address === undefined ? {} : { "gantry.address": address }),
        "gantry.load-balancers": "false",
        "gantry.instances": "false",
        ...given,
        ...attributes,
      }),
      // Images have one name everywhere: the server's, as on its own machine.
      GANTRY_REGISTRY_HOSTS: JSON.stringify({ [`localhost:${port}`]: url, [`127.0.0.1:${port}`]: url, ...hosts }),
    },
  };
}

const unit = (home: string) => join(home, "gantry.service");

/** A systemd unit that starts this machine's Gantry with the machine, for whoever wants to install it; written, not installed. */
export function writeUnit(home: string, gantry: string): string {
  const text = `[Unit]
Description=Gantry
After=network-online.target
Wants=network-online.target

[Service]
Environment=GANTRY_HOME=${home}
ExecStart=${gantry} up
ExecStop=${gantry} down
KillMode=process
Restart=always

[Install]
WantedBy=multi-user.target
`;
  try {
    if (readFileSync(unit(home), "utf8") === text) return unit(home);
  } catch {
    // Not there yet.
  }
  writeFileSync(unit(home), text, { mode: 0o600 });
  return unit(home);
}
