/**
 * Pure placement, on one core: ten services take turns, each spread by zone, then binpacked by memory, with one memberOf constraint.
 * What is timed: the answer, the chosen instance with the new task, and telling the index of it. Steady: one task ends, anywhere, for each
 * that is placed, and the index is told of that too.
 */
import { compileExpression } from "#services/ecs/tasks/expressions.ts";
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

/** The caller's side, as little of it as can be: what an instance's tasks take, with one more of them or one less. */
function changed(node: Node, { group, resources }: PlacementRequest, by: 1 | -1): Node {
  const { usage } = node;
  const groups = new Map(usage.groups);
  const left = (groups.get(group) ?? 0) + by;
  if (left === 0) groups.delete(group);
  else groups.set(group, left);
  const cpu = usage.cpu + by * resources.cpu;
  const memory = usage.memory + by * resources.memory;
  return { ...node, usage: { ...usage, cpu, memory, tasks: usage.tasks + by, groups } };
}

class Cluster {
  readonly #index = createPlacementIndex();
  readonly #running: { readonly request: PlacementRequest; readonly node: string }[] = [];
  readonly #requests: readonly PlacementRequest[];
  #next = 0;
  #state = 1;

  constructor(instances: number, requests: readonly PlacementRequest[]) {
    this.#requests = requests;
    for (let each = 0; each < instances; each++) this.#index.upsert(instance(each));
  }

  get tasks(): number {
    return this.#running.length;
  }

  placeOne(): void {
    const request = this.#requests[this.#next++ % this.#requests.length]!;
    const [node] = this.#index.place(request, this.#random).assignments;
    if (node === undefined) throw new Error(`not placed: ${this.#index.explain(request)[0]?.detail}`);
    this.#index.upsert(changed(this.#index.node(node)!, request, 1));
    this.#running.push({ request, node });
  }

  /** Any of the tasks that run. */
  endOne(): void {
    const which = Math.floor(this.#random() * this.#running.length);
    const { request, node } = this.#running[which]!;
    this.#running[which] = this.#running.at(-1)!;
    this.#running.pop();
    this.#index.upsert(changed(this.#index.node(node)!, request, -1));
  }

  readonly #random = (): number => {
    this.#state = (this.#state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return this.#state / 2_147_483_648;
  };
}

/** Milliseconds of this thread's work, whatever else the machine does meanwhile. */
function timed(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

function fill(instances: number, shapes: number): { cluster: Cluster; ms: number } {
  const cluster = new Cluster(instances, services(shapes));
  const ms = timed(() => {
    while (cluster.tasks < instances * tasksEach) cluster.placeOne();
  });
  return { cluster, ms };
}

/** Milliseconds for one placement, and for one task's end, in a cluster that stays as full as it is. */
function oneMore(cluster: Cluster, rounds: number): number {
  const ms = timed(() => {
    for (let round = 0; round < rounds; round++) {
      cluster.endOne();
      cluster.placeOne();
    }
  });
  return ms / rounds;
}

const shapes = 10;
fill(1000, shapes);
const large = fill(10_000, shapes);
const small = fill(100, shapes);
const bound = { peer: undefined, peerName: "bound", unit: "placements/s", bound: { least: 20_000 } } as const;
report({
  bench: "placement: 100,000 tasks onto 10,000 empty instances, 10 services in turns",
  ours: (large.cluster.tasks / large.ms) * 1000,
  ...bound,
});
const costs = { large: [] as number[], small: [] as number[] };
// In turns, so that what else the machine does meets both.
for (let round = 0; round < 9; round++) {
  costs.large.push(oneMore(large.cluster, 10_000));
  costs.small.push(oneMore(small.cluster, 10_000));
}
report({
  bench: "placement: steady at 100,000 tasks on 10,000 instances, one ends for each placed",
  ours: 1000 / median(costs.large),
  ...bound,
});
report({
  bench: "placement: one more at 10,000 instances against one more at 100",
  ours: median(costs.large) * 1000,
  peer: median(costs.small) * 1000,
  peerName: "100 instances",
  unit: "µs",
  bound: { most: 2 },
});
