import { parseCloudMapKey } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord } from "#model/cloud-map-records.ts";
import { type RegisteredService, zoneOf } from "#model/dns/records.ts";
import type { Zone } from "#model/dns/zone.ts";

/** Cloud Map's records in memory, and the zones that follow from them: a zone is made again only when something of its namespace changed. */
export class NamesIndex {
  readonly #namespaces = new Map<string, NamespaceRecord>();
  readonly #services = new Map<string, CloudMapServiceRecord>();
  readonly #byNamespace = new Map<string, Set<string>>();
  readonly #instances = new Map<string, Map<string, InstanceRecord>>();
  readonly #zones = new Map<string, Zone>();

  /** Takes what lies at the key now; undefined: nothing. Returns the VPC whose zones are others than before. */
  put(key: string, value: unknown): string | undefined {
    const place = parseCloudMapKey(key);
    if (!place) return undefined;
    const { kind, id } = place;
    if (kind === "namespace") {
      const before = this.#namespaces.get(id);
      set(this.#namespaces, id, value as NamespaceRecord | undefined);
      this.#zones.delete(id);
      return (before ?? this.#namespaces.get(id))?.dns?.vpcId;
    }
    const namespaceId = (this.#services.get(id) ?? (value as CloudMapServiceRecord | undefined))?.namespaceId;
    if (kind === "service") {
      set(this.#services, id, value as CloudMapServiceRecord | undefined);
      if (namespaceId !== undefined) this.#file(namespaceId, id, value !== undefined);
    } else {
      const instances = this.#instances.get(id) ?? new Map<string, InstanceRecord>();
      set(instances, place.instance ?? "", value as InstanceRecord | undefined);
      set(this.#instances, id, instances.size > 0 ? instances : undefined);
    }
    // An instance's own record names no namespace: its service's does, and where that is gone the zone has forgotten it already.
    const filed = kind === "service" ? namespaceId : this.#services.get(id)?.namespaceId;
    if (filed === undefined) return undefined;
    this.#zones.delete(filed);
    return this.#namespaces.get(filed)?.dns?.vpcId;
  }

  #file(namespaceId: string, service: string, there: boolean): void {
    const list = this.#byNamespace.get(namespaceId) ?? new Set<string>();
    if (there) list.add(service);
    else list.delete(service);
    set(this.#byNamespace, namespaceId, list.size > 0 ? list : undefined);
  }

  /** Of one VPC, in the order of their names. */
  zonesOf(vpcId: string): Zone[] {
    return this.#zonesWhere((namespace) => namespace.dns?.vpcId === vpcId);
  }

  /** Of all VPCs; of several with one name the first that was made. */
  allZones(): Zone[] {
    const names = new Set<string>();
    return this.#zonesWhere(() => true).filter(({ name }) => !names.has(name) && names.add(name));
  }

  #zonesWhere(wanted: (namespace: NamespaceRecord) => boolean): Zone[] {
    return [...this.#namespaces.values()]
      .filter((namespace) => namespace.dns && wanted(namespace))
      .toSorted((a, b) => compare(a.name, b.name) || a.createdAt - b.createdAt || compare(a.id, b.id))
      .flatMap((namespace) => this.#zoneOf(namespace) ?? []);
  }

  #zoneOf(namespace: NamespaceRecord): Zone | undefined {
    let zone = this.#zones.get(namespace.id);
    if (zone) return zone;
    const services = [...(this.#byNamespace.get(namespace.id) ?? [])].flatMap((id): RegisteredService[] => {
      const service = this.#services.get(id);
      return service ? [{ service, instances: [...(this.#instances.get(id)?.values() ?? [])] }] : [];
    });
    zone = zoneOf(namespace, services);
    if (zone) this.#zones.set(namespace.id, zone);
    return zone;
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function set<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
