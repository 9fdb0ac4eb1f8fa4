import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readStatistics, readTables, timeOf } from "./statistics.ts";

/** As HAProxy makes a key of microseconds, `1` before it for one of thirty-two requests, `2` for each. */
const keyOf = (micros: number, marked = "2") => `${marked}${String(micros).padStart(12, "0")}`.replace(/^(.0*...).*/, "$1");

test("a key stands for its times within one percent", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), (micros) => {
      const { seconds, weight } = timeOf(keyOf(micros))!;
      assert.ok(Math.abs(seconds * 1e6 - micros) <= Math.max(0.5, micros * 0.005), `${micros}: ${seconds}`);
      assert.equal(weight, 1);
    }),
  );
  assert.equal(timeOf(keyOf(1234, "1"))!.weight, 32);
  for (const wrong of ["", "999999999995", "x", "3000000123", "10000000000000", "2123456"]) assert.equal(timeOf(wrong), undefined, wrong);
});

test("percentiles of counted keys are those of the times themselves, within one percent", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 100, max: 60_000_000 }), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 100 }),
      (all, p) => {
        const counts = new Map<string, number>();
        for (const micros of all) counts.set(keyOf(micros), (counts.get(keyOf(micros)) ?? 0) + 1);
        const sorted = [...counts]
          .map(([key, count]) => ({ seconds: timeOf(key)!.seconds, count }))
          .toSorted((a, b) => a.seconds - b.seconds);
        let seen = 0;
        const found = sorted.find(({ count }) => (seen += count) >= (all.length * p) / 100)!.seconds * 1e6;
        const exact = all.toSorted((a, b) => a - b)[Math.ceil((all.length * p) / 100) - 1]!;
        assert.ok(Math.abs(found - exact) <= exact * 0.01, `${found} for ${exact}`);
      },
    ),
  );
});

test("show stat and show table are read by their heads", () => {
  const head =
    "# pxname,svname,scur,stot,bin,bout,dcon,econ,eresp,wretr,wredis,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,conn_tot,connect,used_conn_cur,srv_icur,";
  const rows = readStatistics(
    [
      head,
      "l-1,FRONTEND,2,9,100,900,0,,,,,0,7,0,1,1,9,,,,",
      "g-1,t1,1,8,,,,1,0,3,1,0,7,0,0,0,,12,1,2,",
      "g-1,BACKEND,1,8,1,1,,1,2,,,0,7,0,0,0,,,,,",
      "g-2,t2,0,0,0,0,,0,0,0,0,0,0,0,0,0,,0,0,0,",
      "",
    ].join("\n"),
  );
  assert.deepEqual(rows, [
    { scope: "l-1", counters: { connections: 9, received: 100, sent: 900, "4xx": 1, "5xx": 1 }, active: 2 },
    { scope: "g-1/t1", counters: { "2xx": 7, tried: 12, retried: 3, redispatched: 1, failed: 1 }, active: 3 },
    { scope: "g-1", counters: { unconnected: 1, unanswered: 2 }, active: 0 },
  ]);
  const text =
    "# table: g-1, type: string, size:8192, used:2\n0x1: key=2000000000684 use=0 exp=1 http_req_cnt=4\n0x2: key=1000000000408 use=1 exp=1 http_req_cnt=2\n\n# table: g-2, type: string, size:8192, used:0\n";
  assert.deepEqual(
    [...readTables(text)],
    [
      ["g-1", { "2000000000684": 4, "1000000000408": 2 }],
      ["g-2", {}],
    ],
  );
});
