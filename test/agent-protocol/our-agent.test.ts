import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DescribeTasksCommand, ECSClient, RunTaskCommand, StopTaskCommand, type Task } from "@aws-sdk/client-ecs";
import { type Agent, startAgent } from "#agent/agent.ts";
import { readAgentConfig } from "#agent/config.ts";
import type { Handler, ServerPart } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createEcsTasks } from "#services/ecs/tasks/index.ts";
import { ScriptedNetwork } from "#test/agent/scripted-network.ts";
import { ScriptedRuntime } from "#test/agent/scripted-runtime.ts";
import { clusterRecord, definitionWrites, instanceRecord, scope } from "#test/simulation/records.ts";
import { accessKeyId, secretAccessKey, startServer, type TestServer } from "#test/support/http.ts";
import { until } from "#test/support/until.ts";
import { instanceId } from "./server.ts";

/** Our own agent, whole but for the runtime beneath it, against the task part behind the real front door. */
let server: TestServer;
let agent: Agent;
let ecs: ECSClient;
let home: string;
const runtime = new ScriptedRuntime(systemClock, { job: { runMs: 200, exitCode: 3 }, missing: { pullError: "no such image" } });

/** Registration as far as this test needs it: one instance that is there already. */
function registration(): ServerPart {
  const { arn, attributes } = instanceRecord("default", instanceId);
  const register: Handler = () => ({ containerInstance: { containerInstanceArn: arn, attributes } });
  return { registrations: [{ service: "ecs", handlers: { RegisterContainerInstance: register } }] };
}

const container = (name: string, image: string) => ({ name, image, essential: true, cpu: 10, memory: 16 });
const describe = async (arn: string): Promise<Task> => (await ecs.send(new DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;

const run = (taskDefinition: string): Promise<string> =>
  until("the agent is connected", async () => {
    const { tasks, failures } = await ecs.send(new RunTaskCommand({ taskDefinition }));
    if (tasks![0]) return tasks![0].taskArn;
    assert.equal(failures![0]!.reason, "AGENT");
    return undefined;
  });

function becomes(arn: string, status: string): Promise<Task> {
  let task: Task;
  const look = async () => {
    task = await describe(arn);
    if (task.lastStatus === status) return task;
    assert.notEqual(task.lastStatus, "STOPPED", JSON.stringify(task));
    return undefined;
  };
  return until(status, look, { seen: () => JSON.stringify(task) });
}

const start = () =>
  startAgent({
    config: readAgentConfig({
      GANTRY_HOME: home,
      ECS_BACKEND_HOST: server.endpoint,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    }),
    runtime,
    cgroups: { ensure: async () => {}, remove: async () => {} },
    network: () => new ScriptedNetwork(),
    clock: systemClock,
    random: systemRandom,
    log: silentLogger,
  });

before(async () => {
  home = await mkdtemp(join(tmpdir(), "ecstasks-agent-"));
  server = await startServer({
    async parts(deps) {
      const definition = (family: string) => definitionWrites(family, { containerDefinitions: [container("main", family)] });
      await deps.store.transaction({
        writes: [
          { put: ecsKeys.cluster(scope, "default"), value: clusterRecord("default") },
          {
            put: ecsKeys.containerInstance(scope, "default", instanceId),
            value: instanceRecord("default", instanceId),
          },
          ...["job", "service", "missing"].flatMap(definition),
        ],
      });
      return [createEcsTasks(deps), registration()];
    },
  });
  ecs = new ECSClient(server.sdk());
  agent = await start();
});
after(async () => {
  await agent?.tearDown();
  ecs?.destroy();
  await server?.close();
  await rm(home, { recursive: true, force: true });
});

test("a job runs and ends with its exit code", { timeout: 180_000 }, async () => {
  const arn = await run("job");
  const task = await becomes(arn, "STOPPED");
  assert.deepEqual(
    [task.stopCode, task.stoppedReason, task.containers![0]!.exitCode],
    ["EssentialContainerExited", "Essential container in task exited", 3],
  );
  assert.ok(task.pullStartedAt && task.startedAt && task.executionStoppedAt);
});

test("an image that is not there says so", { timeout: 180_000 }, async () => {
  const task = await becomes(await run("missing"), "STOPPED");
  assert.equal(task.stopCode, "TaskFailedToStart");
  assert.match(task.stoppedReason!, /^CannotPullContainerError: /);
});

test("a service task survives the agent's restart, and stops when asked", { timeout: 180_000 }, async () => {
  const arn = await run("service");
  await becomes(arn, "RUNNING");
  await agent.stop();
  agent = await start();
  await run("job").then((job) => becomes(job, "STOPPED"));
  assert.equal((await describe(arn)).lastStatus, "RUNNING");
  await ecs.send(new StopTaskCommand({ task: arn, reason: "done" }));
  const task = await becomes(arn, "STOPPED");
  assert.deepEqual([task.stopCode, task.stoppedReason, task.containers![0]!.exitCode], ["UserInitiated", "done", 143]);
});
