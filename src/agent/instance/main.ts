import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { InstanceIdentity } from "#agent-protocol/instances.ts";
import { systemClock } from "#platform/clock.ts";
import { createLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { trust } from "#platform/tls.ts";
import { startAgent } from "../agent.ts";
import { readAgentConfig } from "../config.ts";
import { placesOfContainerd } from "../containerd/daemon.ts";
import { makeSpread } from "../containerd/spread.ts";
import { watchCredentials } from "../credentials.ts";
import {
  apiOf,
  apiSocket,
  authorityFile,
  awsEnvironment,
  identityFiles,
  instanceHome,
  sharedDirectory,
  type InstanceFile,
} from "../instances/files.ts";
import { startRelay } from "../instances/relay.ts";
import { openMachine } from "../machine.ts";
import { identityDocument } from "../metadata/imds-tree.ts";
import { factsOf, startMetadata } from "./metadata.ts";
import { ecsConfigOf, registeredMemory } from "./ecs-config.ts";
import { runUserData } from "./user-data.ts";

/**
 * What an ECS-optimized image does at its boot, in a local instance: the way to the API, the metadata service, the user data at the first boot, and then the agent, with what /etc/ecs/ecs.config
 * says. Process 1 (boot.sh) starts it again when it ends.
 */
const log = createLogger("agent");

/** Undefined: the instance has none now. */
function profile(): InstanceIdentity["profile"] {
  let text: string;
  try {
    text = readFileSync(join(sharedDirectory, identityFiles.profile), "utf8");
  } catch {
    return undefined;
  }
  return JSON.parse(text) as InstanceIdentity["profile"];
}

async function main(): Promise<void> {
  const file = () => JSON.parse(readFileSync(join(sharedDirectory, "instance.json"), "utf8")) as InstanceFile;
  const { instance, apiPort, apiHost } = file();
  const architecture = arch() === "arm64" ? "arm64" : "x86_64";
  trust(authorityFile);
  await startRelay({ host: "127.0.0.1", port: apiPort }, { path: apiSocket });
  const known = join(sharedDirectory, identityFiles.agent);
  await startMetadata({
    instance: () => file().instance,
    profile,
    architecture,
    now: () => systemClock.now(),
  });
  // A host whose own agent began anew has it when the server has told it again. User data finds its role from the first.
  while (!existsSync(known)) await delay(20);
  const endpoint = apiOf({ apiPort, apiHost });
  await runUserData(instance.userData, {
    PATH: process.env.PATH,
    HOME: "/root",
    ...awsEnvironment(file(), existsSync(authorityFile)),
  });
  const own = ecsConfigOf(existsSync("/etc/ecs/ecs.config") ? readFileSync("/etc/ecs/ecs.config", "utf8") : "");
  const attributes = JSON.parse(own.ECS_INSTANCE_ATTRIBUTES || "{}") as Record<string, string>;
  const given = readAgentConfig({
    ...own,
    GANTRY_HOME: instanceHome,
    GANTRY_CONTAINERD_SOCKET: placesOfContainerd(instanceHome).socket,
    ECS_BACKEND_HOST: endpoint,
    // Images of this machine's registries are taken without TLS; Gantry's speaks what its port speaks.
    ...(apiHost === undefined
      ? {}
      : { GANTRY_REGISTRY_HOSTS: JSON.stringify({ [`localhost:${apiPort}`]: endpoint, [`127.0.0.1:${apiPort}`]: endpoint }) }),
    AWS_DEFAULT_REGION: instance.region,
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SHARED_CREDENTIALS_FILE: known,
    GANTRY_AVAILABILITY_ZONE: instance.availabilityZone,
    GANTRY_FARGATE: "false",
    GANTRY_INSTANCE_CPU: String(Math.round(instance.vcpus * 1024)),
    GANTRY_INSTANCE_MEMORY_MIB: String(registeredMemory(instance.memoryMiB)),
    GANTRY_INSTANCE_IDENTITY: identityDocument(factsOf(instance, undefined, architecture)),
    // Neither load balancers nor instances within instances.
    ECS_INSTANCE_ATTRIBUTES: JSON.stringify({ ...attributes, "gantry.load-balancers": "false", "gantry.instances": "false" }),
  });
  const config = { ...given, credentials: watchCredentials(known, systemClock, log) };
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  await makeSpread([join(config.dataDir, "tasks")]);
  const deps = { clock: systemClock, random: systemRandom, log };
  while (!existsSync(config.containerdSocket)) await delay(20);
  const agent = await startAgent({ config, ...deps, ...(await openMachine(config, deps)) });
  writeFileSync(join(sharedDirectory, "ready"), String(instance.boot));
  const alive = setInterval(() => {}, 1 << 30);
  process.once("SIGTERM", () => {
    clearInterval(alive);
    void agent.stop().finally(() => process.exit(0));
  });
}

process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, "uncaught exception");
  process.exit(70);
});
process.on("unhandledRejection", (error) => log.error({ err: error }, "unhandled rejection"));

try {
  await main();
} catch (error) {
  log.fatal({ err: error }, "the instance's agent could not start");
  process.exit(1);
}
