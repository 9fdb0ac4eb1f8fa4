import { obstacle } from "./filter.ts";
import { createRanking } from "./rank.ts";
import { take, trialOf, type Trial } from "./trial.ts";
import type { Node, Placement, PlacementRequest, Rejection } from "./types.ts";

/**
 * Places up to `request.count` tasks: each on the best of the nodes that can take it, seeing the ones before it. Nodes are filtered
 * once; after a task only its node is looked at again. `random`: numbers in [0, 1), asked for only by the strategy of that name.
 */
export function place(nodes: readonly Node[], request: PlacementRequest, random: () => number): Placement {
  const rejections: Rejection[] = [];
  const open = new Set<Trial>();
  const consider = (trial: Trial) => {
    const rejection = obstacle(trial, request);
    if (!rejection) {
      open.add(trial);
      return;
    }
    open.delete(trial);
    rejections.push(rejection);
  };
  nodes.forEach((node, index) => consider(trialOf(node, index, request.group)));
  const ranking = createRanking(nodes, request, random);
  const assignments: string[] = [];
  while (assignments.length < request.count) {
    const best = bestOf(open, ranking.compare);
    if (!best) break;
    assignments.push(best.node.id);
    take(best, request.resources);
    ranking.placed(best.node);
    consider(best);
  }
  if (assignments.length === request.count) return { assignments, rejections: [] };
  const position = new Map(nodes.map((node, index) => [node, index]));
  return { assignments, rejections: rejections.toSorted((a, b) => position.get(a.node)! - position.get(b.node)!) };
}

/** What stands in the way of one task on exactly this node: StartTask's question. */
export function obstacleOn(node: Node, request: PlacementRequest): Rejection | undefined {
  return obstacle(trialOf(node, 0, request.group), request);
}

function bestOf(open: ReadonlySet<Trial>, compare: (a: Trial, b: Trial) => number): Trial | undefined {
  let best: Trial | undefined;
  for (const trial of open) if (!best || compare(trial, best) < 0) best = trial;
  return best;
}
