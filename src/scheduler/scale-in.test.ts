import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { scaleInOrder, type StoppableTask } from "./scale-in.ts";
import type { Node, Strategy } from "./types.ts";
import { usageOf } from "./usage.ts";

function task(id: string, zone: string, more: Partial<StoppableTask> = {}): StoppableTask {
  return { id, nodeId: `node-${zone}`, zone, status: "RUNNING", healthy: true, createdAt: 0, protected: false, ...more };
}

function node(id: string, free: number, attributes: [string, string][] = []): Node {
  return {
    id,
    arn: id,
    ec2InstanceId: id,
    status: "ACTIVE",
    connected: true,
    attributes: new Map(attributes),
    capacity: { cpu: free, memory: free, portsTcp: [], portsUdp: [] },
    usage: usageOf(undefined),
  };
}

test("what does not serve, then the fullest zone, there the instance with the most, the newest", () => {
  const tasks = [
    task("a1", "a", { nodeId: "n1" }),
    task("a2", "a", { nodeId: "n2", createdAt: 1 }),
    task("a3", "a", { nodeId: "n2", createdAt: 2 }),
    task("b1", "b", { createdAt: 9 }),
    task("b2", "b", { createdAt: 8, healthy: false }),
    task("c1", "c", { createdAt: 7, status: "PENDING", healthy: false }),
  ];
  assert.deepEqual(scaleInOrder(tasks, []), ["c1", "b2", "a3", "a2", "b1", "a1"]);
  assert.deepEqual(scaleInOrder(tasks, [], { limit: 2 }), ["c1", "b2"]);
});

test("binpack stops where the most is left afterwards, before the zones when it comes first", () => {
  const resources = { cpu: 10, memory: 10 };
  const nodes = new Map([node("n1", 100), node("n2", 200), node("n3", 50)].map((each) => [each.id, each]));
  const tasks = [
    task("1", "a", { nodeId: "n1", resources }),
    task("2", "b", { nodeId: "n2", resources }),
    task("3", "a", { nodeId: "n3", resources }),
  ];
  const order = (...strategy: Strategy[]) => scaleInOrder(tasks, strategy, { node: (id) => nodes.get(id) });
  assert.deepEqual(order({ type: "binpack", field: "memory" }), ["2", "1", "3"]);
  assert.deepEqual(order({ type: "spread", field: "ecs.availability-zone" }, { type: "binpack", field: "cpu" }), ["1", "2", "3"]);
});

test("spread over another attribute is kept even after the zones", () => {
  const nodes = new Map(
    [node("n1", 1, [["rack", "1"]]), node("n2", 1, [["rack", "1"]]), node("n3", 1, [["rack", "2"]])].map((each) => [each.id, each]),
  );
  const tasks = ["n1", "n2", "n3"].map((nodeId, index) => task(String(index), "a", { nodeId, createdAt: index }));
  assert.equal(scaleInOrder(tasks, [{ type: "spread", field: "rack" }], { node: (id) => nodes.get(id), limit: 1 })[0], "1");
  assert.equal(scaleInOrder(tasks, [{ type: "random" }], { limit: 1 })[0], "2");
});

const strategies = fc.array(
  fc.constantFrom<Strategy>(
    { type: "random" },
    { type: "binpack", field: "cpu" },
    { type: "spread", field: "instanceId" },
    { type: "spread", field: "ecs.availability-zone" },
  ),
  { maxLength: 3 },
);
const anyTasks = (fit: boolean) =>
  fc
    .array(
      fc.record({
        zone: fc.constantFrom("a", "b", "c"),
        number: fc.integer({ min: 1, max: 3 }),
        status: fit ? fc.constant("RUNNING" as const) : fc.constantFrom("PENDING" as const, "RUNNING" as const),
        healthy: fit ? fc.constant(true) : fc.boolean(),
        createdAt: fc.integer({ min: 0, max: 5 }),
        protected: fc.constantFrom(false, false, false, true),
      }),
      { maxLength: 25, size: "max" },
    )
    .map((all) => all.map(({ number, ...each }, index): StoppableTask => ({ id: `t${index}`, nodeId: `${each.zone}${number}`, ...each })));

test("however many are stopped, zones are as even as what may be stopped allows, and in a zone so are instances", () => {
  fc.assert(
    fc.property(
      anyTasks(true),
      strategies.filter(([first]) => first?.type !== "binpack"),
      fc.nat({ max: 25 }),
      (tasks, strategy, limit) => {
        const stopped = new Set(scaleInOrder(tasks, strategy, { limit }));
        const left = (zone: string) => tasks.filter((each) => each.zone === zone && !stopped.has(each.id));
        for (const from of "abc")
          for (const other of "abc")
            if (tasks.some(({ id, zone }) => zone === other && stopped.has(id)) && left(from).some((each) => !each.protected))
              assert.ok(
                left(from).length <= left(other).length + 1,
                `${left(from).length} left in ${from}, ${left(other).length} in ${other}`,
              );
        if (strategy.length > 0) return;
        const on = (nodeId: string) => tasks.filter((each) => each.nodeId === nodeId && !stopped.has(each.id));
        for (const from of tasks)
          for (const other of tasks)
            if (from.zone === other.zone && stopped.has(other.id) && on(from.nodeId).some((each) => !each.protected))
              assert.ok(on(from.nodeId).length <= on(other.nodeId).length + 1);
      },
    ),
  );
});

test("each of the unprotected once, none of the protected, those that serve last, and any limit is the order's beginning", () => {
  fc.assert(
    fc.property(anyTasks(false), strategies, fc.nat({ max: 25 }), (tasks, strategy, limit) => {
      const order = scaleInOrder(tasks, strategy);
      const ids = tasks.filter((each) => !each.protected).map(({ id }) => id);
      assert.deepEqual(order.toSorted(), ids.toSorted());
      const levels = order
        .map((id) => tasks.find((each) => each.id === id)!)
        .map(({ status, healthy }) => (status === "PENDING" ? 0 : healthy ? 2 : 1));
      assert.deepEqual(levels, levels.toSorted());
      assert.deepEqual(scaleInOrder(tasks, strategy, { limit }), order.slice(0, limit));
      assert.deepEqual(scaleInOrder(tasks.toReversed(), strategy), order);
    }),
  );
});
