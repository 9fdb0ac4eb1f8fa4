import type { Credentials, PayloadTask } from "#agent-protocol/messages.ts";
import { parseArn } from "#model/arn.ts";
import { allocatedTaskKeys, ecsKeys, instanceKeyOf, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ContainerInstanceRecord, TaskDefinitionRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Entry, Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { decideDispatch } from "./decide-dispatch.ts";
import type { Link, Links } from "./links.ts";
import { drainedAt } from "./task-targets.ts";
import { createKeyQueue, type KeyQueue } from "./queue.ts";
import { RoleProblem, type TaskCredentials, type TaskRole } from "./task-credentials.ts";
import { clusterQueue } from "./task-writes.ts";

export interface DispatchOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: Links;
  /** The next number of the one counter of payloads and manifests. */
  readonly nextNumber: () => number;
  readonly clusterArn: (scope: Scope, cluster: string) => string;
  /** `byExecutionRole`: the agent pulls from ECR with the credentials of the task's execution role. */
  readonly payloadTask: (task: TaskRecord, definition: TaskDefinitionRecord, link: Link, byExecutionRole: boolean) => PayloadTask;
  readonly credentials: TaskCredentials;
}

export interface Dispatcher {
  /** Looks at one task, by its key. */
  readonly tasks: KeyQueue;
  /** Brings a newly connected agent up to date, by its instance's key: the manifest, then stops, then starts. */
  readonly agents: KeyQueue;
  /** Sends an agent new credentials for its tasks, by its instance's key: it keeps none over a restart, and they end. */
  readonly credentials: KeyQueue;
}

/**
 * Assignments to agents: each task's intent goes to the agent of its instance as a payload of its own, so that a task that an agent cannot
 * read keeps no other from being acknowledged.
 */
/** How often a task that drains is looked at. */
const drainLookMs = 200;
/** From the moment that a task is no longer among the endpoints: proxies hear of it within half a second, and have as long again for what is under way. */
const connectDrainMs = 2_000;

export function createDispatcher(options: DispatchOptions): Dispatcher {
  const { store, clock, random, log, links } = options;

  /** The cluster that a key's record belongs to. */
  function clusterArnOf(key: string): string {
    const { scope, names } = parseEcsKey(key)!;
    return options.clusterArn(scope, names[0]!);
  }

  async function definitionOf(scope: Scope, task: TaskRecord): Promise<TaskDefinitionRecord | undefined> {
    const match = /task-definition\/(.+):(\d+)$/.exec(task.taskDefinitionArn);
    if (!match) return undefined;
    return (await store.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, match[1]!, Number(match[2]))))?.value;
  }

  async function dispatch(key: string): Promise<void> {
    const parsed = parseEcsKey(key);
    const [cluster, id] = parsed?.names ?? [];
    if (!parsed || !cluster || !id) return;
    const { scope } = parsed;
    const task = (await store.get<TaskRecord>(key))?.value;
    if (!task) return;
    const observation = (await store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id)))?.value;
    const instance = instanceKeyOf(scope, task);
    const link = links.ready(instance);
    const delivery = links.delivery(instance, key);
    const decision = decideDispatch(task, observation, delivery, link?.id ?? 0);
    // Asked only of a task that may: one turn of the event loop later, and starts would overtake stops.
    const mayDrain = task.loadBalancers !== undefined || (task.serviceConnect?.endpoints.length ?? 0) > 0;
    if (decision === "send" && task.desiredStatus === "STOPPED" && mayDrain && (await drains(key, scope, task, observation))) return;
    if (decision === "forget") links.forget(instance, key);
    else if (decision === "give-up") {
      log.warn({ task: task.arn }, "the agent never acknowledged this task: it is stopped");
      await giveUp(scope, key, task, "Task failed to start: the container agent did not accept it");
    } else if (decision === "send" && link) {
      const definition = await definitionOf(scope, task);
      const instanceArn = (await store.get<ContainerInstanceRecord>(instance))?.value.arn;
      if (!definition) throw new Error(`the task definition ${task.taskDefinitionArn} is gone`);
      const roles = task.desiredStatus === "RUNNING" ? await rolesOf(task, definition) : {};
      if (roles.problem !== undefined && !observation) {
        await giveUp(scope, key, task, roles.problem);
        return;
      }
      const { roleCredentials, executionRoleCredentials } = roles;
      if (!instanceArn || links.ready(instance) !== link) return;
      const messageId = random.uuid();
      const message = {
        messageId,
        // The agent's own cluster: the task's stands with the task.
        clusterArn: clusterArnOf(instance),
        containerInstanceArn: instanceArn,
        tasks: [
          {
            ...options.payloadTask(task, definition, link, executionRoleCredentials !== undefined),
            ...(roleCredentials ? { roleCredentials } : {}),
            ...(executionRoleCredentials ? { executionRoleCredentials } : {}),
          },
        ],
        seqNum: options.nextNumber(),
        generatedAt: clock.now(),
      };
      const acknowledged = false;
      const refusals = delivery?.desiredStatus === task.desiredStatus ? delivery.refusals : 0;
      links.sent(instance, key, {
        desiredStatus: task.desiredStatus,
        messageId,
        link: link.id,
        sentAt: clock.now(),
        acknowledged,
        refusals,
      });
      link.send({ type: "PayloadMessage", message: { ...message, timeline: message.seqNum } });
      log.debug({ task: task.arn, desiredStatus: task.desiredStatus, messageId }, "task sent to its agent");
    }
  }

  /** Credentials of both roles, for a task that is sent to its agent. */
  async function rolesOf(task: TaskRecord, definition: TaskDefinitionRecord): Promise<Roles> {
    try {
      const [roleCredentials, executionRoleCredentials] = await Promise.all([
        options.credentials.issue(task, definition, "TaskApplication"),
        options.credentials.issue(task, definition, "TaskExecution"),
      ]);
      return { roleCredentials, executionRoleCredentials };
    } catch (error) {
      if (error instanceof RoleProblem) return { problem: error.message };
      throw error;
    }
  }

  /** Its load balancers, or others' proxies, still have requests with it: looked at again in a moment, for they may be done sooner than they must. */
  async function drains(key: string, scope: Scope, task: TaskRecord, observation: TaskObservation | undefined): Promise<boolean> {
    if (observation?.lastStatus !== "RUNNING" || observation.stoppingAt !== undefined) return false;
    const connected = task.serviceConnect?.endpoints.length ? (task.stop?.at ?? 0) + connectDrainMs : 0;
    const wait = Math.max(connected, await drainedAt(store, scope, task, observation)) - clock.now();
    if (wait <= 0) return false;
    clock.after(Math.min(wait, drainLookMs), () => queues.tasks.add(key));
    return true;
  }

  async function giveUp(scope: Scope, key: string, before: TaskRecord, reason: string): Promise<void> {
    await options.writer.run(clusterQueue(scope, before.cluster), async (unit) => {
      const task = await unit.get<TaskRecord>(key);
      if (!task || task.desiredStatus === "STOPPED") return;
      unit.put(key, {
        ...task,
        desiredStatus: "STOPPED",
        stop: { at: clock.now(), code: "TaskFailedToStart", reason },
      } satisfies TaskRecord);
    });
  }

  async function bringUpToDate(instance: string): Promise<void> {
    const parsed = parseEcsKey(instance);
    const [cluster, id] = parsed?.names ?? [];
    const link = links.get(instance);
    if (!parsed || !cluster || !id || !link) return;
    const { scope } = parsed;
    const record = (await store.get<ContainerInstanceRecord>(instance))?.value;
    if (!record) {
      // Nothing is known of it any more: it has to register again.
      link.close();
      return;
    }
    const tasks = await tasksOf(scope, cluster, id);
    const clusterArn = options.clusterArn(scope, cluster);
    link.send({
      type: "TaskManifestMessage",
      message: {
        messageId: random.uuid(),
        clusterArn,
        containerInstanceArn: record.arn,
        generatedAt: clock.now(),
        timeline: options.nextNumber(),
        tasks: tasks.map(({ key, value }) => ({
          taskArn: value.arn,
          taskClusterArn: clusterArnOf(key),
          desiredStatus: value.desiredStatus,
        })),
      },
    });
    links.setReady(instance, link);
    // Read again: a task that came since the manifest was made, and found the link not ready, is among these.
    const now = await tasksOf(scope, cluster, id);
    for (const desired of ["STOPPED", "RUNNING"]) {
      for (const { key, value } of now) if (value.desiredStatus === desired) queues.tasks.add(key);
    }
    queues.credentials.add(instance);
  }

  async function renewCredentials(instance: string): Promise<void> {
    const parsed = parseEcsKey(instance);
    const [cluster, id] = parsed?.names ?? [];
    const link = links.ready(instance);
    if (!parsed || !cluster || !id || !link) return;
    for (const { value: task } of await tasksOf(parsed.scope, cluster, id)) {
      const definition = task.desiredStatus === "RUNNING" ? await definitionOf(scopeOfTask(task), task) : undefined;
      for (const roleType of definition ? bothRoles : []) {
        const roleCredentials = await options.credentials.issue(task, definition!, roleType).catch((error: unknown) => {
          // The role is gone: the task runs on with what it has, until that ends.
          if (error instanceof RoleProblem) return undefined;
          throw error;
        });
        if (!roleCredentials) continue;
        if (links.ready(instance) !== link) return;
        link.send({
          type: "IAMRoleCredentialsMessage",
          message: { messageId: random.uuid(), taskArn: task.arn, roleType, roleCredentials },
        });
      }
    }
  }

  /** Every task of the instance that is not STOPPED. */
  async function tasksOf(scope: Scope, cluster: string, instanceId: string): Promise<Entry<TaskRecord>[]> {
    const allocation = (await store.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, instanceId)))?.value;
    const keys = allocatedTaskKeys({ ...scope, cluster }, allocation?.tasks ?? {});
    const entries = await Promise.all(keys.map((key) => store.get<TaskRecord>(key)));
    return entries.flatMap((entry) => (entry ? [entry] : []));
  }

  const queues: Dispatcher = {
    tasks: createKeyQueue({ clock, log, name: "dispatch", handle: dispatch }),
    agents: createKeyQueue({ clock, log, name: "agent", handle: bringUpToDate }),
    credentials: createKeyQueue({ clock, log, name: "credentials", handle: renewCredentials }),
  };
  return queues;
}

const bothRoles: readonly TaskRole[] = ["TaskApplication", "TaskExecution"];

interface Roles {
  readonly roleCredentials?: Credentials | undefined;
  readonly executionRoleCredentials?: Credentials | undefined;
  /** One of them cannot be had. */
  readonly problem?: string;
}

/** Of the task's own account, which on Fargate is not that of its machine. */
function scopeOfTask({ arn }: TaskRecord): Scope {
  const { account = "", region = "" } = parseArn(arn) ?? {};
  return { account, region };
}
