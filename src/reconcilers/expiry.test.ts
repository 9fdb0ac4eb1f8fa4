import assert from "node:assert/strict";
import { test } from "node:test";
import { ecsKeys } from "#model/ecs-keys.ts";
import { MemoryDisk, openSession } from "#test/simulation/memory-store.ts";
import { decideDispatch, type Delivery } from "./decide-dispatch.ts";
import { expire } from "./expiry.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";

test("what is due goes with its keys, the rest stays; beyond the number the oldest goes", async () => {
  const disk = new MemoryDisk();
  const { store } = openSession(disk);
  const put = (key: string, value: unknown) => disk.apply({ writes: [{ put: key, value }] });
  for (let i = 0; i < 450; i++) {
    put(`/t/${i}`, i);
    put(ecsKeys.expiry("task", i, `id${i}`), { keys: [`/t/${i}`] });
  }
  put("/token", 1);
  put(ecsKeys.expiry("client-token", 5000, "x"), { keys: ["/token"] });
  assert.equal(await expire(store, 399, 1000), 400);
  assert.equal(disk.list("/t/").length, 50);
  assert.equal(await expire(store, 399, 20), 30);
  assert.deepEqual(
    disk.list("/t/").map(({ value }) => value),
    Array.from({ length: 20 }, (_, i) => 430 + i),
  );
  assert.equal(await expire(store, 5000, 1000), 21);
  assert.equal(disk.list("").length, 0);
});

test("what to tell an agent of a task", () => {
  const running = { desiredStatus: "RUNNING" } as TaskRecord;
  const stopping = { desiredStatus: "STOPPED" } as TaskRecord;
  const seen = { lastStatus: "RUNNING" } as TaskObservation;
  const stopped = { lastStatus: "STOPPED" } as TaskObservation;
  const sent = (more: Partial<Delivery>): Delivery => ({
    desiredStatus: "RUNNING",
    messageId: "m",
    link: 1,
    sentAt: 0,
    acknowledged: false,
    refusals: 0,
    ...more,
  });
  assert.equal(decideDispatch(running, undefined, undefined, 1), "send");
  assert.equal(decideDispatch(running, undefined, sent({}), 1), "none");
  assert.equal(decideDispatch(running, undefined, sent({}), 2), "send");
  assert.equal(decideDispatch(running, undefined, sent({ acknowledged: true }), 2), "none");
  assert.equal(decideDispatch(running, seen, undefined, 2), "none");
  assert.equal(decideDispatch(running, undefined, sent({ refusals: 3 }), 2), "give-up");
  assert.equal(decideDispatch(stopping, seen, sent({ acknowledged: true }), 1), "send");
  assert.equal(decideDispatch(stopping, seen, sent({ desiredStatus: "STOPPED", acknowledged: true }), 1), "none");
  assert.equal(decideDispatch(stopping, seen, sent({ desiredStatus: "STOPPED", acknowledged: true }), 2), "send");
  assert.equal(decideDispatch(stopping, stopped, sent({}), 2), "forget");
  assert.equal(decideDispatch(undefined, undefined, sent({}), 2), "forget");
});
