import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  GetLogEventsCommand,
  paginateFilterLogEvents,
  PutLogEventsCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-cloudwatch-logs";
import { createLogs } from "#services/logs/logs.ts";
import { accessKeyId, secretAccessKey, startServer } from "../support/http.ts";
import type { TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let client: CloudWatchLogsClient;
const env = {
  ...process.env,
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_DEFAULT_REGION: "us-east-1",
  AWS_PAGER: "",
  AWS_EC2_METADATA_DISABLED: "true",
};

before(async () => {
  server = await startServer({ parts: (deps) => [createLogs(deps)] });
  client = new CloudWatchLogsClient(server.sdk());
});
after(async () => {
  client.destroy();
  await server.close();
});

/** The AWS CLIs of this machine: whatever `aws` is, and Debian's old one. */
const CLIS = ["aws", ...(existsSync("/usr/bin/aws") ? ["/usr/bin/aws"] : [])];

for (const [index, cli] of CLIS.entries())
  describe(`the AWS CLI: ${cli}`, () => {
    const group = `/cli/${index}`;
    const aws = async (...args: string[]) =>
      (await promisify(execFile)(cli, ["--endpoint-url", server.endpoint, "logs", ...args], { env, timeout: 300_000 })).stdout;

    test("creates, writes, reads, filters and deletes", async () => {
      await aws("create-log-group", "--log-group-name", group, "--tags", "team=a");
      await aws("create-log-stream", "--log-group-name", group, "--log-stream-name", "web/1");
      const now = Date.now();
      await aws(
        "put-log-events",
        "--log-group-name",
        group,
        "--log-stream-name",
        "web/1",
        "--log-events",
        `timestamp=${now},message=hello`,
        `timestamp=${now + 1},message='ERROR é'`,
      );
      const got = JSON.parse(await aws("get-log-events", "--log-group-name", group, "--log-stream-name", "web/1", "--start-from-head")) as {
        events: { message: string }[];
      };
      assert.deepEqual(
        got.events.map(({ message }) => message),
        ["hello", "ERROR é"],
      );
      const filtered = JSON.parse(await aws("filter-log-events", "--log-group-name", group, "--filter-pattern", "ERROR")) as {
        events: { message: string }[];
      };
      assert.deepEqual(
        filtered.events.map(({ message }) => message),
        ["ERROR é"],
      );
      await assert.rejects(
        aws("delete-log-group", "--log-group-name", "/none"),
        /ResourceNotFoundException.*The specified log group does not exist/s,
      );
      await aws("put-retention-policy", "--log-group-name", group, "--retention-in-days", "7");
      const described = JSON.parse(await aws("describe-log-groups", "--log-group-name-prefix", group)) as {
        logGroups: { retentionInDays: number }[];
      };
      assert.equal(described.logGroups[0]?.retentionInDays, 7);
    });

    // `logs tail` came with version 2.
    if (!execFileSync(cli, ["--version"], { encoding: "utf8" }).startsWith("aws-cli/2")) return;
    test("tails and follows", { timeout: 400_000 }, async () => {
      const put = (message: string) =>
        client.send(
          new PutLogEventsCommand({ logGroupName: group, logStreamName: "web/1", logEvents: [{ timestamp: Date.now(), message }] }),
        );
      await put("before");
      assert.match(await aws("tail", group, "--since", "1h"), /web\/1 hello\n.*web\/1 before\n/s);
      const child = spawn(cli, ["--endpoint-url", server.endpoint, "logs", "tail", group, "--follow", "--since", "1h"], {
        env: { ...env, PYTHONUNBUFFERED: "1" },
        stdio: ["ignore", "pipe", "inherit"],
      });
      let text = "";
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      const shows = (wanted: string) => until(`${wanted} comes`, () => text.includes(wanted), { ms: 120_000 });
      try {
        await shows("before");
        await put("during");
        await shows("during");
        await put("and after");
        await shows("and after");
        assert.equal(text.match(/before/g)?.length, 1);
        assert.equal(text.match(/during/g)?.length, 1);
      } finally {
        child.kill("SIGINT");
        await once(child, "close");
      }
    });
  });

describe("the JavaScript SDK", () => {
  test("pages, empty pages, errors of its classes, and numbers as numbers", async () => {
    await server.aws("logs", "create-log-group", "--log-group-name", "js");
    await server.aws("logs", "create-log-stream", "--log-group-name", "js", "--log-stream-name", "s");
    const now = Date.now();
    const put = await client.send(
      new PutLogEventsCommand({
        logGroupName: "js",
        logStreamName: "s",
        logEvents: [
          { timestamp: now - 20 * 24 * 3_600_000, message: "old" },
          { timestamp: now - 20 * 24 * 3_600_000 + 1, message: "old" },
        ],
      }),
    );
    assert.deepEqual(put.rejectedLogEventsInfo, { tooOldLogEventEndIndex: 2 });
    await client.send(
      new PutLogEventsCommand({
        logGroupName: "js",
        logStreamName: "s",
        logEvents: Array.from({ length: 25 }, (_, i) => ({ timestamp: now + i, message: `${i}` })),
      }),
    );
    const seen: string[] = [];
    for await (const page of paginateFilterLogEvents({ client, pageSize: 10 }, { logGroupName: "js" }))
      seen.push(...page.events!.map(({ message }) => message!));
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, i) => `${i}`),
    );
    const { events } = await client.send(new GetLogEventsCommand({ logGroupName: "js", logStreamName: "s", limit: 1 }));
    assert.equal(events![0]!.timestamp, now + 24);
    const { logStreams } = await client.send(new DescribeLogStreamsCommand({ logGroupName: "js", orderBy: "LastEventTime" }));
    assert.deepEqual([logStreams![0]!.firstEventTimestamp, logStreams![0]!.lastEventTimestamp], [now, now + 24]);
    await assert.rejects(client.send(new FilterLogEventsCommand({ logGroupName: "none" })), ResourceNotFoundException);
  });
});
