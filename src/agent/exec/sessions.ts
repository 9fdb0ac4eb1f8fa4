import { join } from "node:path";
import type { ExecSessionMessage } from "#agent-protocol/exec/contents.ts";
import { jsonMessage, messageTypes } from "#agent-protocol/exec/message.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { AwsError, type AwsClient, createAwsClient } from "../aws/client.ts";
import type { AgentConfig } from "../config.ts";
import { parseAwsLogs } from "../logs/awslogs.ts";
import type { Runtime } from "../runtime.ts";
import type { Engine, TaskView } from "../task/engine.ts";
import { CommandError, splitCommand } from "./command.ts";
import { agentCipher, contextOf } from "./encryption.ts";
import { openLink } from "./link.ts";
import { ExecSession } from "./session.ts";
import { openTranscript } from "./transcript.ts";

/** All sessions of ECS Exec on this machine. */
export interface ExecSessions {
  /** The server asks for one. */
  start(message: ExecSessionMessage): void;
  /** The control plane can be reached: it is told of sessions that an earlier life of the agent had. */
  connected(): void;
  /** Ends the processes that an earlier life has left. */
  recover(): Promise<void>;
  /** Ends all: their processes do not outlive the agent. */
  close(): Promise<void>;
}

export interface ExecSessionsOptions {
  readonly config: AgentConfig;
  readonly runtime: Runtime;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Signed, for a session's websocket. */
  target(base: string, query: Record<string, string>): { readonly url: URL; readonly headers: Record<string, string> };
  cluster(): string;
  instance(): string;
}

/** Ending the processes, and telling a server that is there. */
const closeMs = 8_000;

export function createExecSessions(options: ExecSessionsOptions): ExecSessions {
  const { config, runtime, engine, clock, random } = options;
  const sessions = new Map<string, ExecSession>();
  let left: readonly string[] = [];

  const common = (sessionId: string) => ({
    target: async () =>
      options.target(`${config.endpoint.replace(/\/+$/, "")}/exec`, {
        clusterArn: options.cluster(),
        containerInstanceArn: options.instance(),
        session: sessionId,
      }),
    clock,
    random,
    log: options.log.child({ session: sessionId }),
  });

  /** Says no more than that it is over. */
  const refuse = (sessionId: string, output: string) => {
    const said = jsonMessage(messageTypes.complete, { Output: output }, { now: clock.now(), id: random.uuid() });
    const link = openLink({
      ...common(sessionId),
      // The server speaks first, to whoever it takes in.
      message: () => link.send(said) && clock.after(1_000, () => link.close()),
      drained: () => {},
      broken: () => {},
      lost: () => {},
    });
  };

  function start(message: ExecSessionMessage): void {
    const { sessionId } = message;
    if (sessions.has(sessionId)) return;
    const view = engine.tasks().find(({ plan }) => plan.arn === message.taskArn);
    const id = runningId(view, message.container);
    if (!view || id === undefined) return refuse(sessionId, "The container does not run.");
    const session = new ExecSession(
      {
        ...common(sessionId),
        message,
        open: ({ terminal }) => {
          const args = wordsOf(message.command);
          return runtime.open(id, { name: sessionId, args, terminal }).catch((error: Error) => {
            throw new Error(`Unable to start command: Failed to start pty: ${error.message}`, { cause: error });
          });
        },
        transcript: (on) =>
          openTranscript({
            ...on,
            logging: message.logging,
            sessionId,
            firstLine: `Script started on ${new Date(clock.now()).toISOString()} [COMMAND=${JSON.stringify(message.command)} USER=${JSON.stringify(message.owner)} TARGET=${JSON.stringify(message.target)}]`,
            own: ownLog(view, message.container, id),
            region: config.region,
            logs: (region) => roleClient(view, "logs", config.logsEndpoint, region),
            buckets: join(config.home, "buckets"),
            clock,
            log: options.log,
          }),
        cipher: (ciphertext) =>
          agentCipher(
            roleClient(view, "kms", config.endpoint, config.region),
            message.logging.kmsKeyId!,
            contextOf(sessionId, message.target),
            ciphertext,
          ),
        containerOver: () => runningId(viewOf(message.taskArn), message.container) === undefined,
        gone: () => sessions.delete(sessionId),
      },
      (own) =>
        openLink({
          ...common(sessionId),
          message: (bytes) => own.receive(bytes),
          drained: () => own.pump(),
          broken: () => own.paused(),
          lost: (reason) => own.lost(reason),
        }),
    );
    sessions.set(sessionId, session);
  }

  const viewOf = (arn: string) => engine.tasks().find(({ plan }) => plan.arn === arn);

  /** By the task's role, as AWS's agent in the container; where it has none, as its log driver does. */
  const roleClient = ({ plan }: TaskView, service: "logs" | "kms", endpoint: string, region: string): AwsClient =>
    createAwsClient({
      service,
      endpoint: endpoint.replace(/\/+$/, ""),
      region,
      credentials: () => {
        const role = plan.payload.roleCredentials ?? plan.payload.executionRoleCredentials;
        if (role?.secretAccessKey === "") throw new AwsError("CredentialsNotYet", "the credentials of the task's role did not come yet", 0);
        return role ?? config.credentials;
      },
      clock,
      random,
    });

  const ownLog = ({ plan }: TaskView, container: string, id: string) => {
    const { driver, options: given } = plan.containers.get(container)!.logging;
    if (driver !== "awslogs") return undefined;
    return parseAwsLogs(given, { container, task: plan.id, id, region: config.region });
  };

  return {
    start,
    async recover() {
      left = await runtime.endOpened();
      if (left.length > 0) options.log.info({ sessions: left }, "sessions of an earlier life were ended");
    },
    connected() {
      const over = left;
      left = [];
      for (const sessionId of over)
        refuse(sessionId, "The agent of the task's machine was started again, and the session's process was ended.");
    },
    async close() {
      const ended = [...sessions.values()].map((session) => session.end("The agent of the task's machine stops."));
      if (ended.length > 0) await Promise.race([Promise.all(ended), sleep(clock, closeMs)]);
    },
  };
}

function runningId(view: TaskView | undefined, container: string): string | undefined {
  const found = view?.state.containers.find(({ name }) => name === container);
  return found?.status === "RUNNING" ? found.id : undefined;
}

function wordsOf(command: string): string[] {
  try {
    const words = splitCommand(command);
    return words.length > 0 ? words : ["sh"];
  } catch (error) {
    if (error instanceof CommandError)
      throw new Error(`Unable to start command: Failed to parse commands input: ${error.message}`, { cause: error });
    throw error;
  }
}
