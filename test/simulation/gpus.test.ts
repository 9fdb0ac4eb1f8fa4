/** GPUs from the definition to the agent: counted, given out whole, each to one container, and free again when the task is over. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunTaskRequest, RunTaskResponse, StartTaskResponse, Task } from "@aws-sdk/client-ecs";
import type { ApiError } from "#api/contract.ts";
import { SmallWorld } from "./support.ts";

const gpus = (value: string) => [{ type: "GPU" as const, value }];

function worldOf(): { world: SmallWorld; id: string } {
  const world = new SmallWorld();
  const id = world.addInstance(1, { gpus: ["GPU-a", "GPU-b", "GPU-c", "GPU-d"] });
  world.addInstance(2);
  world.define("gpu", {
    containerDefinitions: [
      { name: "none", image: "busybox", memory: 10 },
      { name: "one", image: "busybox", memory: 10, resourceRequirements: gpus("1") },
      { name: "two", image: "busybox", memory: 10, resourceRequirements: gpus("2") },
    ],
  });
  return { world, id };
}

const run = (world: SmallWorld, input: Partial<RunTaskRequest> = {}) =>
  world.call<RunTaskResponse>("RunTask", { taskDefinition: "gpu", ...input });
const held = (task: Task | undefined) => task?.containers?.map(({ name, gpuIds }) => [name, gpuIds]);

test("each container has its own, the agent is told which, and what is left is refused with what is missing", async () => {
  const { world, id } = worldOf();
  await world.part.start!();
  const agent = world.connect(id);
  await world.clock.advance(10);
  const { tasks, failures } = await run(world, { count: 2 });
  assert.deepEqual(held(tasks![0]), [
    ["none", undefined],
    ["one", ["GPU-a"]],
    ["two", ["GPU-b", "GPU-c"]],
  ]);
  assert.equal(tasks!.length, 1);
  assert.deepEqual(
    failures!.map(({ reason }) => reason),
    ["RESOURCE:GPU", "RESOURCE:GPU"],
  );
  assert.match(failures![0]!.detail!, /needs 3 GPUs, 1 of 4 are free/);
  assert.match(failures![1]!.detail!, /needs 3 GPUs, 0 of 0 are free/);
  await world.clock.advance(10);
  assert.deepEqual(
    agent.payloads[0]!.tasks[0]!.associations?.map(({ name, type, containers }) => [name, type, containers]),
    [
      ["GPU-a", "gpu", ["one"]],
      ["GPU-b", "gpu", ["two"]],
      ["GPU-c", "gpu", ["two"]],
    ],
  );

  const containerOverrides = [{ name: "two", resourceRequirements: gpus("1") }];
  const shorter = (value: string) =>
    run(world, { overrides: { containerOverrides: [...containerOverrides, { name: "one", resourceRequirements: gpus(value) }] } });
  assert.equal((await shorter("1")).failures![0]!.reason, "RESOURCE:GPU");
  await world.call("SubmitTaskStateChange", { cluster: "default", task: tasks![0]!.taskArn, status: "STOPPED" });
  const after = await shorter("3");
  assert.deepEqual(held(after.tasks![0])!.slice(1), [
    ["one", ["GPU-a", "GPU-b", "GPU-c"]],
    ["two", ["GPU-d"]],
  ]);
  await world.part.stop!();
});

test("StartTask takes them too; other kinds and numbers that are none are refused", async () => {
  const { world, id } = worldOf();
  const started = await world.call<StartTaskResponse>("StartTask", { taskDefinition: "gpu", containerInstances: [id, id] });
  assert.deepEqual([started.tasks!.length, started.failures!.map(({ reason }) => reason)], [1, ["RESOURCE:GPU"]]);
  const refused = (resourceRequirements: object[], code: string) =>
    assert.rejects(
      run(world, { overrides: { containerOverrides: [{ name: "one", resourceRequirements: resourceRequirements as never }] } }),
      (error: ApiError) => error.code === code,
    );
  for (const value of ["0", "-1", "1.5", "many", ""]) await refused(gpus(value), "ClientException");
  await refused([...gpus("1"), ...gpus("1")], "ClientException");
  await refused([{ type: "InferenceAccelerator", value: "a" }], "NotImplemented");
});
