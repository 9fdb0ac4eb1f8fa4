import type { Resources } from "#model/ecs-records.ts";
import type { Node } from "./types.ts";

/** A node with what this placement has put on it so far. */
export interface Trial {
  readonly node: Node;
  /** Place in the order of the nodes: the last word between equals. */
  readonly index: number;
  cpu: number;
  memory: number;
  tasks: number;
  ofGroup: number;
  readonly portsTcp: Set<number>;
  readonly portsUdp: Set<number>;
}

export function trialOf(node: Node, index: number, group: string): Trial {
  return {
    node,
    index,
    cpu: node.usage.cpu,
    memory: node.usage.memory,
    tasks: node.usage.tasks,
    ofGroup: node.usage.groups.get(group) ?? 0,
    portsTcp: new Set(),
    portsUdp: new Set(),
  };
}

export function take(trial: Trial, resources: Resources): void {
  trial.cpu += resources.cpu;
  trial.memory += resources.memory;
  trial.tasks += 1;
  trial.ofGroup += 1;
  for (const port of resources.portsTcp) trial.portsTcp.add(port);
  for (const port of resources.portsUdp) trial.portsUdp.add(port);
}
