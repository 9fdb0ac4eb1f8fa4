import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { listenerAttributes } from "#model/elb-attributes.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord } from "#model/elb-records.ts";
import { arnOf, loadBalancerOf, needListener, needLoadBalancer, newId, pathOf } from "../arns.ts";
import type { Change, Question } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";
import { page } from "../pages.ts";
import { actionsOf, actionView } from "../rules/actions.ts";
import { checkForwards } from "../rules/forwards.ts";
import { tagsFor } from "../tags.ts";
import { portOf, protocolOf, secureOf } from "./checks.ts";
import { deleteListenerRecords } from "./delete.ts";

/** Listeners. Source: Elastic Load Balancing API Reference, "CreateListener" and its kin. */

function listenerView(loadBalancerArn: string, listener: ListenerRecord): Sdk.Listener {
  const { certificates, alpnPolicy, protocol } = listener;
  return {
    ListenerArn: listener.arn,
    LoadBalancerArn: loadBalancerArn,
    Port: listener.port,
    Protocol: protocol,
    Certificates: certificates.length > 0 ? [{ CertificateArn: certificates[0] }] : undefined,
    SslPolicy: listener.sslPolicy,
    DefaultActions: listener.defaultActions.map(actionView),
    AlpnPolicy: alpnPolicy === undefined ? undefined : [alpnPolicy],
    MutualAuthentication: protocol === "HTTPS" ? { Mode: "off" } : undefined,
  };
}

export async function createListener(change: Change, input: Sdk.CreateListenerInput): Promise<Sdk.CreateListenerOutput> {
  const { unit, scope, making } = change;
  const balancer = await needLoadBalancer(change, input.LoadBalancerArn);
  const protocol = protocolOf(balancer.type, input.Protocol);
  const port = portOf(input.Port);
  const secure = await secureOf(change, protocol, input);
  const defaultActions = actionsOf(input.DefaultActions ?? [], protocol);
  const tags = tagsFor(input.Tags);
  await checkForwards(change, balancer, protocol, defaultActions);

  const others = await change.list<ListenerRecord>(elbKeys.listenersOf(scope, balancer.id));
  const there = others.find((each) => each.port === port);
  if (there) {
    const settings = ({
      certificates,
      ...each
    }: Pick<ListenerRecord, "protocol" | "sslPolicy" | "certificates" | "alpnPolicy" | "defaultActions">) =>
      JSON.stringify([each.protocol, each.sslPolicy, certificates[0], each.alpnPolicy, each.defaultActions]);
    if (settings(there) !== settings({ protocol, defaultActions, ...secure })) throw elbErrors.duplicateListener(balancer.arn);
    return { Listeners: [listenerView(balancer.arn, there)] };
  }
  const most = limits[`listeners-per-${balancer.type}-load-balancer`];
  if (others.length >= most)
    throw elbErrors.tooMany("Listeners", `The maximum number of listeners on load balancer '${balancer.arn}' has been reached: '${most}'`);

  const id = newId(making.random);
  const rule = newId(making.random);
  const record: ListenerRecord = {
    id,
    arn: arnOf(scope, `listener/${pathOf(balancer)}/${id}`),
    loadBalancerId: balancer.id,
    protocol,
    port,
    ...secure,
    defaultActions,
    defaultRule: { id: rule, arn: arnOf(scope, `listener-rule/${pathOf(balancer)}/${id}/${rule}`), tags: [] },
    attributes: {},
    createdAt: change.now,
    tags,
  };
  unit.put(elbKeys.listener(scope, balancer.id, id), record);
  return { Listeners: [listenerView(balancer.arn, record)] };
}

export async function modifyListener(change: Change, input: Sdk.ModifyListenerInput): Promise<Sdk.ModifyListenerOutput> {
  const { unit, scope } = change;
  const listener = await needListener(change, input.ListenerArn);
  const balancer = await loadBalancerOf(change, listener);
  const protocol = input.Protocol === undefined ? listener.protocol : protocolOf(balancer.type, input.Protocol);
  const port = input.Port === undefined ? listener.port : portOf(input.Port);
  const { sslPolicy: _, certificates: __, alpnPolicy: ___, ...rest } = listener;
  const secure = await secureOf(change, protocol, input, listener);
  const others = await change.list<ListenerRecord>(elbKeys.listenersOf(scope, balancer.id));
  if (others.some((each) => each.port === port && each.id !== listener.id)) throw elbErrors.duplicateListener(balancer.arn);
  const given = input.DefaultActions ?? [];
  const defaultActions = given.length > 0 ? actionsOf(given, protocol) : listener.defaultActions;
  await checkForwards(change, balancer, protocol, defaultActions);
  if (protocol !== listener.protocol) {
    // Rules were checked against the protocol before.
    for (const { actions } of await change.list<RuleRecord>(elbKeys.rulesOfListener(scope, balancer.id, listener.id)))
      await checkForwards(change, balancer, protocol, actions);
  }
  const table = listenerAttributes({ protocol });
  const attributes = Object.fromEntries(Object.entries(listener.attributes).filter(([key]) => Object.hasOwn(table, key)));
  const changed: ListenerRecord = { ...rest, protocol, port, ...secure, defaultActions, attributes };
  unit.put(elbKeys.listener(scope, balancer.id, listener.id), changed);
  return { Listeners: [listenerView(balancer.arn, changed)] };
}

export async function deleteListener(change: Change, input: Sdk.DeleteListenerInput): Promise<Sdk.DeleteListenerOutput> {
  await deleteListenerRecords(change, await needListener(change, input.ListenerArn));
  return {};
}

export async function describeListeners(question: Question, input: Sdk.DescribeListenersInput): Promise<Sdk.DescribeListenersOutput> {
  const { LoadBalancerArn: loadBalancerArn, ListenerArns: arns = [] } = input;
  if (loadBalancerArn === undefined && arns.length === 0)
    throw elbErrors.invalid("You must specify either listener ARNs or a load balancer ARN");
  if (loadBalancerArn !== undefined && arns.length > 0)
    throw elbErrors.invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time");
  const found: ListenerRecord[] = [];
  if (loadBalancerArn === undefined) {
    for (const arn of arns) found.push(await needListener(question, arn));
  } else {
    const { id } = await needLoadBalancer(question, loadBalancerArn);
    found.push(...(await question.list<ListenerRecord>(elbKeys.listenersOf(question.scope, id))));
  }
  const views: Sdk.Listener[] = [];
  for (const listener of found) views.push(listenerView((await loadBalancerOf(question, listener)).arn, listener));
  const position = ({ ListenerArn = "" }: Sdk.Listener) => ListenerArn;
  const sorted = views.toSorted((a, b) => (position(a) < position(b) ? -1 : 1));
  const { items, NextMarker } = page(question, "DescribeListeners", sorted, position, input, [loadBalancerArn, arns]);
  return { Listeners: items, NextMarker };
}
