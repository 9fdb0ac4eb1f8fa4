import assert from "node:assert/strict";
import { test } from "node:test";
import { ecsKeys } from "#model/ecs-keys.ts";
import { ServiceIndex } from "./index.ts";

const scope = { account: "000000000000", region: "us-east-1" };

test("a service's running tasks are counted once everything has been read, and those that are to stop not", () => {
  const index = new ServiceIndex(1000);
  const task = (id: string, service: string, desiredStatus: string, lastStatus?: string, into = index) => {
    const record = { id, cluster: "c", group: `service:${service}`, desiredStatus, startedBy: "d" };
    into.take(ecsKeys.task(scope, "c", id), record);
    if (lastStatus) into.take(ecsKeys.taskObserved(scope, "c", id), { lastStatus });
  };
  const running = () => index.running(scope, "c", "web");
  assert.equal(running(), undefined);
  const first = new ServiceIndex(1000);
  task("1", "web", "RUNNING", "RUNNING", first);
  assert.equal(running(), undefined);
  index.replaceBy(first);
  assert.equal(running(), 1);
  task("2", "web", "RUNNING", "PENDING");
  task("3", "web", "RUNNING");
  task("4", "web", "STOPPED", "RUNNING");
  task("5", "other", "RUNNING", "RUNNING");
  assert.equal(running(), 1);
  task("2", "web", "RUNNING", "RUNNING");
  assert.equal(running(), 2);
  index.take(ecsKeys.task(scope, "c", "1"), undefined);
  assert.equal(running(), 1);
  assert.equal(index.running(scope, "c", "none"), 0);
  const again = new ServiceIndex(1000);
  for (const id of ["2", "6", "7"]) {
    assert.equal(running(), 1, "while all is read again, what was known is");
    task(id, "web", "RUNNING", "RUNNING", again);
  }
  index.replaceBy(again);
  assert.equal(running(), 3);
});
