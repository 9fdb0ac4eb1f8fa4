/** A steady stream of requests, each counted: what a deployment may not lose. */
import { Agent, request } from "node:http";

export interface Load {
  readonly sent: number;
  /** By body, or by what went wrong. */
  readonly answers: ReadonlyMap<string, number>;
  readonly failures: readonly string[];
  /** Ends the stream; resolves when every request has its answer. */
  stop(): Promise<void>;
}

/** `perSecond` requests to `url`, until it is stopped or `mostSeconds` are over. */
export function startLoad(url: string, perSecond: number, mostSeconds: number): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const answers = new Map<string, number>();
  const failures: string[] = [];
  const waiting = new Set<Promise<void>>();
  const began = performance.now();
  let sent = 0;
  const one = () =>
    new Promise<void>((resolve) => {
      const at = performance.now();
      const failed = (why: string) => {
        failures.push(`${why} after ${Math.round(performance.now() - at)} ms, at ${Math.round(at - began)} ms`);
        resolve();
      };
      const asked = request(url, { agent, timeout: 10_000 }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("error", (error) => failed(error.message));
        response.on("end", () => {
          if (response.statusCode !== 200) return failed(`status ${response.statusCode}`);
          answers.set(text.trim(), (answers.get(text.trim()) ?? 0) + 1);
          resolve();
        });
      });
      asked.on("timeout", () => asked.destroy(new Error("timeout")));
      asked.on("error", (error) => failed(error.message));
      asked.end();
    });
  const timer = setInterval(() => {
    const elapsed = (performance.now() - began) / 1000;
    if (elapsed > mostSeconds) clearInterval(timer);
    // As many as are due by now, however late this timer is.
    for (; sent < elapsed * perSecond; sent++) {
      const asked = one().finally(() => waiting.delete(asked));
      waiting.add(asked);
    }
  }, 5);
  return {
    get sent() {
      return sent;
    },
    answers,
    failures,
    async stop() {
      clearInterval(timer);
      await Promise.all(waiting);
      agent.destroy();
    },
  };
}
