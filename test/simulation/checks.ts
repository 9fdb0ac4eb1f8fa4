import assert from "node:assert/strict";
import { meterKeys } from "#model/cost/records.ts";
import { parseEcsKey } from "#model/ecs-keys.ts";
import type { AllocationRecord, TaskObservation } from "#model/ecs-records.ts";
import type { WatchBatch } from "#store/store.ts";
import type { Picture } from "./picture.ts";

/** The invariants of tasks and instances, for one write. `picture`: before it. Returns what is to be checked once the picture has it. */
export function checkTasks(picture: Picture, { events }: WatchBatch): () => void {
  const touched = new Set<string>();
  for (const event of events) {
    const parsed = parseEcsKey(event.key);
    const id = parsed?.names[1];
    if (!parsed || id === undefined) continue;
    if (parsed.kind === "allocation") touched.add(id);
    if (parsed.kind === "task-observed" && event.type === "put") {
      const now = event.entry.value as TaskObservation;
      checkMonotone(event.key, picture.observed.get(id), now);
      const ended = now.lastStatus === "STOPPED" && picture.observed.get(id)?.lastStatus !== "STOPPED";
      if (ended && (now.pullStartedAt ?? now.startedAt) !== undefined)
        assert.ok(
          events.some(({ key, type }) => type === "put" && key === meterKeys.task(parsed.scope, parsed.names[0]!, id)),
          "a task stopped without being metered in the same write",
        );
    }
    if (parsed.kind !== "task" && parsed.kind !== "task-observed") continue;
    const task =
      event.type === "put" && parsed.kind === "task" ? (event.entry.value as { containerInstanceId: string }) : picture.tasks.get(id);
    if (task) touched.add(task.containerInstanceId);
  }
  return () => {
    for (const instance of touched) checkAllocation(picture, instance);
  };
}

const rank = (status: string) => ["PENDING", "RUNNING", "STOPPED"].indexOf(status);

function checkMonotone(key: string, before: TaskObservation | undefined, now: TaskObservation): void {
  if (!before) return;
  assert.ok(rank(now.lastStatus) >= rank(before.lastStatus), `${key} went back from ${before.lastStatus} to ${now.lastStatus}`);
  if (before.lastStatus === "STOPPED") {
    assert.equal(now.stoppedAt, before.stoppedAt, "stoppedAt changed");
    assert.equal(now.stopCode, before.stopCode, "stopCode changed");
    assert.equal(now.startedAt, before.startedAt, "a stopped task started");
  }
}

function checkAllocation(picture: Picture, id: string): void {
  const instance = picture.instances.get(id);
  if (!instance) return;
  const held = Object.entries(picture.allocations.get(id)?.tasks ?? {});
  assert.deepEqual(held.map(([task]) => task).toSorted(), picture.liveOn(id).toSorted(), "allocation = live tasks");
  const sum = (value: (share: AllocationRecord["tasks"][string]) => number) => held.reduce((total, [, share]) => total + value(share), 0);
  assert.ok(sum(({ cpu }) => cpu) <= instance.registeredResources.cpu, "CPU over-committed");
  assert.ok(sum(({ memory }) => memory) <= instance.registeredResources.memory, "memory over-committed");
  const ports = held.flatMap(([, { portsTcp }]) => portsTcp);
  assert.equal(new Set(ports).size, ports.length, "a host port given twice");
}
