import { appendFileSync, mkdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { StringDecoder } from "node:string_decoder";
import type { ExecLogging } from "#agent-protocol/exec/contents.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { AwsError, type AwsClient } from "../aws/client.ts";
import { createAwsLogs, openStream } from "../logs/awslogs.ts";

/** What a session's terminal showed, line by line, in a log stream or a bucket named after the session. */
export interface Transcript {
  write(piece: Uint8Array): void;
  /** More waits than should: whoever writes waits too. */
  readonly behind: boolean;
  /** The last line, and all that waits; 10 seconds at most. */
  finish(lastLine: string): Promise<void>;
}

export interface TranscriptOptions {
  readonly logging: ExecLogging;
  readonly sessionId: string;
  readonly firstLine: string;
  /** Of the container's own log, where that is CloudWatch Logs. */
  readonly own: { readonly group: string; readonly region: string } | undefined;
  readonly region: string;
  /** Signs by the task's role. */
  readonly logs: (region: string) => AwsClient;
  /** Directory of the buckets: where AWS has S3. */
  readonly buckets: string;
  /** There is room again. */
  readonly caughtUp: () => void;
  /** It could not be written for too long. */
  readonly failed: (reason: string) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

const flushMs = 1_000;
const mostWaiting = 1024 * 1024;
const longestLine = 64 * 1024;
const patienceMs = 30_000;
const finishMs = 10_000;

/**
 * Undefined: nothing is to be written. Rejects when the cluster's own log group or bucket (OVERRIDE) cannot be written, or is not encrypted although it has to be: then
 * there is no session. The container's own (DEFAULT) is a help, and a session goes on without it.
 * Source: ECS API Reference, ExecuteCommandConfiguration and ExecuteCommandLogConfiguration.
 */
export async function openTranscript(options: TranscriptOptions): Promise<Transcript | undefined> {
  const { logging, own, log } = options;
  const place = logging.kind === "OVERRIDE" && logging.logGroup ? { group: logging.logGroup, region: options.region } : own;
  const group = logging.kind === "NONE" || (logging.kind === "OVERRIDE" && !logging.logGroup) ? undefined : place;
  const sinks: ((lines: readonly string[]) => Promise<void>)[] = [];
  if (group) {
    try {
      sinks.push(await logGroupSink(options, group));
    } catch (error) {
      if (logging.kind === "OVERRIDE") throw error;
      log.warn({ err: error, group: group.group }, "the session is not written to the container's log group");
    }
  }
  if (logging.kind === "OVERRIDE" && logging.bucket) sinks.push(bucketSink(options, logging.bucket));
  if (sinks.length === 0) return undefined;
  return new Lines(options, async (lines) => {
    for (const sink of sinks) await sink(lines);
  });
}

async function logGroupSink(
  { logging, sessionId, logs, clock, log }: TranscriptOptions,
  { group, region }: { group: string; region: string },
) {
  const client = logs(region);
  if (logging.kind === "OVERRIDE" && logging.logGroupEncrypted) await checkEncrypted(client, group);
  const place = {
    group,
    stream: sessionId,
    region,
    endpoint: undefined,
    createGroup: false,
    begins: undefined,
    backlogBytes: mostWaiting,
  };
  await openStream(client, place, "ec2").catch((error: Error) => {
    throw new Error(
      `Couldn't start the session because we are unable to write to the CloudWatch Logs log group ${group}. ${error.message}`,
      {
        cause: error,
      },
    );
  });
  const sink = createAwsLogs(client, place, clock, log);
  return async (lines: readonly string[]) => {
    await sink.write(
      "stdout",
      lines.map((text) => ({ text, partial: false })),
      true,
    );
  };
}

async function checkEncrypted(client: AwsClient, group: string): Promise<void> {
  const sentence = "Couldn't start the session because we are unable to validate encryption on CloudWatch Logs log group.";
  let found: { logGroupName?: string; kmsKeyId?: string } | undefined;
  try {
    const { logGroups = [] } = await client.call<{ logGroups?: { logGroupName?: string; kmsKeyId?: string }[] }>("DescribeLogGroups", {
      logGroupNamePrefix: group,
    });
    found = logGroups.find(({ logGroupName }) => logGroupName === group);
  } catch (error) {
    throw new Error(`${sentence} Error: ${error instanceof AwsError ? `${error.code}: ${error.message}` : String(error)}`, {
      cause: error,
    });
  }
  if (!found) throw new Error(`${sentence} Error: the log group ${group} does not exist.`);
  if (!found.kmsKeyId)
    throw new Error(
      `Couldn't start the session because the CloudWatch Logs log group ${group} is not encrypted, and the cluster wants it so.`,
    );
}

/** `<buckets>/<bucket>/[<prefix>/]<session>.log` */
function bucketSink({ logging, sessionId, buckets }: TranscriptOptions, bucket: string) {
  const root = join(buckets, bucket);
  const file = join(root, logging.keyPrefix ?? "", `${sessionId}.log`);
  if (!/^[a-z0-9][a-z0-9.-]{2,62}$/.test(bucket) || !normalize(file).startsWith(`${root}/`))
    throw new Error(`Couldn't start the session because ${bucket} is no bucket to write to.`);
  mkdirSync(dirname(file), { recursive: true });
  return async (lines: readonly string[]) => appendFileSync(file, lines.map((line) => `${line}\n`).join(""), { mode: 0o640 });
}

/** Takes pieces of a terminal's output, gives whole lines to the sink in order, once a second, or at once when many wait. */
class Lines implements Transcript {
  readonly #options: TranscriptOptions;
  readonly #sink: (lines: readonly string[]) => Promise<void>;
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";
  #lines: string[];
  #waiting = 0;
  #writing: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #failingSince: number | undefined;
  #over = false;

  constructor(options: TranscriptOptions, sink: (lines: readonly string[]) => Promise<void>) {
    this.#options = options;
    this.#sink = sink;
    this.#lines = [options.firstLine];
    this.#later();
  }

  get behind(): boolean {
    return this.#waiting > mostWaiting;
  }

  write(piece: Uint8Array): void {
    const parts = (this.#partial + this.#decoder.write(Buffer.from(piece))).split("\n");
    this.#partial = parts.pop()!;
    while (this.#partial.length > longestLine) {
      parts.push(this.#partial.slice(0, longestLine));
      this.#partial = this.#partial.slice(longestLine);
    }
    for (const part of parts) this.#add(part);
    this.#later();
  }

  async finish(lastLine: string): Promise<void> {
    const rest = this.#partial + this.#decoder.end();
    this.#partial = "";
    if (rest !== "") this.#add(rest);
    this.#add(lastLine);
    this.#over = true;
    this.#cancel?.();
    const all = (async () => {
      await this.#writing;
      if (this.#lines.length > 0) await this.#flush();
    })();
    await Promise.race([all, sleep(this.#options.clock, finishMs)]);
    if (this.#lines.length > 0) this.#options.log.warn({ lines: this.#lines.length }, "the end of a session's transcript was not written");
  }

  #add(line: string): void {
    const text = plain(line);
    this.#lines.push(text);
    this.#waiting += text.length + 1;
  }

  #later(): void {
    if (this.#writing || this.#over || this.#lines.length === 0) return;
    // Waiting for its second, it would let a megabyte a second through.
    if (this.#waiting > mostWaiting / 2 && this.#failingSince === undefined) this.#write();
    else this.#cancel ??= this.#options.clock.after(flushMs, () => this.#write());
  }

  #write(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#writing = this.#flush().finally(() => {
      this.#writing = undefined;
      this.#later();
    });
  }

  async #flush(): Promise<void> {
    const { clock, log } = this.#options;
    const lines = this.#lines.slice();
    const waiting = this.#waiting;
    try {
      await this.#sink(lines);
      this.#failingSince = undefined;
      this.#lines = this.#lines.slice(lines.length);
      const wasBehind = this.behind;
      this.#waiting -= waiting;
      if (wasBehind && !this.behind) this.#options.caughtUp();
    } catch (error) {
      this.#failingSince ??= clock.now();
      log.warn({ err: error }, "a session's transcript could not be written, it will be tried again");
      if (clock.now() - this.#failingSince > patienceMs) this.#options.failed("The session's transcript cannot be written any more.");
    }
  }
}

/** Without what moves a cursor or colours a word, as the SSM agent cleans what it streams. */
function plain(line: string): string {
  // oxlint-disable-next-line no-control-regex
  return line
    .replace(/\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][0-9A-B]|[=>78cDEHM])/g, "")
    .replace(/\r+$/, "");
}
