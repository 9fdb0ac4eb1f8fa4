import { parseEcsKey } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type {
  DeploymentRecord,
  ServiceRecord,
  ServiceRevisionRecord,
  ServiceStateRecord,
  TaskProtectionRecord,
  TaskSetRecord,
} from "#model/service-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import { targetsOf } from "#reconcilers/task-targets.ts";
import type { WatchBatch } from "#store/store.ts";
import { scope } from "./records.ts";

/** What lies on the disk of the simulated cluster, kept up to date write by write, so that checking a write costs what it changed. */
export class Picture {
  readonly tasks = new Map<string, TaskRecord>();
  readonly observed = new Map<string, TaskObservation>();
  /** When its record or its observation was last written. */
  readonly changedAt = new Map<string, number>();
  readonly instances = new Map<string, ContainerInstanceRecord>();
  readonly allocations = new Map<string, AllocationRecord>();
  readonly connections = new Map<string, ConnectionRecord>();
  readonly services = new Map<string, ServiceRecord>();
  readonly states = new Map<string, ServiceStateRecord>();
  readonly protections = new Map<string, TaskProtectionRecord>();
  /** By `<service>/<number of the id>`. */
  readonly deployments = new Map<string, DeploymentRecord>();
  /** By `<service>/<number of the id>`. */
  readonly taskSets = new Map<string, TaskSetRecord>();
  /** By `<service>/<id>`. */
  readonly revisions = new Map<string, ServiceRevisionRecord>();
  readonly #healthy = new Set<string>();
  readonly #byInstance = new Map<string, Set<string>>();
  readonly #byGroup = new Map<string, Set<string>>();

  apply({ events }: WatchBatch, now: number): void {
    for (const event of events) {
      if (event.key.startsWith(elbKeys.everyHealth)) {
        const seen = event.type === "put" ? (event.entry.value as TargetHealthRecord) : undefined;
        this.#takeHealth(event.key, seen?.state === "healthy", now);
        continue;
      }
      const parsed = parseEcsKey(event.key);
      const map = parsed && this.#mapOf(parsed.kind);
      if (!map) continue;
      const name = parsed.names.slice(1).join("/");
      if (event.type === "delete") {
        if (parsed.kind === "task") this.#index(this.tasks.get(name), name, false);
        map.delete(name);
      } else {
        map.set(name, event.entry.value);
        if (parsed.kind === "task") this.#index(this.tasks.get(name), name, true);
        if (parsed.kind === "task" || parsed.kind === "task-observed") this.changedAt.set(name, now);
      }
    }
  }

  #takeHealth(key: string, healthy: boolean, now: number): void {
    if (healthy) this.#healthy.add(key);
    else this.#healthy.delete(key);
    for (const task of this.tasks.values())
      if (task.loadBalancers && this.#targetKeys(task).includes(key)) this.changedAt.set(task.id, now);
  }

  #targetKeys(task: TaskRecord): string[] {
    return targetsOf(task, this.observed.get(task.id)).map(({ group, id, port }) => elbKeys.health(scope, group, id, port));
  }

  /** Its load balancers, where it has any, find all of its targets healthy. */
  isReached(task: TaskRecord): boolean {
    const expected = task.loadBalancers?.length ?? 0;
    if (expected === 0) return true;
    const keys = this.#targetKeys(task);
    return keys.length === expected && keys.every((key) => this.#healthy.has(key));
  }

  /** Not STOPPED. */
  live(id: string): boolean {
    return this.tasks.has(id) && this.observed.get(id)?.lastStatus !== "STOPPED";
  }

  liveOn(instance: string): string[] {
    return [...(this.#byInstance.get(instance) ?? [])].filter((id) => this.live(id));
  }

  liveOf(service: string): TaskRecord[] {
    return [...(this.#byGroup.get(`service:${service}`) ?? [])].filter((id) => this.live(id)).map((id) => this.tasks.get(id)!);
  }

  allOf(service: string): TaskRecord[] {
    return [...(this.#byGroup.get(`service:${service}`) ?? [])].map((id) => this.tasks.get(id)!);
  }

  deploymentsOf(service: string): DeploymentRecord[] {
    return [...this.deployments].filter(([key]) => key.startsWith(`${service}/`)).map(([, deployment]) => deployment);
  }

  connected(instance: string): boolean {
    return (this.connections.get(instance)?.connected ?? false) && this.instances.get(instance)?.status !== "INACTIVE";
  }

  #index(task: TaskRecord | undefined, id: string, there: boolean): void {
    if (!task) return;
    for (const [index, key] of [
      [this.#byInstance, task.containerInstanceId],
      [this.#byGroup, task.group],
    ] as const) {
      let ids = index.get(key);
      if (!ids) index.set(key, (ids = new Set()));
      if (there) ids.add(id);
      else ids.delete(id);
    }
  }

  #mapOf(kind: string): Map<string, unknown> | undefined {
    switch (kind) {
      case "task":
        return this.tasks;
      case "task-observed":
        return this.observed;
      case "container-instance":
        return this.instances;
      case "allocation":
        return this.allocations;
      case "connection":
        return this.connections;
      case "service":
        return this.services;
      case "service-state":
        return this.states;
      case "deployment":
        return this.deployments;
      case "task-set":
        return this.taskSets;
      case "service-revision":
        return this.revisions;
      case "task-protection":
        return this.protections;
      default:
        return undefined;
    }
  }
}
