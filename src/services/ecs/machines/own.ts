import { ApiError, type Asker, type Question } from "#api/contract.ts";
import { namesOf } from "#identity/sessions.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation } from "#model/ecs-records.ts";
import { machineKeys, type MachineRecord } from "#model/machine-records.ts";
import { writeInstanceUsage } from "#reconcilers/meter/record.ts";
import { putInstance } from "#reconcilers/nodes.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import type { EcsDeps } from "../context.ts";
import { ownerOf } from "../container-instances/owner.ts";
import { machinesQueue } from "./tokens.ts";

/** What a machine is told of itself. */
export interface OwnMachineAnswer {
  readonly cluster: string;
  /** Undefined: its agent has not registered yet. */
  readonly instance?: { readonly arn: string; readonly status: string; readonly connected: boolean };
  /** That are not STOPPED, and of these, how many run. */
  readonly tasks: number;
  readonly running: number;
}

/**
 * What a joined machine asks of itself, signed by its agent's credentials: how it is, that it be drained, that it be forgotten. No question names a machine: each is
 * about who asks. `/_gantry/machines/remove` is the operator's, for one that does not come back.
 */
export function machineQuestions(deps: EcsDeps): readonly Question[] {
  const { store, writer } = deps;

  async function instanceOf(scope: Scope, cluster: string, owner: string): Promise<ContainerInstanceRecord | undefined> {
    const { entries } = await store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster));
    return entries.map(({ value }) => value).find((each) => each.status !== "INACTIVE" && each.owner === owner);
  }

  async function describe(scope: Scope, cluster: string, owner: string): Promise<OwnMachineAnswer> {
    const instance = await instanceOf(scope, cluster, owner);
    if (!instance) return { cluster, tasks: 0, running: 0 };
    const { id, arn, status } = instance;
    const connection = (await store.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, id)))?.value;
    const allocation = (await store.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, id)))?.value;
    const tasks = Object.keys(allocation?.tasks ?? {});
    let running = 0;
    for (const task of tasks)
      if ((await store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, task)))?.value.lastStatus === "RUNNING") running++;
    return { cluster, instance: { arn, status, connected: connection?.connected ?? false }, tasks: tasks.length, running };
  }

  async function change(scope: Scope, cluster: string, owner: string, status: "DRAINING" | "INACTIVE", now: number): Promise<void> {
    const found = await instanceOf(scope, cluster, owner);
    if (!found) return;
    await writer.run(clusterQueue(scope, cluster), async (unit) => {
      const known = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, found.id));
      if (!known || known.status === "INACTIVE" || known.status === status) return;
      await putInstance(unit, scope, { ...known, status, version: known.version + 1 });
      if (status === "INACTIVE") writeInstanceUsage(unit, scope, known, now);
    });
  }

  /** Its instance is no container instance any more, and its key opens nothing. */
  async function forget(machine: MachineRecord, now: number): Promise<void> {
    const { id, account, region, cluster } = machine;
    await change({ account, region }, cluster, ownerOfMachine(machine), "INACTIVE", now);
    await writer.run(machinesQueue, async (unit) => unit.delete(machineKeys.machine(id)));
  }

  const recordOf = async (id: string) => (await store.get<MachineRecord>(machineKeys.machine(id)))?.value;

  return [
    {
      path: "/_gantry/machine",
      action: "gantry:DescribeMachine",
      quiet: true,
      answer: (_query, asker) => describe(asker, agentOf(asker).cluster, ownerOf(asker.principal)),
    },
    {
      path: "/_gantry/machine/drain",
      action: "gantry:DrainMachine",
      method: "POST",
      async answer(_query, asker) {
        const { cluster } = agentOf(asker);
        await change(asker, cluster, ownerOf(asker.principal), "DRAINING", asker.now);
        return describe(asker, cluster, ownerOf(asker.principal));
      },
    },
    {
      path: "/_gantry/machine/leave",
      action: "gantry:LeaveMachine",
      method: "POST",
      async answer(_query, asker) {
        const machine = await recordOf(agentOf(asker).node);
        if (!machine) throw new ApiError("InvalidParameterException", "This machine has not joined by a token.");
        await forget(machine, asker.now);
        return { machine: machine.id };
      },
    },
    {
      path: "/_gantry/machines/remove",
      action: "gantry:RemoveMachine",
      method: "POST",
      async answer(query, { now }) {
        const id = query.get("id") ?? "";
        const machine = await recordOf(id);
        if (!machine) throw new ApiError("InvalidParameterException", `No machine ${id} has joined by a token.`);
        await forget(machine, now);
        return { machine: id };
      },
    },
  ];
}

function agentOf({ principal }: Asker): { readonly node: string; readonly cluster: string } {
  const { identity } = principal;
  if (identity?.kind !== "Agent") throw new ApiError("InvalidParameterException", "Only a machine's agent asks this, of its own machine.");
  return identity;
}

/** What its sessions own. */
const ownerOfMachine = ({ id, account, cluster }: MachineRecord) => namesOf(account, { kind: "Agent", node: id, cluster }).userId;
