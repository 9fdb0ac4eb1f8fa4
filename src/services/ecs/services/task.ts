import type { ServiceReconcilerOptions } from "#reconcilers/services/reconciler.ts";
import type { Random } from "#platform/random.ts";
import { onProvider, placementRequestOf } from "../tasks/placement.ts";
import { newTask, planOf } from "../tasks/plan.ts";

/** How the tasks of services are made: as RunTask makes its own, in the service's group, started by the deployment. */
export function createTaskOf(random: Random): ServiceReconcilerOptions["taskOf"] {
  return ({ scope, service, group, spec, definition }) => {
    const tags = service.propagateTags === "SERVICE" ? service.tags : [];
    const plan = planOf(scope, service.cluster, definition, {
      taskDefinition: definition.arn,
      group: `service:${service.name}`,
      startedBy: group,
      enableExecuteCommand: service.enableExecuteCommand,
      enableECSManagedTags: service.enableECSManagedTags,
      propagateTags: service.propagateTags === "TASK_DEFINITION" ? "TASK_DEFINITION" : undefined,
      tags: [...tags],
    });
    const managed = service.enableECSManagedTags ? [{ key: "aws:ecs:serviceName", value: service.name }] : [];
    const byProvider = (spec.capacityProviderStrategy?.length ?? 0) > 0;
    const whole = { ...plan, byProvider, tags: [...plan.tags, ...managed] };
    return {
      request: placementRequestOf(whole, 1, service),
      onProvider,
      make: (instance, now) => newTask(whole, instance, random, now),
    };
  };
}
