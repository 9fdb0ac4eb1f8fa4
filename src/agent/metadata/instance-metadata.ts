import { arch, hostname } from "node:os";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { AgentConfig } from "../config.ts";
import { ownInterface } from "../control/registration.ts";
import type { Journal } from "../journal.ts";
import type { Engine } from "../task/engine.ts";
import { createImds, createImdsServer } from "./imds.ts";
import type { InstanceFacts, ProfileFacts } from "./imds-tree.ts";
import { createInstanceRole } from "./instance-role.ts";
import type { HttpListeners } from "./listeners.ts";

/**
 * The instance metadata of this machine for its tasks: in mode host at a port of loopback, which they find by a variable; in mode bridge, where the hop limit
 * lets them, at 169.254.169.254. The machine itself keeps whatever answers there to it. Tasks in mode awsvpc, so all of Fargate's, never reach it.
 */
export function createInstanceMetadata(
  role: string,
  deps: {
    readonly config: AgentConfig;
    readonly engine: Engine;
    readonly journal: Journal;
    readonly clock: Clock;
    readonly random: Random;
    readonly log: Logger;
    /** The container instance's ARN; empty until it is registered. */
    readonly instance: () => string;
  },
): HttpListeners {
  const { config, engine, journal, clock, random, log } = deps;
  const startedAt = clock.now();

  const roleArnIn = (account: string) => (role.startsWith("arn:") ? role : `arn:aws:iam::${account}:role/${role}`);
  const facts = (): InstanceFacts | undefined => {
    const [, , , region = "", account = ""] = deps.instance().split(":");
    if (account === "") return undefined;
    const { address = "127.0.0.1", mac = "00:00:00:00:00:00" } = ownInterface() ?? {};
    return {
      instanceId: journal.get("ec2InstanceId") ?? "",
      instanceType: config.instanceAttributes["ecs.instance-type"] ?? "gantry.local",
      account,
      region,
      availabilityZone: config.availabilityZone,
      localIpv4: address,
      hostname: hostname(),
      mac,
      architecture: arch() === "arm64" ? "arm64" : "x86_64",
      startedAt,
      profile: profileOf(roleArnIn(account)),
    };
  };
  let credentials: ReturnType<typeof createInstanceRole> | undefined;
  const imds = createImds({
    instance: facts,
    credentials: async () => {
      const { account, instanceId } = facts() ?? {};
      if (account === undefined) return undefined;
      credentials ??= createInstanceRole({
        ...config,
        roleArn: roleArnIn(account),
        sessionName: () => instanceId || "instance",
        clock,
        log,
      });
      return credentials();
    },
    tokens: config.metadataTokens,
    hopLimit: config.metadataHopLimit,
    key: Buffer.from(random.hex(32), "hex"),
    now: () => clock.now(),
  });
  const isBridged = (source: string) =>
    engine
      .tasks()
      .some(({ state }) =>
        state.containers.some(({ network }) => network?.mode === "bridge" && !network.released && network.address === source),
      );
  return createImdsServer(imds, (source) => (source.startsWith("127.") ? 1 : isBridged(source) ? 2 : undefined));
}

/** The machine has a role and no instance profile: it is shown as one of the role's name. */
function profileOf(roleArn: string): ProfileFacts | undefined {
  const [, account, role] = /^arn:[^:]+:iam::(\d+):role\/(?:.*\/)?([^/]+)$/.exec(roleArn) ?? [];
  if (role === undefined) return undefined;
  return { arn: `arn:aws:iam::${account}:instance-profile/${role}`, id: "AIPAGANTRYINSTANCEROLE", found: true, role };
}
