import type { ListenerRecord, LoadBalancerRecord, RuleRecord, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import type { Entry } from "#store/store.ts";
import { usageOf } from "./usage.ts";

/** A registration with what tells it from an earlier one of the same target. */
export interface Registered {
  /** Of its health: `/elb-health/…`. */
  readonly healthKey: string;
  readonly group: string;
  readonly target: TargetRecord;
  readonly revision: number;
}

/** All records of Elastic Load Balancing, of every account and region, by id: ids are unique over them. Kept by the change feed. */
export class BalancerRecords {
  readonly loadBalancers = new Map<string, LoadBalancerRecord>();
  readonly listeners = new Map<string, ListenerRecord>();
  readonly rules = new Map<string, RuleRecord>();
  readonly targetGroups = new Map<string, TargetGroupRecord>();
  /** By the store's key. */
  readonly targets = new Map<string, Registered>();
  readonly #byGroup = new Map<string, Map<string, Registered>>();
  #usage: ReadonlyMap<string, ReadonlySet<string>> | undefined;

  put(key: string, entry: Entry | undefined): void {
    // `/elb/<account>/<region>/<kind>/…/<id>`
    const [, , account, region, kind, first = "", ...rest] = key.split("/");
    const id = rest.at(-1) ?? first;
    const set = <T>(map: Map<string, T>) => (entry ? map.set(id, entry.value as T) : map.delete(id));
    switch (kind) {
      case "load-balancer":
        return void set(this.loadBalancers);
      case "listener":
        this.#usage = undefined;
        return void set(this.listeners);
      case "rule":
        this.#usage = undefined;
        return void set(this.rules);
      case "target-group":
        return void set(this.targetGroups);
      case "target":
        return this.#putTarget(key, `/elb-health/${account}/${region}/${[first, ...rest].join("/")}`, first, entry);
      default:
    }
  }

  #putTarget(key: string, healthKey: string, group: string, entry: Entry | undefined): void {
    let own = this.#byGroup.get(group);
    if (!entry) {
      this.targets.delete(key);
      own?.delete(key);
      if (own?.size === 0) this.#byGroup.delete(group);
      return;
    }
    const registered = { healthKey, group, target: entry.value as TargetRecord, revision: entry.revision };
    this.targets.set(key, registered);
    if (!own) this.#byGroup.set(group, (own = new Map()));
    own.set(key, registered);
  }

  /** In the order of their keys. */
  targetsOf(group: string): readonly TargetRecord[] {
    return [...(this.#byGroup.get(group) ?? [])].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, { target }]) => target);
  }

  get usage(): ReadonlyMap<string, ReadonlySet<string>> {
    return (this.#usage ??= usageOf(this.listeners.values(), this.rules.values()));
  }

  /** The revision of the latest registration. */
  revision(): number {
    let latest = 0;
    for (const { revision } of this.targets.values()) latest = Math.max(latest, revision);
    return latest;
  }
}

/** The load balancers that route to a group. */
export const usersOf = (records: BalancerRecords, group: string): readonly LoadBalancerRecord[] =>
  [...(records.usage.get(group) ?? [])].flatMap((id) => records.loadBalancers.get(id) ?? []);

/** `app/<name>/<id>` of an ARN. */
export const pathOf = (arn: string): string => arn.slice(arn.indexOf("loadbalancer/") + "loadbalancer/".length);
