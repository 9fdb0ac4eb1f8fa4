import type * as Sdk from "@aws-sdk/client-servicediscovery";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord, OperationRecord } from "#model/cloud-map-records.ts";
import type { Scope } from "#model/ecs-keys.ts";

/** Records as the API shows them. Pure. */

const optional = <K extends string, V>(name: K, value: V | undefined) => (value === undefined ? {} : { [name]: value });

export function namespaceSummary(scope: Scope, record: NamespaceRecord, services: number | undefined): Sdk.NamespaceSummary {
  const { dns } = record;
  return {
    Id: record.id,
    Arn: record.arn,
    ResourceOwner: scope.account,
    Name: record.name,
    Type: record.type,
    ...optional("Description", record.description),
    ...optional("ServiceCount", services),
    Properties: {
      ...(dns ? { DnsProperties: { HostedZoneId: dns.hostedZoneId, SOA: { TTL: dns.soaTtl } } } : {}),
      HttpProperties: { HttpName: record.httpName },
    },
    CreateDate: new Date(record.createdAt),
  };
}

export function namespaceView(scope: Scope, record: NamespaceRecord, services: number): Sdk.Namespace {
  return { ...namespaceSummary(scope, record, services), ...optional("CreatorRequestId", record.creator?.id) };
}

export function serviceSummary(scope: Scope, record: CloudMapServiceRecord, instances: number): Sdk.ServiceSummary {
  const { dns } = record;
  return {
    Id: record.id,
    Arn: record.arn,
    ResourceOwner: scope.account,
    Name: record.name,
    Type: record.type,
    ...optional("Description", record.description),
    InstanceCount: instances,
    ...(dns
      ? {
          DnsConfig: {
            NamespaceId: record.namespaceId,
            RoutingPolicy: dns.routingPolicy,
            DnsRecords: dns.records.map(({ type, ttl }) => ({ Type: type, TTL: ttl })),
          },
        }
      : {}),
    ...(record.customHealth ? { HealthCheckCustomConfig: { FailureThreshold: 1 } } : {}),
    CreateDate: new Date(record.createdAt),
    CreatedByAccount: scope.account,
  };
}

export function serviceView(scope: Scope, record: CloudMapServiceRecord, instances: number): Sdk.Service {
  return {
    ...serviceSummary(scope, record, instances),
    NamespaceId: record.namespaceId,
    ...optional("CreatorRequestId", record.creator?.id),
  };
}

export function healthOf(service: CloudMapServiceRecord, { health }: InstanceRecord): "HEALTHY" | "UNHEALTHY" | "UNKNOWN" {
  return service.customHealth ? health : "UNKNOWN";
}

export function operationView(scope: Scope, record: OperationRecord): Sdk.Operation {
  return {
    Id: record.id,
    OwnerAccount: scope.account,
    Type: record.type,
    Status: record.status,
    ...optional("ErrorCode", record.errorCode),
    ...optional("ErrorMessage", record.errorMessage),
    CreateDate: new Date(record.at),
    UpdateDate: new Date(record.at),
    Targets: record.targets,
  };
}
