import { createHash } from "node:crypto";
import { ApiError } from "#api/contract.ts";
import { asService } from "../as-role.ts";
import { type Deliver, serviceOf } from "./target.ts";

/**
 * A log group gets each event as a line of JSON, in a stream for each rule. Its resource policy must let events.amazonaws.com write.
 * Source: EventBridge User Guide, "Amazon CloudWatch Logs log groups as targets".
 */
export const logGroup: Deliver = async ({ caller }, record, payload) => {
  const { target, region, account, origin, event } = record;
  const logGroupName = /:log-group:([^:]+)/.exec(target.Arn)?.[1] ?? "";
  const logStreamName = uuidOf(`${origin.arn} ${target.Id}`);
  const principal = asService(serviceOf(record), account);
  const ask = (operation: string, input: Readonly<Record<string, unknown>>) =>
    caller.call({
      principal,
      region,
      service: "logs",
      operation,
      input: { logGroupName, logStreamName, ...input },
      by: serviceOf(record),
    });
  const put = () => ask("PutLogEvents", { logEvents: [lineOf(payload, Date.parse(event.time))] });
  try {
    await put();
  } catch (error) {
    if (!(error instanceof ApiError) || !/log stream/.test(error.message) || error.code !== "ResourceNotFoundException") throw error;
    await ask("CreateLogStream", {}).catch((other: unknown) => {
      if (!(other instanceof ApiError) || other.code !== "ResourceAlreadyExistsException") throw other;
    });
    await put();
  }
};

/** A template may give the line and its time. */
function lineOf(payload: string, time: number): { readonly timestamp: number; readonly message: string } {
  try {
    const given = JSON.parse(payload) as { timestamp?: unknown; message?: unknown } | null;
    const only = given !== null && typeof given === "object" && Object.keys(given).sort().join() === "message,timestamp";
    const at = only ? (typeof given.timestamp === "number" ? given.timestamp : Date.parse(String(given.timestamp))) : NaN;
    if (only && Number.isFinite(at))
      return { timestamp: at, message: typeof given.message === "string" ? given.message : JSON.stringify(given.message) };
  } catch {
    // Any text is a line.
  }
  return { timestamp: time, message: payload };
}

function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}
