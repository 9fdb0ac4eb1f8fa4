/**
 * Pure placement, on one core: ten services take turns, each spread by zone, then binpacked by memory, with one memberOf constraint.
 * What is timed: the answer, adding up what the chosen instance's tasks take now, and telling the index; not the making of the records,
 * which is the store's. Steady: one task ends, anywhere, for each that is placed, and the index is told of that too.
 */
import { compileExpression } from "#services/ecs/tasks/expressions.ts";
import type { AllocatedTask, AllocationRecord } from "#model/ecs-records.ts";
import { createPlacementIndex } from "#scheduler/placement-index.ts";
import type { Node, PlacementRequest } from "#scheduler/types.ts";
import { usageOf } from "#scheduler/usage.ts";
import { median, report } from "./support.ts";

const zones = ["us-east-1a", "us-east-1b", "us-east-1c"];
const expression = "attribute:ecs.instance-type =~ m7.* and not(attribute:stack == canary)";
const tasksEach = 10;

function services(count: number): PlacementRequest[] {
  const matches = compileExpression(expression);
  return Array.from({ length: count }, (_, index) => ({
    count: 1,
    group: `service:s${index}`,
    resources: { cpu: 128 + 64 * (index % 3), memory: 256 + 64 * (index % 5), portsTcp: [], portsUdp: [] },
    requiredAttributes: [{ name: "com.amazonaws.ecs.capability.docker-remote-api.1.21" }],
    constraints: [{ type: "memberOf", expression, matches }],
    strategy: [
      { type: "spread", field: "ecs.availability-zone" },
      { type: "binpack", field: "memory" },
    ],
  }));
}

function instance(index: number): Node {
  const id = index.toString(16).padStart(32, "0");
  return {
    id,
    arn: `arn:aws:ecs:us-east-1:123456789012:container-instance/default/${id}`,
    ec2InstanceId: `i-${id.slice(15)}`,
    status: "ACTIVE",
    connected: true,
    attributes: new Map([
      ["ecs.availability-zone", zones[index % zones.length]!],
      ["ecs.instance-type", index % 10 === 0 ? "c7.large" : "m7.large"],
      ["com.amazonaws.ecs.capability.docker-remote-api.1.21", ""],
    ]),
    capacity: { cpu: 4096, memory: 5120, portsTcp: [22, 2375, 2376, 51678, 51679], portsUdp: [] },
    usage: usageOf(undefined),
  };
}

/** The caller's side: what the store would hold, changed as a commit would change it. */
class Cluster {
  /** Milliseconds in the scheduler. */
  spent = 0;
  readonly index = createPlacementIndex();
  readonly #nodes = new Map<string, { node: Node; allocation: AllocationRecord }>();
  readonly #running: { id: string; node: string }[] = [];
  readonly #requests: readonly PlacementRequest[];
  #next = 0;
  #state = 1;

  constructor(instances: number, requests: readonly PlacementRequest[]) {
    this.#requests = requests;
    for (let each = 0; each < instances; each++) {
      const node = instance(each);
      this.#nodes.set(node.id, { node, allocation: { tasks: {} } });
      this.index.upsert(node);
    }
  }

  get tasks(): number {
    return this.#running.length;
  }

  placeOne(): void {
    const request = this.#requests[this.#next % this.#requests.length]!;
    const start = performance.now();
    const [node] = this.index.place(request, this.#random).assignments;
    this.spent += performance.now() - start;
    if (node === undefined) throw new Error(`not placed: ${this.index.explain(request)[0]?.detail}`);
    const id = `t${this.#next++}`;
    const share: AllocatedTask = { ...request.resources, group: request.group };
    this.#commit(node, { tasks: { ...this.#nodes.get(node)!.allocation.tasks, [id]: share } });
    this.#running.push({ id, node });
  }

  /** Any of the tasks that run. */
  endOne(): void {
    const which = Math.floor(this.#random() * this.#running.length);
    const { id, node } = this.#running[which]!;
    this.#running[which] = this.#running.at(-1)!;
    this.#running.pop();
    const { [id]: _, ...tasks } = this.#nodes.get(node)!.allocation.tasks;
    this.#commit(node, { tasks });
  }

  #commit(id: string, allocation: AllocationRecord): void {
    const known = this.#nodes.get(id)!;
    known.allocation = allocation;
    const start = performance.now();
    known.node = { ...known.node, usage: usageOf(allocation) };
    this.index.upsert(known.node);
    this.spent += performance.now() - start;
  }

  readonly #random = (): number => {
    this.#state = (this.#state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return this.#state / 2_147_483_648;
  };
}

function fill(instances: number, shapes: number): { cluster: Cluster; ms: number } {
  const cluster = new Cluster(instances, services(shapes));
  while (cluster.tasks < instances * tasksEach) cluster.placeOne();
  return { cluster, ms: cluster.spent };
}

/** Milliseconds for one placement in a cluster that stays as full as it is. */
function oneMore(cluster: Cluster, rounds: number): number {
  const before = cluster.spent;
  for (let round = 0; round < rounds; round++) {
    cluster.endOne();
    cluster.placeOne();
  }
  return (cluster.spent - before) / rounds;
}

const shapes = 10;
fill(1000, shapes);
const large = fill(10_000, shapes);
const small = fill(100, shapes);
const rate = (tasks: number, ms: number) => (tasks / ms) * 1000;
report({
  bench: "placement: 100,000 tasks onto 10,000 empty instances, 10 services",
  ours: rate(large.cluster.tasks, large.ms),
  peer: undefined,
  peerName: "bound",
  unit: "placements/s",
  bound: { least: 20_000 },
});
const costs = { large: [] as number[], small: [] as number[] };
// In turns, so that what else the machine does meets both.
for (let round = 0; round < 9; round++) {
  costs.large.push(oneMore(large.cluster, 4000));
  costs.small.push(oneMore(small.cluster, 4000));
}
report({
  bench: "placement: steady at 100,000 tasks on 10,000 instances, one ends for each placed",
  ours: 1000 / median(costs.large),
  peer: undefined,
  peerName: "bound",
  unit: "placements/s",
  bound: { least: 20_000 },
});
report({
  bench: "placement: one more at 10,000 instances against one more at 100",
  ours: median(costs.large) * 1000,
  peer: median(costs.small) * 1000,
  peerName: "100 instances",
  unit: "µs",
  bound: { most: 2 },
});
