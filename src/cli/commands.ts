import { join } from "node:path";
import { get as getPlain } from "node:http";
import { get as getSecure } from "node:https";
import { createConnection } from "node:net";
import { createAwsClient, type AwsClient } from "#agent/aws/client.ts";
import { systemClock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import type { Identity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { certifiedHost, tlsFiles } from "#platform/tls.ts";
import type { Command } from "./child.ts";

const source = new URL("..", import.meta.url).pathname;

/** How server and agent are started, and how one asks whether they are well. */
export function endpointOf(config: Pick<Config, "bind" | "port" | "tls">): string {
  const host = certifiedHost(config) ?? localHost(config);
  return `${config.tls ? "https" : "http"}://${host}:${config.port}`;
}

function localHost(config: Pick<Config, "bind">): string {
  return config.bind === "0.0.0.0" || config.bind === "::" ? "127.0.0.1" : config.bind.includes(":") ? `[${config.bind}]` : config.bind;
}

/** What `up` and `status` say of a port that others reach and anybody on the way can read. */
export const openWire = ({ bind }: Pick<Config, "bind">) =>
  `WARNING: listening on ${bind} without TLS: whoever is on the way can read what is sent, passwords of the registry among it. Use GANTRY_TLS=self`;

export function serverCommand(config: Config): Command {
  return {
    file: process.execPath,
    args: [...nodeOptions, "--max-semi-space-size=4", join(source, "server/main.ts")],
    env: environmentOf(config),
  };
}

/** `credentials`: the file that it signs with. */
export function agentCommand(config: Config, credentials: string, containerdSocket: string, extra: readonly string[] = []): Command {
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
      AWS_SHARED_CREDENTIALS_FILE: credentials,
      AWS_ACCESS_KEY_ID: undefined,
      AWS_SECRET_ACCESS_KEY: undefined,
      AWS_ENDPOINT_URL: undefined,
      AWS_SESSION_TOKEN: undefined,
      GANTRY_CONTAINERD_SOCKET: containerdSocket,
      GANTRY_REGISTRY_HOSTS: registryHosts(config),
    },
  };
}

/** Images of this machine's registries are taken without TLS; our own speaks what the port speaks. */
function registryHosts(config: Config): string | undefined {
  const given = process.env.GANTRY_REGISTRY_HOSTS;
  if (!config.tls) return given;
  const own = Object.fromEntries(["localhost", "127.0.0.1"].map((host) => [`${host}:${config.port}`, endpointOf(config)]));
  return JSON.stringify({ ...own, ...(given ? (JSON.parse(given) as object) : {}) });
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
    GANTRY_TLS: config.tls?.kind === "self" ? "self" : "",
    GANTRY_TLS_NAMES: config.tls?.kind === "self" ? config.tls.names.join(",") : "",
    GANTRY_TLS_CERT: config.tls?.kind === "files" ? config.tls.certificate : "",
    GANTRY_TLS_KEY: config.tls?.kind === "files" ? config.tls.key : "",
    GANTRY_TLS_CA: tlsFiles(config)?.authority ?? "",
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
    const get = config.tls ? getSecure : getPlain;
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

export function awsClient(config: Config, identity: Identity, service: "ecs" | "ecr" | "logs" | "ssm"): AwsClient {
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
