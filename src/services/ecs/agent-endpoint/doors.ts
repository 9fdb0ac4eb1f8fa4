import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Principal, UpgradeInfo, UpgradeRoute } from "#api/contract.ts";
import { formatArn, parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import { notYours, speaksFor } from "../container-instances/owner.ts";
import type { Acs } from "./acs.ts";
import { acceptWebSocket, refuseUpgrade } from "./channel.ts";
import type { Tcs } from "./tcs.ts";

/** The websocket doors that DiscoverPollEndpoint names. An agent adds `/ws?…` to each. */
export const acsPrefix = "/acs";
export const tcsPrefix = "/tcs";
/** Ours: each session of ECS Exec has a connection of its own. */
const execPrefix = "/exec";

export interface DoorsOptions {
  readonly store: Store;
  readonly acs: Acs;
  readonly tcs: Tcs;
  readonly exec: Accept;
  readonly closing: () => boolean;
}

export function createDoors({ store, acs, tcs, exec, closing }: DoorsOptions): UpgradeRoute[] {
  const door = (prefix: string, action: string, clusterParameter: string, instanceParameter: string, accept: Accept): UpgradeRoute => ({
    prefix,
    need: (query, scope) => doorNeed(action, query.get(clusterParameter) ?? "", query.get(instanceParameter) ?? "", scope),
    upgrade(request, socket, head, info) {
      const ignore = () => {};
      socket.on("error", ignore);
      const scope = { account: info.principal.account, region: info.region };
      admit(store, scope, info.query.get(clusterParameter) ?? "", info.query.get(instanceParameter) ?? "", { ...info, action })
        .then((admission) => {
          if (closing()) socket.destroy();
          else if ("error" in admission) refuse(socket, info, admission);
          else accept({ request, socket, head, instance: admission.instance, query: info.query });
        })
        .catch((error: unknown) => {
          info.log.error({ err: error }, "an agent's connection could not be taken");
          refuseUpgrade(socket, 500, "ServerException", "The agent's connection could not be taken.");
        });
    },
  });
  return [
    door(acsPrefix, "ecs:Poll", "clusterArn", "containerInstanceArn", ({ request, socket, head, instance }) =>
      acceptWebSocket(request, socket, head, (channel) =>
        acs.accept(channel, instance, `${"encrypted" in request.socket ? "https" : "http"}://${request.headers.host ?? "localhost"}`),
      ),
    ),
    door(tcsPrefix, "ecs:StartTelemetrySession", "cluster", "containerInstance", ({ request, socket, head, instance }) =>
      acceptWebSocket(request, socket, head, (channel) => tcs.accept(channel, instance)),
    ),
    door(execPrefix, "ecs:Poll", "clusterArn", "containerInstanceArn", exec),
  ];
}

/** What an agent must be allowed, on its instance. */
function doorNeed(action: string, cluster: string, instance: string, scope: Scope): ReturnType<UpgradeRoute["need"]> {
  const { account, region } = scope;
  const name = cluster.split("/").at(-1) || "default";
  const arn = (resource: string) => formatArn({ service: "ecs", region, account, resource });
  return {
    action,
    resources: [instance.startsWith("arn:") ? instance : arn(`container-instance/${name}/${instance}`)],
    account,
    keys: { "ecs:cluster": arn(`cluster/${name}`) },
  };
}

/** An agent that may speak for `instance` (its key). */
export interface AgentArrival {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly instance: string;
  readonly query: URLSearchParams;
}

type Accept = (arrival: AgentArrival) => void;

function refuse(socket: Duplex, info: UpgradeInfo, { error, message }: Refusal): void {
  info.log.info({ error, message }, "agent refused");
  info.refused({ code: error, message });
  refuseUpgrade(socket, error === "AccessDeniedException" ? 403 : 400, error, message);
}

export interface Refusal {
  readonly error: "InvalidClusterException" | "InvalidInstanceException" | "InactiveInstanceException" | "AccessDeniedException";
  readonly message: string;
}

/** The key of the instance that wants to connect, or why it may not. Without a `speaker` nobody asks who it is (the simulation's agents). The cluster is a name, an ARN, or (of an agent that has none set) empty. */
export async function admit(
  store: Store,
  scope: Scope,
  cluster: string,
  instance: string,
  speaker: { readonly principal: Principal; readonly action: string } | undefined,
): Promise<{ readonly instance: string } | Refusal> {
  const arn = parseArn(instance);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  const id = arn ? names.at(-1) : instance;
  if (!id || (arn && (kind !== "container-instance" || arn.account !== scope.account || arn.region !== scope.region)))
    return { error: "InvalidInstanceException", message: `Not a container instance of this account and region: ${instance}` };
  const name = names.length === 2 ? names[0]! : cluster.split("/").at(-1) || "default";
  if ((await store.get(ecsKeys.cluster(scope, name))) === undefined)
    return { error: "InvalidClusterException", message: `Cluster not found: ${name}` };
  const key = ecsKeys.containerInstance(scope, name, id);
  const record = (await store.get<ContainerInstanceRecord>(key))?.value;
  if (!record) return { error: "InvalidInstanceException", message: `Container instance not found: ${id}` };
  if (speaker && !speaksFor(speaker.principal, record))
    return { error: "AccessDeniedException", message: notYours(speaker.principal, speaker.action, record.arn).message };
  if (record.status === "INACTIVE")
    return { error: "InactiveInstanceException", message: `Container instance ${id} is INACTIVE: it was deregistered.` };
  return { instance: key };
}
