import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { obstacleOn, place } from "./place.ts";
import type { Node, PlacementRequest, Strategy } from "./types.ts";
import { usageOf } from "./usage.ts";

function node(id: string, more: Partial<Node> & { cpu?: number; memory?: number; zone?: string } = {}): Node {
  const { cpu = 1024, memory = 1024, zone = "a", ...rest } = more;
  return {
    id,
    arn: `arn:${id}`,
    ec2InstanceId: `i-${id}`,
    status: "ACTIVE",
    connected: true,
    attributes: new Map([["ecs.availability-zone", zone]]),
    capacity: { cpu, memory, portsTcp: [22], portsUdp: [] },
    usage: usageOf(undefined),
    ...rest,
  };
}

function request(more: Partial<PlacementRequest> & { cpu?: number; memory?: number; ports?: number[] } = {}): PlacementRequest {
  const { cpu = 100, memory = 100, ports = [], ...rest } = more;
  return {
    count: 1,
    group: "family:f",
    resources: { cpu, memory, portsTcp: ports, portsUdp: [] },
    requiredAttributes: [],
    constraints: [],
    strategy: [],
    ...rest,
  };
}

const never = () => assert.fail("no randomness was asked for");

test("each instance says what it lacks, with AWS's reason", () => {
  const nodes = [
    node("cpu", { cpu: 50 }),
    node("memory", { memory: 50 }),
    node("ports", { usage: usageOf({ tasks: { t: { cpu: 0, memory: 0, portsTcp: [80], portsUdp: [], group: "g" } } }) }),
    node("agent", { connected: false }),
    node("draining", { status: "DRAINING" }),
    node("attribute", { attributes: new Map() }),
  ];
  const { assignments, rejections } = place(
    nodes,
    request({ ports: [80], requiredAttributes: [{ name: "ecs.availability-zone", value: "a" }] }),
    never,
  );
  assert.deepEqual(assignments, []);
  assert.deepEqual(
    rejections.map(({ node: { id }, reason }) => [id, reason]),
    [
      ["cpu", "RESOURCE:CPU"],
      ["memory", "RESOURCE:MEMORY"],
      ["ports", "RESOURCE:PORTS"],
      ["agent", "AGENT"],
      ["draining", "DRAINING"],
      ["attribute", "ATTRIBUTE"],
    ],
  );
  assert.match(rejections[0]!.detail, /i-cpu: the task needs 100 CPU units, 50 of 50 are free/);
  assert.match(rejections[2]!.detail, /80\/tcp/);
});

test("constraints: distinctInstance by group, memberOf by expression", () => {
  const busy = usageOf({ tasks: { t: { cpu: 0, memory: 0, portsTcp: [], portsUdp: [], group: "family:f" } } });
  const nodes = [node("a", { usage: busy }), node("b"), node("c", { zone: "z" })];
  const distinct = place(nodes, request({ count: 3, constraints: [{ type: "distinctInstance" }] }), never);
  assert.deepEqual(distinct.assignments, ["c", "b"]);
  assert.deepEqual(
    new Set(distinct.rejections.map(({ reason }) => reason)),
    new Set(["DistinctInstance placement constraint unsatisfied."]),
  );
  const matches = (each: Node) => each.attributes.get("ecs.availability-zone") === "z";
  const member = place(nodes, request({ constraints: [{ type: "memberOf", expression: "zone == z", matches }] }), never);
  assert.deepEqual(member.assignments, ["c"]);
  const refused = obstacleOn(nodes[0]!, request({ constraints: [{ type: "memberOf", expression: "zone == z", matches }] }));
  assert.equal(refused?.reason, "MemberOf placement constraint unsatisfied.");
});

test("strategies: binpack fills the fullest, spread the emptiest zone, random asks for randomness", () => {
  const used = usageOf({ tasks: { t: { cpu: 500, memory: 10, portsTcp: [], portsUdp: [], group: "other" } } });
  const nodes = [node("a"), node("b", { usage: used }), node("c", { zone: "z" })];
  const run = (count: number, ...strategy: Strategy[]) => place(nodes, request({ count, strategy }), never).assignments;
  assert.deepEqual(run(6, { type: "binpack", field: "cpu" }), ["b", "b", "b", "b", "b", "a"]);
  assert.deepEqual(run(4, { type: "spread", field: "ecs.availability-zone" }, { type: "binpack", field: "cpu" }), ["b", "c", "b", "c"]);
  assert.deepEqual(run(3, { type: "spread", field: "instanceId" }), ["a", "c", "b"]);
  assert.deepEqual(run(3), ["a", "c", "b"]);
  const values = [0.9, 0.1, 0.5, 0.7];
  assert.deepEqual(place(nodes, request({ count: 4, strategy: [{ type: "random" }] }), () => values.shift()!).assignments, [
    "c",
    "a",
    "b",
    "c",
  ]);
});

test("a fixed host port goes once on each instance, also within one request", () => {
  const { assignments, rejections } = place([node("a"), node("b")], request({ count: 3, ports: [80] }), never);
  assert.deepEqual(assignments, ["a", "b"]);
  assert.deepEqual(
    rejections.map(({ reason }) => reason),
    ["RESOURCE:PORTS", "RESOURCE:PORTS"],
  );
  assert.equal(obstacleOn(node("x"), request({ ports: [22] }))?.reason, "RESOURCE:PORTS");
});

test("never over-commits, and places as many as greedily fit", () => {
  const size = fc.integer({ min: 0, max: 2048 });
  const strategies = fc.array(
    fc.constantFrom<Strategy>(
      { type: "random" },
      { type: "binpack", field: "cpu" },
      { type: "binpack", field: "memory" },
      { type: "spread", field: "instanceId" },
      { type: "spread", field: "ecs.availability-zone" },
    ),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(
      fc.array(fc.record({ cpu: size, memory: size, zone: fc.constantFrom("a", "b") }), { maxLength: 8 }),
      fc.record({
        cpu: fc.integer({ min: 1, max: 600 }),
        memory: fc.integer({ min: 1, max: 600 }),
        count: fc.integer({ min: 1, max: 10 }),
      }),
      strategies,
      (sizes, ask, strategy) => {
        const nodes = sizes.map((each, index) => node(`n${index}`, each));
        const { assignments, rejections } = place(nodes, request({ ...ask, strategy }), () => 0.5);
        let fit = 0;
        for (const each of nodes) {
          const here = assignments.filter((id) => id === each.id).length;
          assert.ok(here * ask.cpu <= each.capacity.cpu && here * ask.memory <= each.capacity.memory);
          fit += Math.min(Math.floor(each.capacity.cpu / ask.cpu), Math.floor(each.capacity.memory / ask.memory));
        }
        assert.equal(assignments.length, Math.min(ask.count, fit));
        assert.equal(rejections.length, assignments.length === ask.count ? 0 : nodes.length);
      },
    ),
  );
});
