import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import type { LoadBalancerRecord, LoadBalancerZone } from "#model/elb-records.ts";
import { hostedZoneOf } from "./hosted-zones.ts";

/** A zone as the API shows it: with addresses only where they are fixed, as they are of network load balancers whose owner chose them. */
export function zoneView({ zoneName, subnetId, elasticIp, fixedPrivateIp, privateIp }: LoadBalancerZone): Sdk.AvailabilityZone {
  return {
    ZoneName: zoneName,
    SubnetId: subnetId,
    LoadBalancerAddresses: [
      ...(elasticIp ? [{ IpAddress: elasticIp.address, AllocationId: elasticIp.allocationId }] : []),
      ...(fixedPrivateIp ? [{ PrivateIPv4Address: privateIp }] : []),
    ],
  };
}

export function loadBalancerView(record: LoadBalancerRecord, region: string): Sdk.LoadBalancer {
  const { type, groups } = record;
  return {
    LoadBalancerArn: record.arn,
    DNSName: record.dnsName,
    CanonicalHostedZoneId: hostedZoneOf(type, region),
    CreatedTime: new Date(record.createdAt),
    LoadBalancerName: record.name,
    Scheme: record.scheme,
    VpcId: record.vpcId,
    State: { Code: "active" },
    Type: type,
    AvailabilityZones: record.zones.map(zoneView),
    SecurityGroups: type === "network" && groups.length === 0 ? undefined : [...groups],
    IpAddressType: record.ipAddressType,
    EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: record.enforceGroupsOnPrivateLink,
    EnablePrefixForIpv6SourceNat: type === "network" ? "off" : undefined,
  };
}
