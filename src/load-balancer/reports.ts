/** HAProxy's words about its servers, read. Pure. */
import type { TargetReason } from "./config.ts";

export interface CheckReport {
  readonly backend: string;
  readonly server: string;
  /** The server that makes only the first check. */
  readonly first: boolean;
  readonly passed: boolean;
  /** The server's state changed by it: it takes traffic now, or does no longer. */
  readonly changed: boolean;
  readonly reason: TargetReason | undefined;
  readonly description: string | undefined;
}

const check = /^Health check for server ([^/ ]+)\/(\S+) (succeeded|failed), reason: (.*)$/;
const change = /^Server ([^/ ]+)\/(\S+) is (UP|DOWN), reason: (.*)$/;

export function readReport(message: string): CheckReport | undefined {
  const checked = check.exec(message);
  const changed = checked ? null : change.exec(message);
  const [, backend, name, word, detail] = checked ?? changed ?? [];
  if (backend === undefined || name === undefined || detail === undefined) return undefined;
  const passed = word === "succeeded" || word === "UP";
  const first = name.endsWith(".f");
  return {
    backend,
    server: first ? name.slice(0, -2) : name,
    first,
    passed,
    changed: changed !== null,
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
  /** In maintenance: drained, or not yet in use. */
  readonly maintenance: boolean;
}

/** `show servers state`, by `<backend>/<server>`. */
export function readStates(text: string): Map<string, ServerState> {
  const states = new Map<string, ServerState>();
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    if (fields.length < 12 || line.startsWith("#")) continue;
    states.set(`${fields[1]}/${fields[3]}`, { up: fields[5] !== "0", maintenance: (Number(fields[6]) & 0x0d) !== 0 });
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
