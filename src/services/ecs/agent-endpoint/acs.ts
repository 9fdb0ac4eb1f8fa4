import type { InstanceReportMessage } from "#agent-protocol/instances.ts";
import type { LoadBalancerTrafficMessage, TargetHealthMessage } from "#agent-protocol/load-balancers.ts";
import type { ServiceConnectSubscription } from "#agent-protocol/service-connect.ts";
import type { FromAgent, FromServer, StopTask, TaskStopVerificationMessage } from "#agent-protocol/messages.ts";
import { ecsKeys, instanceKeyOf } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import { parseArn } from "#model/arn.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Link, Links } from "#reconcilers/links.ts";
import type { Store } from "#store/store.ts";
import type { Channel } from "./channel.ts";

/** Well below the 60 s after which an agent takes a silent server for dead. */
const heartbeatMs = 20_000;

/** An agent that gave no sign of life for so long is gone: it answers each heartbeat. Of one that answers pings, much less is enough: see AcsOptions. */
const silenceMs = 70_000;
const shortestPingMs = 250;

export interface AcsOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: Links;
  /** An instance without a sign of life for so long is lost. Agents are pinged four times in it, and three answers that do not come end the connection. */
  readonly lostAfterMs: number;
  /** The agent of `instance` (its key) has connected or gone. */
  readonly changed: (instance: string) => void;
  readonly targetHealth: (instance: string, link: Link, message: TargetHealthMessage) => void;
  readonly traffic: (instance: string, link: Link, message: LoadBalancerTrafficMessage) => void;
  readonly subscribed: (instance: string, link: Link, message: ServiceConnectSubscription) => void;
  readonly instances: (instance: string, link: Link, message: InstanceReportMessage) => void;
}

export interface Acs {
  /** Takes over a connection of the instance's agent. */
  accept(channel: Channel, instance: string, endpoint: string): void;
  /** Sends the agent away for good. */
  dismiss(instance: string, message: string): void;
  /** Tells every agent to come back, and ends. */
  closeAll(message: string): void;
}

/** Close code of an ordinary end: agents come back at once. */
const normal = 1000;

export function createAcs(options: AcsOptions): Acs {
  const { store, clock, random, links } = options;
  const pingMs = Math.min(heartbeatMs, Math.max(shortestPingMs, options.lostAfterMs / 4));

  function accept(channel: Channel, instance: string, endpoint: string): void {
    const log = options.log.child({ instance });
    let heard = clock.now();
    let looked = heard;
    let beat = 0;
    let answersPings = false;
    let silent = false;
    let cancelHeartbeat = () => {};
    const send = (frame: FromServer) => channel.send(JSON.stringify(frame));
    const link: Link = {
      id: links.nextId(),
      endpoint,
      send,
      close: () => channel.close(normal),
    };
    const heartbeat = () => {
      const now = clock.now();
      // Where this process itself stood still, the answers wait unread.
      const stood = now - looked > 2 * pingMs;
      looked = now;
      if (!stood && now - heard > (answersPings ? 3 * pingMs : silenceMs)) {
        log.warn({ silentMs: now - heard }, "the agent does not answer: its connection is ended");
        silent = true;
        channel.terminate();
        return;
      }
      if (now - beat >= heartbeatMs) {
        beat = now;
        send({ type: "HeartbeatMessage", message: { healthy: true, messageId: random.uuid() } });
      }
      channel.ping();
      cancelHeartbeat = clock.after(pingMs, heartbeat);
    };
    channel.onMessage((text) => {
      heard = clock.now();
      receive(text, instance, link, log).catch((error: unknown) => log.warn({ err: error }, "a message of the agent could not be handled"));
    });
    channel.onAlive(() => {
      answersPings = true;
      heard = clock.now();
    });
    channel.onClose(() => {
      cancelHeartbeat();
      if (!links.end(instance, link, clock.now(), silent ? heard : clock.now())) return;
      log.info("agent disconnected");
      options.changed(instance);
    });
    links.open(instance, link)?.close();
    log.info("agent connected");
    heartbeat();
    options.changed(instance);
  }

  async function receive(text: string, instance: string, link: Link, log: Logger): Promise<void> {
    const frame = frameOf(text);
    if (!frame) {
      log.warn({ text: text.slice(0, 200) }, "not a frame");
      return;
    }
    switch (frame.type) {
      case "AckRequest":
        links.acknowledged(instance, frame.message.messageId);
        return;
      case "NackRequest":
        log.warn({ message: frame.message }, "the agent refused a message");
        return;
      case "TargetHealthMessage":
        options.targetHealth(instance, link, frame.message);
        return;
      case "LoadBalancerTrafficMessage":
        options.traffic(instance, link, frame.message);
        return;
      case "ServiceConnectSubscription":
        options.subscribed(instance, link, frame.message);
        return;
      case "InstanceReportMessage":
        options.instances(instance, link, frame.message);
        return;
      case "TaskStopVerificationMessage":
        return verify(frame.message, instance, link);
      case "HeartbeatAckRequest":
      case "IAMRoleCredentialsAckRequest":
        return;
      default:
        log.debug({ type: (frame as { type: string }).type }, "a message of no known type");
    }
  }

  /** The agent runs tasks that the manifest did not name as running: what is truly not to run is confirmed, by what the store says now. */
  async function verify(message: TaskStopVerificationMessage, instance: string, link: Link): Promise<void> {
    const stopTasks: StopTask[] = [];
    for (const candidate of message.stopCandidates ?? []) {
      if (!(await isToRun(candidate.taskArn, instance))) stopTasks.push(candidate);
    }
    link.send({ type: "TaskStopVerificationAck", message: { messageId: message.messageId, stopTasks, generatedAt: clock.now() } });
  }

  async function isToRun(arn: string, instance: string): Promise<boolean> {
    const parsed = parseArn(arn);
    const [, cluster, id] = parsed?.resource.split("/") ?? [];
    if (!parsed || !cluster || !id) return false;
    const scope = { account: parsed.account, region: parsed.region };
    const task = (await store.get<TaskRecord>(ecsKeys.task(scope, cluster, id)))?.value;
    const observation = (await store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id)))?.value;
    if (!task || task.desiredStatus === "STOPPED" || isStopped(observation)) return false;
    return instanceKeyOf(scope, task) === instance;
  }

  return {
    accept,
    dismiss(instance, message) {
      const link = links.get(instance);
      link?.send({ type: "InactiveInstanceException", message: { message } });
      link?.close();
    },
    closeAll(message) {
      for (const link of links.all()) {
        link.send({ type: "CloseMessage", message: { message } });
        link.close();
      }
    },
  };
}

function frameOf(text: string): FromAgent | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== "object" || frame === null) return undefined;
    const { type, message } = frame as { type?: unknown; message?: unknown };
    return typeof type === "string" && typeof message === "object" && message !== null ? (frame as FromAgent) : undefined;
  } catch {
    return undefined;
  }
}
