/** What HAProxy could not be told, or could not carry: each in a sentence for whoever wrote the snapshot. Pure. */
import { isIP, isIPv4 } from "node:net";
import type { Action, Condition, Listener, LoadBalancer, Snapshot, TargetGroup } from "./config.ts";
import { shareGroups } from "./actions.ts";

const control = /[\u0000-\u001f\u007f]/;
const blank = /[\s\u0000-\u001f\u007f]/;
const token = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;

export function problems(snapshot: Snapshot): string[] {
  const found: string[] = [];
  const groups = new Map(snapshot.targetGroups.map((group) => [group.id, group]));
  const say = (text: string) => void found.push(text);
  unique("load balancer", snapshot.loadBalancers, say);
  unique("target group", snapshot.targetGroups, say);
  unique(
    "listener",
    snapshot.loadBalancers.flatMap(({ listeners }) => listeners),
    say,
  );
  const owners = new Map<string, string>();
  const sockets = new Set<string>();
  for (const balancer of snapshot.loadBalancers) {
    for (const address of balancer.addresses) if (!isIPv4(address)) say(`load balancer ${balancer.id}: ${address} is no IPv4 address`);
    const { namespace, source } = balancer.network ?? {};
    if (namespace !== undefined && !/^[A-Za-z0-9_.-]+$/.test(namespace))
      say(`load balancer ${balancer.id}: ${namespace} is no name of a network namespace`);
    for (const address of balancer.network?.addresses ?? [])
      if (!isIPv4(address)) say(`load balancer ${balancer.id}: ${address} is no IPv4 address`);
    if (source !== undefined && !isIP(source)) say(`load balancer ${balancer.id}: the source ${source} is no address`);
    for (const listener of balancer.listeners) {
      for (const address of balancer.addresses) {
        const socket = `${address}:${listener.port}`;
        if (sockets.has(socket)) say(`listener ${listener.id}: ${socket} is taken by another listener`);
        sockets.add(socket);
      }
      listenerProblems(balancer, listener, (text) => say(`listener ${listener.id}: ${text}`));
      for (const id of groupsOf(listener)) {
        const group = groups.get(id);
        if (!group) say(`listener ${listener.id}: target group ${id} is not in the snapshot`);
        else if (balancer.kind === "application" ? !group.protocol.startsWith("HTTP") : group.protocol.startsWith("HTTP"))
          say(
            `listener ${listener.id}: target group ${id} of protocol ${group.protocol} does not go with an ${balancer.kind} load balancer`,
          );
        const owner = owners.get(id);
        if (owner !== undefined && owner !== balancer.id)
          say(`target group ${id} is used by two load balancers, ${owner} and ${balancer.id}`);
        owners.set(id, balancer.id);
      }
    }
  }
  for (const group of snapshot.targetGroups) groupProblems(group, (text) => say(`target group ${group.id}: ${text}`));
  return found;
}

export const actionsOf = (listener: Listener): Action[] => [listener.defaultAction, ...(listener.rules ?? []).map(({ action }) => action)];
export const groupsOf = (listener: Listener): string[] =>
  actionsOf(listener).flatMap((action) => (action.type === "forward" ? action.targetGroups.map(({ id }) => id) : []));

function unique(what: string, list: readonly { readonly id: string }[], say: (text: string) => void): void {
  const seen = new Set<string>();
  for (const { id } of list) {
    if (seen.has(id)) say(`${what} ${id} is there twice`);
    seen.add(id);
  }
}

function listenerProblems(balancer: LoadBalancer, listener: Listener, say: (text: string) => void): void {
  const { protocol, port, certificates = [], rules = [] } = listener;
  if (protocol === "UDP" || protocol === "TCP_UDP")
    return say(`HAProxy carries no UDP: a listener of protocol ${protocol} cannot be served`);
  if ((balancer.kind === "application") !== (protocol === "HTTP" || protocol === "HTTPS"))
    return say(`protocol ${protocol} does not go with an ${balancer.kind} load balancer`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) say(`port ${port} is none`);
  if ((protocol === "HTTPS" || protocol === "TLS") && certificates.length === 0) say(`protocol ${protocol} needs a certificate`);
  for (const { id, pem } of certificates)
    if (!/-----BEGIN CERTIFICATE-----/.test(pem) || !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem))
      say(`certificate ${id} must hold a certificate and its private key as PEM`);
  for (const each of listener.alpn ?? []) if (!token.test(each) || each.includes(",")) say(`ALPN protocol ${each} is none`);
  if (balancer.kind === "network" && rules.length > 0) say("a network load balancer has no rules");
  const priorities = new Set<number>();
  for (const rule of rules) {
    if (!Number.isInteger(rule.priority) || rule.priority < 1 || rule.priority > 50_000) say(`priority ${rule.priority} is not 1-50000`);
    if (priorities.has(rule.priority)) say(`priority ${rule.priority} is there twice`);
    priorities.add(rule.priority);
    if (rule.conditions.length === 0) say(`rule ${rule.id} has no condition`);
    for (const condition of rule.conditions) conditionProblems(condition, (text) => say(`rule ${rule.id}: ${text}`));
  }
  for (const action of actionsOf(listener)) {
    if (action.type === "forward") {
      if (action.targetGroups.length < 1 || action.targetGroups.length > shareGroups)
        say(`an action forwards to 1-${shareGroups} target groups`);
      for (const { weight = 1 } of action.targetGroups)
        if (!Number.isInteger(weight) || weight < 0 || weight > 999) say(`weight ${weight} is not 0-999`);
    } else if (balancer.kind === "network") say(`a network load balancer knows no ${action.type}`);
    else if (action.type === "fixed-response") {
      if (!Number.isInteger(action.statusCode) || action.statusCode < 200 || action.statusCode > 599)
        say(`status code ${action.statusCode} is not 200-599`);
      if (action.contentType !== undefined && control.test(action.contentType)) say("the content type holds control characters");
    } else
      for (const text of [action.protocol, action.host, action.port, action.path, action.query])
        if (text !== undefined && blank.test(text)) say(`a redirect's parts hold no blanks: ${JSON.stringify(text)}`);
  }
}

function conditionProblems(condition: Condition, say: (text: string) => void): void {
  if (condition.values.length === 0) say(`${condition.field} has no values`);
  if (condition.field === "source-ip") {
    for (const block of condition.values) {
      const [address = "", bits] = block.split("/");
      if (!isIP(address) || (bits !== undefined && !(Number(bits) >= 0 && Number(bits) <= (isIPv4(address) ? 32 : 128))))
        say(`${block} is no CIDR block`);
    }
    return;
  }
  if (condition.field === "http-header" && !token.test(condition.name)) say(`${condition.name} is no name of a header`);
  const texts = condition.field === "query-string" ? condition.values.flatMap(({ key = "", value }) => [key, value]) : condition.values;
  const forbidden = condition.field === "http-header" ? control : blank;
  for (const text of texts)
    if (forbidden.test(text)) say(`${condition.field}: ${JSON.stringify(text)} holds characters that cannot be matched`);
  if (condition.field === "http-request-method")
    for (const method of condition.values) if (!token.test(method)) say(`${method} is no method`);
}

function groupProblems(group: TargetGroup, say: (text: string) => void): void {
  const { healthCheck, stickiness, targets } = group;
  if (group.protocol === "UDP" || group.protocol === "TCP_UDP") say(`HAProxy carries no UDP: protocol ${group.protocol} cannot be served`);
  const path = healthCheck.path ?? "/";
  if (!path.startsWith("/") || blank.test(path)) say(`health check path ${JSON.stringify(path)} is none`);
  if (healthCheck.matcher !== undefined && !/^\d{1,3}(-\d{1,3})?(,\s*\d{1,3}(-\d{1,3})?)*$/.test(healthCheck.matcher))
    say(`matcher ${healthCheck.matcher} is none`);
  for (const name of ["interval", "timeout", "healthyThreshold", "unhealthyThreshold", "port"] as const) {
    const value = healthCheck[name];
    if (value !== undefined && !(value > 0 && value <= 65_535)) say(`health check ${name} ${value} is not above 0`);
  }
  if (stickiness?.type === "app_cookie" && !token.test(stickiness.cookieName)) say(`${stickiness.cookieName} is no name of a cookie`);
  const seen = new Set<string>();
  for (const { address, port, weight = 100 } of targets) {
    if (!isIP(address)) say(`${address} is no address`);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) say(`port ${port} is none`);
    if (!Number.isInteger(weight) || weight < 1 || weight > 256) say(`weight ${weight} is not 1-256`);
    if (seen.has(`${address}:${port}`)) say(`${address}:${port} is there twice`);
    seen.add(`${address}:${port}`);
  }
}
