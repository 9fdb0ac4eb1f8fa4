import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { promisify } from "node:util";
import type { Logger } from "./log.ts";

export type DnsTransport = "udp" | "tcp";

/** DNS's two transports on one port: datagrams, and a stream of messages with their lengths. What the messages say is the `answer`'s. */
export interface DnsListener {
  /** Rejects when the address or the port can't be had. Port 0: one that the kernel chooses. Resolves with the port. */
  bind(address: string, port: number): Promise<number>;
  close(): void;
}

const mostConnections = 128;
const idleMs = 10_000;

/** `answer`: the reply to a message; undefined: none, and a stream ends. `from`: the sender's address. */
export function createDnsListener(options: {
  readonly answer: (query: Buffer, from: string, over: DnsTransport) => Promise<Buffer | undefined>;
  readonly log: Logger;
}): DnsListener {
  const { answer, log } = options;
  const open: (UdpSocket | Server)[] = [];
  const connections = new Set<Socket>();

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

  return {
    async bind(address, port) {
      const tcp = createServer(serveTcp).unref();
      await new Promise<void>((resolve, reject) => tcp.once("error", reject).listen(port, address, () => resolve()));
      const chosen = (tcp.address() as { port: number }).port;
      const udp = createSocket(isIPv6(address) ? "udp6" : "udp4").unref();
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
    },
    close() {
      for (const socket of open.splice(0)) socket.close();
      for (const socket of connections) socket.destroy();
    },
  };
}
