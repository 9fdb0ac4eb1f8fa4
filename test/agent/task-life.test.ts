import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { container, task } from "./payloads.ts";
import { Harness } from "./harness.ts";

let harness: Harness;
afterEach(() => harness.close());

describe("a task's life", () => {
  it("pulls, starts, reports RUNNING, then STOPPED with the exit code", async () => {
    harness = new Harness({ app: { pullMs: 500, runMs: 2000, exitCode: 3 } });
    harness.engine.apply([task("t1", [container("app", { portMappings: [{ containerPort: 80, protocol: "tcp" }] })])]);
    await harness.advance(1000);
    assert.equal(harness.state().status, "RUNNING");
    await harness.advance(2000);
    const statuses = harness.reports.map(({ status }) => status);
    assert.deepEqual(statuses, ["RUNNING", "STOPPED"]);
    const [running, stopped] = harness.reports;
    assert.equal(running?.containers[0]?.networkBindings?.[0]?.hostPort, 49153);
    assert.equal(running?.pullStoppedAt && running.pullStartedAt && running.pullStoppedAt - running.pullStartedAt, 0.5);
    assert.equal(stopped?.reason, "Essential container in task exited");
    assert.equal(stopped?.containers[0]?.exitCode, 3);
    assert.match(stopped?.containers[0]?.runtimeId ?? "", /^[0-9a-f]{64}$/);
    assert.deepEqual(harness.flushed, ["app"]);
    assert.equal(harness.network.attached.size, 0);
    assert.equal(harness.runtime.lives.size, 0);
    await harness.advance(61_000);
    assert.equal(harness.engine.tasks().length, 0);
  });

  it("starts by dependsOn, stops in reverse order", async () => {
    harness = new Harness({ init: { runMs: 1000 }, db: { probes: [{ exitCode: 1 }, {}] }, app: {} });
    const health = { Test: ["CMD", "true"], Interval: 1e9, Timeout: 1e9, Retries: 3 };
    harness.engine.apply([
      task("t1", [
        container("app", { dependsOn: [{ containerName: "db", condition: "HEALTHY" }] }),
        container("db", {
          dependsOn: [{ containerName: "init", condition: "SUCCESS" }],
          healthCheckType: "docker",
          config: { Healthcheck: health },
        }),
        container("init", { essential: false }),
      ]),
    ]);
    await harness.advance(10_000);
    assert.equal(harness.state().status, "RUNNING");
    assert.deepEqual(
      harness.runtime.log.filter((line) => line.startsWith("start")),
      ["start init", "start db", "start app"],
    );
    const { startedAt: dbAt = 0 } = harness.container("db");
    const { startedAt: appAt = 0 } = harness.container("app");
    assert.ok(appAt - dbAt >= 2000, "healthy only at the second probe");
    harness.engine.stop(harness.state().arn, "user");
    await harness.advance(1000);
    assert.deepEqual(
      harness.runtime.log.filter((line) => line.startsWith("kill")),
      ["kill-15 app", "kill-15 db"],
    );
    assert.equal(harness.reports.at(-1)?.status, "STOPPED");
    assert.equal(harness.reports.at(-1)?.containers.find(({ containerName }) => containerName === "init")?.exitCode, 0);
  });

  it("sends SIGKILL after stopTimeout", async () => {
    harness = new Harness({ app: { stubborn: true } });
    harness.engine.apply([task("t1", [container("app", { stopTimeout: 5 })])]);
    await harness.advance(100);
    harness.engine.stop(harness.state().arn, "user");
    await harness.advance(4_900);
    assert.equal(harness.container("app").status, "RUNNING");
    await harness.advance(200);
    assert.equal(harness.container("app").exitCode, 137);
    assert.deepEqual(
      harness.runtime.log.filter((line) => line.startsWith("kill")),
      ["kill-15 app", "kill-9 app"],
    );
  });

  it("a dependency that fails ends what waits for it, with a reason that says so", async () => {
    harness = new Harness({ init: { runMs: 10, exitCode: 2 }, app: {} });
    harness.engine.apply([
      task("t1", [
        container("app", { dependsOn: [{ containerName: "init", condition: "SUCCESS" }] }),
        container("init", { essential: false }),
      ]),
    ]);
    await harness.advance(1000);
    const report = harness.reports.at(-1);
    const app = report?.containers.find(({ containerName }) => containerName === "app");
    assert.equal(report?.status, "STOPPED");
    assert.equal(app?.exitCode, 143);
    assert.match(
      app?.reason ?? "",
      /^CannotStartContainerError: .*app depends on init \(SUCCESS\), which did not exit successfully \(exit code 2\)/,
    );
  });

  it("startTimeout of a dependency ends the wait", async () => {
    harness = new Harness({ slow: {}, app: {} });
    harness.engine.apply([
      task("t1", [
        container("app", { dependsOn: [{ containerName: "slow", condition: "COMPLETE" }] }),
        container("slow", { essential: false, startTimeout: 7 }),
      ]),
    ]);
    await harness.advance(6_900);
    assert.equal(harness.reports.at(-1)?.status, "PENDING");
    await harness.advance(1_000);
    assert.equal(harness.reports.at(-1)?.status, "STOPPED");
    assert.match(harness.reports.at(-1)?.containers[0]?.reason ?? "", /timed out after 7 s/);
  });

  for (const [script, reason] of [
    [{ pullError: "pull image manifest has been retried 1 time(s): not found" }, /^CannotPullContainerError: pull image manifest/],
    [{ createError: "no such user" }, /^CannotCreateContainerError: no such user/],
    [{ startError: 'exec: "nope": executable file not found in $PATH' }, /^CannotStartContainerError: exec: "nope"/],
    [{ runMs: 5, exitCode: 137, outOfMemory: true }, /^OutOfMemoryError: Container killed due to memory usage$/],
  ] as const) {
    it(`reason ${reason}`, async () => {
      harness = new Harness({ app: script });
      harness.engine.apply([task("t1", [container("app")])]);
      await harness.advance(1000);
      const report = harness.reports.at(-1);
      assert.equal(report?.status, "STOPPED");
      assert.match(report?.containers[0]?.reason ?? "", reason);
      assert.equal(harness.network.attached.size, 0);
    });
  }

  it("a stop during the pull ends it at once", async () => {
    harness = new Harness({ app: { pullMs: 3_600_000 } });
    harness.engine.apply([task("t1", [container("app")])]);
    await harness.advance(100);
    harness.engine.apply([task("t1", [container("app")], { desiredStatus: "STOPPED" })]);
    await harness.advance(100);
    assert.equal(harness.reports.at(-1)?.status, "STOPPED");
    assert.equal(harness.reports.at(-1)?.containers[0]?.exitCode, undefined);
  });

  it("restarts by its policy once it has run for the period", async () => {
    harness = new Harness({ app: { runMs: 61_000, exitCode: 1 } });
    harness.engine.apply([task("t1", [container("app", { restartPolicy: { enabled: true, restartAttemptPeriod: 60 } })])]);
    await harness.advance(61_100);
    assert.equal(harness.state().status, "RUNNING");
    assert.equal(harness.container("app").restarts, 1);
    harness.runtime.exit(harness.container("app").id, 1);
    await harness.advance(10);
    assert.equal(harness.reports.at(-1)?.status, "STOPPED", "too early for another restart");
  });

  it("falls back on the cached image when the registry is away", async () => {
    harness = new Harness({ app: {} });
    harness.engine.apply([task("t1", [container("app")])]);
    await harness.advance(100);
    harness.runtime.scripts.set("app", { pullError: "connection refused" });
    harness.engine.apply([task("t2", [container("app")])]);
    await harness.advance(100);
    assert.equal(harness.state(1).status, "RUNNING");
  });

  it("of an image that is gone, an instance runs its copy, Fargate does not", async () => {
    harness = new Harness({ app: {} });
    harness.engine.apply([task("t1", [container("app")])]);
    await harness.advance(100);
    harness.runtime.scripts.set("app", { pullError: "not found", pullStatus: 404 });
    harness.engine.apply([task("t2", [container("app")]), task("t3", [container("app")], { isolation: "FARGATE" })]);
    await harness.advance(100);
    assert.equal(harness.state(1).status, "RUNNING");
    const stopped = harness.reports.filter(({ status }) => status === "STOPPED");
    assert.deepEqual(
      stopped.map(({ task: arn, containers }) => [arn.split("/").at(-1), containers[0]?.reason]),
      [["t3", "CannotPullContainerError: not found"]],
    );
  });

  it("refuses what it can't run, with the reason", async () => {
    harness = new Harness();
    const awsvpc = container("app", { host: { NetworkMode: "awsvpc" } });
    const fluentd = container("app", { host: { LogConfig: { Type: "fluentd" } } });
    const broken = { ...container("app"), dockerConfig: { config: "{", hostConfig: "" } };
    const circle = [
      container("a", { dependsOn: [{ containerName: "b", condition: "START" }] }),
      container("b", { dependsOn: [{ containerName: "a", condition: "START" }] }),
    ];
    harness.engine.apply([task("t1", [awsvpc]), task("t2", [fluentd]), task("t3", [broken]), task("t4", circle), task("t5", [])]);
    await harness.settle();
    assert.deepEqual(
      harness.reports.map(({ status }) => status),
      ["STOPPED", "STOPPED", "STOPPED", "STOPPED", "STOPPED"],
    );
    assert.match(harness.reports[0]?.reason ?? "", /awsvpc, and no network interface was given/);
    assert.match(harness.reports[1]?.reason ?? "", /logging driver fluentd/);
    assert.match(harness.reports[3]?.reason ?? "", /circle/);
    assert.equal(harness.engine.tasks().length, 0);
  });
});

describe("a crash of the agent", () => {
  it("leaves running tasks alone and finds exits that happened meanwhile", async () => {
    harness = new Harness({ app: {}, other: {} });
    harness.engine.apply([task("t1", [container("app")]), task("t2", [container("other")])]);
    await harness.advance(100);
    const before = harness.reports.length;
    const { id } = harness.container("app");
    harness.engine.close();
    harness.runtime.exit(id, 7);
    const exitedAt = harness.clock.now();
    await harness.advance(60_000);
    await harness.crash();
    await harness.advance(100);
    assert.equal(harness.reports.length, before + 1, "nothing is reported twice");
    const report = harness.reports.at(-1);
    assert.equal(report?.status, "STOPPED");
    assert.equal(report?.containers[0]?.exitCode, 7);
    assert.equal(report?.executionStoppedAt, exitedAt / 1000);
    assert.equal(harness.engine.tasks().find(({ plan }) => plan.id === "t2")?.state.status, "RUNNING");
  });

  it("during the pull, begins it again", async () => {
    harness = new Harness({ app: { pullMs: 1000, runMs: 100 } });
    harness.engine.apply([task("t1", [container("app")])]);
    await harness.advance(500);
    await harness.crash();
    await harness.advance(2000);
    assert.equal(harness.reports.at(-1)?.status, "STOPPED");
    assert.equal(harness.runtime.log.filter((line) => line === "start app").length, 1);
  });

  it("removes containers that the journal does not know", async () => {
    harness = new Harness({ app: {} });
    harness.engine.apply([task("t1", [container("app")])]);
    await harness.advance(100);
    harness.world.journal.forget(harness.state().arn);
    await harness.crash();
    await harness.settle();
    assert.equal(harness.runtime.lives.size, 0);
  });
});
