import { chownSync, chmodSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

/** The end of HAProxy's log: it connects by itself and sends each message with its length before it (RFC 6587). */
export interface EventSocket {
  close(): Promise<void>;
}

export async function openEvents(
  path: string,
  owner: { readonly uid: number; readonly gid: number } | undefined,
  onMessage: (message: string) => void,
): Promise<EventSocket> {
  rmSync(path, { force: true });
  const connections = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections.add(socket);
    const read = reader(onMessage);
    socket.on("data", (part: Buffer) => {
      try {
        read(part);
      } catch {
        socket.destroy();
      }
    });
    socket.on("error", () => socket.destroy());
    socket.once("close", () => connections.delete(socket));
    socket.unref();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  server.unref();
  chmodSync(path, 0o600);
  if (owner) chownSync(path, owner.uid, owner.gid);
  return {
    close() {
      for (const socket of connections) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Cuts the stream into messages; throws where it is none. */
export function reader(onMessage: (message: string) => void): (part: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (part) => {
    let buffer = rest.length > 0 ? Buffer.concat([rest, part]) : part;
    for (;;) {
      const space = buffer.subarray(0, 8).indexOf(0x20);
      if (space < 0) {
        if (buffer.length >= 8) throw new Error("no length before a message");
        break;
      }
      const length = Number(buffer.toString("latin1", 0, space));
      if (!Number.isInteger(length)) throw new Error("no length before a message");
      const end = space + 1 + length;
      if (buffer.length < end) break;
      onMessage(buffer.toString("utf8", space + 1, end).trimEnd());
      buffer = buffer.subarray(end);
    }
    rest = buffer;
  };
}
