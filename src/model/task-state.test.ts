import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { TaskObservation, TaskRecord } from "./ecs-records.ts";
import { abandon, desiredStatus, observe, observeHealth, taskHealth, type TaskReport } from "./task-state.ts";

const container = (name: string, essential: boolean, healthCheck = false) => ({
  name,
  arn: name,
  image: "i",
  cpu: "0",
  essential,
  healthCheck,
});

const task: TaskRecord = {
  arn: "arn",
  id: "id",
  cluster: "c",
  taskDefinitionArn: "td",
  containerInstanceId: "ci",
  launchType: "EC2",
  group: "family:f",
  desiredStatus: "RUNNING",
  createdAt: 0,
  resources: { cpu: 0, memory: 0, portsTcp: [], portsUdp: [] },
  overrides: {},
  containers: [container("app", true), container("side", false)],
  enableExecuteCommand: false,
  tags: [],
};
const stopping: TaskRecord = { ...task, desiredStatus: "STOPPED", stop: { at: 5, code: "UserInitiated", reason: "Task stopped by user" } };

const all = (status: string, more: object = {}): TaskReport => ({
  status,
  containers: ["app", "side"].map((name) => ({ name, status, ...more })),
});
const play = (of: TaskRecord, ...reports: TaskReport[]) =>
  reports.reduce<TaskObservation | undefined>((seen, report, index) => observe(of, seen, report, 100 + index) ?? seen, undefined)!;

test("a job's life: PENDING, RUNNING, essential container exits, STOPPED", () => {
  const end = play(task, { status: "PENDING", pullStartedAt: 90, pullStoppedAt: 95, containers: [] }, all("RUNNING"), {
    status: "STOPPED",
    executionStoppedAt: 150,
    containers: [{ name: "app", status: "STOPPED", exitCode: 3 }],
  });
  assert.equal(end.lastStatus, "STOPPED");
  assert.equal(end.startedAt, 101);
  assert.equal(end.stoppedAt, 102);
  assert.equal(end.executionStoppedAt, 150);
  assert.equal(end.stopCode, "EssentialContainerExited");
  assert.equal(end.reason, "Essential container in task exited");
  assert.deepEqual(
    end.containers.map(({ lastStatus, exitCode }) => [lastStatus, exitCode]),
    [
      ["STOPPED", 3],
      ["STOPPED", undefined],
    ],
  );
  assert.equal(end.version, 3);
});

test("who stopped it: the user, a failing pull, a fast exit without RUNNING", () => {
  const byUser = play(stopping, all("RUNNING"), all("STOPPED", { exitCode: 143 }));
  assert.deepEqual([byUser.stopCode, byUser.reason, byUser.stoppingAt], ["UserInitiated", "Task stopped by user", 5]);
  const pull = play(task, all("STOPPED", { reason: "CannotPullContainerError: gone" }));
  assert.deepEqual([pull.stopCode, pull.reason, pull.startedAt], ["TaskFailedToStart", "CannotPullContainerError: gone", undefined]);
  const silent = play(task, { status: "STOPPED" });
  assert.deepEqual([silent.stopCode, silent.reason], ["TaskFailedToStart", "Task failed to start"]);
  const fast = play(task, all("STOPPED", { exitCode: 0 }));
  assert.equal(fast.stopCode, "EssentialContainerExited");
});

test("an essential container's end shows at once; a side container's does not", () => {
  const side = play(task, all("RUNNING"), { containers: [{ name: "side", status: "STOPPED", exitCode: 0 }] });
  assert.equal(desiredStatus(task, side), "RUNNING");
  const app = play(task, all("RUNNING"), { containers: [{ name: "app", status: "STOPPED", exitCode: 0 }] });
  assert.equal(app.lastStatus, "RUNNING");
  assert.equal(desiredStatus(task, app), "STOPPED");
  assert.equal(app.stopCode, "EssentialContainerExited");
});

test("any reports in any order: never back, STOPPED is final, a repeated report changes nothing", () => {
  const report = fc.record(
    {
      status: fc.constantFrom("PENDING", "RUNNING", "STOPPED", "CREATED", ""),
      reason: fc.constantFrom("", "because"),
      containers: fc.array(
        fc.record(
          {
            name: fc.constantFrom("app", "side", "unknown"),
            status: fc.constantFrom("PENDING", "RUNNING", "STOPPED"),
            exitCode: fc.integer({ min: 0, max: 3 }),
            reason: fc.constantFrom("", "OutOfMemoryError: x"),
          },
          { requiredKeys: ["name"] },
        ),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: [] },
  );
  const rank = (status: string) => ["PENDING", "RUNNING", "STOPPED"].indexOf(status);
  fc.assert(
    fc.property(fc.array(report, { maxLength: 12 }), fc.boolean(), (reports, asked) => {
      const of = asked ? stopping : task;
      let seen: TaskObservation | undefined;
      reports.forEach((each, index) => {
        const next = observe(of, seen, each, 100 + index);
        if (next) {
          assert.equal(next.version, (seen?.version ?? 0) + 1);
          assert.ok(rank(next.lastStatus) >= rank(seen?.lastStatus ?? "PENDING"));
          for (const [i, { lastStatus, exitCode }] of (seen?.containers ?? []).entries()) {
            assert.ok(rank(next.containers[i]!.lastStatus) >= rank(lastStatus));
            if (exitCode !== undefined) assert.equal(next.containers[i]!.exitCode, exitCode);
          }
          if (seen?.lastStatus === "STOPPED") {
            for (const member of ["stoppedAt", "startedAt", "stopCode", "reason"] as const) assert.equal(next[member], seen[member]);
          }
          if (next.lastStatus === "STOPPED") assert.ok(next.stoppedAt && next.stopCode && next.reason && next.stoppingAt);
        }
        seen = next ?? seen;
        assert.equal(observe(of, seen, each, 500), undefined);
      });
    }),
  );
});

test("a lost instance's task ends once", () => {
  const stop = { code: "UserInitiated", reason: "Container instance deregistration forced by user" };
  const lost = abandon(task, play(task, all("RUNNING")), stop, 200)!;
  assert.deepEqual([lost.lastStatus, lost.reason, lost.stoppedAt], ["STOPPED", stop.reason, 200]);
  assert.equal(abandon(task, lost, stop, 300), undefined);
  const late = observe(task, lost, all("RUNNING"), 300);
  assert.equal(late, undefined);
});

test("health: of essential containers with a check", () => {
  const checked: TaskRecord = { ...task, containers: [container("app", true, true), container("side", false, true)] };
  const running = play(checked, all("RUNNING"));
  assert.equal(taskHealth(checked, running), "UNKNOWN");
  assert.equal(taskHealth(task, running), "UNKNOWN");
  const healthy = observeHealth(
    checked,
    running,
    new Map([
      ["app", "HEALTHY"],
      ["side", "UNHEALTHY"],
    ]),
  )!;
  assert.equal(taskHealth(checked, healthy), "HEALTHY");
  assert.equal(healthy.version, running.version + 1);
  assert.equal(observeHealth(checked, healthy, new Map([["app", "HEALTHY"]])), undefined);
  assert.equal(observeHealth(checked, healthy, new Map([["app", "nonsense"]])), undefined);
  assert.equal(taskHealth(checked, observeHealth(checked, healthy, new Map([["app", "UNHEALTHY"]]))), "UNHEALTHY");
});
