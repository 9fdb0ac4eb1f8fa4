import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { startAgent, type Agent } from "#agent/agent.ts";
import { readAgentConfig } from "#agent/config.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { until } from "../support/until.ts";
import { FakeControlPlane } from "./fake-control-plane.ts";
import { container, task } from "./payloads.ts";
import { ScriptedNetwork } from "./scripted-network.ts";
import { ScriptedRuntime } from "./scripted-runtime.ts";

describe("the agent and its control plane", () => {
  let plane: FakeControlPlane;
  let runtime: ScriptedRuntime;
  let agent: Agent;
  let home: string;

  const start = (env: Record<string, string> = {}) =>
    startAgent({
      config: readAgentConfig({ GANTRY_HOME: home, ECS_BACKEND_HOST: plane.endpoint, ...env }),
      runtime,
      cgroups: { ensure: async () => {}, remove: async () => {} },
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      network: () => new ScriptedNetwork(),
    });

  beforeEach(async () => {
    plane = new FakeControlPlane();
    await plane.listen();
    runtime = new ScriptedRuntime(systemClock, { short: { runMs: 20, exitCode: 4 } });
    home = mkdtempSync(join(tmpdir(), "gantry-runner-"));
    agent = await start();
    await until("ACS", () => plane.acs);
  });

  afterEach(async () => {
    await agent.stop();
    await plane.close();
    rmSync(home, { recursive: true, force: true });
  });

  it("registers with the machine's resources and attributes, signed", () => {
    const call = plane.calls.find(({ operation }) => operation === "RegisterContainerInstance");
    assert.ok(call);
    const resources = call.input.totalResources as { name: string; integerValue: number; stringSetValue: string[] }[];
    assert.ok((resources.find(({ name }) => name === "CPU")?.integerValue ?? 0) >= 1024);
    assert.deepEqual(resources.find(({ name }) => name === "PORTS")?.stringSetValue, ["22", "2375", "2376", "51678", "51679"]);
    const names = (call.input.attributes as { name: string }[]).map(({ name }) => name);
    for (const name of [
      "com.amazonaws.ecs.capability.docker-remote-api.1.17",
      "com.amazonaws.ecs.capability.logging-driver.awslogs",
      "ecs.os-type",
      "ecs.availability-zone",
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.ok(names.length > 50 && new Set(names).size === names.length);
    assert.match(
      call.authorization,
      /^AWS4-HMAC-SHA256 Credential=test\/\d{8}\/us-east-1\/ecs\/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=[0-9a-f]{64}$/,
    );
  });

  it("acknowledges a payload and heartbeats, and reports every change once", async () => {
    plane.send("HeartbeatMessage", { healthy: true, messageId: "h1" });
    const messageId = plane.payload(task("t1", [container("short")]));
    await until("STOPPED", () => plane.reports.find(({ status }) => status === "STOPPED"));
    // They come by another connection than the reports.
    const acknowledged = (type: string, id: string) =>
      until(`${type} ${id}`, () =>
        plane.frames.some((frame) => frame.type === type && (frame.message as { messageId?: string }).messageId === id),
      );
    await acknowledged("HeartbeatAckRequest", "h1");
    await acknowledged("AckRequest", messageId);
    assert.deepEqual(
      plane.reports.map(({ status }) => status),
      ["RUNNING", "STOPPED"],
    );
    assert.equal(plane.reports[1]?.containers[0]?.exitCode, 4);
  });

  it("sends a change again until it is taken, and drops one that is refused for good", async () => {
    plane.failures.set("SubmitTaskStateChange", [
      "ServerException|down",
      "ThrottlingException|slow",
      undefined,
      "InvalidParameterException|The referenced task was not found.",
    ]);
    plane.payload(task("t1", [container("short")]));
    await until("four attempts", () => plane.calls.filter(({ operation }) => operation === "SubmitTaskStateChange").length >= 4);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(
      plane.reports.map(({ status }) => status),
      ["RUNNING"],
    );
    assert.equal(plane.calls.filter(({ operation }) => operation === "SubmitTaskStateChange").length, 4);
  });

  it("asks before it stops a task that the manifest does not list", async () => {
    const known = task("t1", [container("known")]);
    const unknown = task("t2", [container("unknown")]);
    plane.payload(known, unknown);
    await until("both run", () => plane.reports.filter(({ status }) => status === "RUNNING").length === 2);
    const messageId = plane.manifest([known.arn]);
    const question = await until("the question", () => plane.frames.find((frame) => frame.type === "TaskStopVerificationMessage"));
    assert.deepEqual(question.type === "TaskStopVerificationMessage" && question.message.stopCandidates.map(({ taskArn }) => taskArn), [
      unknown.arn,
    ]);
    assert.equal(plane.reports.filter(({ status }) => status === "STOPPED").length, 0);
    plane.send("TaskStopVerificationAck", { messageId, generatedAt: 1, stopTasks: [{ taskArn: unknown.arn, taskClusterArn: "default" }] });
    const stopped = await until("STOPPED", () => plane.reports.find(({ status }) => status === "STOPPED"));
    assert.equal(stopped.task, unknown.arn);
    assert.equal(agent.engine.tasks().find(({ plan }) => plan.id === "t1")?.state.status, "RUNNING");
  });

  it("comes back with its ARN after a restart, reports what happened meanwhile, once", async () => {
    plane.payload(task("t1", [container("app")]));
    await until("RUNNING", () => plane.reports.find(({ status }) => status === "RUNNING"));
    await agent.stop();
    const [id = ""] = runtime.lives.keys();
    runtime.exit(id, 9);
    agent = await start();
    const stopped = await until("STOPPED", () => plane.reports.find(({ status }) => status === "STOPPED"));
    assert.equal(stopped.containers[0]?.exitCode, 9);
    assert.equal(plane.reports.length, 2);
    assert.equal(plane.instances.size, 1, "the same instance");
  });

  it("registers anew when the control plane has forgotten it, and stops what it ran", async () => {
    plane.payload(task("t1", [container("app")]));
    await until("RUNNING", () => plane.reports.find(({ status }) => status === "RUNNING"));
    const before = Date.now();
    plane.forgetAll();
    await until("a new instance", () => plane.instances.size === 1 && plane.acs);
    await until("stopped", () => runtime.lives.size === 0);
    assert.ok(Date.now() - before < 3_000, "at once");
    plane.payload(task("t2", [container("app")]));
    await until("RUNNING", () => plane.reports.find(({ task: arn, status }) => arn.endsWith("/t2") && status === "RUNNING"));
  });

  it("publishes signed metrics and health", async () => {
    // What it says when it has connected, before anything runs.
    const metrics = await until("metrics", () => plane.telemetry.find(({ body }) => body.type === "PublishMetricsRequest"));
    assert.equal((metrics.body.message.metadata as { idle: boolean }).idle, true);
    await until("the instance's status", () => plane.telemetry.some(({ body }) => body.type === "PublishInstanceStatusRequest"));
    const healthcheck = { Test: ["CMD", "true"], Interval: 50e6, Timeout: 1e9, Retries: 2 };
    plane.payload(task("t1", [container("app", { healthCheckType: "docker", config: { Healthcheck: healthcheck } })]));
    const health = await until("health", () =>
      plane.telemetry.find(({ body }) => body.type === "PublishHealthRequest" && JSON.stringify(body).includes("HEALTHY")),
    );
    assert.match(health.head, /^Authorization: AWS4-HMAC-SHA256 .*\r\nHost: .*\r\nX-Amz-Date: \d{8}T\d{6}Z$/);
  });

  it("delivers awslogs completely and in order before STOPPED, over a restart too", async () => {
    plane.groups.add("/app");
    const logs = { Type: "awslogs", Config: { "awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p" } };
    plane.payload(task("t1", [container("app", { host: { LogConfig: logs } })]));
    await until("RUNNING", () => plane.reports.find(({ status }) => status === "RUNNING"));
    assert.ok(plane.streams.has("/app/p/app/t1"));
    const file = join(home, "agent/tasks/t1/app/stdout.0");
    const lines: string[] = [];
    const write = (count: number) => {
      for (let i = 0; i < count; i++) {
        lines.push(`line ${lines.length} ä`);
        appendFileSync(file, `${lines.at(-1)}\n`);
      }
    };
    write(200);
    await until("the first lines", () => plane.puts.length > 0);
    await agent.stop();
    write(200);
    agent = await start();
    write(200);
    appendFileSync(file, "no line end");
    lines.push("no line end");
    const [id = ""] = runtime.lives.keys();
    runtime.exit(id, 0);
    await until("STOPPED", () => plane.reports.find(({ status }) => status === "STOPPED"));
    const events = plane.puts.flatMap(({ logEvents }) => logEvents);
    assert.deepEqual(
      events.map(({ message }) => message),
      lines,
    );
    assert.ok(events.every(({ timestamp }, index) => timestamp >= (events[index - 1]?.timestamp ?? 0)));
  });

  it("fails a task whose log group does not exist with AWS's words", async () => {
    const logs = { Type: "awslogs", Config: { "awslogs-group": "/none", "awslogs-region": "us-east-1" } };
    plane.payload(task("t1", [container("app", { host: { LogConfig: logs } })]));
    const stopped = await until("STOPPED", () => plane.reports.find(({ status }) => status === "STOPPED"));
    assert.match(
      stopped.containers[0]?.reason ?? "",
      /^CannotStartContainerError: .*ResourceNotFoundException: The specified log group does not exist\.$/,
    );
  });
});
