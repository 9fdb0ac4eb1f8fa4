import type { Demand, Node } from "./types.ts";

/** A node with what this placement has put on it so far. */
export interface Trial {
  readonly node: Node;
  /** Place in the order of the nodes: the last word between equals. */
  readonly index: number;
  cpu: number;
  memory: number;
  gpus: number;
  tasks: number;
  ofGroup: number;
  portsTcp: ReadonlySet<number>;
  portsUdp: ReadonlySet<number>;
}

const none: ReadonlySet<number> = new Set();

export function trialOf(node: Node, index: number, group: string): Trial {
  const { usage } = node;
  return {
    node,
    index,
    cpu: usage.cpu,
    memory: usage.memory,
    gpus: usage.gpus.size,
    tasks: usage.tasks,
    ofGroup: usage.groups.get(group) ?? 0,
    portsTcp: none,
    portsUdp: none,
  };
}

export function take(trial: Trial, resources: Demand): void {
  trial.cpu += resources.cpu;
  trial.memory += resources.memory;
  trial.gpus += resources.gpuCount ?? 0;
  trial.tasks += 1;
  trial.ofGroup += 1;
  if (resources.portsTcp.length > 0) trial.portsTcp = new Set([...trial.portsTcp, ...resources.portsTcp]);
  if (resources.portsUdp.length > 0) trial.portsUdp = new Set([...trial.portsUdp, ...resources.portsUdp]);
}
