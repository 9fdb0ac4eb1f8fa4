import type { Scope } from "#model/ecs-keys.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { TargetRecord } from "#model/elb-records.ts";
import type { Unit } from "#store/unit.ts";

/** Targets as they come and go, in the transaction of whoever wants it: an operation, or the task that stands behind them. */

export interface Registration {
  readonly id: string;
  readonly port: number;
  readonly availabilityZone?: string;
}

/** False: there is no such group, nothing was written. `group`: its id. Safe to repeat: who is registered stays so, with its health. */
export async function registerTarget(unit: Unit, scope: Scope, group: string, target: Registration, now: number): Promise<boolean> {
  if (!(await unit.get(elbKeys.targetGroup(scope, group)))) return false;
  const key = elbKeys.target(scope, group, target.id, target.port);
  const there = await unit.get<TargetRecord>(key);
  if (there && there.deregisteringAt === undefined) return true;
  // Told apart from the registration before by its time, whatever the clock says.
  const registeredAt = Math.max(now, there ? there.registeredAt + 1 : 0);
  const { id, port, availabilityZone } = target;
  unit.put(key, { id, port, ...(availabilityZone === undefined ? {} : { availabilityZone }), registeredAt } satisfies TargetRecord);
  unit.put(elbKeys.targetsTaken(scope, group), {});
  return true;
}

/** From now on it drains; when that is over its record goes. Safe to repeat; nothing happens where it is not registered. */
export async function deregisterTarget(
  unit: Unit,
  scope: Scope,
  group: string,
  { id, port }: Pick<Registration, "id" | "port">,
  now: number,
): Promise<void> {
  const key = elbKeys.target(scope, group, id, port);
  const there = await unit.get<TargetRecord>(key);
  if (there && there.deregisteringAt === undefined) unit.put(key, { ...there, deregisteringAt: now } satisfies TargetRecord);
}
