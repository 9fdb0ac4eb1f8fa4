import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Sdk from "@aws-sdk/client-cloudwatch-logs";
import type { Handler, RequestContext, ServerPart } from "#api/contract.ts";
import { readConfig } from "#platform/config.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createLogs } from "#services/logs/logs.ts";
import { openSqliteStore } from "#store/sqlite.ts";

/** The operations under test with the SDK's types. */
interface Operations {
  CreateLogGroup: [Sdk.CreateLogGroupCommandInput, object];
  DeleteLogGroup: [Sdk.DeleteLogGroupCommandInput, object];
  DescribeLogGroups: [Sdk.DescribeLogGroupsCommandInput, Sdk.DescribeLogGroupsCommandOutput];
  CreateLogStream: [Sdk.CreateLogStreamCommandInput, object];
  DeleteLogStream: [Sdk.DeleteLogStreamCommandInput, object];
  DescribeLogStreams: [Sdk.DescribeLogStreamsCommandInput, Sdk.DescribeLogStreamsCommandOutput];
  PutLogEvents: [Sdk.PutLogEventsCommandInput, Sdk.PutLogEventsCommandOutput];
  GetLogEvents: [Sdk.GetLogEventsCommandInput, Sdk.GetLogEventsCommandOutput];
  FilterLogEvents: [Sdk.FilterLogEventsCommandInput, Sdk.FilterLogEventsCommandOutput];
  PutRetentionPolicy: [Sdk.PutRetentionPolicyCommandInput, object];
  DeleteRetentionPolicy: [Sdk.DeleteRetentionPolicyCommandInput, object];
  PutLogGroupDeletionProtection: [Sdk.PutLogGroupDeletionProtectionCommandInput, object];
  TagResource: [Sdk.TagResourceCommandInput, object];
  UntagResource: [Sdk.UntagResourceCommandInput, object];
  ListTagsForResource: [Sdk.ListTagsForResourceCommandInput, Sdk.ListTagsForResourceCommandOutput];
  TagLogGroup: [Sdk.TagLogGroupCommandInput, object];
  UntagLogGroup: [Sdk.UntagLogGroupCommandInput, object];
  ListTagsLogGroup: [Sdk.ListTagsLogGroupCommandInput, Sdk.ListTagsLogGroupCommandOutput];
}

export interface Logs {
  readonly clock: FakeClock;
  readonly home: string;
  readonly part: () => ServerPart;
  call<K extends keyof Operations>(operation: K, input: Operations[K][0], context?: Partial<RequestContext>): Promise<Operations[K][1]>;
  /** Group and stream, ready to be written to. */
  stream(group: string, name: string): Promise<void>;
  /** Everything closed and opened again on the same files. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  /** Stops, and removes the files. */
  end(): Promise<void>;
}

/** CloudWatch Logs on real files and a real store, in a folder of its own, called without HTTP. */
export async function startLogs(home = mkdtempSync(join(tmpdir(), "gantry-logs-"))): Promise<Logs> {
  const clock = new FakeClock();
  const config = readConfig({ GANTRY_HOME: home });
  const random = seededRandom(1);
  const sealer = createSealer(new Uint8Array(32));
  const vault = createVault([new Uint8Array(32)]);
  const open = async () => {
    const store = await openSqliteStore({ path: join(home, "store.db"), clock, freeze: true });
    const part = createLogs({ store, clock, random, sealer, vault, config, log: silentLogger });
    await part.start?.();
    return { store, part };
  };
  let running = await open();
  const close = async () => {
    await running.part.stop?.();
    await running.store.close();
  };
  const logs: Logs = {
    clock,
    home,
    part: () => running.part,
    async call(operation, input, context) {
      const handler = running.part.registrations![0]!.handlers[operation] as Handler<unknown, never>;
      return handler(input, {
        requestId: "test",
        account: config.account,
        region: config.region,
        principal: { account: config.account, arn: "", userId: "", accessKeyId: "" },
        now: clock.now(),
        endpoint: "http://localhost:1",
        sourceIp: "127.0.0.1",
        userAgent: "test",
        signal: new AbortController().signal,
        log: silentLogger,
        ...context,
      });
    },
    async stream(logGroupName, logStreamName) {
      await logs.call("CreateLogGroup", { logGroupName }).catch(() => {});
      await logs.call("CreateLogStream", { logGroupName, logStreamName });
    },
    async restart() {
      await close();
      running = await open();
    },
    stop: close,
    async end() {
      await close();
      rmSync(home, { recursive: true });
    },
  };
  return logs;
}

/** Rejects as AWS does: this code, and a message that holds this text. */
export const refusal =
  (code: string, text = "") =>
  (error: unknown) => {
    const { code: actual, message } = error as { code?: string; message: string };
    return actual === code && message.includes(text);
  };
