import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { dirname } from "node:path";

/** Carries connections from one listener to another place, whole: a Unix socket crosses network namespaces, which loopback does not. */
export interface Relay {
  close(): Promise<void>;
}

export type End = { readonly path: string } | { readonly host: string; readonly port: number };

export async function startRelay(from: End, to: End): Promise<Relay> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ ...to, allowHalfOpen: true, noDelay: true });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  if ("path" in from) {
    mkdirSync(dirname(from.path), { recursive: true, mode: 0o711 });
    rmSync(from.path, { force: true });
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(from, () => resolve());
  });
  if ("path" in from) chmodSync(from.path, 0o666);
  server.on("error", () => {});
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const each of open) each.destroy();
      await closed;
    },
  };
}
