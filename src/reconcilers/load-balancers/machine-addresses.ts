import { parseEcsKey } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { Logger } from "#platform/log.ts";
import { eachEntry } from "#store/each-entry.ts";
import type { Store } from "#store/store.ts";

/**
 * Where the machines are that joined from elsewhere, by the id that they have as targets (`mi-…`): what their agents say when they register. Read once, and again of each machine that connects: addresses
 * stay while an agent is away.
 */
export interface MachineAddresses {
  start(): void;
  /** Of a container instance (its key). */
  connectionChanged(instance: string): void;
  of(instanceId: string): string | undefined;
}

export function createMachineAddresses(options: {
  readonly store: Store;
  readonly log: Logger;
  readonly changed: () => void;
}): MachineAddresses {
  const { store, log, changed } = options;
  const addresses = new Map<string, string>();

  function take({ ec2InstanceId, attributes, status }: ContainerInstanceRecord): void {
    const address = attributes.find(({ name }) => name === "gantry.address")?.value;
    const next = ec2InstanceId.startsWith("mi-") && status !== "INACTIVE" ? address : undefined;
    if (addresses.get(ec2InstanceId) === next) return;
    if (next === undefined) addresses.delete(ec2InstanceId);
    else addresses.set(ec2InstanceId, next);
    changed();
  }

  const readAll = () =>
    eachEntry(store, "/ecs/", (key, value) => {
      if (parseEcsKey(key)?.kind === "container-instance") take(value as ContainerInstanceRecord);
    });

  const failed = (error: unknown) => log.error({ err: error }, "the machines' addresses could not be read");
  return {
    start: () => void readAll().catch(failed),
    connectionChanged: (instance) => void store.get<ContainerInstanceRecord>(instance).then((found) => found && take(found.value), failed),
    of: (instanceId) => addresses.get(instanceId),
  };
}
