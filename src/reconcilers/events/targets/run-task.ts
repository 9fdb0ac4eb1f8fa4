import { createHash } from "node:crypto";
import { ApiError } from "#api/contract.ts";
import type { DeliveryRecord } from "#model/events/records.ts";
import { asRole } from "../as-role.ts";
import { DeliveryFailure } from "../failure.ts";
import { type Deliver, serviceOf } from "./target.ts";

/** EcsParameters of EventBridge and of its Scheduler, which write tags differently. */
interface EcsParameters {
  readonly TaskDefinitionArn: string;
  readonly TaskCount?: number;
  readonly LaunchType?: string;
  readonly NetworkConfiguration?: {
    readonly awsvpcConfiguration?: {
      readonly Subnets?: readonly string[];
      readonly SecurityGroups?: readonly string[];
      readonly AssignPublicIp?: string;
    };
  };
  readonly PlatformVersion?: string;
  readonly Group?: string;
  readonly CapacityProviderStrategy?: readonly unknown[];
  readonly EnableECSManagedTags?: boolean;
  readonly EnableExecuteCommand?: boolean;
  readonly PlacementConstraints?: readonly unknown[];
  readonly PlacementStrategy?: readonly unknown[];
  readonly PropagateTags?: string;
  readonly ReferenceId?: string;
  readonly Tags?: readonly Readonly<Record<string, string>>[];
}

/**
 * ecs:RunTask by the target's role. The client token is the delivery's: after a crash between the tasks and the note that they run, ECS answers with the
 * same tasks. Source: EventBridge User Guide, "Amazon ECS tasks as targets".
 */
export const runTask: Deliver = async ({ store, caller, clock, log }, record, payload) => {
  const { target, origin, account, region } = record;
  const principal = await asRole(store, target.RoleArn ?? "", {
    service: serviceOf(record),
    sessionName: origin.name,
    now: clock.now(),
    source: origin.arn,
    account,
    region,
  });
  const input = runTaskInput(record, payload);
  let output: {
    readonly tasks?: readonly unknown[];
    readonly failures?: readonly { readonly reason?: string; readonly detail?: string }[];
  };
  try {
    output = await caller.call({ principal, region, service: "ecs", operation: "RunTask", input, by: serviceOf(record) });
  } catch (error) {
    // An attempt before this one ran it, and what it was to run looked otherwise then.
    if (error instanceof ApiError && error.code === "ConflictException") return;
    throw error;
  }
  const failures = output.failures ?? [];
  if ((output.tasks ?? []).length === 0 && failures.length > 0)
    throw new DeliveryFailure(failures.map(({ reason, detail }) => `${reason ?? ""} ${detail ?? ""}`.trim()).join("; "), true);
  if (failures.length > 0) log.warn({ target: target.Arn, event: record.event.id, failures }, "not all tasks of an event could be placed");
};

export function runTaskInput(record: DeliveryRecord, payload: string): Readonly<Record<string, unknown>> {
  const { target, origin, id, event } = record;
  const ecs = target["EcsParameters"] as EcsParameters;
  const network = ecs.NetworkConfiguration?.awsvpcConfiguration;
  return {
    cluster: target.Arn,
    taskDefinition: ecs.TaskDefinitionArn,
    count: ecs.TaskCount ?? 1,
    launchType: ecs.LaunchType,
    platformVersion: ecs.PlatformVersion,
    group: ecs.Group,
    capacityProviderStrategy: ecs.CapacityProviderStrategy,
    enableECSManagedTags: ecs.EnableECSManagedTags,
    enableExecuteCommand: ecs.EnableExecuteCommand,
    placementConstraints: ecs.PlacementConstraints,
    placementStrategy: ecs.PlacementStrategy,
    propagateTags: ecs.PropagateTags,
    referenceId: ecs.ReferenceId,
    tags: ecs.Tags?.map((tag) => ({ key: tag["Key"] ?? tag["key"], value: tag["Value"] ?? tag["value"] })),
    networkConfiguration: network && {
      awsvpcConfiguration: { subnets: network.Subnets, securityGroups: network.SecurityGroups, assignPublicIp: network.AssignPublicIp },
    },
    overrides: overridesOf(payload),
    startedBy: `${origin.kind === "rule" ? "events-rule" : "chronos-schedule"}/${origin.name}`.slice(0, 36),
    clientToken: createHash("sha256").update(`${event.id} ${id}`).digest("hex"),
  };
}

const overridable = [
  "containerOverrides",
  "cpu",
  "memory",
  "taskRoleArn",
  "executionRoleArn",
  "ephemeralStorage",
  "inferenceAcceleratorOverrides",
];

/** The input is the task's override, where it has members of one. */
function overridesOf(payload: string): Readonly<Record<string, unknown>> | undefined {
  let given: unknown;
  try {
    given = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (typeof given !== "object" || given === null) return undefined;
  const members = Object.entries(given).filter(([name]) => overridable.includes(name));
  return members.length > 0 ? Object.fromEntries(members) : undefined;
}
