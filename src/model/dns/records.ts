import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord, RecordType } from "../cloud-map-records.ts";
import type { RecordSet, Zone } from "./zone.ts";

/** One record that Cloud Map makes for an instance: in Route 53 a record set of its own, told apart by the instance's id. */
export interface InstanceRecordSet {
  /** In small letters, without the last dot. */
  readonly name: string;
  readonly type: RecordType;
  readonly ttl: number;
  readonly value: string;
  readonly instance: string;
  readonly weighted: boolean;
  readonly healthy: boolean;
}

/** The instances of a service, and what they are instances of. */
export interface RegisteredService {
  readonly service: CloudMapServiceRecord;
  readonly instances: readonly InstanceRecord[];
}

const lower = (name: string) => name.toLowerCase().replace(/\.$/, "");

/**
 * The records of a service's instances. An SRV record names `<instance>.<service>.<namespace>`, which has the instance's addresses. Pure.
 * Source: AWS Cloud Map API Reference, "DnsRecord".
 */
export function recordSetsOf(namespace: Pick<NamespaceRecord, "name">, { service, instances }: RegisteredService): InstanceRecordSet[] {
  const { dns } = service;
  if (!dns) return [];
  const name = lower(service.name === "." ? namespace.name : `${service.name}.${namespace.name}`);
  const weighted = dns.routingPolicy === "WEIGHTED";
  return instances.flatMap(({ id, attributes, health }) => {
    const common = { instance: id, weighted, healthy: !service.customHealth || health === "HEALTHY" };
    const address4 = attributes.AWS_INSTANCE_IPV4;
    const address6 = attributes.AWS_INSTANCE_IPV6;
    return dns.records.flatMap(({ type, ttl }): InstanceRecordSet[] => {
      const at = (name: string, type: RecordType, value: string | undefined) =>
        value === undefined ? [] : [{ ...common, name, type, ttl, value }];
      if (type === "A") return at(name, "A", address4);
      if (type === "AAAA") return at(name, "AAAA", address6);
      if (type === "CNAME") return at(name, "CNAME", attributes.AWS_INSTANCE_CNAME && lower(attributes.AWS_INSTANCE_CNAME));
      const host = lower(`${id}.${name}`);
      const port = attributes.AWS_INSTANCE_PORT;
      return [...at(name, "SRV", port && `1 1 ${port} ${host}`), ...at(host, "A", address4), ...at(host, "AAAA", address6)];
    });
  });
}

/** The zone of a namespace as its resolvers need it. Pure: the same records make the same zone, whatever their order. */
export function zoneOf(namespace: NamespaceRecord, services: readonly RegisteredService[]): Zone | undefined {
  if (!namespace.dns) return undefined;
  const groups = new Map<string, InstanceRecordSet[]>();
  for (const each of services.flatMap((service) => recordSetsOf(namespace, service))) {
    const key = `${each.name} ${each.type}`;
    const group = groups.get(key);
    if (group) group.push(each);
    else groups.set(key, [each]);
  }
  const sets = [...groups.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => setOf(group));
  return { name: lower(namespace.name), soaTtl: namespace.dns.soaTtl, sets };
}

function setOf(group: readonly InstanceRecordSet[]): RecordSet {
  const { name, type, ttl, weighted } = group[0]!;
  const healthy = group.filter((each) => each.healthy);
  const values = (healthy.length > 0 ? healthy : group).map(({ value }) => value);
  return { name, type, ttl, ...(weighted ? { one: true } : {}), values: [...new Set(values)].toSorted() };
}
