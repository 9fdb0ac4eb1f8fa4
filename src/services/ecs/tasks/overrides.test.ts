import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerDefinition, TaskOverride } from "@aws-sdk/client-ecs";
import { checkOverrides, mergeOverrides } from "./overrides.ts";
import { parseCpu, parseMemory, resourcesOf } from "./resources.ts";

const containers: ContainerDefinition[] = [
  {
    name: "app",
    image: "i",
    cpu: 10,
    memory: 100,
    command: ["a"],
    environment: [
      { name: "A", value: "1" },
      { name: "B", value: "2" },
    ],
  },
  { name: "side", image: "i", cpu: 5, memory: 50, memoryReservation: 20 },
];

test("overrides replace, environment variables by name", () => {
  const merged = mergeOverrides(containers, {
    containerOverrides: [
      {
        name: "app",
        command: ["b", "c"],
        environment: [
          { name: "B", value: "3" },
          { name: "C", value: "4" },
        ],
        cpu: 20,
        memory: 200,
      },
    ],
  });
  assert.deepEqual(merged[0], {
    name: "app",
    image: "i",
    cpu: 20,
    memory: 200,
    command: ["b", "c"],
    environment: [
      { name: "A", value: "1" },
      { name: "B", value: "3" },
      { name: "C", value: "4" },
    ],
  });
  assert.equal(merged[1], containers[1]);
});

test("what AWS refuses is refused in its words", () => {
  const refused: [TaskOverride, RegExp][] = [
    [{ containerOverrides: [{ name: "web" }] }, /^Override for container named web is not a container in the TaskDefinition\.$/],
    [{ containerOverrides: [{ name: "app" }, { name: "app" }] }, /Duplicate override/],
    [{ containerOverrides: [{ name: "app", command: ["x".repeat(9000)] }] }, /at most 8192/],
    [{ containerOverrides: [{ name: "app", memory: 3 }] }, /minimum/],
    [{ cpu: "lots" }, /Invalid 'cpu' setting for task\./],
    [{ memory: "-1" }, /Invalid 'memory' setting for task\./],
    [{ taskRoleArn: "not a role!" }, /Role is not valid/],
  ];
  for (const [override, message] of refused) assert.throws(() => checkOverrides(override, containers), { message });
  checkOverrides(
    { containerOverrides: [{ name: "app" }], cpu: "1 vCPU", memory: "1GB", taskRoleArn: "arn:aws:iam::000000000000:role/r" },
    containers,
  );
});

test("CPU and memory in each form", () => {
  assert.deepEqual(["256", "1 vCPU", ".25 vcpu", "0.5vCPU", "1.5", "x", "", "0"].map(parseCpu), [
    256,
    1024,
    256,
    512,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(["512", "1GB", "0.5 GB", "3 gb", "1.1", "MB"].map(parseMemory), [512, 1024, 512, 3072, undefined, undefined]);
});

test("what a task takes: its own limits, else its containers' sum; host ports by network mode", () => {
  const ports: ContainerDefinition[] = [
    {
      name: "p",
      portMappings: [{ containerPort: 80, hostPort: 8080 }, { containerPort: 53, hostPort: 53, protocol: "udp" }, { containerPort: 81 }],
    },
  ];
  assert.deepEqual(resourcesOf({}, containers, undefined), { cpu: 15, memory: 120, portsTcp: [], portsUdp: [] });
  assert.deepEqual(resourcesOf({ cpu: "256", memory: "512" }, containers, { memory: "1 GB" }), {
    cpu: 256,
    memory: 1024,
    portsTcp: [],
    portsUdp: [],
  });
  assert.deepEqual(resourcesOf({ networkMode: "bridge" }, ports, undefined), { cpu: 0, memory: 0, portsTcp: [8080], portsUdp: [53] });
  assert.deepEqual(resourcesOf({ networkMode: "host" }, ports, undefined).portsTcp, [80, 81]);
  assert.deepEqual(resourcesOf({ networkMode: "none" }, ports, undefined).portsTcp, []);
});
