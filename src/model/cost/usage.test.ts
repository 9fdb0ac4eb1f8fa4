import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "../ecs-records.ts";
import { billed, classOf, machineOf, overlap, spanOf, taskUsage } from "./usage.ts";

const task = (more: Partial<TaskRecord> = {}): TaskRecord => ({
  arn: "arn:aws:ecs:us-east-1:000000000000:task/c/1",
  id: "1",
  cluster: "c",
  taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/web:1",
  containerInstanceId: "i",
  launchType: "FARGATE",
  group: "service:web",
  desiredStatus: "RUNNING",
  createdAt: 1000,
  resources: { cpu: 256, memory: 512, portsTcp: [], portsUdp: [] },
  cpu: "256",
  memory: "512",
  overrides: {},
  containers: [],
  enableExecuteCommand: false,
  tags: [],
  ...more,
});
const seen = (more: Partial<TaskObservation>): TaskObservation => ({ lastStatus: "RUNNING", version: 1, containers: [], ...more });

test("whole seconds, one minute at least", () => {
  const ms = (length: number) => billed({ from: 7, to: 7 + length }).to - 7;
  assert.deepEqual([0, 1, 59_999, 60_000, 60_001, 61_000, 90_001].map(ms), [60_000, 60_000, 60_000, 60_000, 61_000, 61_000, 91_000]);
});

test("from the start of the pull to the end", () => {
  const stopped = seen({ lastStatus: "STOPPED", pullStartedAt: 2000, startedAt: 4000, stoppedAt: 9000 });
  assert.deepEqual(spanOf(task(), stopped, 99_000), { from: 2000, to: 9000 });
  assert.deepEqual(spanOf(task(), seen({ pullStartedAt: 2000 }), 5000), { from: 2000, to: 5000 }, "still running");
  assert.deepEqual(spanOf(task(), seen({ startedAt: 4000 }), 5000), { from: 4000, to: 5000 }, "the image was there");
});

test("what never came to a pull or a start costs nothing", () => {
  assert.equal(spanOf(task(), undefined, 5000), undefined);
  assert.equal(taskUsage(task(), seen({ lastStatus: "STOPPED", stoppedAt: 9000 }), undefined), undefined);
});

test("an agent's clock that goes wrong: never before the task was made nor after its end", () => {
  assert.deepEqual(spanOf(task(), seen({ pullStartedAt: -5 }), 5000), { from: 1000, to: 5000 });
  const ahead = seen({ lastStatus: "STOPPED", pullStartedAt: 1e12, stoppedAt: 9000 });
  assert.deepEqual(spanOf(task(), ahead, 10_000), { from: 9000, to: 9000 });
});

test("the parts of a span that periods cut off, at both ends", () => {
  const span = { from: 10, to: 30 };
  const parts: readonly [from: number, to: number, ms: number][] = [
    [0, 10, 0],
    [0, 11, 1],
    [15, 20, 5],
    [29, 99, 1],
    [30, 99, 0],
    [0, 99, 20],
  ];
  for (const [from, to, ms] of parts) assert.equal(overlap(span, { from, to }), ms, `${from}-${to}`);
});

test("the class: Spot, storage above 20 GiB, tags in order, the machine only where it counts", () => {
  const machine = { cpu: 2048, memory: 4096 };
  const spot = classOf(
    task({
      capacityProviderName: "FARGATE_SPOT",
      ephemeralStorageGiB: 50,
      cpuArchitecture: "arm64",
      tags: [
        { key: "b", value: "2" },
        { key: "a", value: "1" },
      ],
    }),
    machine,
  );
  assert.deepEqual(spot, {
    cluster: "c",
    group: "service:web",
    launchType: "FARGATE_SPOT",
    cpu: 256,
    memory: 512,
    architecture: "arm64",
    storageGiB: 50,
    tags: [
      { key: "a", value: "1" },
      { key: "b", value: "2" },
    ],
  });
  const ec2 = classOf(task({ launchType: "EC2", capacityProviderName: "mine", ephemeralStorageGiB: 50 }), machine);
  assert.deepEqual([ec2.launchType, ec2.machine, ec2.storageGiB], ["EC2", machine, undefined]);
  assert.equal(classOf(task({ ephemeralStorageGiB: 20 }), undefined).storageGiB, undefined);
});

test("a machine: its type and volumes from its attributes", () => {
  const instance = (volumes: string) =>
    machineOf({
      registeredResources: { cpu: 2048, memory: 7800, portsTcp: [], portsUdp: [] },
      attributes: [{ name: "ecs.instance-type", value: "m5.large" }, { name: "gantry.volumes", value: volumes }, { name: "x" }],
    } as unknown as ContainerInstanceRecord);
  assert.deepEqual(instance("gp3:100, st1:500").volumes, [
    { type: "gp3", gib: 100 },
    { type: "st1", gib: 500 },
  ]);
  assert.deepEqual(instance("gp3:-1 what gp3:1x"), { type: "m5.large", cpu: 2048, memory: 7800 });
});
