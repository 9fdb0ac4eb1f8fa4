import { parseArn } from "#model/arn.ts";
import { ecsKeys, instanceKeyOf, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ClusterRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, MonitoringRecord, ServiceRecord, ServiceRevisionRecord, TaskSetRecord } from "#model/service-records.ts";
import type { PublishMetricsRequest } from "#agent-protocol/messages.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Store } from "#store/store.ts";
import { type ClusterPicture, insightsOf, serviceUtilizationOf, utilizationOf } from "./measure.ts";
import { type ContainerUse, minuteOf, type TaskUse, usesOf } from "./samples.ts";

const minuteMs = 60_000;
/** A task's reports of one minute that are kept: an agent that sends more is not listened to. */
const maxReports = 30;

export interface EcsMetrics {
  /** What an agent says of a task, as it comes. */
  observe(task: PublishMetricsRequest["taskMetrics"][number]): void;
  start(): void;
  stop(): Promise<void>;
}

/** Publishes what the agents report: a service's utilization at once, a cluster's and Container Insights at the end of each minute. */
export function createEcsMetrics({ store, clock, log, sink }: { store: Store; clock: Clock; log: Logger; sink: MetricSink }): EcsMetrics {
  let reports = new Map<string, ContainerUse[][]>();
  let cancel = () => {};
  let running: Promise<void> = Promise.resolve();

  async function tellService(arn: string, uses: readonly ContainerUse[], at: number): Promise<void> {
    const key = taskKeyOf(arn);
    const task = key && (await store.get<TaskRecord>(key.key))?.value;
    if (key && task)
      sink.put(key.scope, "AWS/ECS", serviceUtilizationOf(task, minuteOf([uses]), at, await monitoringOf(store, key.scope, task)));
  }

  async function publish(at: number): Promise<void> {
    const minute = reports;
    reports = new Map();
    const uses = new Map([...minute].map(([arn, list]) => [arn, minuteOf(list)]));
    const scopes = await scopesOf(store);
    // Tasks of one account may run on machines that another cluster, or account, has registered.
    const machines = new Map<string, { cpu: number; memory: number }>();
    const clusters: { scope: Scope; cluster: ClusterRecord; tasks: ClusterPicture["tasks"] }[] = [];
    for (const scope of scopes) {
      for (const { value: cluster } of (await store.list<ClusterRecord>(ecsKeys.clusters(scope))).entries) {
        if (cluster.status !== "ACTIVE") continue;
        const tasks = await tasksOf(store, scope, cluster.name, uses);
        clusters.push({ scope, cluster, tasks });
        for (const { task, use } of tasks) {
          if (!use || task.launchType === "FARGATE") continue;
          const key = instanceKeyOf(scope, task);
          const sum = machines.get(key) ?? { cpu: 0, memory: 0 };
          machines.set(key, { cpu: sum.cpu + (use.cpu ?? 0), memory: sum.memory + (use.memory ?? 0) });
        }
      }
    }
    for (const { scope, cluster, tasks } of clusters) {
      const picture = { cluster, tasks, ...(await surroundingsOf(store, scope, cluster, machines)) };
      sink.put(scope, "AWS/ECS", utilizationOf(picture, at));
      if (hasInsights(cluster)) sink.put(scope, "ECS/ContainerInsights", insightsOf(picture, at));
    }
  }

  function schedule(): void {
    const now = clock.now();
    // What belongs to the minute has arrived when it ends; agents report every 20 seconds.
    cancel = clock.after(minuteMs - (now % minuteMs), () => {
      const at = Math.floor(clock.now() / minuteMs) * minuteMs - minuteMs;
      running = running.then(() => publish(at)).catch((error: unknown) => log.warn({ err: error }, "metrics of ECS were not published"));
      schedule();
    });
  }

  return {
    observe(task) {
      const uses = usesOf(task);
      if (uses.length === 0) return;
      const list = reports.get(task.taskArn);
      if (!list) reports.set(task.taskArn, [uses]);
      else if (list.length < maxReports) list.push(uses);
      else return;
      void tellService(task.taskArn, uses, clock.now()).catch((error: unknown) =>
        log.warn({ err: error }, "a task's metrics were not published"),
      );
    },
    start: schedule,
    async stop() {
      cancel();
      await running;
    },
  };
}

/** What the task's revision of its service says of its metrics. */
async function monitoringOf(store: Store, scope: Scope, task: TaskRecord): Promise<MonitoringRecord | undefined> {
  const service = task.group.startsWith("service:") ? task.group.slice("service:".length) : undefined;
  if (service === undefined || task.startedBy === undefined) return undefined;
  const deployment = (await store.get<DeploymentRecord>(ecsKeys.deployment(scope, task.cluster, service, task.startedBy)))?.value;
  if (!deployment) return undefined;
  return (await store.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, task.cluster, service, deployment.revision)))?.value
    .monitoring;
}

const hasInsights = ({ settings }: ClusterRecord) =>
  settings.some(({ name, value }) => name === "containerInsights" && (value === "enabled" || value === "enhanced"));

function taskKeyOf(arn: string): { readonly scope: Scope; readonly key: string } | undefined {
  const parsed = parseArn(arn);
  const [kind, cluster, id] = parsed?.resource.split("/") ?? [];
  if (!parsed || kind !== "task" || !cluster || !id) return undefined;
  const scope = { account: parsed.account, region: parsed.region };
  return { scope, key: ecsKeys.task(scope, cluster, id) };
}

/** Jumps from one account and region to the next: the cost is their number. */
async function scopesOf(store: Store): Promise<Scope[]> {
  const scopes: Scope[] = [];
  let after: string | undefined;
  for (;;) {
    const [entry] = (await store.list("/ecs/", { limit: 1, after })).entries;
    const scope = entry && parseEcsKey(entry.key)?.scope;
    if (!scope) return scopes;
    scopes.push(scope);
    after = `${ecsKeys.root(scope)}/\u{10ffff}`;
  }
}

async function tasksOf(store: Store, scope: Scope, cluster: string, uses: ReadonlyMap<string, TaskUse>): Promise<ClusterPicture["tasks"]> {
  const [tasks, observed] = await Promise.all([
    store.list<TaskRecord>(ecsKeys.tasks(scope, cluster)),
    store.list<TaskObservation>(ecsKeys.tasksObserved(scope, cluster)),
  ]);
  const byKey = new Map(observed.entries.map(({ key, value }) => [key, value]));
  return tasks.entries.map(({ value: task }) => ({
    task,
    observed: byKey.get(ecsKeys.taskObserved(scope, cluster, task.id)),
    use: uses.get(task.arn),
  }));
}

async function surroundingsOf(
  store: Store,
  scope: Scope,
  cluster: ClusterRecord,
  machines: ReadonlyMap<string, { readonly cpu: number; readonly memory: number }>,
): Promise<Pick<ClusterPicture, "instances" | "services">> {
  const [instances, allocations] = await Promise.all([
    store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster.name)),
    store.list<AllocationRecord>(ecsKeys.allocations(scope, cluster.name)),
  ]);
  const byKey = new Map(allocations.entries.map(({ key, value }) => [key, value]));
  const services = hasInsights(cluster) ? (await store.list<ServiceRecord>(ecsKeys.services(scope, cluster.name))).entries : [];
  return {
    instances: instances.entries.map(({ key, value: instance }) => ({
      instance,
      allocation: byKey.get(ecsKeys.allocation(scope, cluster.name, instance.id)),
      ...(machines.get(key) ?? { cpu: 0, memory: 0 }),
    })),
    services: await Promise.all(
      services.map(async ({ value: service }) => {
        const [deployments, taskSets] = await Promise.all([
          store.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster.name, service.name)),
          store.list<TaskSetRecord>(ecsKeys.taskSets(scope, cluster.name, service.name)),
        ]);
        return {
          service,
          deployments: deployments.entries.map(({ value }) => value),
          taskSets: taskSets.entries.map(({ value }) => value),
        };
      }),
    ),
  };
}
