import type { TargetHealthMessage } from "#agent-protocol/load-balancers.ts";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import type { BalancerRecords, Registered } from "./records.ts";
import { addressOf } from "./snapshot.ts";

/** What the data plane said of targets, and what of it is to be written down. Pure but for its own memory. */
type Reported = TargetHealthMessage["targets"][number];
type Seen = Omit<TargetHealthRecord, "changedAt">;

const keyOf = (group: string, address: string, port: number) => `${group} ${address}:${port}`;

export class Reports {
  #revision = 0;
  #targets = new Map<string, Reported>();

  take({ revision, whole, targets }: TargetHealthMessage): void {
    if (whole) this.#targets = new Map();
    this.#revision = revision;
    for (const each of targets) this.#targets.set(keyOf(each.targetGroupId, each.address, each.port), each);
  }

  /** Undefined where nothing was said of this very registration yet. */
  of(group: string, address: string, port: number, revision: number): Reported | undefined {
    return revision <= this.#revision ? this.#targets.get(keyOf(group, address, port)) : undefined;
  }
}

export interface Data {
  /** The instance of the machine that serves them, and its reports; undefined: none does. */
  readonly host:
    | {
        readonly instance: string;
        readonly privateAddress?: ((instanceId: string) => string | undefined) | undefined;
        readonly reports: Reports;
      }
    | undefined;
  /** None does, and that is no passing interruption. */
  readonly lost: boolean;
}

/** What a registration's record is to say; undefined: as it says already. */
export function seenOf(records: BalancerRecords, { group: id, target, revision }: Registered, { host, lost }: Data): Seen | undefined {
  const group = records.targetGroups.get(id);
  if (!group || target.deregisteringAt !== undefined || !records.usage.has(id)) return undefined;
  const broken = (description: string): Seen => ({
    registeredAt: target.registeredAt,
    state: "initial",
    reason: "Elb.InternalError",
    description,
  });
  if (!host) return lost ? broken("No machine that serves load balancers is connected") : undefined;
  if (group.protocol === "UDP" || group.protocol === "TCP_UDP") return broken("Load balancers do not carry UDP here");
  const address = addressOf(records, group, target, host);
  if (address === undefined) return broken("The target is not on the machine that serves the load balancers, which cannot reach it yet");
  const reported = host.reports.of(group.arn, address, target.port, revision);
  if (reported?.state !== "initial" && reported?.state !== "healthy" && reported?.state !== "unhealthy") return undefined;
  const { state, reason, description } = reported;
  return {
    registeredAt: target.registeredAt,
    state,
    ...(reason === undefined ? {} : { reason }),
    ...(description === undefined ? {} : { description }),
  };
}

export const sameSeen = (a: Seen | undefined, b: Seen): boolean =>
  a?.registeredAt === b.registeredAt && a.state === b.state && a.reason === b.reason && a.description === b.description;
