import type { NetworkConfiguration, TaskDefinition } from "@aws-sdk/client-ecs";
import type { TaskServiceRegistry } from "#model/ecs-records.ts";
import type { ResolvedConnect } from "#model/service-connect.ts";
import type { ServiceReconcilerOptions } from "#reconcilers/services/reconciler.ts";
import type { Random } from "#platform/random.ts";
import { laterWish } from "../tasks/launch-rules.ts";
import { placementRequestOf, requestFor } from "../tasks/placement.ts";
import { newTask, planOf } from "../tasks/plan.ts";

/** How the tasks of services are made: as RunTask makes its own, in the service's group, started by the deployment. */
export function createTaskOf(random: Random): ServiceReconcilerOptions["taskOf"] {
  return ({ scope, service, group, spec, definition, loadBalancers }) => {
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
    const serviceRegistries = spec.serviceRegistries as readonly TaskServiceRegistry[] | undefined;
    const { serviceConnect } = spec as { readonly serviceConnect?: ResolvedConnect };
    const whole = { ...plan, tags: [...plan.tags, ...managed], loadBalancers, serviceRegistries, serviceConnect };
    const request = placementRequestOf(whole, 1, service);
    const body = definition.definition as TaskDefinition;
    return {
      launchType: spec.launchType,
      requestFor: (target, count) => requestFor(request, target, body, count),
      network: laterWish(spec.networkConfiguration as NetworkConfiguration | undefined),
      wait: (target, now) => {
        const network = laterWish(spec.networkConfiguration as NetworkConfiguration | undefined);
        const { placementConstraints: constraints, placementStrategy: strategy } = service;
        return newTask(whole, { waiting: { constraints, strategy, ...(network ? { network } : {}) } }, target, random, now);
      },
      make: (machine, target, now) => newTask(whole, machine, target, random, now),
    };
  };
}
