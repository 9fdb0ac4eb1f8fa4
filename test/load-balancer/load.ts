import { Agent, request } from "node:http";
import { pause } from "./support.ts";

export interface Load {
  readonly sent: () => number;
  /** How many answers had this body. */
  readonly count: (body: string) => number;
  /** Ends it; resolves with what came back: count by body, and every failure. */
  stop(): Promise<{ readonly bodies: ReadonlyMap<string, number>; readonly failures: readonly string[]; readonly slowest: number }>;
}

/** A few clients with kept connections, each asking again after a short pause; ends by itself after 100 s. */
export function load(port: number, options: { readonly clients?: number; readonly everyMs?: number; readonly path?: string } = {}): Load {
  const { clients = 8, everyMs = 5, path = "/" } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const bodies = new Map<string, number>();
  const failures: string[] = [];
  const end = Date.now() + 100_000;
  let running = true;
  let sent = 0;
  let slowest = 0;
  const once = () =>
    new Promise<void>((resolve) => {
      const started = performance.now();
      sent++;
      const outgoing = request({ host: "127.0.0.1", port, path, agent, timeout: 60_000 }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (body += part));
        response.once("error", (error) => failures.push(`answer: ${error.message}`));
        response.once("close", () => {
          slowest = Math.max(slowest, performance.now() - started);
          if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
          else if (!response.complete) failures.push("incomplete");
          else bodies.set(body, (bodies.get(body) ?? 0) + 1);
          resolve();
        });
      });
      outgoing.once("timeout", () => outgoing.destroy(new Error("timeout")));
      outgoing.once("error", (error) => {
        failures.push(`request: ${error.message}`);
        resolve();
      });
      outgoing.end();
    });
  const all = Promise.all(
    Array.from({ length: clients }, async () => {
      while (running && Date.now() < end) {
        await once();
        await pause(everyMs);
      }
    }),
  );
  return {
    sent: () => sent,
    count: (body) => bodies.get(body) ?? 0,
    async stop() {
      running = false;
      await all;
      agent.destroy();
      return { bodies, failures, slowest };
    },
  };
}
