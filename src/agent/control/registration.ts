import { arch, availableParallelism, networkInterfaces, totalmem, type NetworkInterfaceInfo } from "node:os";
import { readFileSync } from "node:fs";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { AwsError, type AwsClient } from "../aws/client.ts";
import type { AgentConfig } from "../config.ts";
import type { Journal } from "../journal.ts";
import { attributesOf } from "./attributes.ts";

export const agentVersion = "1.105.0";
export const agentHash = "gantry";

/** The instance that the control plane knows this machine as. */
export interface Registration {
  readonly containerInstanceArn: string;
  /** The control plane did not know the instance of the journal: its tasks are no longer anyone's. */
  readonly anew: boolean;
}

export interface RegistrationDeps {
  readonly config: AgentConfig;
  readonly ecs: AwsClient;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** e.g. `containerd 1.6.20`. */
  readonly runtimeVersion: string;
}

/**
 * Registers until it succeeds. An instance that was registered before gives its ARN; when the control plane does not know it any more
 * (a new store, a reset, deregistered) the machine registers as a new one at once.
 */
export async function register(deps: RegistrationDeps, signal: AbortSignal): Promise<Registration> {
  const { config, ecs, journal, clock, random, log } = deps;
  let arn = journal.get("containerInstanceArn");
  if (journal.get("cluster") !== config.cluster) arn = undefined;
  const before = journal.get("containerInstanceArn");
  for (let failures = 0; ;) {
    try {
      const answer = await ecs.send<{ containerInstance?: { containerInstanceArn?: string; ec2InstanceId?: string } }>(
        "RegisterContainerInstance",
        requestOf(deps, arn),
        signal,
      );
      const containerInstanceArn = answer.containerInstance?.containerInstanceArn;
      if (!containerInstanceArn) throw new Error("RegisterContainerInstance answered without an ARN");
      journal.set("cluster", config.cluster);
      journal.set("containerInstanceArn", containerInstanceArn);
      journal.set("ec2InstanceId", answer.containerInstance?.ec2InstanceId);
      const anew = before !== undefined && before !== containerInstanceArn;
      log.info({ containerInstanceArn, anew }, "registered");
      return { containerInstanceArn, anew };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AwsError && !error.retryable) {
        if (error.code === "ClusterNotFoundException") {
          await createCluster(ecs, config.cluster, log);
        } else if (arn !== undefined) {
          log.warn({ err: error, containerInstanceArn: arn }, "the control plane does not take this instance back, registering anew");
          arn = undefined;
          continue;
        }
      }
      failures++;
      const wait = Math.min(10_000, 100 * 2 ** Math.min(failures, 10)) * (0.8 + 0.4 * random.next());
      log.warn({ err: error, wait }, "registration failed, trying again");
      await sleep(clock, wait, signal);
    }
  }
}

async function createCluster(ecs: AwsClient, clusterName: string, log: Logger): Promise<void> {
  try {
    await ecs.send("CreateCluster", { clusterName });
  } catch (error) {
    log.warn({ err: error, clusterName }, "the cluster could not be created");
  }
}

/** RegisterContainerInstance's input (ECS API Reference). CPU is 1024 a core, memory MiB. */
function requestOf(
  { config, random, runtimeVersion }: RegistrationDeps,
  containerInstanceArn: string | undefined,
): Record<string, unknown> {
  const resource = (name: string, type: string, value: number, list: readonly number[] = []) => ({
    name,
    type,
    doubleValue: 0,
    longValue: 0,
    integerValue: value,
    stringSetValue: list.map(String),
  });
  const tags = Object.entries(config.instanceTags).map(([key, value]) => ({ key, value }));
  return {
    cluster: config.cluster,
    clientToken: random.uuid(),
    containerInstanceArn,
    instanceIdentityDocument: config.ec2Instance?.identityDocument ?? "",
    instanceIdentityDocumentSignature: "",
    totalResources: [
      resource("CPU", "INTEGER", Math.round((config.ec2Instance?.cpu ?? availableParallelism() * 1024) * config.cpuOvercommit)),
      resource(
        "MEMORY",
        "INTEGER",
        Math.max(0, Math.floor(((config.ec2Instance?.memoryMiB ?? memoryMiB()) - config.reservedMemoryMiB) * config.memoryOvercommit)),
      ),
      resource("PORTS", "STRINGSET", 0, config.reservedPorts),
      resource("PORTS_UDP", "STRINGSET", 0, config.reservedPortsUdp),
    ],
    versionInfo: { agentVersion, agentHash, dockerVersion: runtimeVersion },
    attributes: attributesOf(config, { architecture: arch() === "arm64" ? "arm64" : "x86_64", address: ownAddress() }),
    tags: tags.length > 0 ? tags : undefined,
  };
}

/** Where other machines find this one: of the interface that its default route goes out by, else of any. */
const ownAddress = (): string | undefined => ownInterface()?.address;

export function ownInterface(): { readonly address: string; readonly mac: string } | undefined {
  const interfaces = networkInterfaces();
  const route = (() => {
    try {
      return readFileSync("/proc/net/route", "utf8");
    } catch {
      return "";
    }
  })();
  const outward = route
    .split("\n")
    .map((line) => line.split("\t"))
    .find(([, destination]) => destination === "00000000")?.[0];
  const usable = (outward === undefined ? Object.values(interfaces).flat() : (interfaces[outward] ?? [])) as NetworkInterfaceInfo[];
  return usable.find(({ family, internal }) => family === "IPv4" && !internal);
}

/** The machine's memory, or what its own container was given of it. */
function memoryMiB(): number {
  let bytes = totalmem();
  for (const path of ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]) {
    try {
      const limit = Number(readFileSync(path, "utf8").trim());
      if (limit > 0 && limit < bytes) bytes = limit;
    } catch {
      // Not there: no limit.
    }
  }
  return Math.floor(bytes / 1048576);
}
