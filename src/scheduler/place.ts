import { obstacle } from "./filter.ts";
import { bucketName, type RankPlan, rankPlanOf, valuesOf } from "./rank.ts";
import { take, trialOf, type Trial } from "./trial.ts";
import type { Node, Placement, PlacementRequest, Rejection } from "./types.ts";

/**
 * Places up to `request.count` tasks: each on the best of the nodes that can take it, seeing the ones before it. Nodes are filtered
 * once; after a task only its node is looked at again. `random`: numbers in [0, 1), one for each task and only by the strategy of that
 * name. For a cluster that is asked again and again there is PlacementIndex, which answers the same.
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
  const plan = rankPlanOf(request.strategy);
  const counts = countsOf(nodes, request, plan);
  const assignments: string[] = [];
  while (assignments.length < request.count) {
    const best = bestOf(open, plan, counts, random);
    if (!best) break;
    assignments.push(best.node.id);
    take(best, request.resources);
    count(counts, plan, best.node, 1);
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

/** The group's tasks by value, for each of the plan's fields. */
type Counts = readonly Map<string, number>[];

function countsOf(nodes: readonly Node[], { group }: PlacementRequest, plan: RankPlan): Counts {
  const counts: Counts = plan.fields.map(() => new Map());
  for (const node of nodes) count(counts, plan, node, node.usage.groups.get(group) ?? 0);
  return counts;
}

function count(counts: Counts, plan: RankPlan, node: Node, tasks: number): void {
  valuesOf(plan, node.attributes).forEach((value, index) => counts[index]!.set(value, (counts[index]!.get(value) ?? 0) + tasks));
}

function bestOf(open: ReadonlySet<Trial>, plan: RankPlan, counts: Counts, random: () => number): Trial | undefined {
  const tasksLike = ({ node }: Trial, field: number) => counts[field]!.get(node.attributes.get(plan.fields[field]!) ?? "") ?? 0;
  const compare = (a: Trial, b: Trial): number => {
    for (const rule of plan.order) {
      const difference = rule >= 0 ? plan.keys[rule]!(a) - plan.keys[rule]!(b) : tasksLike(a, ~rule) - tasksLike(b, ~rule);
      if (difference !== 0) return difference;
    }
    return 0;
  };
  let best: Trial | undefined;
  let equals: Trial[] = [];
  for (const trial of open) {
    const difference = best ? compare(trial, best) : -1;
    if (difference > 0) continue;
    if (difference < 0) equals = [];
    equals.push(trial);
    if (!best || difference < 0 || trial.index < best.index) best = trial;
  }
  return best && plan.drawn ? draw(equals, plan, random()) : best;
}

/** Numbered by bucket, then in the order of the nodes: the index counts them off in the same way without listing them. */
function draw(equals: readonly Trial[], plan: RankPlan, lot: number): Trial {
  const named = equals.map((trial) => ({ trial, name: bucketName(valuesOf(plan, trial.node.attributes)) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.trial.index - b.trial.index));
  return named[Math.floor(lot * named.length)]!.trial;
}
