import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { place } from "./place.ts";
import { createPlacementIndex } from "./placement-index.ts";
import type { Constraint, Node, PlacementRequest, Strategy } from "./types.ts";
import { usageOf } from "./usage.ts";

const groups = ["family:f", "service:s", "service:t"];

const allocated = fc.record({
  cpu: fc.integer({ min: 0, max: 300 }),
  memory: fc.integer({ min: 0, max: 300 }),
  portsTcp: fc.subarray([80, 443]),
  portsUdp: fc.constant([] as number[]),
  gpus: fc.constant([] as string[]),
  group: fc.constantFrom(...groups),
});

const node = fc
  .record({
    id: fc.constantFrom(..."abcdefgh"),
    status: fc.constantFrom("ACTIVE", "ACTIVE", "ACTIVE", "DRAINING"),
    connected: fc.constantFrom(true, true, true, false),
    zone: fc.constantFrom(undefined, "a", "b", "c"),
    rack: fc.constantFrom("1", "2", "3", "4"),
    size: fc.constantFrom(500, 1000),
    gpus: fc.subarray(["gpu-1", "gpu-2"]),
    tasks: fc.array(allocated, { maxLength: 4 }),
  })
  .map(({ id, status, connected, zone, rack, size, gpus, tasks }): Node => {
    const attributes = new Map<string, string>([["rack", rack]]);
    if (zone !== undefined) attributes.set("ecs.availability-zone", zone);
    return {
      id,
      arn: `arn:${id}`,
      ec2InstanceId: `i-${id}`,
      status,
      connected,
      attributes,
      capacity: { cpu: size, memory: size, portsTcp: [22], portsUdp: [], gpus },
      usage: usageOf({ tasks: Object.fromEntries(tasks.map((task, index) => [String(index), task])) }),
    };
  });

const strategies: fc.Arbitrary<Strategy[]> = fc.array(
  fc.constantFrom<Strategy>(
    { type: "random" },
    { type: "binpack", field: "cpu" },
    { type: "binpack", field: "memory" },
    { type: "spread", field: "instanceId" },
    { type: "spread", field: "ecs.availability-zone" },
    { type: "spread", field: "rack" },
  ),
  { maxLength: 3 },
);

const constraints: fc.Arbitrary<Constraint[]> = fc.subarray<Constraint>([
  { type: "distinctInstance" },
  { type: "memberOf", expression: "rack < 3", matches: ({ attributes }) => attributes.get("rack")! < "3" },
  { type: "memberOf", expression: "few tasks", matches: ({ usage }) => usage.tasks < 3 },
  { type: "memberOf", expression: "no s", matches: ({ usage }) => !usage.groups.has("service:s") },
]);

const request: fc.Arbitrary<PlacementRequest> = fc.record({
  count: fc.integer({ min: 0, max: 6 }),
  group: fc.constantFrom(...groups),
  resources: fc.record({
    cpu: fc.constantFrom(0, 100, 200),
    memory: fc.constantFrom(0, 100, 200),
    portsTcp: fc.subarray([80]),
    portsUdp: fc.constant([]),
    gpuCount: fc.constantFrom(undefined, 0, 0, 1),
  }),
  requiredAttributes: fc.subarray([{ name: "ecs.availability-zone" }, { name: "rack", value: "1" }], { maxLength: 1 }),
  constraints,
  strategy: strategies,
});

type Step = { upsert: Node } | { remove: string } | { ask: number; commit: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ upsert: node }) },
  { weight: 3, arbitrary: fc.record({ remove: fc.constantFrom(..."abcdefgh") }) },
  { weight: 6, arbitrary: fc.record({ ask: fc.nat({ max: 2 }), commit: fc.boolean() }) },
);

/** Numbers that anyone can draw again. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** The node with one task more, as the caller would commit it. */
function withTask(before: Node, { group, resources }: PlacementRequest): Node {
  const { usage } = before;
  const groupCounts = new Map(usage.groups).set(group, (usage.groups.get(group) ?? 0) + 1);
  return {
    ...before,
    usage: {
      cpu: usage.cpu + resources.cpu,
      memory: usage.memory + resources.memory,
      portsTcp: new Set([...usage.portsTcp, ...resources.portsTcp]),
      portsUdp: new Set([...usage.portsUdp, ...resources.portsUdp]),
      gpus: new Set([
        ...usage.gpus,
        ...(before.capacity.gpus ?? []).filter((gpu) => !usage.gpus.has(gpu)).slice(0, resources.gpuCount ?? 0),
      ]),
      tasks: usage.tasks + 1,
      groups: groupCounts,
    },
  };
}

for (const [title, limits] of [
  ["whatever changes and is asked, the index places as place() does", undefined],
  ["also when it can remember one shape only", { shapes: 1, seats: 100 }],
] as const)
  test(title, () => {
    fc.assert(
      fc.property(
        fc.array(node, { maxLength: 12, size: "max" }),
        fc.array(request, { minLength: 3, maxLength: 3 }),
        fc.array(step, { maxLength: 40, size: "max" }),
        fc.integer({ min: 0, max: 1_000_000 }),
        (first, requests, steps, seed) => {
          const index = createPlacementIndex(limits);
          const model = new Map<string, Node>();
          const upsert = (each: Node) => {
            index.upsert(each);
            model.set(each.id, each);
          };
          first.forEach(upsert);
          for (const [round, each] of steps.entries()) {
            if ("upsert" in each) upsert(each.upsert);
            else if ("remove" in each) {
              index.remove(each.remove);
              model.delete(each.remove);
            } else {
              const asked = requests[each.ask]!;
              const expected = place([...model.values()], asked, sequence(seed + round));
              const placed = index.place(asked, sequence(seed + round));
              assert.deepEqual(placed.assignments, expected.assignments);
              assert.deepEqual(placed.rejections, expected.rejections);
              if (placed.rejections.length > 0 && placed.assignments.length === 0)
                assert.deepEqual(index.explain(asked), placed.rejections);
              if (each.commit) for (const id of placed.assignments) upsert(withTask(model.get(id)!, asked));
            }
            assert.deepEqual(index.nodes(), [...model.values()]);
          }
        },
      ),
      { numRuns: 1500 },
    );
  });

test("random draws each of the equal nodes about as often as the others", () => {
  const index = createPlacementIndex();
  const [plain] = fc.sample(node, 1);
  for (const id of "abcd")
    index.upsert({
      ...plain!,
      id,
      status: "ACTIVE",
      connected: true,
      capacity: { cpu: 1, memory: 1, portsTcp: [], portsUdp: [] },
      usage: usageOf(undefined),
    });
  const resources = { cpu: 0, memory: 0, portsTcp: [], portsUdp: [] };
  const asked: PlacementRequest = {
    count: 4000,
    group: "g",
    resources,
    requiredAttributes: [],
    constraints: [],
    strategy: [{ type: "random" }],
  };
  const counts = new Map<string, number>();
  for (const id of index.place(asked, sequence(7)).assignments) counts.set(id, (counts.get(id) ?? 0) + 1);
  assert.equal(counts.size, 4);
  for (const count of counts.values()) assert.ok(count > 850 && count < 1150, `${count}`);
});
