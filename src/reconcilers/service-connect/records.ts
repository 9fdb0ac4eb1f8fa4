import type { Scope } from "#model/ecs-keys.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import {
  aliasesOf,
  type ConnectEndpoint,
  type ConnectServiceRecord,
  type ResolvedConnect,
  serviceConnectKeys,
} from "#model/service-connect.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { makeHttpService, removeHttpService } from "../names/namespaces.ts";

type Service = Pick<ServiceRecord, "arn" | "cluster" | "name">;
type Wanted = Omit<ConnectEndpoint, "cloudMapService" | "cloudMapArn">;

/**
 * Puts the service into the namespace with these endpoints, as its newest deployment has them, and returns what that deployment's tasks are made with. What
 * the deployment before had stays in Cloud Map until the next one, for its tasks and for a rollback. Throws what `taken` makes of a name that is another service's.
 */
export async function writeConnect(
  unit: Unit,
  scope: Scope,
  service: Service,
  wanted: { readonly namespaceId: string; readonly endpoints: readonly Wanted[]; readonly logConfiguration?: unknown },
  {
    random,
    now,
    taken,
  }: { readonly random: Random; readonly now: number; readonly taken: (what: "discoveryName" | "clientAlias", name: string) => Error },
): Promise<ResolvedConnect> {
  const { namespaceId, logConfiguration } = wanted;
  const key = serviceConnectKeys.service(scope, service.cluster, service.name);
  const before = await unit.get<ConnectServiceRecord>(key);
  const made = new Map(Object.entries(before?.made ?? {}));
  const endpoints: ConnectEndpoint[] = [];
  for (const each of wanted.endpoints) {
    const place = `${namespaceId}/${each.discoveryName}`;
    const known = made.get(place) ?? (await makeHttpService(unit, scope, namespaceId, each.discoveryName, { random, now }));
    if (!known) throw taken("discoveryName", each.discoveryName);
    made.set(place, { id: known.id, arn: known.arn });
    endpoints.push({ ...each, cloudMapService: known.id, cloudMapArn: known.arn });
  }
  const used = new Set([...endpoints, ...(before?.endpoints ?? [])].map(({ cloudMapService }) => cloudMapService));
  for (const [place, { id }] of made) if (!used.has(id) && (await removeHttpService(unit, scope, id))) made.delete(place);
  const record: ConnectServiceRecord = {
    arn: service.arn,
    cluster: service.cluster,
    service: service.name,
    namespaceId,
    endpoints,
    made: Object.fromEntries(made),
  };
  unit.put(key, record);
  const known = [...(await unit.list<ConnectServiceRecord>(serviceConnectKeys.services(scope))).values()];
  const others = known.filter(({ arn }) => arn !== service.arn);
  const names = new Set(aliasesOf(others, namespaceId).map(({ dnsName, port }) => `${dnsName}:${port}`));
  const twice = endpoints.flatMap((each) => each.aliases).find(({ dnsName, port }) => names.has(`${dnsName}:${port}`));
  if (twice) throw taken("clientAlias", `${twice.dnsName}:${twice.port}`);
  const aliases = aliasesOf([...others, record], namespaceId);
  return { namespaceId, endpoints, aliases, ...(logConfiguration === undefined ? {} : { logConfiguration }) };
}

/** A rollback: the endpoints are again those of an earlier deployment, none if that had no Service Connect. */
export async function restoreConnect(unit: Unit, scope: Scope, service: Service, resolved: ResolvedConnect | undefined): Promise<void> {
  const key = serviceConnectKeys.service(scope, service.cluster, service.name);
  const before = await unit.get<ConnectServiceRecord>(key);
  if (!before && !resolved) return;
  const { arn, cluster, name } = service;
  const { namespaceId, endpoints } = resolved ?? { namespaceId: "", endpoints: [] };
  unit.put(key, { arn, cluster, service: name, namespaceId, endpoints, made: before?.made ?? {} } satisfies ConnectServiceRecord);
}

/** Takes the service out of its namespace; Cloud Map's services that still have instances stay for the next call. */
export async function removeConnect(unit: Unit, scope: Scope, cluster: string, name: string): Promise<void> {
  const key = serviceConnectKeys.service(scope, cluster, name);
  const record = await unit.get<ConnectServiceRecord>(key);
  if (!record) return;
  const left: Record<string, { id: string; arn: string }> = {};
  for (const [place, made] of Object.entries(record.made)) if (!(await removeHttpService(unit, scope, made.id))) left[place] = made;
  if (Object.keys(left).length === 0) unit.delete(key);
  else unit.put(key, { ...record, namespaceId: "", endpoints: [], made: left } satisfies ConnectServiceRecord);
}
