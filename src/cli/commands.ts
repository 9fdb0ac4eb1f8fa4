import { join } from "node:path";
import { get } from "node:http";
import { createConnection } from "node:net";
import { createAwsClient, type AwsClient } from "#agent/aws/client.ts";
import { systemClock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import type { Command } from "./child.ts";

const source = new URL("..", import.meta.url).pathname;

/** How server and agent are started, and how one asks whether they are well. */
export function endpointOf(config: Pick<Config, "bind" | "port">): string {
  const host =
    config.bind === "0.0.0.0" || config.bind === "::" ? "127.0.0.1" : config.bind.includes(":") ? `[${config.bind}]` : config.bind;
  return `http://${host}:${config.port}`;
}

export function serverCommand(config: Config): Command {
  return {
    file: process.execPath,
    args: [...nodeOptions, "--max-semi-space-size=4", join(source, "server/main.ts")],
    env: environmentOf(config),
  };
}

export function agentCommand(config: Config, identity: Identity, containerdSocket: string, extra: readonly string[] = []): Command {
  return {
    file: process.execPath,
    args: [...nodeOptions, "--max-semi-space-size=1", "--optimize-for-size", join(source, "agent/main.ts"), ...extra],
    env: {
      ...environmentOf(config),
      ECS_BACKEND_HOST: endpointOf(config),
      ECS_CLUSTER: config.cluster,
      GANTRY_FARGATE: process.env.GANTRY_FARGATE ?? "true",
      ECS_DATADIR: process.env.ECS_DATADIR ?? join(config.home, "agent"),
      AWS_DEFAULT_REGION: config.region,
      AWS_REGION: config.region,
      AWS_ACCESS_KEY_ID: identity.rootAccessKeyId,
      AWS_SECRET_ACCESS_KEY: identity.rootSecretAccessKey,
      AWS_ENDPOINT_URL: undefined,
      AWS_SESSION_TOKEN: undefined,
      GANTRY_CONTAINERD_SOCKET: containerdSocket,
    },
  };
}

const nodeOptions = ["--disable-warning=ExperimentalWarning"];

function environmentOf(config: Config): Record<string, string | undefined> {
  return {
    ...process.env,
    // Types are stripped once, not at each start: half the start-up time, and 28 MiB that each process does not need to hold.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(source, "../.tools/compile-cache"),
    GANTRY_HOME: config.home,
    GANTRY_PORT: String(config.port),
    GANTRY_BIND: config.bind,
    GANTRY_REGION: config.region,
    GANTRY_ACCOUNT: config.account,
    GANTRY_OPEN: config.open ? "1" : "",
    GANTRY_CLUSTER: config.cluster,
    GANTRY_PRICES: config.prices,
    GANTRY_LIFECYCLE_HOOKS: config.lifecycleHooks,
    GANTRY_SECRETS_KEY: config.secretsKey,
    GANTRY_WEBHOOKS: config.webhooks,
  };
}

/** Resolves when something accepts connections on the Unix socket. */
export function socketAnswers(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", reject);
  });
}

export interface ServerAnswer {
  readonly ok: boolean;
  readonly pid: number;
  readonly parts: readonly { readonly name: string; readonly detail: string; readonly problem?: string }[];
}

/** What the server says of itself. By node:http: the supervisor asks all its life, and `fetch` would cost it 15 MB. */
export function serverAnswers(config: Config): Promise<ServerAnswer> {
  return new Promise((resolve, reject) => {
    const asked = get(`${endpointOf(config)}/_gantry/status`, { timeout: 3000, agent: false }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (piece: string) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        try {
          resolve(JSON.parse(text) as ServerAnswer);
        } catch {
          reject(new Error(`what answers on port ${config.port} is no Gantry (HTTP ${response.statusCode})`));
        }
      });
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer within 3 s")));
    asked.once("error", reject);
  });
}

export function awsClient(config: Config, identity: Identity, service: "ecs" | "ecr" | "logs"): AwsClient {
  const credentials = { accessKeyId: identity.rootAccessKeyId, secretAccessKey: identity.rootSecretAccessKey };
  return createAwsClient({
    service,
    endpoint: endpointOf(config),
    region: config.region,
    credentials,
    clock: systemClock,
    random: systemRandom,
  });
}

/** Rejects, saying why, until this machine is a connected container instance of its cluster. */
export async function agentConnected(config: Config, ecs: AwsClient): Promise<string> {
  const { containerInstanceArns = [] } = await ecs.send<{ containerInstanceArns?: string[] }>("ListContainerInstances", {
    cluster: config.cluster,
  });
  if (containerInstanceArns.length === 0) throw new Error(`no container instance has registered in the cluster ${config.cluster}`);
  const { containerInstances = [] } = await ecs.send<{
    containerInstances?: { containerInstanceArn: string; agentConnected: boolean; status: string }[];
  }>("DescribeContainerInstances", { cluster: config.cluster, containerInstances: containerInstanceArns });
  const connected = containerInstances.find((instance) => instance.agentConnected);
  if (!connected) throw new Error("the container instance is registered, but its agent is not connected");
  return connected.containerInstanceArn;
}
