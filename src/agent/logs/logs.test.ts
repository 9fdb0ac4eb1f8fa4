import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { batchesOf, limits } from "./batches.ts";
import { parseAwsLogs } from "./awslogs.ts";
import { parseSize } from "./json-file.ts";
import { cutLines } from "./lines.ts";
import { datetimePattern, groupLines } from "./multiline.ts";

const names = { container: "app", task: "t1", id: "abc", region: "us-east-1" };

describe("lines", () => {
  it("lose no byte and no order, whatever pieces the text is read in", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: "grapheme", maxLength: 40 })),
        fc.integer({ min: 4, max: 30 }),
        fc.integer({ min: 35, max: 200 }),
        (texts, longest, piece) => {
          const bytes = Buffer.from(texts.map((text) => text.replaceAll("\n", " ")).join("\n"));
          const out: string[] = [];
          let offset = 0;
          while (offset < bytes.length) {
            const end = Math.min(bytes.length, offset + piece);
            const { lines, consumed } = cutLines(bytes.subarray(offset, end), longest, end === bytes.length);
            assert.ok(consumed > 0, "goes on");
            assert.equal(consumed, lines.at(-1)?.end);
            for (const line of lines) {
              assert.ok(Buffer.byteLength(line.text) <= longest);
              out.push(line.text + (line.partial ? "" : "\n"));
            }
            offset += consumed;
          }
          assert.equal(out.join(""), bytes.toString());
        },
      ),
    );
  });

  it("an unfinished line waits, unless it is the last", () => {
    assert.deepEqual(
      cutLines(Buffer.from("a\nbc"), 100, false).lines.map(({ text }) => text),
      ["a"],
    );
    assert.deepEqual(
      cutLines(Buffer.from("a\nbc"), 100, true).lines.map(({ text }) => text),
      ["a", "bc"],
    );
  });
});

describe("batches", () => {
  it("hold every event in order within AWS's limits", () => {
    const event = fc.record({ step: fc.nat(10_000_000), size: fc.constantFrom(1, 10, 1000, limits.message) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (list) => {
        let timestamp = 0;
        const events = list.map(({ step, size }) => ({ timestamp: (timestamp += step), message: "x".repeat(size) }));
        const batches = batchesOf(events);
        assert.deepEqual(batches.flat(), events);
        for (const batch of batches) {
          assert.ok(batch.length > 0 && batch.length <= limits.events);
          assert.ok(batch.reduce((sum, { message }) => sum + message.length + limits.overhead, 0) <= limits.bytes);
          assert.ok((batch.at(-1)?.timestamp ?? 0) - (batch[0]?.timestamp ?? 0) < limits.spanMs);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe("multiline", () => {
  it("joins what does not begin an event, and keeps the last open", () => {
    const lines = ["INFO a", " at b", " at c", "INFO d", " e"];
    assert.deepEqual(groupLines(lines, /^INFO/, 1000, false), { events: [{ text: "INFO a\n at b\n at c", lines: 3 }], consumed: 3 });
    assert.equal(groupLines(lines, /^INFO/, 1000, true).events[1]?.text, "INFO d\n e");
  });

  it("reads strftime formats", () => {
    const pattern = datetimePattern("[%b %d, %Y %H:%M:%S]");
    assert.ok(pattern.test("[May 01, 2017 19:00:01] A message"));
    assert.ok(!pattern.test("May 01, 2017 19:00:01 A message"));
    assert.ok(datetimePattern("%Y-%m-%dT%H:%M:%S%L%z").test("2026-11-21T08:00:00.123+0000"));
    assert.throws(() => datetimePattern("%Q"), /unknown code %Q/);
  });
});

describe("awslogs options", () => {
  it("name the stream prefix/container/task, or as told, or by the container's id", () => {
    assert.equal(parseAwsLogs({ "awslogs-group": "g", "awslogs-stream-prefix": "p" }, names).stream, "p/app/t1");
    assert.equal(parseAwsLogs({ "awslogs-group": "g", "awslogs-stream": "s" }, names).stream, "s");
    assert.equal(parseAwsLogs({ "awslogs-group": "g" }, names).stream, "abc");
  });

  it("are refused with Docker's words", () => {
    assert.throws(() => parseAwsLogs({}, names), /must specify a value for log opt 'awslogs-group'/);
    assert.throws(() => parseAwsLogs({ "awslogs-group": "g", nope: "1" }, names), /unknown log opt 'nope'/);
    assert.throws(
      () => parseAwsLogs({ "awslogs-group": "g", "awslogs-multiline-pattern": "(" }, names),
      /could not parse multiline pattern/,
    );
    assert.throws(() => parseAwsLogs({ "awslogs-group": "g", mode: "x" }, names), /'mode'/);
  });

  it("sizes are Docker's", () => {
    assert.equal(parseSize("x", "10m"), 10 * 1048576);
    assert.equal(parseSize("x", "1.5k"), 1536);
    assert.throws(() => parseSize("max-size", "ten"), /max-size is not a size/);
  });
});
