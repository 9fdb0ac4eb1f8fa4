import { isIPv4, isIPv6 } from "node:net";
import type * as Sdk from "@aws-sdk/client-servicediscovery";
import type { CloudMapServiceRecord, RecordType } from "#model/cloud-map-records.ts";
import type { Tag } from "#model/ecs-records.ts";
import { errors } from "./errors.ts";

/** What Cloud Map demands of its input. Pure. Source: AWS Cloud Map API Reference; Developer Guide, "AWS Cloud Map quotas". */

const label = /^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?$/;

export function checkNamespaceName(name: string, dns: boolean): void {
  const longest = dns ? 253 : 1024;
  if (name.length > longest || !/^[!-~]+$/.test(name))
    throw errors.invalid(`Namespace name must have between 1 and ${longest} printable characters without spaces: ${name}`);
  if (
    dns &&
    !name
      .replace(/\.$/, "")
      .split(".")
      .every((part) => label.test(part))
  )
    throw errors.invalid(`Namespace name is not a valid domain name: ${name}`);
}

export function checkServiceName(name: string, namespace: string, dns: boolean): void {
  const good = name.length <= 127 && name.split(".").every((part) => label.test(part));
  if (!good && name !== ".") throw errors.invalid(`Service name is not valid: ${name}`);
  if (dns && name.length + namespace.length + 1 > 253)
    throw errors.invalid(`The domain name ${name}.${namespace} is longer than 253 characters.`);
}

export function checkDescription(text: string | undefined): void {
  if (text !== undefined && text.length > 1024) throw errors.invalid("Description can have at most 1024 characters.");
}

/** Throws InvalidInput for a MaxResults that is not between 1 and `most`. */
export function limitOf(given: number | undefined, most: number, usual = most): number {
  if (given !== undefined && (!Number.isInteger(given) || given < 1 || given > most))
    throw errors.invalid(`MaxResults must be between 1 and ${most}.`);
  return given ?? usual;
}

export function checkTtl(ttl: number | undefined, what: string): number {
  if (ttl === undefined || !Number.isInteger(ttl) || ttl < 0 || ttl > 2_147_483_647)
    throw errors.invalid(`${what} must be between 0 and 2147483647.`);
  return ttl;
}

const combinations = ["A", "AAAA", "A,AAAA", "SRV", "A,SRV", "AAAA,SRV", "A,AAAA,SRV", "CNAME"];

export function dnsRecordsOf(given: readonly Sdk.DnsRecord[] | undefined): { type: RecordType; ttl: number }[] {
  const records = (given ?? []).map(({ Type, TTL }) => ({ type: Type as RecordType, ttl: checkTtl(TTL, "The TTL of a DNS record") }));
  const types = records.map(({ type }) => type).toSorted();
  if (!combinations.includes(types.join(",")))
    throw errors.invalid(`DnsRecords can be A, AAAA, SRV, combinations of these, or CNAME alone, each once: [${types.join(", ")}]`);
  return records;
}

export function dnsConfigOf(given: Sdk.DnsConfig): Omit<NonNullable<CloudMapServiceRecord["dns"]>, "named"> {
  const records = dnsRecordsOf(given.DnsRecords);
  const alias = records.some(({ type }) => type === "CNAME");
  const routingPolicy: string = given.RoutingPolicy ?? (alias ? "WEIGHTED" : "MULTIVALUE");
  if (routingPolicy !== "MULTIVALUE" && routingPolicy !== "WEIGHTED")
    throw errors.invalid(`RoutingPolicy must be MULTIVALUE or WEIGHTED: ${routingPolicy}`);
  if (alias && routingPolicy !== "WEIGHTED") throw errors.invalid("The routing policy of a CNAME record must be WEIGHTED.");
  return { routingPolicy, records };
}

export function checkInstanceId(id: string, service: CloudMapServiceRecord): void {
  if (id.length < 1 || id.length > 64 || !/^[0-9a-zA-Z_/:.@-]+$/.test(id)) throw errors.invalid(`Instance ID is not valid: ${id}`);
  if (service.dns?.records.some(({ type }) => type === "SRV") && !id.split(".").every((part) => part.length > 0 && part.length <= 63))
    throw errors.invalid(`Instance ID is part of a domain name in a service with SRV records: ${id}`);
}

const mostCustom = 30;
const mostCharacters = 5_000;

/** Attributes of an instance or a service. */
export function checkAttributes(attributes: Readonly<Record<string, string>>, tooMany = errors.invalid): void {
  let total = 0;
  let custom = 0;
  for (const [key, value] of Object.entries(attributes)) {
    if (key.length < 1 || key.length > 255 || !/^[!-~]+$/.test(key)) throw errors.invalid(`Attribute name is not valid: ${key}`);
    if (value.length > 1024 || !/^([!-~]([ \t!-~]*[!-~])?)?$/.test(value))
      throw errors.invalid(`Value of attribute ${key} is not valid: ${value}`);
    total += key.length + value.length;
    if (!key.startsWith("AWS_")) custom++;
  }
  if (custom > mostCustom) throw tooMany(`There can be at most ${mostCustom} custom attributes.`);
  if (total > mostCharacters) throw tooMany(`All attributes together can have at most ${mostCharacters} characters.`);
}

/** What the service's records need of its instances. */
export function checkInstance(attributes: Readonly<Record<string, string>>, service: CloudMapServiceRecord): void {
  checkAttributes(attributes);
  if (attributes.AWS_ALIAS_DNS_NAME !== undefined) throw errors.notYet("alias records (AWS_ALIAS_DNS_NAME)");
  if (attributes.AWS_EC2_INSTANCE_ID !== undefined) throw errors.notYet("AWS_EC2_INSTANCE_ID");
  const { AWS_INSTANCE_IPV4: ipv4, AWS_INSTANCE_IPV6: ipv6, AWS_INSTANCE_PORT: port, AWS_INSTANCE_CNAME: cname } = attributes;
  if (ipv4 !== undefined && !isIPv4(ipv4)) throw errors.invalid(`AWS_INSTANCE_IPV4 is not an IPv4 address: ${ipv4}`);
  if (ipv6 !== undefined && !(isIPv6(ipv6) && /^[0-9a-fA-F:]+$/.test(ipv6)))
    throw errors.invalid(`AWS_INSTANCE_IPV6 is not an IPv6 address: ${ipv6}`);
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    throw errors.invalid(`AWS_INSTANCE_PORT is not a port: ${port}`);
  if (
    cname !== undefined &&
    (cname.length > 253 ||
      !cname
        .replace(/\.$/, "")
        .split(".")
        .every((part) => label.test(part)))
  )
    throw errors.invalid(`AWS_INSTANCE_CNAME is not a domain name: ${cname}`);
  const needs = (type: RecordType, good: boolean, what: string) => {
    if (!good && service.dns?.records.some((record) => record.type === type))
      throw errors.invalid(`${what} is required: service ${service.id} has records of type ${type}.`);
  };
  needs("A", ipv4 !== undefined, "AWS_INSTANCE_IPV4");
  needs("AAAA", ipv6 !== undefined, "AWS_INSTANCE_IPV6");
  needs("SRV", port !== undefined, "AWS_INSTANCE_PORT");
  needs("SRV", ipv4 !== undefined || ipv6 !== undefined, "AWS_INSTANCE_IPV4, AWS_INSTANCE_IPV6, or both");
  needs("CNAME", cname !== undefined, "AWS_INSTANCE_CNAME");
  const initial = attributes.AWS_INIT_HEALTH_STATUS;
  if (initial === undefined) return;
  if (!service.customHealth) throw errors.invalid("AWS_INIT_HEALTH_STATUS is for services with a HealthCheckCustomConfig.");
  if (initial !== "HEALTHY" && initial !== "UNHEALTHY")
    throw errors.invalid(`AWS_INIT_HEALTH_STATUS must be HEALTHY or UNHEALTHY: ${initial}`);
}

const mostTags = 50;

/** `tags` with those that are given, which win. */
export function mergedTags(name: string, tags: readonly Tag[], given: readonly Sdk.Tag[] | undefined): Tag[] {
  const all = new Map(tags.map(({ key, value }) => [key, value]));
  for (const { Key: key = "", Value: value = "" } of given ?? []) {
    if (key.length < 1 || key.length > 128) throw errors.invalid(`A tag's key must have between 1 and 128 characters: ${key}`);
    if (value.length > 256) throw errors.invalid("A tag's value can have at most 256 characters.");
    if (/^aws:/i.test(key)) throw errors.invalid(`Tag keys that begin with aws: are reserved: ${key}`);
    all.set(key, value);
  }
  if (all.size > mostTags) throw errors.tooManyTags(name);
  return [...all].map(([key, value]) => ({ key, value }));
}
