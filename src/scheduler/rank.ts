import type { Node, PlacementRequest, Strategy } from "./types.ts";
import type { Trial } from "./trial.ts";

/** Negative: `a` is the better place for the next task. */
export type Comparator = (a: Trial, b: Trial) => number;

export interface Ranking {
  readonly compare: Comparator;
  /** To be told of every task placed, so that the counts of spread stay right at a cost that does not grow with the tasks. */
  placed(node: Node): void;
}

/** AWS's default for services, and a kind one for tasks. */
const defaultStrategy: readonly Strategy[] = [
  { type: "spread", field: "ecs.availability-zone" },
  { type: "spread", field: "instanceId" },
];

/** Source: ECS Developer Guide, "Task placement strategies": spread counts the tasks of the same group; binpack leaves the least of the resource free. */
export function createRanking(nodes: readonly Node[], request: PlacementRequest, random: () => number): Ranking {
  const rules = (request.strategy.length > 0 ? request.strategy : defaultStrategy).map((strategy) =>
    ruleOf(strategy, nodes, request, random),
  );
  return {
    compare(a, b) {
      for (const rule of rules) {
        const difference = rule.compare(a, b);
        if (difference !== 0) return difference;
      }
      return a.tasks - b.tasks || a.index - b.index;
    },
    placed(node) {
      for (const rule of rules) rule.placed?.(node);
    },
  };
}

interface Rule {
  readonly compare: Comparator;
  placed?(node: Node): void;
}

function ruleOf(strategy: Strategy, nodes: readonly Node[], request: PlacementRequest, random: () => number): Rule {
  switch (strategy.type) {
    case "binpack":
      return strategy.field === "cpu"
        ? { compare: (a, b) => a.node.capacity.cpu - a.cpu - (b.node.capacity.cpu - b.cpu) }
        : { compare: (a, b) => a.node.capacity.memory - a.memory - (b.node.capacity.memory - b.memory) };
    case "random": {
      const lots = new Map<Node, number>(nodes.map((node) => [node, random()]));
      return {
        compare: (a, b) => (lots.get(a.node) ?? 0) - (lots.get(b.node) ?? 0),
        placed: (node) => void lots.set(node, random()),
      };
    }
    case "spread": {
      if (strategy.field === "instanceId") return { compare: (a, b) => a.ofGroup - b.ofGroup };
      const counts = new Map<string, number>();
      const valueOf = (node: Node) => node.attributes.get(strategy.field) ?? "";
      const add = (node: Node, count: number) => void counts.set(valueOf(node), (counts.get(valueOf(node)) ?? 0) + count);
      for (const node of nodes) add(node, node.usage.groups.get(request.group) ?? 0);
      return {
        compare: (a, b) => (counts.get(valueOf(a.node)) ?? 0) - (counts.get(valueOf(b.node)) ?? 0),
        placed: (node) => add(node, 1),
      };
    }
  }
}
