import { formatArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, LoadBalancerRecord, RuleRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { Random } from "#platform/random.ts";
import type { Records } from "./context.ts";
import { elbErrors } from "./errors.ts";

/** ARNs, and the records that they name. Source: Service Authorization Reference, "Resource types defined by AWS Elastic Load Balancing V2". */

export const newId = (random: Random): string => random.hex(8);

export const arnOf = ({ account, region }: Scope, resource: string): string =>
  formatArn({ service: "elasticloadbalancing", region, account, resource });

/** `app/web/50dc6c495c0c9188`, as it stands in ARNs and in the descriptions of interfaces. */
export const pathOf = ({ type, name, id }: Pick<LoadBalancerRecord, "type" | "name" | "id">): string =>
  `${type === "application" ? "app" : "net"}/${name}/${id}`;

/** `kind/a/b/c` behind the prefix of this account and region, in parts; undefined when the ARN is of something else. */
function partsOf({ account, region }: Scope, arn: string, kind: string, count: number): string[] | undefined {
  const prefix = arnOf({ account, region }, `${kind}/`);
  const parts = arn.startsWith(prefix) ? arn.slice(prefix.length).split("/") : [];
  return parts.length === count && parts.every((part) => part !== "") ? parts : undefined;
}

const wellFormed = (arn: string, kind: string) => new RegExp(`^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:\\d{12}:${kind}/.+$`).test(arn);
const malformed = (arn: string, noun: string) => elbErrors.invalid(`'${arn}' is not a valid ${noun} ARN`);

/** The record that the ARN names, to the letter; undefined when there is none. */
async function named<T extends { readonly arn: string }>(records: Records, key: string | undefined, arn: string): Promise<T | undefined> {
  const record = key === undefined ? undefined : await records.get<T>(key);
  return record?.arn === arn ? record : undefined;
}

export function findLoadBalancer(records: Records, arn: string): Promise<LoadBalancerRecord | undefined> {
  const parts = partsOf(records.scope, arn, "loadbalancer", 3);
  return named(records, parts && elbKeys.loadBalancer(records.scope, parts[2]!), arn);
}

export async function needLoadBalancer(records: Records, arn = ""): Promise<LoadBalancerRecord> {
  if (!wellFormed(arn, "loadbalancer")) throw malformed(arn, "load balancer");
  const found = await findLoadBalancer(records, arn);
  if (!found) throw elbErrors.noLoadBalancer(arn);
  return found;
}

export function findListener(records: Records, arn: string): Promise<ListenerRecord | undefined> {
  const parts = partsOf(records.scope, arn, "listener", 4);
  return named(records, parts && elbKeys.listener(records.scope, parts[2]!, parts[3]!), arn);
}

export async function needListener(records: Records, arn = ""): Promise<ListenerRecord> {
  if (!wellFormed(arn, "listener")) throw malformed(arn, "listener");
  const found = await findListener(records, arn);
  if (!found) throw elbErrors.noListener();
  return found;
}

export async function loadBalancerOf(
  records: Records,
  { loadBalancerId }: Pick<ListenerRecord, "loadBalancerId">,
): Promise<LoadBalancerRecord> {
  const found = await records.get<LoadBalancerRecord>(elbKeys.loadBalancer(records.scope, loadBalancerId));
  if (!found) throw elbErrors.noLoadBalancers();
  return found;
}

/** A rule, or a listener's default one: then `rule` is absent. */
export interface FoundRule {
  readonly listener: ListenerRecord;
  readonly rule?: RuleRecord;
}

export async function findRule(records: Records, arn: string): Promise<FoundRule | undefined> {
  const parts = partsOf(records.scope, arn, "listener-rule", 5);
  if (!parts) return undefined;
  const [, , loadBalancer, listenerId, id] = parts as [string, string, string, string, string];
  const listener = await records.get<ListenerRecord>(elbKeys.listener(records.scope, loadBalancer, listenerId));
  if (!listener) return undefined;
  if (listener.defaultRule.arn === arn) return { listener };
  const rule = await named<RuleRecord>(records, elbKeys.rule(records.scope, loadBalancer, listenerId, id), arn);
  return rule && { listener, rule };
}

export async function needRule(records: Records, arn = ""): Promise<FoundRule> {
  if (!wellFormed(arn, "listener-rule")) throw malformed(arn, "listener rule");
  const found = await findRule(records, arn);
  if (!found) throw elbErrors.noRule();
  return found;
}

export function findTargetGroup(records: Records, arn: string): Promise<TargetGroupRecord | undefined> {
  const parts = partsOf(records.scope, arn, "targetgroup", 2);
  return named(records, parts && elbKeys.targetGroup(records.scope, parts[1]!), arn);
}

export async function needTargetGroup(records: Records, arn = ""): Promise<TargetGroupRecord> {
  if (!wellFormed(arn, "targetgroup")) throw malformed(arn, "target group");
  const found = await findTargetGroup(records, arn);
  if (!found) throw elbErrors.noTargetGroup();
  return found;
}
