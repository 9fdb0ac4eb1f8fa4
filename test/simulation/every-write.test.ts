import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { type Fate, fates, World } from "./world.ts";

/**
 * One whole life (agent joins, RunTask, RUNNING, StopTask, STOPPED) with something happening to the server at each of its writes in
 * turn. The client repeats what was not answered, with the same clientToken.
 */
async function live(at: number | undefined, fate: Fate): Promise<number> {
  const world = new World(1, { instances: 1, chaos: 0 });
  const before = world.disk.revision;
  if (at !== undefined) world.happen(fate, at);
  const call = async <T>(operation: string, input: object): Promise<T> => {
    for (let attempt = 0; attempt < 60; attempt++) {
      await world.startServer();
      const result = await world.call<T>(operation, input);
      if (result !== undefined && !(result instanceof ApiError)) return result;
      // Not answered, or the agent is not back yet: again, as a client would.
      await world.clock.advance(1000);
    }
    return assert.fail(`${operation} was never answered`);
  };
  await world.startServer();
  world.agents[0]!.start();
  await world.clock.advance(2000);
  let arns: string[] = [];
  while (arns.length === 0) {
    const { tasks } = await call<RunTaskResponse>("RunTask", { cluster: "sim", taskDefinition: "big", count: 2, clientToken: "once" });
    arns = tasks!.map(({ taskArn }) => taskArn!);
    if (arns.length === 0) await world.clock.advance(1000);
  }
  const until = async (status: string) => {
    for (let i = 0; i < 90; i++) {
      const { tasks } = await call<{ tasks: Task[] }>("DescribeTasks", { cluster: "sim", tasks: arns });
      if (tasks.every(({ lastStatus }) => lastStatus === status)) return tasks;
      await world.clock.advance(1000);
    }
    return assert.fail(`not ${status} in time`);
  };
  await until("RUNNING");
  for (const task of arns) await call("StopTask", { cluster: "sim", task });
  const stopped = await until("STOPPED");
  for (const task of stopped) assert.deepEqual([task.stopCode, task.containers![0]!.exitCode], ["UserInitiated", 143]);
  assert.deepEqual(world.violations, []);
  assert.equal(world.tasks().length, 2, "one clientToken, two tasks");
  for (const [arn, count] of world.agents[0]!.starts) assert.equal(count, 1, arn);
  return world.disk.revision - before;
}

test("killed at every write, before and behind it, or with changes lost there, the same life comes to the same end", async (t) => {
  const writes = await live(undefined, fates[0]);
  assert.ok(writes >= 6, `${writes} writes`);
  for (let at = 0; at < writes; at++) {
    for (const fate of fates) {
      await live(at, fate).catch((error: unknown) => {
        throw new Error(`${fate} write ${at}: ${(error as Error).message}`, { cause: error });
      });
    }
  }
  t.diagnostic(`${writes} writes`);
});
