import type { ServerResponse } from "node:http";
import type { RawRoute, ServerPart } from "./contract.ts";

/** How long a part may take to say how it is. */
const statusLimitMs = 2000;

interface PartStatus {
  readonly name: string;
  readonly detail: string;
  readonly problem?: string;
}

/** What the front door itself answers, each at exactly its path: health, status, metrics, reset. */
export function ownRoutes(
  parts: readonly ServerPart[],
  metrics: () => string,
  reset: (() => Promise<void>) | undefined,
): ReadonlyMap<string, RawRoute["handle"]> {
  const health: RawRoute["handle"] = async (_request, response) => {
    const statuses = (await Promise.all(parts.map(statusOf))).filter((each) => each !== undefined);
    const ok = statuses.every(({ problem }) => problem === undefined);
    reply(response, ok ? 200 : 503, JSON.stringify({ ok, pid: process.pid, parts: statuses }));
  };
  return new Map<string, RawRoute["handle"]>([
    ["/healthz", health],
    ["/_gantry/status", health],
    [
      "/metrics",
      async (_request, response) => reply(response, 200, metrics() + gaugesOf(parts), "text/plain; version=0.0.4; charset=utf-8"),
    ],
    [
      "/_gantry/reset",
      async (request, response) => {
        if (request.method !== "POST") {
          response.setHeader("allow", "POST");
          reply(response, 405, message("POST /_gantry/reset empties everything."));
        } else if (!reset) reply(response, 403, message("Reset is for --open mode only: this Gantry was started without it."));
        else {
          await reset();
          reply(response, 200, "{}");
        }
      },
    ],
  ]);
}

function gaugesOf(parts: readonly ServerPart[]): string {
  const gauges = parts.flatMap((part) => part.gauges?.() ?? []);
  return gauges
    .map(({ name, help, value, type = "gauge" }) => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`)
    .join("");
}

const message = (text: string) => JSON.stringify({ message: text });

export function reply(response: ServerResponse, status: number, body: string, type = "application/json"): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) }).end(body);
}

/** A part that fails or hangs when asked is itself the problem, not the whole server. */
async function statusOf(part: ServerPart, index: number): Promise<PartStatus | undefined> {
  if (!part.status) return undefined;
  const name = part.registrations?.[0]?.service ?? part.routes?.[0]?.prefix ?? `part ${index}`;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<PartStatus>((resolve) => {
    timer = setTimeout(() => resolve({ name, detail: "no answer", problem: `no answer in ${statusLimitMs} ms` }), statusLimitMs);
  });
  try {
    return await Promise.race([part.status(), late]);
  } catch (error) {
    return { name, detail: "failed", problem: (error as Error).message };
  } finally {
    clearTimeout(timer);
  }
}
