import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decideScaling, freshInstances, type Need, type ScalingFacts } from "./decide.ts";
import { drainingOf } from "./drain.ts";
import { drainingHook } from "#model/capacity-records.ts";
import type { MemberRecord } from "#model/autoscaling-records.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";

const need = (cpu: number, memory: number, ...ports: number[]): Need => ({ cpu, memory, ports });
const base: ScalingFacts = {
  desired: 0,
  min: 0,
  max: 10,
  instances: 0,
  busy: 0,
  waiting: [],
  size: { cpu: 2048, memory: 1900 },
  targetCapacity: 100,
  minimumStep: 1,
  maximumStep: 10_000,
  belowSince: undefined,
  scaleInAfterMs: 900_000,
};

describe("managed scaling", () => {
  test("CapacityProviderReservation is M / N × 100: 100 with neither, 200 with tasks and no instance", () => {
    assert.equal(decideScaling(base, 0).reservation, 100);
    assert.equal(decideScaling({ ...base, waiting: [need(256, 512)] }, 0).reservation, 200);
    assert.equal(decideScaling({ ...base, desired: 4, instances: 4, busy: 2 }, 0).reservation, 50);
  });

  test("from zero to what the tasks need, packed; host ports keep apart", () => {
    assert.equal(decideScaling({ ...base, waiting: Array.from({ length: 7 }, () => need(256, 600)) }, 0).desired, 3);
    assert.equal(decideScaling({ ...base, waiting: [need(256, 600, 80), need(256, 600, 80)] }, 0).desired, 2);
    assert.equal(freshInstances([need(4096, 100)], base.size), 0, "what fits on none brings none");
  });

  test("steps: at least the least, at most the most, never above the group's maximum", () => {
    const waiting = Array.from({ length: 8 }, () => need(2048, 100));
    assert.equal(decideScaling({ ...base, waiting, maximumStep: 3 }, 0).desired, 3);
    assert.equal(decideScaling({ ...base, waiting: waiting.slice(0, 1), minimumStep: 4 }, 0).desired, 4);
    assert.equal(decideScaling({ ...base, waiting, max: 5 }, 0).desired, 5);
  });

  test("a target below 100 keeps instances spare", () => {
    assert.equal(decideScaling({ ...base, desired: 4, instances: 4, busy: 4, targetCapacity: 80 }, 0).desired, 5);
  });

  test("fewer must do for 15 minutes before any goes, and not below the group's minimum", () => {
    const idle = { ...base, desired: 4, instances: 4, busy: 1, min: 2 };
    const first = decideScaling(idle, 1000);
    assert.deepEqual([first.desired, first.belowSince], [4, 1000]);
    assert.equal(decideScaling({ ...idle, belowSince: 1000 }, 900_999).desired, 4);
    assert.equal(decideScaling({ ...idle, belowSince: 1000 }, 901_000).desired, 2);
    assert.equal(decideScaling({ ...idle, belowSince: 1000, busy: 4 }, 901_000).belowSince, undefined);
  });

  test("random loads in AWS's own pace: enough for all that waits, no more than is needed, and to nothing in the end", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            cpu: fc.integer({ min: 64, max: 2048 }),
            minutes: fc.integer({ min: 1, max: 40 }),
            at: fc.integer({ min: 0, max: 60 }),
          }),
          {
            minLength: 1,
            maxLength: 25,
          },
        ),
        (loads) => {
          let desired = 0;
          let belowSince: number | undefined;
          let running: { node: number; cpu: number; until: number }[] = [];
          const queue = loads.map((each) => ({ ...each }));
          const booted: number[] = [];
          let ids = 0;
          let alive: number[] = [];
          for (let minute = 0; minute < 240; minute++) {
            running = running.filter(({ until }) => until > minute);
            alive.push(...booted.splice(0));
            const used = (node: number) => running.reduce((sum, each) => (each.node === node ? sum + each.cpu : sum), 0);
            for (const each of queue.filter(({ at }) => at <= minute)) {
              const node = alive.find((id) => used(id) + each.cpu <= 2048);
              if (node === undefined) continue;
              running.push({ node, cpu: each.cpu, until: minute + each.minutes });
              queue.splice(queue.indexOf(each), 1);
            }
            for (const id of alive) assert.ok(used(id) <= 2048, "no instance is over-committed");
            const waiting = queue.filter(({ at }) => at <= minute).map(({ cpu }) => need(cpu, 10));
            const busy = alive.filter((id) => used(id) > 0).length;
            const decided = decideScaling({ ...base, max: 30, desired, instances: desired, busy, waiting, belowSince }, minute * 60_000);
            assert.ok(decided.desired <= Math.max(desired, busy + waiting.length), "no more than one instance a task");
            if (waiting.length > 0) assert.ok(decided.desired > busy, "whoever waits gets an instance");
            if (decided.desired < desired) assert.ok(decided.desired >= busy && waiting.length === 0, "none with tasks goes");
            ({ belowSince } = decided);
            for (; desired < decided.desired; desired++) booted.push(ids++);
            if (desired > decided.desired) {
              desired = decided.desired;
              const keep = [...alive].toSorted((a, b) => Number(used(b) > 0) - Number(used(a) > 0)).slice(0, desired);
              alive = keep;
            }
          }
          assert.deepEqual([queue.length, running.length, desired], [0, 0, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("managed draining", () => {
  const member = {
    lifecycle: "Terminating:Wait",
    waiting: { token: "t", hooks: [{ name: drainingHook, until: 3_600_000 }] },
  } as unknown as MemberRecord;
  const host = (status: ContainerInstanceRecord["status"], tasks: number) => ({ record: { status } as ContainerInstanceRecord, tasks });
  test("drains first, lets go after the last task, and keeps the hook alive meanwhile", () => {
    assert.deepEqual(drainingOf(member, host("ACTIVE", 2), 0), { drain: true });
    assert.deepEqual(drainingOf(member, host("DRAINING", 2), 0), { drain: false });
    assert.equal(drainingOf(member, host("DRAINING", 2), 3_000_000).waiting?.hooks[0]?.until, 6_600_000);
    assert.deepEqual(drainingOf(member, host("ACTIVE", 0), 0), { drain: true });
    assert.deepEqual(drainingOf(member, host("DRAINING", 0), 0).waiting?.hooks, []);
    assert.deepEqual(drainingOf(member, undefined, 0).waiting?.hooks, []);
    assert.deepEqual(drainingOf({ ...member, lifecycle: "InService" }, host("ACTIVE", 0), 0), { drain: false });
  });
});
