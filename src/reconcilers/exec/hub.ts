import type { ChannelClosed, ExecLogging } from "#agent-protocol/exec/contents.ts";
import { isStreamData, jsonMessage, messageTypes, decodeMessage, parseJson, typeOf } from "#agent-protocol/exec/message.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { execKeys, type ExecSessionRecord } from "#model/exec-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import type { Links } from "../links.ts";
import { type Peer, relay } from "./relay.ts";

/** One end of a session, and how it is told apart from an earlier connection of the same. */
interface Live {
  readonly record: ExecSessionRecord;
  agent?: Peer;
  client?: Peer;
  activeAt: number;
  /** The agent is awaited since. */
  agentGoneAt: number | undefined;
  readonly waiters: (() => void)[];
  ended: boolean;
}

export interface NewSession {
  readonly scope: Scope;
  readonly owner: string;
  readonly target: string;
  readonly taskArn: string;
  readonly container: string;
  readonly instance: string;
  readonly command: string;
  readonly logging: ExecLogging;
}

/**
 * Sessions of ECS Exec: brings the client's websocket and the agent's together and passes their messages on, as AWS's message gateway does. What they say to each other is
 * theirs; the hub knows who may come in, when it is over, and why. Records are in the store, so that sessions outlive the server: both ends come back.
 */
export interface ExecHub {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Writes the session and waits for the task's agent to take it up. Undefined: it is not connected, or does not know how. */
  open(session: NewSession): Promise<ExecSessionRecord | undefined>;
  /** What opens the client's websocket. */
  tokenOf(record: ExecSessionRecord): string;
  /** The session of a token, also one that `remembers` tells of; undefined for one that is no good. */
  byToken(token: string, id: string): ExecSessionRecord | undefined;
  /** A session that has not ended, for an agent of its instance. */
  forAgent(id: string, instance: string): ExecSessionRecord | undefined;
  find(scope: Scope, id: string): Promise<ExecSessionRecord | undefined>;
  list(scope: Scope): Promise<readonly ExecSessionRecord[]>;
  /** Whether a client may come back: the session lives, or has ended so lately that the client may not know why. */
  remembers(id: string): boolean;
  /** Of a session that lives: whether its client is connected. */
  isConnected(id: string): boolean;
  agent(id: string, peer: Peer): void;
  client(id: string, peer: Peer): void;
  /** `output`: what the client is told; empty for an ordinary end. */
  end(id: string, output: string): Promise<void>;
  readonly active: number;
  /** Forgets all, as the store did. */
  reset(): void;
}

/** Source: ECS Developer Guide, "Monitor Amazon ECS containers with ECS Exec": an idle timeout of 20 minutes, which can't be changed. */
const idleMs = 20 * 60_000;
const idleOutput = "Your session timed out due to inactivity and has been terminated.";
/** An agent that is asked answers in milliseconds; one that does not know the message never does. */
const takeUpMs = 5_000;
/** Longer than an agent tries to come back. */
const agentGraceMs = 65_000;
/** A client whose connection broke just at the end is told it when it is back. */
const farewellMs = 60_000;
const sweepMs = 5_000;
const historyMs = 30 * 86_400_000;
const pruneMs = 3_600_000;
/** Source: Amazon ECS service quotas, "ECS Exec sessions". */
export const mostSessions = 1_000;
const tokenScope = "exec-session";

export function createExecHub(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly sealer: Sealer;
  readonly log: Logger;
  readonly links: Links;
}): ExecHub {
  const { store, clock, random, sealer, log, links } = options;
  const sessions = new Map<string, Live>();
  /** With their `output`, for a while. */
  const ended = new Map<string, ExecSessionRecord>();
  let cancelSweep = () => {};
  let sweeping = false;
  let cancelPrune = () => {};

  const stamp = () => ({ now: clock.now(), id: random.uuid() });
  const write = async (record: ExecSessionRecord) => {
    await store.transaction({ writes: [{ put: execKeys.session(record, record.id), value: record }] });
  };
  const live = (record: ExecSessionRecord): Live => {
    const made: Live = { record, activeAt: clock.now(), agentGoneAt: clock.now(), waiters: [], ended: false };
    sessions.set(record.id, made);
    if (!sweeping) sweep();
    return made;
  };

  async function end(id: string, output: string, failed = false): Promise<void> {
    const session = sessions.get(id);
    if (!session || session.ended) return;
    session.ended = true;
    sessions.delete(id);
    const { agent, client } = session;
    const record = { ...session.record, endedAt: clock.now(), output, ...(failed ? { failed } : {}) };
    log.info({ session: id, output }, "session ended");
    remember(record);
    for (const peer of [agent, client]) if (peer) dismiss(peer, record);
    for (const wake of session.waiters) wake();
    await write(record);
  }

  function remember(record: ExecSessionRecord): void {
    ended.set(record.id, record);
    clock.after(farewellMs, () => ended.delete(record.id));
  }

  function dismiss(peer: Peer, { id, target, output = "" }: ExecSessionRecord): void {
    const said: ChannelClosed = {
      MessageType: "channel_closed",
      MessageId: random.uuid(),
      DestinationId: target,
      SessionId: id,
      SchemaVersion: 1,
      CreatedDate: new Date(clock.now()).toISOString(),
      Output: output,
    };
    peer.resume();
    peer.send(jsonMessage(messageTypes.closed, said, stamp()));
    // The plugin leaves by itself once it has read this.
    clock.after(2_000, () => peer.close(1000));
  }

  function sweep(): void {
    cancelSweep();
    if (sessions.size === 0) {
      sweeping = false;
      return;
    }
    sweeping = true;
    cancelSweep = clock.after(sweepMs, () => {
      sweep();
      const now = clock.now();
      for (const [id, { activeAt, agentGoneAt }] of sessions) {
        if (now - activeAt >= idleMs) background(end(id, idleOutput));
        else if (agentGoneAt !== undefined && now - agentGoneAt >= agentGraceMs)
          background(end(id, "The connection to the task's machine was lost."));
      }
    });
  }

  /** Ended ones leave after their time. */
  async function prune(): Promise<void> {
    const { entries } = await store.list<ExecSessionRecord>(execKeys.root());
    const old = entries.filter(({ value: { endedAt } }) => endedAt !== undefined && clock.now() - endedAt > historyMs);
    for (let at = 0; at < old.length; at += 100)
      await store.transaction({ writes: old.slice(at, at + 100).map(({ key }) => ({ delete: key })) });
  }
  function pruneLater(): void {
    cancelPrune = clock.after(pruneMs, () => {
      pruneLater();
      background(prune());
    });
  }

  function background(work: Promise<unknown>): void {
    work.catch((error: unknown) => log.error({ err: error }, "a session's record could not be written"));
  }

  /** The agent sends as long as there is a client: it begins anew with each. */
  function tellAgent({ agent, client }: Live): void {
    agent?.send(jsonMessage(client ? messageTypes.start : messageTypes.pause, {}, stamp()));
  }

  return {
    async start() {
      const { entries } = await store.list<ExecSessionRecord>(execKeys.root());
      for (const { value } of entries)
        if (value.endedAt === undefined) live(value);
        else if (clock.now() - value.endedAt < farewellMs) remember(value);
      await prune();
      pruneLater();
    },
    async stop() {
      cancelSweep();
      sweeping = true;
      cancelPrune();
      // They come back to the next server.
      for (const { agent, client } of sessions.values()) for (const peer of [agent, client]) peer?.close(1012);
    },
    async open({ scope, logging, ...asked }) {
      const link = links.get(asked.instance);
      if (!link) return undefined;
      const id = `ecs-execute-command-${random.hex(9).slice(0, 17)}`;
      const record: ExecSessionRecord = {
        id,
        ...scope,
        ...asked,
        startedAt: clock.now(),
        ...(logging.logGroup ? { logGroup: logging.logGroup } : {}),
        ...(logging.bucket ? { bucket: logging.bucket } : {}),
      };
      const session = live(record);
      await write(record);
      const { taskArn, container, command, target, owner } = asked;
      const taken = new Promise<void>((resolve) => {
        session.waiters.push(resolve);
        clock.after(takeUpMs, resolve);
      });
      link.send({
        type: "ExecSessionMessage",
        message: { messageId: random.uuid(), sessionId: id, taskArn, container, command, target, owner, logging },
      });
      await taken;
      if (session.agent && !session.ended) return record;
      await end(id, "The task's agent did not take the session up.", true);
      return undefined;
    },
    tokenOf: ({ id, account, region }) => sealer.seal(tokenScope, { id, account, region }),
    byToken(token, id) {
      const sealed = sealer.open(tokenScope, token) as { id?: string } | undefined;
      return sealed?.id === id ? (sessions.get(id)?.record ?? ended.get(id)) : undefined;
    },
    forAgent(id, instance) {
      const record = sessions.get(id)?.record;
      return record?.instance === instance ? record : undefined;
    },
    find: async (scope, id) => (await store.get<ExecSessionRecord>(execKeys.session(scope, id)))?.value,
    list: async (scope) => (await store.list<ExecSessionRecord>(execKeys.sessions(scope))).entries.map(({ value }) => value),
    remembers: (id) => sessions.has(id) || ended.has(id),
    isConnected: (id) => sessions.get(id)?.client !== undefined,
    agent(id, peer) {
      const session = sessions.get(id);
      if (!session) return peer.close(1008);
      const before = session.agent;
      session.agent = peer;
      before?.terminate();
      // What it waited for was the earlier connection.
      session.client?.resume();
      session.agentGoneAt = undefined;
      relay(
        peer,
        () => session.client,
        (bytes) => {
          if (session.agent !== peer) return false;
          if (isStreamData(bytes)) session.activeAt = clock.now();
          // What passes through is not looked into.
          const message = typeOf(bytes) === messageTypes.complete ? decodeMessage(bytes) : undefined;
          if (!message) return true;
          const { Output } = (parseJson(message.payload) ?? {}) as { Output?: unknown };
          background(end(id, typeof Output === "string" ? Output.slice(0, 4_096) : ""));
          return false;
        },
      );
      peer.onClose(() => {
        if (session.agent !== peer) return;
        session.agent = undefined;
        session.agentGoneAt = clock.now();
        session.client?.resume();
      });
      for (const wake of session.waiters.splice(0)) wake();
      tellAgent(session);
    },
    client(id, peer) {
      const session = sessions.get(id);
      const over = ended.get(id);
      if (over) return dismiss(peer, over);
      if (!session) return peer.close(1008);
      const before = session.client;
      session.client = peer;
      before?.terminate();
      session.activeAt = clock.now();
      relay(
        peer,
        () => session.agent,
        (bytes) => {
          // What the agent hears on a new connection has come on it.
          if (session.client !== peer) return false;
          if (isStreamData(bytes)) session.activeAt = clock.now();
          return true;
        },
      );
      peer.onClose(() => {
        if (session.client !== peer) return;
        session.client = undefined;
        session.agent?.resume();
        tellAgent(session);
      });
      session.agent?.resume();
      tellAgent(session);
    },
    end: (id, output) => end(id, output),
    get active() {
      return sessions.size;
    },
    reset() {
      for (const [id, session] of sessions) {
        sessions.delete(id);
        session.ended = true;
        for (const peer of [session.agent, session.client]) peer?.terminate();
      }
      ended.clear();
    },
  };
}
