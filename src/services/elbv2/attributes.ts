import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  attributeOf,
  type AttributeTable,
  listenerAttributes,
  loadBalancerAttributes,
  targetGroupAttributes,
} from "#model/elb-attributes.ts";
import { elbKeys } from "#model/elb-keys.ts";
import { needListener, needLoadBalancer, needTargetGroup } from "./arns.ts";
import type { Change, Question } from "./context.ts";
import { elbErrors } from "./errors.ts";

/** The attributes of load balancers, target groups and listeners. Source: Elastic Load Balancing API Reference, "ModifyLoadBalancerAttributes" and its kin. */

interface Given {
  readonly Key?: string;
  readonly Value?: string;
}

/** All that there are, set or by default, in the order of their names. */
const view = (table: AttributeTable, set: Readonly<Record<string, string>>): { Key: string; Value: string }[] =>
  Object.keys(table)
    .toSorted()
    .map((Key) => ({ Key, Value: attributeOf(table, set, Key)! }));

function merged(table: AttributeTable, set: Readonly<Record<string, string>>, given: readonly Given[]): Record<string, string> {
  const all = { ...set };
  const seen = new Set<string>();
  for (const { Key: key = "", Value: value = "" } of given) {
    if (!Object.hasOwn(table, key)) throw elbErrors.configuration(`The attribute '${key}' is not recognized or not supported here`);
    if (seen.has(key)) throw elbErrors.configuration(`The attribute '${key}' was specified more than once`);
    seen.add(key);
    const wrong = table[key]!.check(value);
    if (wrong !== undefined) throw elbErrors.configuration(`The value '${value}' of attribute '${key}' is not valid: it must be ${wrong}`);
    all[key] = value;
  }
  return all;
}

export async function describeLoadBalancerAttributes(
  question: Question,
  input: Sdk.DescribeLoadBalancerAttributesInput,
): Promise<Sdk.DescribeLoadBalancerAttributesOutput> {
  const record = await needLoadBalancer(question, input.LoadBalancerArn);
  return { Attributes: view(loadBalancerAttributes(record), record.attributes) };
}

export async function modifyLoadBalancerAttributes(
  change: Change,
  input: Sdk.ModifyLoadBalancerAttributesInput,
): Promise<Sdk.ModifyLoadBalancerAttributesOutput> {
  const record = await needLoadBalancer(change, input.LoadBalancerArn);
  const table = loadBalancerAttributes(record);
  const attributes = merged(table, record.attributes, input.Attributes ?? []);
  for (const kind of ["access_logs", "connection_logs", "health_check_logs"])
    if (attributes[`${kind}.s3.enabled`] === "true" && !attributes[`${kind}.s3.bucket`])
      throw elbErrors.configuration(`The attribute '${kind}.s3.bucket' is required when '${kind}.s3.enabled' is 'true'`);
  change.unit.put(elbKeys.loadBalancer(change.scope, record.id), { ...record, attributes });
  return { Attributes: view(table, attributes) };
}

export async function describeTargetGroupAttributes(
  question: Question,
  input: Sdk.DescribeTargetGroupAttributesInput,
): Promise<Sdk.DescribeTargetGroupAttributesOutput> {
  const record = await needTargetGroup(question, input.TargetGroupArn);
  return { Attributes: view(targetGroupAttributes(record), record.attributes) };
}

export async function modifyTargetGroupAttributes(
  change: Change,
  input: Sdk.ModifyTargetGroupAttributesInput,
): Promise<Sdk.ModifyTargetGroupAttributesOutput> {
  const record = await needTargetGroup(change, input.TargetGroupArn);
  const table = targetGroupAttributes(record);
  const attributes = merged(table, record.attributes, input.Attributes ?? []);
  const of = (key: string) => attributeOf(table, attributes, key);
  if (of("stickiness.enabled") === "true" && of("stickiness.type") === "app_cookie" && of("stickiness.app_cookie.cookie_name") === "")
    throw elbErrors.configuration("The attribute 'stickiness.app_cookie.cookie_name' is required with stickiness of type 'app_cookie'");
  const algorithm = of("load_balancing.algorithm.type");
  if (of("slow_start.duration_seconds") !== "0" && algorithm !== "round_robin" && algorithm !== undefined)
    throw elbErrors.configuration(`Slow start is only supported with the algorithm 'round_robin', not with '${algorithm}'`);
  if (of("load_balancing.algorithm.anomaly_mitigation") === "on" && algorithm !== "weighted_random")
    throw elbErrors.configuration("Anomaly mitigation is only supported with the algorithm 'weighted_random'");
  if (
    of("target_health_state.unhealthy.connection_termination.enabled") === "true" &&
    of("target_health_state.unhealthy.draining_interval_seconds") !== "0"
  )
    throw elbErrors.configuration(
      "The attribute 'target_health_state.unhealthy.draining_interval_seconds' needs 'target_health_state.unhealthy.connection_termination.enabled' to be 'false'",
    );
  change.unit.put(elbKeys.targetGroup(change.scope, record.id), { ...record, attributes });
  return { Attributes: view(table, attributes) };
}

export async function describeListenerAttributes(
  question: Question,
  input: Sdk.DescribeListenerAttributesInput,
): Promise<Sdk.DescribeListenerAttributesOutput> {
  const record = await needListener(question, input.ListenerArn);
  return { Attributes: view(listenerAttributes(record), record.attributes) };
}

export async function modifyListenerAttributes(
  change: Change,
  input: Sdk.ModifyListenerAttributesInput,
): Promise<Sdk.ModifyListenerAttributesOutput> {
  const record = await needListener(change, input.ListenerArn);
  const table = listenerAttributes(record);
  const attributes = merged(table, record.attributes, input.Attributes ?? []);
  change.unit.put(elbKeys.listener(change.scope, record.loadBalancerId, record.id), { ...record, attributes });
  return { Attributes: view(table, attributes) };
}
