import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCsv, formatTable, type CostAnswer } from "./cost-format.ts";
import { parseTime } from "./period.ts";

const row = (more: Partial<CostAnswer["rows"][number]>): CostAnswer["rows"][number] => ({
  key: "service:web",
  cluster: "prod",
  launchType: "FARGATE",
  unused: false,
  tasksBegun: 3,
  taskHours: "24.000000",
  vcpuHours: "6.000000",
  gbHours: "0.012345",
  storageGbHours: "0.000000",
  cost: "1.184880",
  elsewhere: "0.832000",
  elsewhereLacks: false,
  ...more,
});
const answer = (rows: CostAnswer["rows"], more: Partial<CostAnswer> = {}): CostAnswer => ({
  since: Date.UTC(2026, 10, 1),
  until: Date.UTC(2026, 10, 21, 13, 32),
  by: "service",
  prices: { name: "AWS on-demand, us-east-1", date: "2026-01-19", currency: "USD" },
  rows,
  total: { cost: "12.184880", elsewhere: "0.832000", elsewhereLacks: rows.some(({ elsewhereLacks }) => elsewhereLacks) },
  instances: [],
  ...more,
});

test("the table", () => {
  const rows = [
    row({}),
    row({ key: "family:job", launchType: "EC2", cost: "10.000000", elsewhereLacks: true }),
    row({ key: "(unused)", launchType: "EC2", unused: true, cost: "1.000000" }),
  ];
  assert.equal(
    formatTable(answer(rows)),
    `2026-11-01 00:00 to 2026-11-21 13:32 UTC, in USD; prices: AWS on-demand, us-east-1 (2026-01-19)

CLUSTER  SERVICE      RUN ON      TASK-HOURS  VCPU-HOURS  GB-HOURS       COST  ELSEWHERE
prod     service:web  FARGATE          24.00        6.00    0.0123   1.184880   0.832000
prod     family:job   EC2              24.00        6.00    0.0123  10.000000   0.832000 *
prod     (unused)     EC2 unused                                     1.000000          -
------------------------------------------------------------------------------------------
         TOTAL                                                      12.184880   0.832000 *

EC2: the instances cost, not the tasks. A task's row is its share of its instance, by vCPU and memory; unused is what no task took.
ELSEWHERE for EC2 tasks: Fargate's price of the smallest size that holds them.
ELSEWHERE for Fargate tasks: their share of the cheapest EC2 instance type for them, when it is full of such tasks.
* without tasks that Fargate could not run: too large, or with GPUs`,
  );
  assert.match(formatTable(answer([])), /\n\nnothing ran in this period$/);
  const byType = formatTable(answer([row({ key: "FARGATE", cluster: undefined })], { by: "launch-type" }));
  assert.match(byType, /^LAUNCH-TYPE  TASK-HOURS/m);
  assert.doesNotMatch(byType, /RUN ON|EC2:/);
  assert.match(formatTable(answer([row({ key: "a\u001b[31mb" })])), /a\?\[31mb/, "no escape sequence of a tag reaches the terminal");
});

test("CSV: quoted where it must be, and only there", () => {
  const csv = formatCsv(answer([row({ key: 'say "hi", twice\nor so' }), row({ key: " x", cluster: undefined })], { by: "tag:team" }));
  assert.equal(
    csv,
    [
      "cluster,tag:team,launch_type,unused,tasks_begun,task_hours,vcpu_hours,gb_hours,storage_gb_hours,cost,elsewhere,elsewhere_lacks,currency",
      'prod,"say ""hi"", twice\nor so",FARGATE,false,3,24.000000,6.000000,0.012345,0.000000,1.184880,0.832000,false,USD',
      '," x",FARGATE,false,3,24.000000,6.000000,0.012345,0.000000,1.184880,0.832000,false,USD\r',
    ].join("\r\n"),
  );
});

test("points in time", () => {
  const now = Date.UTC(2026, 10, 21, 12);
  const cases: Record<string, string> = {
    "24h": "2026-11-20T12:00:00.000Z",
    "30m": "2026-11-21T11:30:00.000Z",
    "2w": "2026-11-07T12:00:00.000Z",
    "2026-11-01": "2026-11-01T00:00:00.000Z",
    "2026-11-01T06:30": "2026-11-01T06:30:00.000Z",
    "2026-11-01 06:30:15": "2026-11-01T06:30:15.000Z",
    "2026-11-01T06:30+02:00": "2026-11-01T04:30:00.000Z",
    "2028-02-29": "2028-02-29T00:00:00.000Z",
  };
  for (const [text, at] of Object.entries(cases)) assert.equal(new Date(parseTime("--since", text, now)).toISOString(), at, text);
  for (const text of ["", "yesterday", "24", "h", "-1h", "2026-02-30", "2026-13-01", "2026-11-01T25:00", "1969-12-31", "24h "])
    assert.throws(() => parseTime("--since", text, now), /^Error: --since .*: give a day \(2026-11-01\)/, text);
});
