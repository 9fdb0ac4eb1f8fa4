import assert from "node:assert/strict";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleAction, TargetGroupRecord, TargetHealthRecord, TargetRecord } from "#model/elb-records.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import { usageOf } from "#reconcilers/load-balancers/usage.ts";
import { seededRandom } from "#platform/random.ts";
import type { WatchBatch } from "#store/store.ts";
import { scope } from "./records.ts";
import { isHealthy, serviceOf } from "./services-checks.ts";
import type { World } from "./world.ts";

const arn = (resource: string) => `arn:aws:elasticloadbalancing:us-east-1:000000000000:${resource}`;
const id = (name: string, number: number) => Buffer.from(`${name}${number}0000000`).toString("hex").slice(0, 16);

/** What a service's load balancer is made of. */
export interface Balanced {
  readonly groups: readonly [string, string];
  readonly production: string;
  readonly test: string;
  /** For CreateService. */
  readonly loadBalancers: readonly object[];
}

/**
 * Load balancers of the simulation: two target groups, a production and a test listener for each service, and a data plane that finds a registered target healthy a
 * while later, once something routes to its group. Checks of each write that no traffic goes where nobody serves.
 */
export class Balancers {
  readonly #world: World;
  readonly #random = seededRandom(7);
  readonly #looking = new Set<string>();
  readonly #all = new Map<string, Balanced>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Before the server starts. */
  add(service: string): Balanced {
    const loadBalancer = id(service, 1);
    const group = (number: number) => {
      const groupId = id(service, 1 + number);
      const record: TargetGroupRecord = {
        id: groupId,
        arn: arn(`targetgroup/${service}-${number}/${groupId}`),
        name: `${service}-${number}`,
        protocol: "HTTP",
        port: 80,
        vpcId: "vpc-1",
        targetType: "instance",
        ipAddressType: "ipv4",
        healthCheck: {
          protocol: "HTTP",
          port: "traffic-port",
          path: "/",
          intervalSeconds: 5,
          timeoutSeconds: 2,
          healthyThreshold: 2,
          unhealthyThreshold: 2,
        },
        attributes: { "deregistration_delay.timeout_seconds": "1" },
        createdAt: 0,
        tags: [],
      };
      this.#put(elbKeys.targetGroup(scope, groupId), record);
      return record.arn;
    };
    const groups = [group(1), group(2)] as const;
    const listener = (number: number) => {
      const listenerId = id(service, 3 + number);
      const path = `app/${service}/${loadBalancer}/${listenerId}`;
      const record: ListenerRecord = {
        id: listenerId,
        arn: arn(`listener/${path}`),
        loadBalancerId: loadBalancer,
        protocol: "HTTP",
        port: number === 1 ? 80 : 8080,
        certificates: [],
        defaultActions: [{ type: "forward", groups: [{ id: groups[0].split("/").at(-1)!, arn: groups[0], weight: 1 }] }],
        defaultRule: { id: "0", arn: arn(`listener-rule/${path}/0`), tags: [] },
        attributes: {},
        createdAt: 0,
        tags: [],
      };
      this.#put(elbKeys.listener(scope, loadBalancer, listenerId), record);
      return record.defaultRule.arn;
    };
    const [production, test] = [listener(1), listener(2)];
    const balanced: Balanced = {
      groups,
      production,
      test,
      loadBalancers: [
        {
          targetGroupArn: groups[0],
          containerName: "main",
          containerPort: 80,
          advancedConfiguration: {
            alternateTargetGroupArn: groups[1],
            productionListenerRule: production,
            testListenerRule: test,
            roleArn: "arn:aws:iam::000000000000:role/ecsInfrastructureRole",
          },
        },
      ],
    };
    this.#all.set(service, balanced);
    this.#last.set(production, this.weights(production));
    return balanced;
  }

  #put(key: string, value: unknown): void {
    this.#world.disk.apply({ writes: [{ put: key, value }] });
  }

  /** Weights by the target group's ARN. */
  weights(rule: string): ReadonlyMap<string, number> {
    const found = this.#world.records<ListenerRecord>(elbKeys.listeners(scope)).find(({ defaultRule }) => defaultRule.arn === rule)!;
    return weightsOf(found.defaultActions);
  }

  /** Somebody deletes it. */
  removeTestListener(service: string): void {
    const rule = this.#all.get(service)!.test;
    const [, , , loadBalancer, listener] = rule.split("/");
    this.#world.disk.apply({ writes: [{ delete: elbKeys.listener(scope, loadBalancer!, listener!) }] });
  }

  /** Percent of a rule's traffic that goes to the target group in which the task definition's tasks are; each task's group says so. */
  shareOf(service: string, rule: "production" | "test", revision: string): number {
    const weights = this.weights(this.#all.get(service)![rule]);
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
    const groups = new Set(
      this.#world.picture
        .liveOf(service)
        .filter(({ taskDefinitionArn }) => taskDefinitionArn.endsWith(`/${revision}`))
        .map(groupOf),
    );
    let own = 0;
    for (const group of groups) own += weights.get(group ?? "") ?? 0;
    return (own / total) * 100;
  }

  /** What the data plane does about a write. (The server, which has none, says `initial` of every target; this one knows better.) */
  follow({ events }: WatchBatch): void {
    if (!events.some(({ key }) => key.startsWith("/elb"))) return;
    const { disk, clock } = this.#world;
    const usage = usageOf(this.#world.records<ListenerRecord>(elbKeys.listeners(scope)), []);
    for (const { key, value } of disk.list(elbKeys.allTargets(scope))) {
      const target = value as TargetRecord;
      const path = key.slice(elbKeys.allTargets(scope).length);
      const [group = ""] = path.split("/");
      const healthKey = elbKeys.health(scope, group, target.id, target.port);
      const seen = disk.entries.get(healthKey)?.value as TargetHealthRecord | undefined;
      const known = seen?.state === "healthy" && seen.registeredAt === target.registeredAt;
      if (known || this.#looking.has(path) || !usage.has(group) || target.deregisteringAt !== undefined) continue;
      this.#looking.add(path);
      clock.after(100 + 1500 * this.#random.next(), () => {
        this.#looking.delete(path);
        const now = disk.entries.get(key)?.value as TargetRecord | undefined;
        if (now === undefined || now.deregisteringAt !== undefined) return;
        this.#put(healthKey, { registeredAt: now.registeredAt, state: "healthy", changedAt: clock.now() } satisfies TargetHealthRecord);
      });
    }
  }

  /**
   * Of each write: traffic only begins to flow to a target group that has as many healthy tasks as are wanted, unless all goes back; and nobody is stopped by the
   * scheduler for a new revision whose group still has traffic. Before the picture has it; returns what is to be checked after.
   */
  check({ events }: WatchBatch): () => void {
    const { picture } = this.#world;
    const checks: (() => void)[] = [];
    for (const [name, { production }] of this.#all) {
      for (const event of events) {
        if (event.type !== "put" || !event.key.startsWith(elbKeys.listeners(scope))) continue;
        const record = event.entry.value as ListenerRecord;
        if (record.defaultRule.arn !== production) continue;
        const before = this.#last.get(production) ?? weightsOf([]);
        const after = weightsOf(record.defaultActions);
        this.#last.set(production, after);
        const gains = [...after].filter(([group, weight]) => weight > 0 && !(before.get(group)! > 0)).map(([group]) => group);
        const healthyBefore = gains.map((group) => this.#healthyIn(name, group));
        checks.push(() => {
          const service = picture.services.get(name);
          const primary = picture.deploymentsOf(name).find(({ id: each }) => each === service?.deployment);
          if (!service || !primary?.shift || primary.shift.stage === "CLEAN_UP") return;
          const { routes } = primary.shift;
          for (const [at, group] of gains.entries()) {
            // What goes back goes back in any case.
            if (!routes.some(({ targetGroup }) => targetGroup === group)) continue;
            const healthy = Math.max(healthyBefore[at]!, this.#healthyIn(name, group));
            assert.ok(
              healthy >= service.desiredCount,
              `${name}: traffic goes to ${group}, where ${healthy} of ${service.desiredCount} are healthy`,
            );
          }
        });
      }
      const stops = events.flatMap((event) => {
        if (event.type !== "put") return [];
        const task = event.entry.value as TaskRecord;
        const known = picture.tasks.get(task.id);
        const now = known?.desiredStatus === "RUNNING" && task.desiredStatus === "STOPPED" && serviceOf(task) === name;
        return now && task.stop?.code === "ServiceSchedulerInitiated" && isHealthy(picture, known) ? [task] : [];
      });
      if (stops.length > 0)
        checks.push(() => {
          const service = picture.services.get(name);
          const primary = picture.deploymentsOf(name).find(({ id: each }) => each === service?.deployment);
          if (service?.status !== "ACTIVE" || service.desiredCount === 0 || !primary?.shift || primary.rolloutState !== "IN_PROGRESS")
            return;
          const weights = this.#last.get(production);
          for (const task of stops) {
            const of = picture.deploymentsOf(name).find(({ id: each }) => each === task.startedBy);
            if (of?.id === primary.id || of?.id === primary.shift.blue) continue;
            const weight = weights?.get(groupOf(task) ?? "") ?? 0;
            const shared: boolean = primary.shift.routes.some(
              ({ targetGroup, otherTargetGroup }) => weight > 0 && [targetGroup, otherTargetGroup].includes(groupOf(task) ?? ""),
            );
            const whose = picture
              .liveOf(name)
              .some(
                (each) =>
                  each.id !== task.id && groupOf(each) === groupOf(task) && isHealthy(picture, each) && each.startedBy !== task.startedBy,
              );
            assert.ok(
              !shared || whose || primary.shift.blue === undefined,
              `${name}: ${task.id} is stopped while its target group has production traffic and nobody else serves there`,
            );
          }
        });
    }
    return () => {
      for (const check of checks) check();
    };
  }

  readonly #last = new Map<string, ReadonlyMap<string, number>>();

  #healthyIn(service: string, group: string): number {
    const { picture } = this.#world;
    return picture.liveOf(service).filter((task) => groupOf(task) === group && isHealthy(picture, task)).length;
  }

  /** At the end all production traffic goes to the one revision that is there. */
  checkEnd(service: string): void {
    const { picture } = this.#world;
    const record = picture.services.get(service);
    const balanced = this.#all.get(service);
    const primary = picture.deploymentsOf(service).find(({ id: each }) => each === record?.deployment);
    if (!balanced || record?.status !== "ACTIVE" || primary?.rolloutState !== "COMPLETED" || record.desiredCount === 0) return;
    const weights = this.weights(balanced.production);
    for (const task of picture.liveOf(service)) {
      const group = groupOf(task);
      if (group === undefined) continue;
      for (const [each, weight] of weights)
        assert.ok(
          each === group ? weight > 0 : weight === 0,
          `${service}: the weights are ${JSON.stringify([...weights])}, and tasks are in ${group}`,
        );
    }
  }
}

const groupOf = ({ loadBalancers }: TaskRecord): string | undefined => loadBalancers?.[0]?.arn;

function weightsOf(actions: readonly RuleAction[]): ReadonlyMap<string, number> {
  const [action] = actions;
  return new Map(action?.type === "forward" ? action.groups.map((group) => [group.arn, group.weight]) : []);
}
