import { createServer } from "node:net";

/**
 * A port of loopback that nobody has, for a process that binds it in a moment. Not one of the kernel's own choice: those are also the local ends of everybody's connections and the host
 * ports that containers get, so that another could have it first, above all while a server that was killed starts again.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => server.once("error", () => resolve(false)).listen(port, () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}
