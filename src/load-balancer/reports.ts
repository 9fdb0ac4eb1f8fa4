/** HAProxy's words about its servers, read. Pure. */
import type { TargetReason } from "./config.ts";

export interface CheckReport {
  readonly backend: string;
  readonly server: string;
  /** The server that makes only the first check. */
  readonly first: boolean;
  readonly passed: boolean;
  /** Whether the server takes traffic after it; undefined where it has no share yet. */
  readonly up: boolean | undefined;
  readonly reason: TargetReason | undefined;
  readonly description: string | undefined;
}

const check = /^Health check for server ([^/ ]+)\/(\S+) (succeeded|failed), reason: (.*), status: \d+\/\d+ ([A-Z]+)/;

export function readReport(message: string): CheckReport | undefined {
  const [, backend, name, word, detail = "", status] = check.exec(message) ?? [];
  if (backend === undefined || name === undefined) return undefined;
  const passed = word === "succeeded";
  const first = name.endsWith(".f");
  const server = first ? name.slice(0, -2) : name;
  return {
    backend,
    server,
    first,
    passed,
    up: status === "UP" ? true : status === "DOWN" ? false : undefined,
    ...(passed ? noReason : why(detail)),
  };
}

const noReason = { reason: undefined, description: undefined };

/** AWS's reasons: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/target-group-health-checks.html */
function why(detail: string): { reason: TargetReason; description: string } {
  const code = /^Layer7 wrong status, code: (\d+)/.exec(detail)?.[1];
  if (code !== undefined && code !== "0")
    return { reason: "Target.ResponseCodeMismatch", description: `Health checks failed with these codes: [${code}]` };
  if (/^Layer[467] timeout/.test(detail)) return { reason: "Target.Timeout", description: "Request timed out" };
  return { reason: "Target.FailedHealthChecks", description: "Health checks failed" };
}

export interface ServerState {
  readonly up: boolean;
  /** Put into maintenance: drained, or not yet in use. That the configuration once began with it (4) means nothing. */
  readonly maintenance: boolean;
}

/** `show servers state`, by `<backend>/<server>`. */
export function readStates(text: string): Map<string, ServerState> {
  const states = new Map<string, ServerState>();
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    if (fields.length < 12 || line.startsWith("#")) continue;
    states.set(`${fields[1]}/${fields[3]}`, { up: fields[5] !== "0", maintenance: (Number(fields[6]) & 1) !== 0 });
  }
  return states;
}

/** `show servers conn`: connections in use, by `<backend>/<server>`. */
export function readConnections(text: string): Map<string, number> {
  const [head = "", ...lines] = text.split("\n");
  const at = head.replace(/^# /, "").split(/\s+/).indexOf("used_cur");
  const used = new Map<string, number>();
  for (const line of lines) {
    const fields = line.split(/\s+/);
    if (fields.length > at && fields[0]) used.set(fields[0], Number(fields[at]));
  }
  return used;
}
