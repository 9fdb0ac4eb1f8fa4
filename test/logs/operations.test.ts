import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { until } from "../support/until.ts";
import { refusal, startLogs } from "./harness.ts";
import type { Logs } from "./harness.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("CloudWatch Logs", () => {
  let logs: Logs;
  let now: number;
  before(async () => {
    logs = await startLogs();
  });
  after(() => logs.end());
  beforeEach(async () => {
    const { logGroups } = await logs.call("DescribeLogGroups", {});
    for (const { logGroupName } of logGroups!) await logs.call("DeleteLogGroup", { logGroupName });
    await logs.clock.advance(1000);
    now = logs.clock.now();
  });
  const put = (group: string, stream: string, ...events: [number, string][]) =>
    logs.call("PutLogEvents", {
      logGroupName: group,
      logStreamName: stream,
      logEvents: events.map(([timestamp, message]) => ({ timestamp, message })),
    });
  const messages = (output: { events?: { message?: string }[] }) => output.events!.map(({ message }) => message);

  test("groups are created once, described and deleted with their files", async () => {
    await logs.call("CreateLogGroup", { logGroupName: "/ecs/web", tags: { a: "b" } });
    const arn = "arn:aws:logs:us-east-1:000000000000:log-group:/ecs/web";
    const { logGroups, nextToken } = await logs.call("DescribeLogGroups", {});
    assert.deepEqual(JSON.parse(JSON.stringify(logGroups)), [
      {
        logGroupName: "/ecs/web",
        creationTime: now,
        arn: `${arn}:*`,
        metricFilterCount: 0,
        storedBytes: 0,
        logGroupClass: "STANDARD",
        logGroupArn: arn,
        deletionProtectionEnabled: false,
      },
    ]);
    assert.equal(nextToken, undefined);
    await assert.rejects(
      logs.call("CreateLogGroup", { logGroupName: "/ecs/web" }),
      refusal("ResourceAlreadyExistsException", "log group already exists"),
    );
    await logs.call("CreateLogStream", { logGroupName: "/ecs/web", logStreamName: "s" });
    await put("/ecs/web", "s", [now, "x"]);
    assert.equal(readdirSync(join(logs.home, "logs")).length, 1);
    assert.ok((await logs.call("DescribeLogGroups", {})).logGroups![0]!.storedBytes! > 0);
    await logs.call("DeleteLogGroup", { logGroupName: "/ecs/web" });
    assert.equal(readdirSync(join(logs.home, "logs")).length, 0);
    await assert.rejects(
      logs.call("DeleteLogGroup", { logGroupName: "/ecs/web" }),
      refusal("ResourceNotFoundException", "The specified log group does not exist."),
    );
    await logs.stream("/ecs/web", "s");
    assert.deepEqual(messages(await logs.call("GetLogEvents", { logGroupName: "/ecs/web", logStreamName: "s" })), []);
  });

  test("another region or account has groups of its own", async () => {
    await logs.call("CreateLogGroup", { logGroupName: "g" }, { region: "eu-west-1" });
    await logs.call("CreateLogGroup", { logGroupName: "g" }, { account: "111111111111" });
    assert.deepEqual((await logs.call("DescribeLogGroups", {})).logGroups, []);
    await logs.call("DeleteLogGroup", { logGroupName: "g" }, { region: "eu-west-1" });
    await logs.call("DeleteLogGroup", { logGroupName: "g" }, { account: "111111111111" });
  });

  test("groups by prefix, pattern, class and page", async () => {
    for (const name of ["app/a", "app/b", "lib/app", "z"]) await logs.call("CreateLogGroup", { logGroupName: name });
    await logs.call("CreateLogGroup", { logGroupName: "rare", logGroupClass: "INFREQUENT_ACCESS" });
    const names = async (input: Parameters<typeof logs.call<"DescribeLogGroups">>[1]) =>
      (await logs.call("DescribeLogGroups", input)).logGroups!.map(({ logGroupName }) => logGroupName);
    assert.deepEqual(await names({ logGroupNamePrefix: "app" }), ["app/a", "app/b"]);
    assert.deepEqual(await names({ logGroupNamePattern: "app" }), ["app/a", "app/b", "lib/app"]);
    assert.deepEqual(await names({ logGroupClass: "INFREQUENT_ACCESS" }), ["rare"]);
    const first = await logs.call("DescribeLogGroups", { limit: 3 });
    assert.equal(first.logGroups!.length, 3);
    assert.deepEqual(await names({ limit: 3, nextToken: first.nextToken }), ["rare", "z"]);
    await assert.rejects(names({ nextToken: "forged" }), refusal("InvalidParameterException", "The specified nextToken is invalid."));
    await assert.rejects(
      names({ limit: 51 }),
      refusal(
        "InvalidParameterException",
        "Value '51' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 50",
      ),
    );
    await assert.rejects(
      names({ logGroupNamePrefix: "a", logGroupNamePattern: "a" }),
      refusal("InvalidParameterException", "mutually exclusive"),
    );
  });

  test("names that AWS refuses are refused, and path tricks are only names", async () => {
    for (const logGroupName of ["", "a b", "a:b", "ä", "x".repeat(513), "a*"])
      await assert.rejects(
        logs.call("CreateLogGroup", { logGroupName }),
        refusal("InvalidParameterException", "at 'logGroupName' failed to satisfy constraint"),
      );
    await assert.rejects(
      logs.call("CreateLogGroup", { logGroupName: "a b" }),
      refusal("InvalidParameterException", "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"),
    );
    await logs.stream("../../../etc", "../../passwd");
    await put("../../../etc", "../../passwd", [now, "harmless"]);
    assert.deepEqual(messages(await logs.call("GetLogEvents", { logGroupName: "../../../etc", logStreamName: "../../passwd" })), [
      "harmless",
    ]);
    for (const logStreamName of ["", "a:b", "a*", "x".repeat(513)])
      await assert.rejects(
        logs.call("CreateLogStream", { logGroupName: "../../../etc", logStreamName }),
        refusal("InvalidParameterException", "at 'logStreamName'"),
      );
    assert.ok(!existsSync(join(logs.home, "../etc")));
    assert.ok(readdirSync(join(logs.home, "logs")).every((name) => /^[0-9a-f]{32}$/.test(name)));
  });

  test("streams are created once, described in both orders and deleted", async () => {
    await logs.call("CreateLogGroup", { logGroupName: "g" });
    for (const name of ["b/1", "a/1", "a/2", "c"]) await logs.call("CreateLogStream", { logGroupName: "g", logStreamName: name });
    await assert.rejects(
      logs.call("CreateLogStream", { logGroupName: "g", logStreamName: "c" }),
      refusal("ResourceAlreadyExistsException", "log stream already exists"),
    );
    await assert.rejects(
      logs.call("CreateLogStream", { logGroupName: "no", logStreamName: "c" }),
      refusal("ResourceNotFoundException", "log group"),
    );
    await put("g", "a/2", [now - 10, "x"], [now - 3, "y"]);
    await put("g", "b/1", [now - 5, "x"]);
    await put("g", "b/1", [now - 8, "late"]);
    const describeStreams = (input: object) => logs.call("DescribeLogStreams", { logGroupName: "g", ...input });
    const names = async (input: object) => (await describeStreams(input)).logStreams!.map(({ logStreamName }) => logStreamName);
    assert.deepEqual(await names({}), ["a/1", "a/2", "b/1", "c"]);
    assert.deepEqual(await names({ descending: true }), ["c", "b/1", "a/2", "a/1"]);
    assert.deepEqual(await names({ logStreamNamePrefix: "a/" }), ["a/1", "a/2"]);
    assert.deepEqual(await names({ orderBy: "LastEventTime", descending: true }), ["a/2", "b/1", "c", "a/1"]);
    const first = await describeStreams({ orderBy: "LastEventTime", descending: true, limit: 3 });
    assert.deepEqual(await names({ orderBy: "LastEventTime", descending: true, nextToken: first.nextToken }), ["a/1"]);
    await assert.rejects(
      describeStreams({ orderBy: "LastEventTime", logStreamNamePrefix: "a" }),
      refusal("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix."),
    );
    const [, a2, b1, c] = (await describeStreams({})).logStreams!;
    const { uploadSequenceToken, ...rest } = a2!;
    assert.match(uploadSequenceToken!, /^\d{56}$/);
    assert.deepEqual(rest, {
      logStreamName: "a/2",
      creationTime: now,
      firstEventTimestamp: now - 10,
      lastEventTimestamp: now - 3,
      lastIngestionTime: now,
      arn: "arn:aws:logs:us-east-1:000000000000:log-group:g:log-stream:a/2",
      storedBytes: 0,
    });
    assert.deepEqual([b1!.firstEventTimestamp, b1!.lastEventTimestamp], [now - 8, now - 5]);
    assert.equal(c!.lastEventTimestamp, undefined);
    await logs.call("DeleteLogStream", { logGroupName: "g", logStreamName: "a/2" });
    await assert.rejects(put("g", "a/2", [now, "x"]), refusal("ResourceNotFoundException", "The specified log stream does not exist."));
    assert.equal(
      (await logs.call("DescribeLogStreams", { logGroupIdentifier: "arn:aws:logs:us-east-1:000000000000:log-group:g" })).logStreams!.length,
      3,
    );
    await assert.rejects(logs.call("DescribeLogStreams", {}), refusal("InvalidParameterException"));
  });

  test("PutLogEvents refuses what AWS refuses", async () => {
    await logs.stream("g", "s");
    await assert.rejects(put("g", "none", [now, "x"]), refusal("ResourceNotFoundException", "log stream"));
    await assert.rejects(put("none", "s", [now, "x"]), refusal("ResourceNotFoundException", "log group"));
    const refused = (events: [number, string][], text: string) =>
      assert.rejects(put("g", "s", ...events), refusal("InvalidParameterException", text));
    await refused([], "length greater than or equal to 1");
    await refused([[now, ""]], "at 'logEvents.1.member.message'");
    await refused(
      [
        [now, "a"],
        [now - 1, "b"],
      ],
      "must be in chronological order",
    );
    await refused(
      [
        [now - DAY - 1, "a"],
        [now, "b"],
      ],
      "cannot span more than 24 hours",
    );
    await refused(
      Array.from({ length: 10_001 }, () => [now, "x"]),
      "length less than or equal to 10000",
    );
    await refused([[now, "x".repeat(1024 * 1024 - 25)]], "Log event too large: 1048577 bytes exceeds limit of 1048576");
    await refused(
      [
        [now, "x".repeat(500_000)],
        [now, "é".repeat(300_000)],
      ],
      "Upload too large: 1100052 bytes exceeds limit of 1048576",
    );
    assert.deepEqual(messages(await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s" })), []);
    await put("g", "s", [now, "x".repeat(1024 * 1024 - 26)]);
    await put("g", "s", ...Array.from({ length: 10_000 }, (): [number, string] => [now, "y"]));
  });

  test("events too old, expired or too new are named, the others are taken", async () => {
    await logs.stream("g", "s");
    const outcome = await put(
      "g",
      "s",
      [now - 14 * DAY - 2, "old"],
      [now - 14 * DAY - 1, "old"],
      [now - 14 * DAY, "taken"],
      [now - 14 * DAY + HOUR, "taken too"],
    );
    assert.deepEqual(outcome.rejectedLogEventsInfo, { tooOldLogEventEndIndex: 2 });
    assert.match(outcome.nextSequenceToken!, /^\d{56}$/);
    const later = await put("g", "s", [now + 2 * HOUR, "future"], [now + 2 * HOUR + 1, "too new"]);
    assert.deepEqual(later.rejectedLogEventsInfo, { tooNewLogEventStartIndex: 1 });
    assert.deepEqual(messages(await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s" })), [
      "taken",
      "taken too",
      "future",
    ]);
    await logs.call("PutRetentionPolicy", { logGroupName: "g", retentionInDays: 3 });
    assert.deepEqual((await put("g", "s", [now - 4 * DAY, "gone"])).rejectedLogEventsInfo, { expiredLogEventEndIndex: 1 });
  });

  test("GetLogEvents pages in both directions and gives the same token at the end", async () => {
    await logs.stream("g", "s");
    for (let i = 0; i < 10; i++) await put("g", "s", [now + i, `m${i}`]);
    const get = (input: object) => logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s", ...input });
    const newest = await get({ limit: 3 });
    assert.deepEqual(
      newest.events,
      [7, 8, 9].map((i) => ({ timestamp: now + i, message: `m${i}`, ingestionTime: now })),
    );
    assert.match(newest.nextForwardToken!, /^f\/\d{56}\/s$/);
    assert.match(newest.nextBackwardToken!, /^b\/\d{56}\/s$/);
    const older = await get({ limit: 3, nextToken: newest.nextBackwardToken });
    assert.deepEqual(messages(older), ["m4", "m5", "m6"]);
    assert.deepEqual(messages(await get({ limit: 3, nextToken: older.nextForwardToken })), ["m7", "m8", "m9"]);
    const end = await get({ nextToken: newest.nextForwardToken });
    assert.deepEqual([messages(end), end.nextForwardToken], [[], newest.nextForwardToken]);
    assert.deepEqual(messages(await get({ limit: 2, nextToken: end.nextBackwardToken })), ["m8", "m9"]);
    const head = await get({ limit: 4, startFromHead: true });
    assert.deepEqual(messages(head), ["m0", "m1", "m2", "m3"]);
    const start = await get({ nextToken: head.nextBackwardToken });
    assert.deepEqual([messages(start), start.nextBackwardToken], [[], head.nextBackwardToken]);
    assert.deepEqual(messages(await get({ limit: 1, nextToken: start.nextForwardToken })), ["m0"]);
    assert.deepEqual(messages(await get({ startTime: now + 2, endTime: now + 5, startFromHead: true })), ["m2", "m3", "m4"]);
    await put("g", "s", [now + 20, "new"]);
    assert.deepEqual(messages(await get({ nextToken: end.nextForwardToken })), ["new"]);
    for (const nextToken of ["x", "f/1/s", `f/${"9".repeat(56)}/s`, "f/../s"])
      await assert.rejects(get({ nextToken }), refusal("InvalidParameterException", "The specified nextToken is invalid."));
    await assert.rejects(get({ limit: 10_001 }), refusal("InvalidParameterException", "at 'limit'"));
  });

  test("an empty stream has tokens that find what comes", async () => {
    await logs.stream("g", "s");
    const empty = await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s", startFromHead: true });
    assert.deepEqual(empty.events, []);
    await put("g", "s", [now, "first"]);
    assert.deepEqual(
      messages(
        await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s", nextToken: empty.nextForwardToken, startFromHead: true }),
      ),
      ["first"],
    );
  });

  test("a page holds a megabyte", async () => {
    await logs.stream("g", "s");
    for (let i = 0; i < 5; i++) await put("g", "s", [now + i, `${i}${"x".repeat(400_000)}`]);
    const sizes: number[] = [];
    let nextToken: string | undefined;
    do {
      const page = await logs.call("FilterLogEvents", { logGroupName: "g", nextToken });
      sizes.push(page.events!.length);
      nextToken = page.nextToken;
    } while (nextToken);
    assert.deepEqual(sizes, [2, 2, 1]);
    assert.equal((await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s" })).events!.length, 2);
  });

  test("FilterLogEvents interleaves streams by time, by stream, prefix, time and pattern", async () => {
    for (const name of ["a/1", "a/2", "b"]) await logs.stream("g", name);
    await put("g", "a/1", [now, "ERROR one"], [now + 2, "fine"], [now + 4, "ERROR two"]);
    await put("g", "a/2", [now + 1, "ERROR three"], [now + 5, '{"level": "error", "code": 5}']);
    await put("g", "b", [now + 2, "ERROR four"], [now + 3, "10.0.0.1 GET 404"]);
    const filter = async (input: object) => {
      const output = await logs.call("FilterLogEvents", { logGroupName: "g", ...input });
      assert.equal(output.nextToken, undefined);
      return messages(output);
    };
    const all = await logs.call("FilterLogEvents", {
      logGroupIdentifier: "arn:aws:logs:us-east-1:000000000000:log-group:g:*",
      interleaved: true,
    });
    assert.deepEqual(
      all.events!.map(({ logStreamName, timestamp, ingestionTime }) => [logStreamName, timestamp! - now, ingestionTime! - now]),
      [
        ["a/1", 0, 0],
        ["a/2", 1, 0],
        ["a/1", 2, 0],
        ["b", 2, 0],
        ["b", 3, 0],
        ["a/1", 4, 0],
        ["a/2", 5, 0],
      ],
    );
    const ids = all.events!.map((event) => event.eventId!);
    assert.deepEqual(ids, [...new Set(ids)].toSorted());
    assert.ok(ids.every((id) => /^\d{56}$/.test(id)));
    assert.deepEqual(all.searchedLogStreams, []);
    assert.deepEqual(await filter({ filterPattern: "ERROR" }), ["ERROR one", "ERROR three", "ERROR four", "ERROR two"]);
    assert.deepEqual(await filter({ filterPattern: "ERROR", startFromHead: false }), [
      "ERROR two",
      "ERROR four",
      "ERROR three",
      "ERROR one",
    ]);
    assert.deepEqual(await filter({ filterPattern: "{ $.code = 5 }" }), ['{"level": "error", "code": 5}']);
    assert.deepEqual(await filter({ filterPattern: "[ip, verb, code = 4*]" }), ["10.0.0.1 GET 404"]);
    assert.deepEqual(await filter({ logStreamNames: ["b", "a/2"], endTime: now + 2 }), ["ERROR three", "ERROR four"]);
    assert.deepEqual(await filter({ logStreamNamePrefix: "a/", startTime: now + 4 }), ["ERROR two", '{"level": "error", "code": 5}']);
    const pages: string[][] = [];
    let nextToken: string | undefined;
    do {
      const page = await logs.call("FilterLogEvents", { logGroupName: "g", filterPattern: "ERROR", limit: 3, nextToken });
      pages.push(messages(page) as string[]);
      nextToken = page.nextToken;
    } while (nextToken);
    assert.deepEqual(pages, [["ERROR one", "ERROR three", "ERROR four"], ["ERROR two"]]);
    const refused = (input: object, code: string, text: string) => assert.rejects(filter(input), refusal(code, text));
    await refused({ logStreamNames: ["none"] }, "ResourceNotFoundException", "log stream");
    await refused({ logStreamNames: ["b"], logStreamNamePrefix: "b" }, "InvalidParameterException", "");
    await refused({ filterPattern: "a@b" }, "InvalidParameterException", "Invalid character(s) in term 'a@b'");
    await refused({ filterPattern: "x".repeat(1025) }, "InvalidParameterException", "length less than or equal to 1024");
    await refused({ nextToken: "forged" }, "InvalidParameterException", "nextToken");
    await refused({ logGroupName: "none" }, "ResourceNotFoundException", "log group");
  });

  test("retention: allowed values, expired events vanish at once and their files later", async () => {
    await logs.stream("g", "s");
    await assert.rejects(
      logs.call("PutRetentionPolicy", { logGroupName: "g", retentionInDays: 2 }),
      refusal("InvalidParameterException", "Value '2' at 'retentionInDays'"),
    );
    await put("g", "s", [now - 2 * DAY, "two days old"]);
    await put("g", "s", [now, "new"]);
    await logs.call("PutRetentionPolicy", { logGroupName: "g", retentionInDays: 1 });
    assert.equal((await logs.call("DescribeLogGroups", {})).logGroups![0]!.retentionInDays, 1);
    const read = async () => [
      messages(await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "s" })),
      messages(await logs.call("FilterLogEvents", { logGroupName: "g" })),
    ];
    assert.deepEqual(await read(), [["new"], ["new"]]);
    await logs.call("DeleteRetentionPolicy", { logGroupName: "g" });
    assert.equal((await logs.call("DescribeLogGroups", {})).logGroups![0]!.retentionInDays, undefined);
    assert.deepEqual((await read())[0], ["two days old", "new"]);
    await logs.call("PutRetentionPolicy", { logGroupName: "g", retentionInDays: 1 });
    await logs.clock.advance(2 * DAY);
    assert.deepEqual(await read(), [[], []]);
    await until("their bytes are given back", async () => (await logs.call("DescribeLogGroups", {})).logGroups![0]!.storedBytes === 0);
    await put("g", "s", [logs.clock.now(), "again"]);
    assert.deepEqual((await read())[0], ["again"]);
  });

  test("tags by name and by ARN are the same tags", async () => {
    await logs.call("CreateLogGroup", { logGroupName: "g", tags: { a: "1" } });
    const resourceArn = "arn:aws:logs:us-east-1:000000000000:log-group:g";
    await logs.call("TagLogGroup", { logGroupName: "g", tags: { b: "2" } });
    await logs.call("TagResource", { resourceArn, tags: { c: "3", a: "4" } });
    assert.deepEqual((await logs.call("ListTagsLogGroup", { logGroupName: "g" })).tags, { a: "4", b: "2", c: "3" });
    await logs.call("UntagLogGroup", { logGroupName: "g", tags: ["a", "none"] });
    await logs.call("UntagResource", { resourceArn, tagKeys: ["b"] });
    assert.deepEqual((await logs.call("ListTagsForResource", { resourceArn })).tags, { c: "3" });
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, ""]));
    await assert.rejects(logs.call("TagResource", { resourceArn, tags: many }), refusal("TooManyTagsException"));
    await assert.rejects(logs.call("TagResource", { resourceArn: `${resourceArn}x`, tags: {} }), refusal("ResourceNotFoundException"));
    await assert.rejects(logs.call("TagResource", { resourceArn: "arn:aws:s3:::x", tags: {} }), refusal("InvalidParameterException"));
    await assert.rejects(logs.call("TagLogGroup", { logGroupName: "g", tags: { "aws:x": "" } }), refusal("InvalidParameterException"));
  });

  test("deletion protection keeps a group until it is lifted", async () => {
    await logs.call("CreateLogGroup", { logGroupName: "g", deletionProtectionEnabled: true });
    await assert.rejects(logs.call("DeleteLogGroup", { logGroupName: "g" }), refusal("ValidationException"));
    await logs.call("PutLogGroupDeletionProtection", { logGroupIdentifier: "g", deletionProtectionEnabled: false });
    await logs.call("DeleteLogGroup", { logGroupName: "g" });
  });

  test("writers at the same time, a delete in between, and a reset", async () => {
    await logs.stream("g", "s");
    await Promise.all(Array.from({ length: 50 }, (_, i) => put("g", "s", [now + (i % 7), `m${i}`])));
    assert.equal((await logs.call("FilterLogEvents", { logGroupName: "g" })).events!.length, 50);
    const writing = Array.from({ length: 20 }, (_, i) => put("g", "s", [now, `late ${i}`]));
    const outcomes = await Promise.allSettled([logs.call("DeleteLogStream", { logGroupName: "g", logStreamName: "s" }), ...writing]);
    assert.equal(outcomes[0]!.status, "fulfilled");
    assert.ok(outcomes.every((outcome) => outcome.status === "fulfilled" || refusal("ResourceNotFoundException")(outcome.reason)));
    await logs.stream("g", "t");
    await put("g", "t", [now, "x"]);
    await logs.part().reset!();
    assert.ok(!existsSync(join(logs.home, "logs")));
    await put("g", "t", [now, "y"]);
    assert.deepEqual(messages(await logs.call("FilterLogEvents", { logGroupName: "g" })), ["y"]);
  });
});
