import { createHash } from "node:crypto";
import { join, resolve } from "node:path";

/**
 * What the agent is told by its environment. Names are the standard ECS agent's where it has one ("Amazon ECS container agent
 * configuration"); `GANTRY_HOME` and `GANTRY_CONTAINERD_SOCKET` are ours.
 */
export interface AgentConfig {
  readonly home: string;
  /** 8 hex digits of GANTRY_HOME: part of every name that is global to the machine (bridge, nftables table, cgroup). */
  readonly instance: string;
  readonly dataDir: string;
  readonly containerdSocket: string;
  /** Base URL of the ECS API. `ECS_BACKEND_HOST`; without a scheme it means https. */
  readonly endpoint: string;
  /** What the API's certificate is proved by beside what the system trusts: a PEM file. `GANTRY_TLS_CA`. */
  readonly authority: string | undefined;
  /** Base URLs of the other APIs. `AWS_ENDPOINT_URL_LOGS`, `AWS_ENDPOINT_URL_ECR`, `AWS_ENDPOINT_URL`, else the ECS one. */
  readonly logsEndpoint: string;
  readonly ecrEndpoint: string;
  readonly region: string;
  readonly credentials: AwsCredentials;
  /** `AWS_SHARED_CREDENTIALS_FILE`, unless AWS_ACCESS_KEY_ID is set: read by the process (credentials.ts), in place of `credentials`. */
  readonly credentialsFile: string | undefined;
  readonly cluster: string;
  readonly instanceAttributes: Readonly<Record<string, string>>;
  readonly instanceTags: Readonly<Record<string, string>>;
  readonly availabilityZone: string;
  readonly pullBehavior: "default" | "always" | "once" | "prefer-cached";
  readonly reservedMemoryMiB: number;
  /** How many times its CPU the machine promises: tasks keep their limits, and share when all are busy. `GANTRY_CPU_OVERCOMMIT`, default 1. */
  readonly cpuOvercommit: number;
  /** The same of its memory: safe only where tasks use less than they ask for. `GANTRY_MEMORY_OVERCOMMIT`, default 1. */
  readonly memoryOvercommit: number;
  readonly reservedPorts: readonly number[];
  readonly reservedPortsUdp: readonly number[];
  readonly dynamicPorts: { readonly first: number; readonly last: number };
  readonly stopTimeoutMs: number;
  readonly startTimeoutMs: number;
  readonly cleanupWaitMs: number;
  readonly imageCleanup: { readonly intervalMs: number; readonly minimumAgeMs: number } | undefined;
  readonly loggingDrivers: readonly string[];
  readonly privilegedDisabled: boolean;
  /** Of a local EC2 instance: its type's size, whatever the kernel says of the machine beneath, and the document that it registers with. `GANTRY_INSTANCE_CPU` (units), `_MEMORY_MIB`, `_IDENTITY`. */
  readonly ec2Instance?: { readonly cpu: number; readonly memoryMiB: number; readonly identityDocument: string };
  /** Whether this machine is Fargate's capacity: `true`, beside its cluster's own tasks; `only`, for nothing else; `false`. `GANTRY_FARGATE`, default `false`; `./gantry up` says `true`. */
  readonly fargate: "true" | "only" | "false";
  /** Whether tasks in mode awsvpc may be placed here: the VPCs' networks are on the server's machine alone. `GANTRY_VPC`, default `true`; `./gantry join` says `false`. */
  readonly vpc: boolean;
  /** The containerd runtime of the tasks, `GANTRY_RUNTIME` (default `runc`) and `GANTRY_RUNTIME_BINARY`. */
  readonly runtime: { readonly name: string; readonly binary?: string };
  /** What isolates Fargate tasks, `GANTRY_FARGATE_RUNTIME`: `runsc` (gVisor, the default), `runc` (no more than containers), or a containerd runtime, e.g. `io.containerd.kata.v2`. */
  readonly fargateRuntime: string;
  /** gVisor's way to catch system calls, `GANTRY_RUNSC_PLATFORM`: absent, systrap where its runsc knows that, else ptrace. */
  readonly runscPlatform: string | undefined;
  /** Where registries really are, for mirrors: `GANTRY_REGISTRY_HOSTS`, e.g. `{"docker.io": "http://10.0.0.5:5000"}`. */
  readonly registryHosts: Readonly<Record<string, string>>;
  /** Registries of other machines spoken to in plain HTTP: `GANTRY_INSECURE_REGISTRIES`, e.g. `["10.0.0.5:5000"]`. */
  readonly insecureRegistries: readonly string[];
  /** The role, by name or ARN, whose credentials this machine's instance metadata gives to its tasks; undefined: there is no instance metadata. `GANTRY_INSTANCE_ROLE`. */
  readonly instanceRole: string | undefined;
  /** `required`: version 2 of the instance metadata only. `GANTRY_METADATA_TOKENS`, default `required`. */
  readonly metadataTokens: "required" | "optional";
  /** 1: tasks in mode host only; 2: those in mode bridge too. `GANTRY_METADATA_HOP_LIMIT`, default 1. */
  readonly metadataHopLimit: number;
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export class AgentConfigError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads and checks the environment; a bad value is an AgentConfigError that names the variable. */
export function readAgentConfig(env: Environment): AgentConfig {
  const home = resolve(env.GANTRY_HOME || "/var/lib/gantry");
  const region = env.AWS_DEFAULT_REGION || env.AWS_REGION || "us-east-1";
  const endpoint = baseUrl("ECS_BACKEND_HOST", env.ECS_BACKEND_HOST || `http://127.0.0.1:${env.GANTRY_PORT || "4566"}`);
  const other = (name: string) => (env[name] || env.AWS_ENDPOINT_URL ? baseUrl(name, env[name] || env.AWS_ENDPOINT_URL || "") : endpoint);
  const pullBehavior = env.ECS_IMAGE_PULL_BEHAVIOR || "default";
  if (!isPullBehavior(pullBehavior))
    throw new AgentConfigError(`ECS_IMAGE_PULL_BEHAVIOR is not default, always, once or prefer-cached: ${pullBehavior}`);
  return {
    home,
    instance: instanceOf(home),
    dataDir: resolve(env.ECS_DATADIR || join(home, "agent")),
    containerdSocket: env.GANTRY_CONTAINERD_SOCKET || join(home, "containerd", "containerd.sock"),
    endpoint,
    authority: env.GANTRY_TLS_CA || undefined,
    logsEndpoint: other("AWS_ENDPOINT_URL_LOGS"),
    ecrEndpoint: other("AWS_ENDPOINT_URL_ECR"),
    region,
    credentials: {
      accessKeyId: env.AWS_ACCESS_KEY_ID || "test",
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY || "test",
      sessionToken: env.AWS_SESSION_TOKEN || undefined,
    },
    credentialsFile: env.AWS_ACCESS_KEY_ID ? undefined : env.AWS_SHARED_CREDENTIALS_FILE || undefined,
    cluster: env.ECS_CLUSTER || "default",
    instanceAttributes: textMap("ECS_INSTANCE_ATTRIBUTES", env),
    instanceTags: textMap("ECS_CONTAINER_INSTANCE_TAGS", env),
    availabilityZone: env.GANTRY_AVAILABILITY_ZONE || `${region}a`,
    pullBehavior,
    cpuOvercommit: overcommit("GANTRY_CPU_OVERCOMMIT", env),
    memoryOvercommit: overcommit("GANTRY_MEMORY_OVERCOMMIT", env),
    reservedMemoryMiB: count("ECS_RESERVED_MEMORY", env, 0),
    reservedPorts: ports("ECS_RESERVED_PORTS", env, [22, 2375, 2376, 51678, 51679]),
    reservedPortsUdp: ports("ECS_RESERVED_PORTS_UDP", env, []),
    dynamicPorts: portRange(env),
    stopTimeoutMs: Math.max(1000, duration("ECS_CONTAINER_STOP_TIMEOUT", env, "30s")),
    startTimeoutMs: duration("ECS_CONTAINER_START_TIMEOUT", env, "3m"),
    cleanupWaitMs: Math.max(1000, duration("ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", env, "1m")),
    imageCleanup:
      env.ECS_DISABLE_IMAGE_CLEANUP === "true"
        ? undefined
        : {
            intervalMs: duration("ECS_IMAGE_CLEANUP_INTERVAL", env, "30m"),
            minimumAgeMs: duration("ECS_IMAGE_MINIMUM_CLEANUP_AGE", env, "24h"),
          },
    loggingDrivers: stringList("ECS_AVAILABLE_LOGGING_DRIVERS", env, ["json-file", "awslogs", "none"]),
    fargate: fargateMark(env),
    privilegedDisabled: env.ECS_DISABLE_PRIVILEGED === "true",
    ...(env.GANTRY_INSTANCE_IDENTITY
      ? {
          ec2Instance: {
            cpu: count("GANTRY_INSTANCE_CPU", env, 1024),
            memoryMiB: count("GANTRY_INSTANCE_MEMORY_MIB", env, 512),
            identityDocument: env.GANTRY_INSTANCE_IDENTITY,
          },
        }
      : {}),
    vpc: env.GANTRY_VPC !== "false",
    runtime: { name: env.GANTRY_RUNTIME || "runc", binary: env.GANTRY_RUNTIME_BINARY || undefined },
    fargateRuntime: fargateRuntime(env),
    runscPlatform: word("GANTRY_RUNSC_PLATFORM", env),
    registryHosts: registryHosts(env),
    insecureRegistries: stringList("GANTRY_INSECURE_REGISTRIES", env, []),
    instanceRole: instanceRole(env),
    metadataTokens: metadataTokens(env),
    metadataHopLimit: hopLimit(env),
  };
}

function overcommit(name: string, env: Environment): number {
  const factor = Number(env[name] || "1");
  if (!(factor >= 1 && factor <= 100)) throw new AgentConfigError(`${name} is not a number between 1 and 100: ${env[name]}`);
  return factor;
}

function fargateMark({ GANTRY_FARGATE: mark = "false" }: Environment): AgentConfig["fargate"] {
  if (mark !== "true" && mark !== "only" && mark !== "false")
    throw new AgentConfigError(`GANTRY_FARGATE is not true, only or false: ${mark}`);
  return mark;
}

function registryHosts(env: Environment): Readonly<Record<string, string>> {
  const hosts = textMap("GANTRY_REGISTRY_HOSTS", env);
  for (const [domain, url] of Object.entries(hosts)) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url))
      throw new AgentConfigError(`GANTRY_REGISTRY_HOSTS: the place of ${domain} is not a URL: ${url}`);
  }
  return hosts;
}

function instanceRole({ GANTRY_INSTANCE_ROLE: role }: Environment): string | undefined {
  if (role && !/^(arn:aws[a-z-]*:iam::\d{12}:role\/)?[\w+=,.@/-]+$/.test(role))
    throw new AgentConfigError(`GANTRY_INSTANCE_ROLE is not the name or ARN of a role: ${role}`);
  return role || undefined;
}

function metadataTokens({ GANTRY_METADATA_TOKENS: tokens = "required" }: Environment): AgentConfig["metadataTokens"] {
  if (tokens !== "required" && tokens !== "optional")
    throw new AgentConfigError(`GANTRY_METADATA_TOKENS is not required or optional: ${tokens}`);
  return tokens;
}

function hopLimit(env: Environment): number {
  const limit = count("GANTRY_METADATA_HOP_LIMIT", env, 1);
  if (limit < 1 || limit > 64) throw new AgentConfigError(`GANTRY_METADATA_HOP_LIMIT is not between 1 and 64: ${limit}`);
  return limit;
}

function fargateRuntime(env: Environment): string {
  const name = env.GANTRY_FARGATE_RUNTIME || "runsc";
  if (name !== "runsc" && name !== "runc" && !/^io\.containerd(\.[a-z0-9-]+)+\.v\d+$/.test(name))
    throw new AgentConfigError(`GANTRY_FARGATE_RUNTIME is not runsc, runc or a containerd runtime like io.containerd.kata.v2: ${name}`);
  return name;
}

function word(name: string, env: Environment): string | undefined {
  const value = env[name] || undefined;
  if (value !== undefined && !/^[a-z][a-z0-9-]*$/.test(value)) throw new AgentConfigError(`${name} is not a name: ${value}`);
  return value;
}

/** The 8 hex digits that tell one Gantry of this machine from another. */
export function instanceOf(home: string): string {
  return createHash("sha256").update(home).digest("hex").slice(0, 8);
}

/** A Go duration (`1h30m`, `45s`, `500ms`) in milliseconds, or undefined. */
export function parseDuration(text: string): number | undefined {
  const unit: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 0.001, µs: 0.001, ns: 0.000001 };
  if (!/^(\d+(\.\d+)?(h|ms|us|µs|ns|m|s))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, value, name] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|µs|ns|m|s)/g)) total += Number(value) * (unit[name ?? ""] ?? 0);
  return total;
}

function isPullBehavior(value: string): value is AgentConfig["pullBehavior"] {
  return ["default", "always", "once", "prefer-cached"].includes(value);
}

function baseUrl(name: string, value: string): string {
  const text = /^https?:\/\//.test(value) ? value : `https://${value}`;
  if (!URL.canParse(text)) throw new AgentConfigError(`${name} is not a host or URL: ${value}`);
  return text.replace(/\/+$/, "");
}

function duration(name: string, env: Environment, fallback: string): number {
  const ms = parseDuration(env[name] || fallback);
  if (ms === undefined) throw new AgentConfigError(`${name} is not a duration like 30s or 1h30m: ${env[name]}`);
  return ms;
}

function count(name: string, env: Environment, fallback: number): number {
  const value = Number(env[name] || fallback);
  if (!Number.isInteger(value) || value < 0) throw new AgentConfigError(`${name} is not a whole number: ${env[name]}`);
  return value;
}

function json(name: string, env: Environment): unknown {
  if (!env[name]) return undefined;
  try {
    return JSON.parse(env[name]);
  } catch {
    throw new AgentConfigError(`${name} is not JSON: ${env[name]}`);
  }
}

function textMap(name: string, env: Environment): Record<string, string> {
  const value = json(name, env) ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw new AgentConfigError(`${name} is not a JSON object: ${env[name]}`);
  return Object.fromEntries(Object.entries(value as object).map(([key, text]) => [key, String(text)]));
}

function stringList(name: string, env: Environment, fallback: readonly string[]): readonly string[] {
  const value = json(name, env) ?? fallback;
  if (!Array.isArray(value)) throw new AgentConfigError(`${name} is not a JSON array: ${env[name]}`);
  return value.map(String);
}

function ports(name: string, env: Environment, fallback: readonly number[]): readonly number[] {
  const value = json(name, env) ?? fallback;
  if (!Array.isArray(value) || !value.every((port) => Number.isInteger(port) && port > 0 && port < 65536))
    throw new AgentConfigError(`${name} is not a JSON array of ports: ${env[name]}`);
  return value as number[];
}

function portRange(env: Environment): { first: number; last: number } {
  const match = /^(\d+)-(\d+)$/.exec(env.ECS_DYNAMIC_HOST_PORT_RANGE || "49153-65535");
  const first = Number(match?.[1]);
  const last = Number(match?.[2]);
  if (!(first > 0 && first <= last && last < 65536))
    throw new AgentConfigError(`ECS_DYNAMIC_HOST_PORT_RANGE is not a range like 49153-65535: ${env.ECS_DYNAMIC_HOST_PORT_RANGE}`);
  return { first, last };
}
