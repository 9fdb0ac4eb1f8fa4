import type * as Sdk from "@aws-sdk/client-route-53";
import { ApiError } from "#api/contract.ts";
import { cloudMapKeys, parseCloudMapKey } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceDns, NamespaceRecord } from "#model/cloud-map-records.ts";
import { nameServer, nsTtl, soa } from "#model/dns/zone.ts";
import { type RegisteredService, recordSetsOf } from "#model/dns/records.ts";
import type { Store } from "#store/store.ts";

/** A private hosted zone, which here is always the other side of a Cloud Map namespace; Route 53 knows no regions, so those of all are there. */
export interface HostedZone {
  readonly id: string;
  /** In small letters with the last dot, as Route 53 shows names. */
  readonly name: string;
  readonly region: string;
  readonly namespace: NamespaceRecord;
  readonly dns: NamespaceDns;
}

const dotted = (name: string) => `${name.toLowerCase().replace(/\.$/, "")}.`;

/** The order of Route 53's lists: by the labels from the last to the first. */
export const order = (name: string) => name.replace(/\.$/, "").split(".").toReversed().join(".");
export const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export async function hostedZones(store: Store, account: string): Promise<HostedZone[]> {
  const { entries } = await store.list<NamespaceRecord>(cloudMapKeys.ofAccount(account));
  return entries
    .flatMap(({ key, value }): HostedZone[] => {
      const place = parseCloudMapKey(key);
      if (place?.kind !== "namespace" || !value.dns) return [];
      return [{ id: value.dns.hostedZoneId, name: dotted(value.name), region: place.scope.region, namespace: value, dns: value.dns }];
    })
    .toSorted((a, b) => compare(order(a.name), order(b.name)) || compare(a.id, b.id));
}

/** Throws NoSuchHostedZone. */
export async function needZone(store: Store, account: string, given: string): Promise<HostedZone> {
  const id = given.replace(/^\/?hostedzone\//, "");
  const zone = (await hostedZones(store, account)).find((each) => each.id === id);
  if (!zone) throw new ApiError("NoSuchHostedZone", `No hosted zone found with ID: ${id}`, 404);
  return zone;
}

/** The zone's records in Route 53's order. Each instance has its own, as Cloud Map makes them. */
export async function recordsOf(
  store: Store,
  account: string,
  { name, region, namespace, dns }: HostedZone,
): Promise<Sdk.ResourceRecordSet[]> {
  const scope = { account, region };
  const { mailbox, serial, refresh, retry, expire, minimum } = soa;
  const own: Sdk.ResourceRecordSet[] = [
    { Name: name, Type: "NS", TTL: nsTtl, ResourceRecords: [{ Value: `${nameServer}.` }] },
    {
      Name: name,
      Type: "SOA",
      TTL: dns.soaTtl,
      ResourceRecords: [{ Value: `${nameServer}. ${mailbox}. ${serial} ${refresh} ${retry} ${expire} ${minimum}` }],
    },
  ];
  for (const each of await registeredOf(store, scope, namespace.id)) {
    for (const { name: at, type, ttl, value, instance, weighted } of recordSetsOf(namespace, each))
      own.push({
        Name: dotted(at),
        Type: type,
        SetIdentifier: instance,
        ...(weighted ? { Weight: 1 } : { MultiValueAnswer: true }),
        TTL: ttl,
        ResourceRecords: [{ Value: type === "SRV" || type === "CNAME" ? `${value}.` : value }],
      });
  }
  return own.toSorted(
    (a, b) =>
      compare(order(a.Name ?? ""), order(b.Name ?? "")) ||
      compare(a.Type ?? "", b.Type ?? "") ||
      compare(a.SetIdentifier ?? "", b.SetIdentifier ?? ""),
  );
}

async function registeredOf(store: Store, scope: { account: string; region: string }, namespaceId: string): Promise<RegisteredService[]> {
  const { entries } = await store.list<CloudMapServiceRecord>(cloudMapKeys.services(scope));
  const found: RegisteredService[] = [];
  for (const { value: service } of entries) {
    if (service.namespaceId !== namespaceId) continue;
    const { entries: instances } = await store.list<InstanceRecord>(cloudMapKeys.instances(scope, service.id));
    found.push({ service, instances: instances.map(({ value }) => value) });
  }
  return found;
}

export async function zoneView(store: Store, account: string, zone: HostedZone): Promise<Sdk.HostedZone> {
  return {
    Id: `/hostedzone/${zone.id}`,
    Name: zone.name,
    CallerReference: zone.namespace.creator?.id ?? zone.namespace.operation,
    Config: { Comment: `Created by AWS Cloud Map namespace with ID ${zone.namespace.id}`, PrivateZone: true },
    ResourceRecordSetCount: (await recordsOf(store, account, zone)).length,
    LinkedService: {
      ServicePrincipal: "servicediscovery.amazonaws.com",
      Description: `This hosted zone is managed by AWS Cloud Map namespace ${zone.namespace.id}`,
    },
  };
}
