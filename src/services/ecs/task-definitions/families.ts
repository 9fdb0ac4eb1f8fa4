import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { FamilyRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { Unit } from "#store/unit.ts";

/** All writes of a family's revisions go through its queue, so that the family's record always says what the revisions are. */
export const familyQueue = ({ account, region }: Scope, family: string) => `ecs-family/${account}/${region}/${family}`;

const none: FamilyRecord = { revision: 0, kept: 0 };

export const readFamily = async (unit: Unit, scope: Scope, family: string): Promise<FamilyRecord> =>
  (await unit.get<FamilyRecord>(ecsKeys.family(scope, family))) ?? none;

/** A new revision, the newest ACTIVE one from now on. */
export function addRevision(unit: Unit, scope: Scope, known: FamilyRecord, record: TaskDefinitionRecord): void {
  unit.put(ecsKeys.taskDefinition(scope, record.family, record.revision), record);
  const next: FamilyRecord = { revision: record.revision, active: record.revision, kept: known.kept + 1 };
  unit.put(ecsKeys.family(scope, record.family), next);
}

/** A revision that has changed its status. */
export async function changeRevision(unit: Unit, scope: Scope, record: TaskDefinitionRecord): Promise<void> {
  unit.put(ecsKeys.taskDefinition(scope, record.family, record.revision), record);
  const known = await readFamily(unit, scope, record.family);
  if (known.active !== record.revision || record.status === "ACTIVE") return;
  const { active: _active, ...rest } = known;
  const active = await newestActive(unit, scope, record.family);
  unit.put(ecsKeys.family(scope, record.family), { ...rest, ...(active === undefined ? {} : { active }) } satisfies FamilyRecord);
}

/** Removes a revision that is not ACTIVE. */
export async function removeRevision(unit: Unit, scope: Scope, record: TaskDefinitionRecord): Promise<void> {
  const known = await readFamily(unit, scope, record.family);
  unit.delete(ecsKeys.taskDefinition(scope, record.family, record.revision));
  unit.put(ecsKeys.family(scope, record.family), { ...known, kept: known.kept - 1 } satisfies FamilyRecord);
}

async function newestActive(unit: Unit, scope: Scope, family: string): Promise<number | undefined> {
  let newest: number | undefined;
  for (const { status, revision } of (await unit.list<TaskDefinitionRecord>(ecsKeys.taskDefinitionsOf(scope, family))).values())
    if (status === "ACTIVE" && revision > (newest ?? 0)) newest = revision;
  return newest;
}
