import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord } from "#model/elb-records.ts";
import { arnOf, loadBalancerOf, needListener, needRule, newId, pathOf } from "../arns.ts";
import type { Change, Question } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { page } from "../pages.ts";
import { tagsFor } from "../tags.ts";
import { actionsOf, actionView } from "./actions.ts";
import { conditionsOf, conditionView } from "./conditions.ts";
import { checkForwards } from "./forwards.ts";

/** Rules of application load balancers' listeners. Source: Elastic Load Balancing API Reference, "CreateRule" and its kin. */

const highest = 50_000;

function ruleView({ arn, priority, conditions, actions }: RuleRecord): Sdk.Rule {
  return {
    RuleArn: arn,
    Priority: String(priority),
    Conditions: conditions.map(conditionView),
    Actions: actions.map(actionView),
    IsDefault: false,
    Transforms: [],
  };
}

const defaultView = ({ defaultRule, defaultActions }: ListenerRecord): Sdk.Rule => ({
  RuleArn: defaultRule.arn,
  Priority: "default",
  Conditions: [],
  Actions: defaultActions.map(actionView),
  IsDefault: true,
  Transforms: [],
});

function checkPriority(priority: number): number {
  if (!Number.isInteger(priority) || priority < 1 || priority > highest)
    throw elbErrors.invalid(`Rule priority '${priority}' must be between '1' and '${highest}'`);
  return priority;
}

const rulesOf = (records: Question | Change, { loadBalancerId, id }: ListenerRecord) =>
  records.list<RuleRecord>(elbKeys.rulesOfListener(records.scope, loadBalancerId, id));

export async function createRule(change: Change, input: Sdk.CreateRuleInput): Promise<Sdk.CreateRuleOutput> {
  const { unit, scope, making } = change;
  const listener = await needListener(change, input.ListenerArn);
  const balancer = await loadBalancerOf(change, listener);
  if (balancer.type !== "application") throw elbErrors.notYet("rules of Network Load Balancers");
  if ((input.Transforms ?? []).length > 0) throw elbErrors.notYet("transforms of rules");
  const priority = checkPriority(input.Priority ?? 0);
  const conditions = conditionsOf(input.Conditions ?? []);
  const actions = actionsOf(input.Actions ?? [], listener.protocol);
  const tags = tagsFor(input.Tags);
  await checkForwards(change, balancer, listener.protocol, actions);
  if ((await rulesOf(change, listener)).some((each) => each.priority === priority)) throw elbErrors.priorityInUse(priority);
  const most = limits["rules-per-application-load-balancer"];
  if ((await change.list(elbKeys.rulesOf(scope, balancer.id))).length >= most)
    throw elbErrors.tooMany("Rules", `The maximum number of rules on load balancer '${balancer.arn}' has been reached: '${most}'`);
  const id = newId(making.random);
  const record: RuleRecord = {
    id,
    arn: arnOf(scope, `listener-rule/${pathOf(balancer)}/${listener.id}/${id}`),
    loadBalancerId: balancer.id,
    listenerId: listener.id,
    priority,
    conditions,
    actions,
    tags,
  };
  unit.put(elbKeys.rule(scope, balancer.id, listener.id, id), record);
  return { Rules: [ruleView(record)] };
}

export async function modifyRule(change: Change, input: Sdk.ModifyRuleInput): Promise<Sdk.ModifyRuleOutput> {
  const { unit, scope } = change;
  const { listener, rule } = await needRule(change, input.RuleArn);
  if ((input.Transforms ?? []).length > 0) throw elbErrors.notYet("transforms of rules");
  const balancer = await loadBalancerOf(change, listener);
  const actions = (input.Actions ?? []).length > 0 ? actionsOf(input.Actions!, listener.protocol) : undefined;
  if (actions) await checkForwards(change, balancer, listener.protocol, actions);
  if (!rule) {
    if ((input.Conditions ?? []).length > 0)
      throw elbErrors.notPermitted(`Conditions cannot be set on default rule '${listener.defaultRule.arn}'`);
    const changed: ListenerRecord = { ...listener, ...(actions ? { defaultActions: actions } : {}) };
    unit.put(elbKeys.listener(scope, listener.loadBalancerId, listener.id), changed);
    return { Rules: [defaultView(changed)] };
  }
  const conditions = (input.Conditions ?? []).length > 0 ? conditionsOf(input.Conditions!) : rule.conditions;
  const changed: RuleRecord = { ...rule, conditions, ...(actions ? { actions } : {}) };
  unit.put(elbKeys.rule(scope, rule.loadBalancerId, rule.listenerId, rule.id), changed);
  return { Rules: [ruleView(changed)] };
}

export async function deleteRule(change: Change, input: Sdk.DeleteRuleInput): Promise<Sdk.DeleteRuleOutput> {
  const { listener, rule } = await needRule(change, input.RuleArn);
  if (!rule) throw elbErrors.notPermitted(`Default rule '${listener.defaultRule.arn}' cannot be deleted`);
  change.unit.delete(elbKeys.rule(change.scope, rule.loadBalancerId, rule.listenerId, rule.id));
  return {};
}

/** All of them or none: two rules may change places. */
export async function setRulePriorities(change: Change, input: Sdk.SetRulePrioritiesInput): Promise<Sdk.SetRulePrioritiesOutput> {
  const { unit, scope } = change;
  const pairs = input.RulePriorities ?? [];
  const wanted = new Map<string, number>();
  const changed: RuleRecord[] = [];
  const listeners = new Map<string, ListenerRecord>();
  for (const { RuleArn: arn = "", Priority: priority = 0 } of pairs) {
    const { listener, rule } = await needRule(change, arn);
    if (!rule) throw elbErrors.notPermitted(`The priority of default rule '${arn}' cannot be changed`);
    if (wanted.has(arn)) throw elbErrors.invalid(`The priority of rule '${arn}' was specified more than once`);
    wanted.set(arn, checkPriority(priority));
    changed.push({ ...rule, priority });
    listeners.set(listener.id, listener);
  }
  for (const listener of listeners.values()) {
    const priorities = (await rulesOf(change, listener)).map((each) => wanted.get(each.arn) ?? each.priority);
    const twice = priorities.find((priority, at) => priorities.indexOf(priority) !== at);
    if (twice !== undefined) throw elbErrors.priorityInUse(twice);
  }
  for (const rule of changed) unit.put(elbKeys.rule(scope, rule.loadBalancerId, rule.listenerId, rule.id), rule);
  return { Rules: changed.map(ruleView) };
}

/** In the order in which they are asked: by priority, the default rule last. */
export async function describeRules(question: Question, input: Sdk.DescribeRulesInput): Promise<Sdk.DescribeRulesOutput> {
  const { ListenerArn: listenerArn, RuleArns: arns = [] } = input;
  if ((listenerArn === undefined) === (arns.length === 0))
    throw elbErrors.invalid("Either a listener ARN or one or more rule ARNs must be specified, but not both");
  const rules: Sdk.Rule[] = [];
  if (listenerArn === undefined)
    for (const arn of arns) {
      const { listener, rule } = await needRule(question, arn);
      rules.push(rule ? ruleView(rule) : defaultView(listener));
    }
  else {
    const listener = await needListener(question, listenerArn);
    const own = await rulesOf(question, listener);
    rules.push(...own.map(ruleView), defaultView(listener));
  }
  const position = ({ Priority = "", RuleArn = "" }: Sdk.Rule) => `${Priority === "default" ? "~" : Priority.padStart(6, "0")} ${RuleArn}`;
  const sorted = rules.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, NextMarker } = page(question, "DescribeRules", sorted, position, input, [listenerArn, arns]);
  return { Rules: items, NextMarker };
}
