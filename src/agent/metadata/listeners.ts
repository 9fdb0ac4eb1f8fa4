import { createServer, type RequestListener, type Server } from "node:http";

/** HTTP servers on several addresses, for one and the same listener. */
export interface HttpListeners {
  /** Throws what the address refuses: `EADDRINUSE`, `EADDRNOTAVAIL` … */
  listen(address: string, port: number): Promise<void>;
  /** Ends every connection and returns when all ports are free. */
  close(): Promise<void>;
}

export function createHttpListeners(listener: RequestListener): HttpListeners {
  const servers: Server[] = [];
  return {
    listen: (address, port) =>
      new Promise((resolve, reject) => {
        const server = createServer({ keepAliveTimeout: 5_000 }, listener);
        server.once("error", reject);
        server.listen(port, address, () => {
          server.off("error", reject);
          servers.push(server);
          resolve();
        });
      }),
    async close() {
      await Promise.all(
        servers.splice(0).map((server) => {
          server.closeAllConnections();
          return new Promise<void>((resolve) => server.close(() => resolve()));
        }),
      );
    },
  };
}
