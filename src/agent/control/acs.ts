import type {
  HeartbeatMessage,
  IamRoleCredentialsMessage,
  PayloadMessage,
  TaskManifestMessage,
  TaskStopVerificationAck,
} from "#agent-protocol/messages.ts";
import type { ExecSessionMessage } from "#agent-protocol/exec/contents.ts";
import type { LoadBalancerStateMessage } from "#agent-protocol/load-balancers.ts";
import type { ServiceConnectStateMessage } from "#agent-protocol/service-connect.ts";
import type { InstanceCredentialsMessage, InstanceIdentity, InstanceStateMessage, LocalInstance } from "#agent-protocol/instances.ts";
import type { VpcState, VpcStateMessage } from "#agent-protocol/vpc.ts";
import type { Logger } from "#platform/log.ts";
import type { Engine } from "../task/engine.ts";
import type { Socket } from "./connection.ts";

/** Answers ACS's frames. Pure wiring between the wire and the engine; `timeline` never goes back. */
export interface AcsHandler {
  frame(type: string, message: unknown, socket: Socket): void;
}

export function createAcsHandler(deps: {
  readonly engine: Engine;
  readonly log: Logger;
  /** All VPCs of this machine, as they are to be. */
  vpcs(states: readonly VpcState[]): Promise<void>;
  loadBalancers(message: LoadBalancerStateMessage): void;
  serviceConnect(message: ServiceConnectStateMessage): void;
  /** Somebody wants to talk to a container. */
  exec(message: ExecSessionMessage): void;
  /** All local instances of this machine, as they are to be. */
  instances(instances: readonly LocalInstance[]): void;
  /** Who they are. */
  instanceCredentials(identities: readonly InstanceIdentity[]): void;
  cluster(): string;
  instance(): string;
}): AcsHandler {
  const { engine, log } = deps;
  let timeline = 0;
  let manifestId: string | undefined;

  const ack = (socket: Socket, messageId: string) =>
    socket.send({ type: "AckRequest", message: { cluster: deps.cluster(), containerInstance: deps.instance(), messageId } });

  const payload = (message: PayloadMessage, socket: Socket) => {
    if (!message.messageId || !message.clusterArn || !message.containerInstanceArn) return;
    timeline = Math.max(timeline, message.timeline ?? 0, message.seqNum ?? 0);
    engine.apply(message.tasks ?? []);
    for (const task of message.tasks ?? []) {
      for (const credentials of [task.roleCredentials, task.executionRoleCredentials]) {
        if (!credentials?.credentialsId) continue;
        const { credentialsId, expiration } = credentials;
        socket.send({ type: "IAMRoleCredentialsAckRequest", message: { messageId: message.messageId, credentialsId, expiration } });
      }
    }
    ack(socket, message.messageId);
  };

  const manifest = (message: TaskManifestMessage, socket: Socket) => {
    if (message.timeline <= timeline) {
      log.debug({ timeline, received: message.timeline }, "an old manifest was ignored");
      return;
    }
    timeline = message.timeline;
    manifestId = message.messageId;
    ack(socket, message.messageId);
    const listed = new Map((message.tasks ?? []).map(({ taskArn, desiredStatus }) => [taskArn, desiredStatus]));
    const stopCandidates = engine
      .tasks()
      .filter(({ state }) => state.desired === "RUNNING" && listed.get(state.arn) !== "RUNNING")
      .map(({ plan }) => ({ taskArn: plan.arn, taskClusterArn: plan.payload.taskClusterArn, desiredStatus: "STOPPED" }));
    if (stopCandidates.length > 0)
      socket.send({ type: "TaskStopVerificationMessage", message: { messageId: message.messageId, stopCandidates } });
  };

  return {
    frame(type, message, socket) {
      switch (type) {
        case "HeartbeatMessage":
          socket.send({ type: "HeartbeatAckRequest", message: { messageId: (message as HeartbeatMessage).messageId } });
          return;
        case "PayloadMessage":
          payload(message as PayloadMessage, socket);
          return;
        case "TaskManifestMessage":
          manifest(message as TaskManifestMessage, socket);
          return;
        case "TaskStopVerificationAck": {
          const { messageId, stopTasks } = message as TaskStopVerificationAck;
          if (messageId !== manifestId) return;
          for (const { taskArn } of stopTasks ?? []) engine.stop(taskArn, "The control plane does not know this task any more");
          return;
        }
        case "IAMRoleCredentialsMessage": {
          const { messageId, taskArn, roleType, roleCredentials } = message as IamRoleCredentialsMessage;
          if (!messageId || !taskArn || !roleCredentials?.credentialsId) return;
          if (!engine.renew(taskArn, roleType, roleCredentials)) return;
          const { credentialsId, expiration } = roleCredentials;
          socket.send({ type: "IAMRoleCredentialsAckRequest", message: { messageId, credentialsId, expiration } });
          return;
        }
        case "VpcStateMessage": {
          const { messageId, vpcs } = message as VpcStateMessage;
          if (!messageId || !Array.isArray(vpcs)) return;
          deps.vpcs(vpcs).catch((error: unknown) => log.error({ err: error }, "the VPCs could not be made as the control plane says"));
          ack(socket, messageId);
          return;
        }
        case "LoadBalancerStateMessage": {
          const { messageId, snapshot, names } = message as LoadBalancerStateMessage;
          if (!messageId || !Array.isArray(snapshot?.loadBalancers) || !Array.isArray(names)) return;
          deps.loadBalancers(message as LoadBalancerStateMessage);
          ack(socket, messageId);
          return;
        }
        case "ServiceConnectStateMessage": {
          const { messageId, services } = message as ServiceConnectStateMessage;
          if (!messageId || !Array.isArray(services)) return;
          deps.serviceConnect(message as ServiceConnectStateMessage);
          ack(socket, messageId);
          return;
        }
        case "ExecSessionMessage": {
          const { messageId, sessionId, taskArn } = message as ExecSessionMessage;
          if (!messageId || !taskArn || !/^[A-Za-z0-9-]{1,96}$/.test(sessionId)) return;
          deps.exec(message as ExecSessionMessage);
          return;
        }
        case "InstanceCredentialsMessage": {
          const { messageId, instances } = message as InstanceCredentialsMessage;
          if (!messageId || !Array.isArray(instances)) return;
          deps.instanceCredentials(instances);
          ack(socket, messageId);
          return;
        }
        case "InstanceStateMessage": {
          const { messageId, instances } = message as InstanceStateMessage;
          if (!messageId || !Array.isArray(instances)) return;
          deps.instances(instances);
          ack(socket, messageId);
          return;
        }
        case "AttachTaskNetworkInterfacesMessage":
        case "AttachInstanceNetworkInterfacesMessage":
        case "ConfirmAttachmentMessage":
          log.warn({ type }, "this agent is told of network interfaces by VpcStateMessage only");
          return;
        case "PerformUpdateMessage":
        case "StageUpdateMessage":
          socket.send({
            type: "NackRequest",
            message: { messageId: (message as { messageId: string }).messageId, reason: "This agent is updated together with Gantry" },
          });
          return;
        case "CloseMessage":
        case "ErrorMessage":
          log.info({ type, message }, "from the control plane");
          return;
        default:
      }
    },
  };
}
