import type { TaskDefinition } from "@aws-sdk/client-ecs";
import type { TaskDefinitionRecord } from "#model/ecs-records.ts";

/** Source: ECS API Reference, TaskDefinition. */
export function taskDefinitionView(record: TaskDefinitionRecord): TaskDefinition {
  return {
    ...(record.definition as TaskDefinition),
    taskDefinitionArn: record.arn,
    family: record.family,
    revision: record.revision,
    status: record.status,
    requiresAttributes: record.requiresAttributes.map((attribute) => ({ ...attribute })),
    compatibilities: [...record.compatibilities] as TaskDefinition["compatibilities"],
    registeredAt: new Date(record.registeredAt),
    registeredBy: record.registeredBy,
    ...(record.deregisteredAt === undefined ? {} : { deregisteredAt: new Date(record.deregisteredAt) }),
    ...(record.deleteRequestedAt === undefined ? {} : { deleteRequestedAt: new Date(record.deleteRequestedAt) }),
  };
}

export const tagsView = (tags: TaskDefinitionRecord["tags"]) => tags.map(({ key, value }) => ({ key, value }));
