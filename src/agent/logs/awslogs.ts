import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { AwsError, type AwsClient } from "../aws/client.ts";
import { batchesOf, limits, type LogEvent } from "./batches.ts";
import { parseSize } from "./json-file.ts";
import { datetimePattern, groupLines } from "./multiline.ts";
import { StepError } from "../steps/step-error.ts";
import type { Sink } from "./sink.ts";

/** The awslogs driver's options, checked. Source: ECS Developer Guide, "Send Amazon ECS logs to CloudWatch". */
export interface AwsLogsOptions {
  readonly group: string;
  readonly stream: string;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly createGroup: boolean;
  readonly begins: RegExp | undefined;
  readonly backlogBytes: number;
}

const known = new Set([
  "awslogs-group",
  "awslogs-region",
  "awslogs-stream",
  "awslogs-stream-prefix",
  "awslogs-create-group",
  "awslogs-create-stream",
  "awslogs-datetime-format",
  "awslogs-multiline-pattern",
  "awslogs-endpoint",
  "awslogs-credentials-endpoint",
  "awslogs-force-flush-interval-seconds",
  "awslogs-max-buffered-events",
  "awslogs-format",
  "tag",
  "mode",
  "max-buffer-size",
]);

/** What a service that can't be reached may cost of the disk, a container. */
const longestBacklog = 1 << 30;

export function parseAwsLogs(
  options: Readonly<Record<string, string>>,
  names: { readonly container: string; readonly task: string; readonly id: string; readonly region: string },
): AwsLogsOptions {
  for (const name of Object.keys(options)) if (!known.has(name)) throw new Error(`unknown log opt '${name}' for awslogs log driver`);
  const group = options["awslogs-group"];
  if (!group) throw new Error("must specify a value for log opt 'awslogs-group'");
  const format = options["awslogs-datetime-format"];
  const pattern = options["awslogs-multiline-pattern"];
  if (format && pattern)
    throw new Error("you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time");
  const mode = options.mode ?? "blocking";
  if (mode !== "blocking" && mode !== "non-blocking") throw new Error(`invalid value for log opt 'mode': ${mode}`);
  return {
    group,
    stream: streamOf(options, names),
    region: options["awslogs-region"] || names.region,
    endpoint: options["awslogs-endpoint"] || undefined,
    createGroup: options["awslogs-create-group"] === "true",
    begins: format ? datetimePattern(format) : pattern ? compile(pattern) : undefined,
    backlogBytes: mode === "non-blocking" ? parseSize("max-buffer-size", options["max-buffer-size"] ?? "10m") : longestBacklog,
  };
}

/** The stream: by name, by prefix, or the container's id. Source: ECS Developer Guide, "Send Amazon ECS logs to CloudWatch". */
function streamOf(
  options: Readonly<Record<string, string>>,
  names: { readonly container: string; readonly task: string; readonly id: string },
): string {
  const prefix = options["awslogs-stream-prefix"];
  return options["awslogs-stream"] || (prefix ? `${prefix}/${names.container}/${names.task}` : names.id);
}

/** The options as the metadata endpoint shows them: with the stream's name, without its prefix. */
export function shownOptions(
  driver: string,
  options: Readonly<Record<string, string>>,
  names: { readonly container: string; readonly task: string; readonly id: string },
): Readonly<Record<string, string>> | undefined {
  const { "awslogs-stream-prefix": _, ...rest } = options;
  if (driver === "awslogs") return { ...rest, "awslogs-stream": streamOf(options, names) };
  return Object.keys(options).length > 0 ? options : undefined;
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch {
    throw new Error(`awslogs could not parse multiline pattern key "${pattern}"`);
  }
}

/** Creates the stream, and the group where asked to. Rejects with the words that AWS's users know from a stopped task, which on Fargate are others. */
export async function openStream(
  client: AwsClient,
  { group, stream, createGroup }: AwsLogsOptions,
  on: "ec2" | "fargate",
  signal?: AbortSignal,
): Promise<void> {
  const create = async (operation: string, input: object) => {
    try {
      await client.call(operation, input, { signal });
    } catch (error) {
      if (error instanceof AwsError && error.code === "ResourceAlreadyExistsException") return;
      const kind = operation === "CreateLogGroup" ? "group" : "stream";
      if (on === "fargate")
        throw new StepError(
          `ResourceInitializationError: failed to validate logger args: create ${kind} has been retried 1 times: failed to create Cloudwatch log ${kind}: ${told(error)} : exit status 1`,
        );
      throw new Error(`failed to initialize logging driver: failed to create Cloudwatch log ${kind}: ${described(error, operation)}`);
    }
  };
  if (createGroup) await create("CreateLogGroup", { logGroupName: group });
  await create("CreateLogStream", { logGroupName: group, logStreamName: stream });
}

function told(error: unknown): string {
  if (!(error instanceof AwsError)) return String(error);
  return `${error.code}: ${error.message}${error.status === 0 ? "" : ` status code: ${error.status}, request id: ${error.requestId}`}`;
}

function described(error: unknown, operation: string): string {
  if (!(error instanceof AwsError)) return String(error);
  const http = error.status === 0 ? "" : `https response error StatusCode: ${error.status}, RequestID: ${error.requestId}, `;
  return `operation error CloudWatch Logs: ${operation}, ${http}${error.code}: ${error.message}`;
}

export function createAwsLogs(client: AwsClient, options: AwsLogsOptions, clock: Clock, log: Logger): Sink {
  let last = 0;
  const put = async (logEvents: readonly LogEvent[]) => {
    const input = { logGroupName: options.group, logStreamName: options.stream, logEvents };
    try {
      await client.call("PutLogEvents", input);
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      if (error.code === "ResourceNotFoundException") {
        await openStream(client, options, "ec2");
        await client.call("PutLogEvents", input);
      } else if (error.code === "InvalidParameterException" || error.code === "DataAlreadyAcceptedException") {
        log.warn(
          { err: error, group: options.group, stream: options.stream, events: logEvents.length },
          "CloudWatch Logs refused events, they are dropped",
        );
      } else throw error;
    }
  };
  return {
    longestLine: limits.message,
    backlogBytes: options.backlogBytes,
    async write(_stream, lines, final) {
      const texts = lines.map(({ text }) => text.replace(/\r$/, ""));
      const grouped = options.begins
        ? groupLines(texts, options.begins, limits.message, final)
        : { events: texts.map((text) => ({ text })), consumed: texts.length };
      // Timestamps are the time of arrival and never fall, or the service would refuse the batch.
      last = Math.max(last, clock.now());
      const events = grouped.events.filter(({ text }) => text !== "").map(({ text }) => ({ timestamp: last, message: text }));
      for (const batch of batchesOf(events)) await put(batch);
      return grouped.consumed;
    },
  };
}
