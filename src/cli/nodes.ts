import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { ask } from "./ask.ts";

/** As the server answers: CPU in units (1024 a core), memory in MiB. */
export interface NodeRow {
  readonly id: string;
  readonly instance: string;
  readonly machine?: string;
  readonly account: string;
  readonly region: string;
  readonly cluster: string;
  readonly zone: string;
  readonly status: string;
  readonly connected: boolean;
  readonly serves: readonly string[];
  readonly cpu: { readonly total: number; readonly free: number };
  readonly memory: { readonly total: number; readonly free: number };
  readonly tasks: { readonly ec2: number; readonly fargate: number; readonly spot: number };
}

/** `gantry nodes`. */
export async function nodes(config: Config, json: boolean): Promise<string> {
  const identity = await loadIdentity(config.home, systemRandom);
  const answer = (await ask(config, identity, "/_gantry/nodes")) as { nodes: NodeRow[] };
  return json ? JSON.stringify(answer.nodes, undefined, 2) : formatNodes(answer.nodes);
}

const columns = ["NODE", "MACHINE", "CLUSTER", "ZONE", "STATE", "SERVES", "VCPU FREE", "GIB FREE", "TASKS EC2/FARGATE/SPOT"];

export function formatNodes(all: readonly NodeRow[]): string {
  if (all.length === 0) return "no machine has joined yet";
  const rows = all.map((node) => [
    node.id.slice(0, 12),
    node.machine ?? node.instance,
    `${node.cluster} (${node.region})`,
    node.zone,
    node.connected ? node.status : `${node.status}, agent away`,
    node.serves.join("+") || "nothing",
    `${share(node.cpu, 1024)}`,
    `${share(node.memory, 1024)}`,
    `${node.tasks.ec2}/${node.tasks.fargate}/${node.tasks.spot}`,
  ]);
  const widths = columns.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]!.length)));
  return [columns, ...rows]
    .map((row) =>
      row
        .map((text, index) => text.padEnd(widths[index]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

const share = ({ total, free }: { total: number; free: number }, unit: number) =>
  `${(free / unit).toFixed(2)} of ${(total / unit).toFixed(2)}`;
