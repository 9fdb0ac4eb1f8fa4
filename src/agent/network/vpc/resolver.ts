import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { codes, parseQuestion, refusal, reply, type Question } from "./dns-message.ts";
import { createForwarder, type Forwarder } from "./forward.ts";
import { answerPrivate, type NameAnswer } from "./names.ts";
import type { Caller } from "./known.ts";

/**
 * The resolver behind every VPC's `.2`: it listens on the bridge's address, and knows by the caller's address whose question it is. Only tasks of
 * a VPC whose DNS support is on get an answer.
 */
export interface Resolver {
  /** UDP and TCP on one port, `port` if it is free; undefined when none could be bound. */
  listen(address: string, port: number): Promise<number | undefined>;
  /** Looked up before all else: zones of Cloud Map. Undefined: not a name of theirs. */
  zones: ((question: Question, caller: Caller) => NameAnswer | undefined | Promise<NameAnswer | undefined>) | undefined;
  close(): void;
}

const mostConnections = 128;
const idleMs = 10_000;
const largestUdp = 512;

export function createResolver(options: {
  readonly who: (address: string) => Caller | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly forwarder?: Forwarder;
}): Resolver {
  const { log } = options;
  const forwarder = options.forwarder ?? createForwarder(options);
  const open: (UdpSocket | Server)[] = [];
  const connections = new Set<Socket>();

  const answer = async (query: Buffer, from: string, over: "udp" | "tcp"): Promise<Buffer | undefined> => {
    const caller = options.who(from);
    const question = parseQuestion(query);
    if (!question) return refusal(query, codes.FORMERR);
    if (!caller?.vpc.dnsSupport) return reply(query, question, { code: codes.REFUSED });
    const known = question.class === 1 ? ((await resolver.zones?.(question, caller)) ?? answerPrivate(question, caller)) : undefined;
    if (known) return reply(query, question, { ...known, authoritative: true }, over === "udp" ? largestUdp : undefined);
    return (await forwarder.ask(query, over)) ?? reply(query, question, { code: codes.SERVFAIL });
  };

  const safely = (work: Promise<void>) =>
    void work.catch((error: unknown) => log.warn({ err: error }, "a DNS question could not be answered"));

  const serveUdp = (socket: UdpSocket) =>
    socket.on("message", (query, { address, port }) =>
      safely(
        answer(query, address, "udp").then((reply) => {
          if (reply && open.includes(socket)) socket.send(reply, port, address);
        }),
      ),
    );

  const serveTcp = (socket: Socket) => {
    if (connections.size >= mostConnections) {
      socket.destroy();
      return;
    }
    connections.add(socket);
    const from = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
    let waiting = Buffer.alloc(0);
    socket.setTimeout(idleMs, () => socket.destroy());
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => {});
    // One question after the other; what follows waits in the socket.
    const next = async (): Promise<void> => {
      while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE(0)) {
        const end = 2 + waiting.readUInt16BE(0);
        const query = waiting.subarray(2, end);
        waiting = waiting.subarray(end);
        const text = await answer(query, from, "tcp");
        if (!text || socket.destroyed) return void socket.destroy();
        const length = Buffer.alloc(2);
        length.writeUInt16BE(text.length, 0);
        socket.write(Buffer.concat([length, text]));
      }
      socket.resume();
    };
    socket.on("data", (part: Buffer) => {
      waiting = Buffer.concat([waiting, part]);
      socket.pause();
      safely(next());
    });
  };

  const bind = async (address: string, port: number): Promise<number> => {
    const tcp = createServer(serveTcp).unref();
    await new Promise<void>((resolve, reject) => tcp.once("error", reject).listen(port, address, () => resolve()));
    const chosen = (tcp.address() as { port: number }).port;
    const udp = createSocket("udp4").unref();
    try {
      await new Promise<void>((resolve, reject) => udp.once("error", reject).bind(chosen, address, () => resolve()));
    } catch (error) {
      await promisify(tcp.close.bind(tcp))();
      throw error;
    }
    for (const socket of [tcp, udp])
      socket.removeAllListeners("error").on("error", (error: Error) => log.warn({ err: error }, "DNS socket"));
    serveUdp(udp);
    open.push(tcp, udp);
    return chosen;
  };

  const resolver: Resolver = {
    zones: undefined,
    async listen(address, before) {
      if (open.length > 0) resolver.close();
      for (const port of before ? [before, 0, 0] : [0, 0, 0]) {
        try {
          return await bind(address, port);
        } catch (error) {
          log.debug({ err: error, port }, "the port can't be had");
        }
      }
      log.error("no port for the VPCs' resolver: names don't resolve in tasks of network mode awsvpc");
      return undefined;
    },
    close() {
      for (const socket of open.splice(0)) socket.close();
      for (const socket of connections) socket.destroy();
    },
  };
  return resolver;
}
