import type { Gauge, Handler, RequestContext, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { DiscoverPollEndpointResponse } from "@aws-sdk/client-ecs";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import { createTaskReconcilers } from "#reconcilers/ecs-tasks.ts";
import { createConnectReconciler } from "#reconcilers/service-connect/reconciler.ts";
import { createEcsMetrics } from "#reconcilers/metrics/ecs-metrics.ts";
import { createMachineAddresses } from "#reconcilers/load-balancers/machine-addresses.ts";
import { createLoadBalancerReconciler } from "#reconcilers/load-balancers/reconciler.ts";
import type { BalancerTotals } from "#reconcilers/load-balancers/published.ts";
import { createInstanceReconciler } from "#reconcilers/instances/reconciler.ts";
import { createVpcReconciler } from "#reconcilers/vpc/reconciler.ts";
import { Links } from "#reconcilers/links.ts";
import { createTaskCredentials } from "#reconcilers/task-credentials.ts";
import { createWriter, type Writer } from "#store/unit.ts";
import { createAcs } from "../agent-endpoint/acs.ts";
import { acsPrefix, createDoors, tcsPrefix } from "../agent-endpoint/doors.ts";
import { payloadTaskOf } from "../agent-endpoint/payload.ts";
import { createExecHub } from "#reconcilers/exec/hub.ts";
import { dataChannelDoor, execDoor } from "../exec/doors.ts";
import { createExec, type Exec } from "../exec/index.ts";
import { createTcs, type LatestMetrics } from "../agent-endpoint/tcs.ts";
import { connectMeasurements } from "../agent-endpoint/connect-totals.ts";
import { createTimeline } from "../agent-endpoint/timeline.ts";
import type { Acs } from "../agent-endpoint/acs.ts";
import type { Tcs } from "../agent-endpoint/tcs.ts";
import { describeTasks } from "./describe-tasks.ts";
import type { TaskDeps } from "./context.ts";
import { ecsArn } from "./identifiers.ts";
import { listTasks } from "./list-tasks.ts";
import { runTask } from "./run-task.ts";
import { startTask } from "./start-task.ts";
import { stopTask } from "./stop-task.ts";
import { reportHealth, submitAttachmentStateChanges, submitContainerStateChange, submitTaskStateChange, taskOn } from "./submit.ts";

export interface EcsTasks extends ServerPart {
  /** The agents' ends, for whoever connects them without a socket. */
  readonly acs: Acs;
  readonly tcs: Tcs;
  /** Sessions of ECS Exec, for who shares them: Systems Manager. */
  readonly exec: Exec;
  /** The last metrics of a task, as its agent published them. */
  metrics(taskArn: string): LatestMetrics | undefined;
  /** Resolves when the background work has nothing to do. */
  idle(): Promise<void>;
}

function balancerGauges(totals: BalancerTotals | undefined): Gauge[] {
  if (!totals) return [];
  const counter = (name: string, help: string, value: number): Gauge => ({
    name: `gantry_load_balancer_${name}_total`,
    help,
    value,
    type: "counter",
  });
  return [
    counter("requests", "Requests that load balancers gave to targets.", totals.requests),
    counter("target_errors", "Answers of targets with 5xx.", totals.targetErrors),
    counter("own_errors", "Answers with 5xx that load balancers gave themselves.", totals.ownErrors),
    counter("bytes", "Bytes from and to clients of load balancers.", totals.bytes),
  ];
}

/** Tasks of ECS and the endpoints of the agents that run them. */
export function createEcsTasks(deps: ServerDeps, writer: Writer = createWriter(deps.store)): EcsTasks {
  const { store, clock, random, config } = deps;
  const log = deps.log.child({ part: "ecs-tasks" });
  const taskDeps: TaskDeps = { ...deps, log, writer };
  const links = new Links();
  const timeline = createTimeline({ store, clock, log });
  let closing = false;
  const reconcilers = createTaskReconcilers({
    store,
    writer: taskDeps.writer,
    clock,
    random,
    log,
    links,
    nextNumber: () => timeline.next(),
    clusterArn: (scope, cluster) => ecsArn.cluster(scope, cluster),
    payloadTask(task, definition, link, byExecutionRole) {
      const [account, region] = [task.arn.split(":")[4]!, task.arn.split(":")[3]!];
      const hosts = new Set([`localhost:${config.port}`, `127.0.0.1:${config.port}`, new URL(link.endpoint).host]);
      const registry = { account, region, endpoint: link.endpoint, hosts, domain: config.domain, byExecutionRole };
      return payloadTaskOf(task, definition, ecsArn.cluster({ account, region }, task.cluster), registry);
    },
    credentials: createTaskCredentials({ ...deps, log }),
    deregistered: (instance) => acs.dismiss(instance, "The container instance was deregistered."),
  });
  const balancers = createLoadBalancerReconciler({
    ...deps,
    writer: taskDeps.writer,
    log,
    links,
    vpcs: () => vpcs,
    addressOf: (id) => instances.addressOf(id) ?? machines.of(id),
  });
  const machines = createMachineAddresses({ store, log, changed: () => balancers.addressesChanged() });
  const vpcs = createVpcReconciler({ store, clock, random, log, links, balancers: balancers.balancers });
  const connect = createConnectReconciler({ store, clock, random, log, links });
  const instances = createInstanceReconciler({
    store,
    writer: taskDeps.writer,
    clock,
    random,
    log,
    links,
    sealer: deps.sealer,
    config,
    changed: () => balancers.addressesChanged(),
    gone(instance) {
      if (links.setGone(instance)) reconcilers.connectionChanged(instance);
    },
  });
  const acs = createAcs({
    lostAfterMs: config.lostSeconds * 1000,
    store,
    clock,
    random,
    log,
    links,
    changed: (instance) => {
      if (closing) return;
      balancers.connectionChanged(instance);
      machines.connectionChanged(instance);
      vpcs.connectionChanged(instance);
      instances.connectionChanged(instance);
      reconcilers.connectionChanged(instance);
    },
    targetHealth: (...report) => balancers.targetHealth(...report),
    traffic: (...report) => balancers.traffic(...report),
    subscribed: (...subscription) => connect.subscribed(...subscription),
    instances: (...report) => instances.report(...report),
  });
  const hub = createExecHub({ store, clock, random, sealer: deps.sealer, log, links });
  const exec = createExec({ ...taskDeps, hub });
  const ecsMetrics = deps.metrics && createEcsMetrics({ store, clock, log, sink: deps.metrics });
  const { metrics } = deps;
  const tcs = createTcs({
    clock,
    random,
    log,
    used: ecsMetrics?.observe,
    connected:
      metrics &&
      ((task, wrappers) => {
        const { account, region } = parseArn(task.arn)!;
        const from = { ServiceName: task.group.replace(/^service:/, ""), ClusterName: task.cluster };
        metrics.put({ account, region }, "AWS/ECS", connectMeasurements(wrappers, from, clock.now()));
      }),
    taskOn: (...task) => taskOn(taskDeps, ...task),
    health: (...report) => reportHealth(taskDeps, ...report),
  });

  const operation = <I, O>(handle: (deps: TaskDeps, input: I, context: RequestContext) => O | Promise<O>): Handler<never, O> =>
    ((input: I, context: RequestContext) => handle(taskDeps, input, context)) as Handler<never, O>;
  const handlers: Record<string, Handler> = {
    RunTask: operation(runTask),
    StartTask: operation(startTask),
    StopTask: operation(stopTask),
    DescribeTasks: operation(describeTasks),
    ListTasks: operation(listTasks),
    ExecuteCommand: exec.executeCommand as Handler,
    SubmitTaskStateChange: operation(submitTaskStateChange),
    SubmitContainerStateChange: operation(submitContainerStateChange),
    SubmitAttachmentStateChanges: operation(submitAttachmentStateChanges),
    DiscoverPollEndpoint: (_input, { endpoint }): DiscoverPollEndpointResponse => ({
      endpoint: endpoint + acsPrefix,
      telemetryEndpoint: endpoint + tcsPrefix,
    }),
  };

  return {
    registrations: [{ service: "ecs", handlers }],
    upgrades: createDoors({ store, acs, tcs, exec: execDoor({ hub, clock }), closing: () => closing }),
    tokenDoors: [dataChannelDoor({ hub, clock })],
    acs,
    tcs,
    exec,
    metrics: (taskArn) => tcs.latest(taskArn),
    idle: () => reconcilers.idle(),
    async start() {
      await timeline.start();
      balancers.start();
      machines.start();
      vpcs.start();
      connect.start();
      instances.start();
      await hub.start();
      reconcilers.start();
      ecsMetrics?.start();
    },
    async stop() {
      closing = true;
      acs.closeAll("The server stops. Come back.");
      tcs.closeAll();
      await hub.stop();
      await ecsMetrics?.stop();
      await balancers.stop();
      await instances.stop();
      await vpcs.stop();
      await connect.stop();
      await reconcilers.stop();
    },
    /** The connections stand, whatever becomes of the rest. */
    async survivors() {
      const keys = links.instances().map((instance) => {
        const { scope, names } = parseEcsKey(instance)!;
        return ecsKeys.connection(scope, names[0]!, names[1]!);
      });
      const entries = await Promise.all(keys.map((key) => store.get(key)));
      return entries.flatMap((entry) => (entry ? [{ put: entry.key, value: entry.value }] : []));
    },
    async reset() {
      await timeline.start();
      tcs.forgetAll();
      hub.reset();
      await reconcilers.startOver();
    },
    gauges: () => [
      { name: "gantry_agents_connected", help: "Agents whose websocket stands.", value: links.instances().length },
      { name: "gantry_exec_sessions", help: "Sessions of ECS Exec that have not ended.", value: hub.active },
      ...balancerGauges(balancers.totals()),
    ],
    async status() {
      const count = links.instances().length;
      return { name: "ecs-tasks", detail: `${count} ${count === 1 ? "agent" : "agents"} connected` };
    },
  };
}
