import { acm } from "./acm.ts";
import { applicationAutoscaling } from "./application-autoscaling.ts";
import { autoscaling } from "./autoscaling.ts";
import { cloudwatch } from "./cloudwatch.ts";
import { cloudtrail } from "./cloudtrail.ts";
import { ec2 } from "./ec2.ts";
import { ecr } from "./ecr.ts";
import { ecrPublic } from "./ecr-public.ts";
import { ecs } from "./ecs.ts";
import { elbv2 } from "./elbv2.ts";
import { events } from "./events.ts";
import { iam } from "./iam.ts";
import { kms } from "./kms.ts";
import { logs } from "./logs.ts";
import { requestTags } from "./request-tags.ts";
import { route53 } from "./route53.ts";
import { scheduler } from "./scheduler.ts";
import { secretsmanager } from "./secretsmanager.ts";
import { servicediscovery } from "./servicediscovery.ts";
import { ssm } from "./ssm.ts";
import { sts, unchecked } from "./sts.ts";
import { type Input, type Need, resourcesOf, type ServiceActions, textAt, type Where } from "./table.ts";

/** By the service's name in the schemas. A test holds them against the registered operations: one that is not here is open to the root user only. */
export const serviceActions: Readonly<Record<string, ServiceActions>> = {
  acm,
  "application-autoscaling": applicationAutoscaling,
  autoscaling,
  cloudwatch,
  cloudtrail,
  ec2,
  ecr,
  "ecr-public": ecrPublic,
  ecs,
  elbv2,
  events,
  iam,
  kms,
  logs,
  route53,
  scheduler,
  secretsmanager,
  servicediscovery,
  ssm,
  sts,
};

/** All that a request must be allowed, or undefined for an operation that no table knows. */
export function needsOf(service: string, operation: string, input: Input, where: Where): readonly Need[] | undefined {
  const table = serviceActions[service];
  if (!table || !Object.hasOwn(table.operations, operation)) return undefined;
  if (unchecked.has(`${table.prefix}:${operation}`)) return [];
  const found = table.operations[operation]!;
  const rule = typeof found === "object" ? found : { on: found };
  const registry = rule.registry === undefined ? undefined : textAt(input, rule.registry);
  // What is no account's id is the handler's to refuse.
  const account = registry !== undefined && /^\d{12}$/.test(registry) ? registry : where.account;
  const at: Where = { ...where, account };
  const tags = requestTags(input);
  const keys = { ...tags.keys, ...rule.keys?.(input, at) };
  const resources = resourcesOf(table, rule.on ?? "", input, at);
  const needs: Need[] = [{ action: `${table.prefix}:${rule.action ?? operation}`, resources, account, keys }];
  if (rule.tagging && tags.sent) {
    const { action, on } = rule.tagging;
    needs.push({
      action: `${table.prefix}:${action}`,
      resources: on === undefined ? resources : resourcesOf(table, on, input, at),
      account,
      keys: table.createAction ? { ...keys, [`${table.prefix}:CreateAction`]: operation } : keys,
    });
  }
  return rule.also ? [...needs, ...rule.also(input, at)] : needs;
}

/** The resources that a request names, whether they take a permission or not; `*` for none. */
export function resourcesNamed(service: string, operation: string, input: Input, where: Where): readonly string[] {
  const table = serviceActions[service];
  if (!table || !Object.hasOwn(table.operations, operation)) return [];
  const found = table.operations[operation]!;
  return resourcesOf(table, (typeof found === "object" ? found.on : found) ?? "", input, where);
}
