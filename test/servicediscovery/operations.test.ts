/** Cloud Map by the SDK, over HTTP. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-servicediscovery";
import { type CloudMap, startCloudMap } from "./support.ts";

let map: CloudMap;
before(async () => {
  map = await startCloudMap();
});
after(() => map.close());

const refused = (name: string, message?: RegExp) => (error: Error) => {
  assert.equal(error.name, name, error.message);
  if (message) assert.match(error.message, message);
  return true;
};

describe("namespaces", () => {
  it("HTTP: made, shown, listed, described anew, tagged, deleted", async () => {
    const { client } = map;
    const id = await map.namespace({ Name: "apps", Description: "all", Tags: [{ Key: "team", Value: "a" }] });
    assert.match(id, /^ns-[a-z0-9]{16}$/);
    const { Namespace: made } = await client.send(new Sdk.GetNamespaceCommand({ Id: id }));
    assert.deepEqual(
      { ...made, CreateDate: made?.CreateDate instanceof Date, CreatorRequestId: typeof made?.CreatorRequestId },
      {
        Id: id,
        Arn: `arn:aws:servicediscovery:us-east-1:000000000000:namespace/${id}`,
        ResourceOwner: "000000000000",
        Name: "apps",
        Type: "HTTP",
        Description: "all",
        ServiceCount: 0,
        Properties: { HttpProperties: { HttpName: "apps" } },
        CreateDate: true,
        CreatorRequestId: "string",
      },
    );
    assert.equal((await client.send(new Sdk.GetNamespaceCommand({ Id: made?.Arn }))).Namespace?.Id, id, "by ARN");
    await assert.rejects(map.namespace({ Name: "apps" }), (error: Sdk.NamespaceAlreadyExists) => {
      assert.deepEqual([error.name, error.NamespaceId, error.CreatorRequestId], ["NamespaceAlreadyExists", id, made?.CreatorRequestId]);
      return true;
    });
    const update = await client.send(new Sdk.UpdateHttpNamespaceCommand({ Id: id, Namespace: { Description: "more" } }));
    const { Operation } = await client.send(new Sdk.GetOperationCommand({ OperationId: update.OperationId }));
    assert.deepEqual([Operation?.Type, Operation?.Status, Operation?.Targets], ["UPDATE_NAMESPACE", "SUCCESS", { NAMESPACE: id }]);
    await client.send(new Sdk.TagResourceCommand({ ResourceARN: made?.Arn, Tags: [{ Key: "x", Value: "1" }] }));
    await client.send(new Sdk.UntagResourceCommand({ ResourceARN: made?.Arn, TagKeys: ["team"] }));
    assert.deepEqual((await client.send(new Sdk.ListTagsForResourceCommand({ ResourceARN: made?.Arn }))).Tags, [{ Key: "x", Value: "1" }]);
    await client.send(new Sdk.DeleteNamespaceCommand({ Id: id }));
    await assert.rejects(client.send(new Sdk.GetNamespaceCommand({ Id: id })), refused("NamespaceNotFound"));
    await assert.rejects(client.send(new Sdk.ListTagsForResourceCommand({ ResourceARN: made?.Arn })), refused("ResourceNotFoundException"));
    await assert.rejects(
      client.send(new Sdk.ListTagsForResourceCommand({ ResourceARN: "arn:aws:ecs:us-east-1:000000000000:x/y" })),
      refused("InvalidInput"),
    );
  });

  it("private: a zone with its VPC; the same name in another VPC has an HTTP name of its own", async () => {
    const { client, vpc } = map;
    const one = await map.namespace({ Name: "corp.local", Vpc: vpc, Properties: { DnsProperties: { SOA: { TTL: 7 } } } });
    const { Namespace: made } = await client.send(new Sdk.GetNamespaceCommand({ Id: one }));
    assert.match(made?.Properties?.DnsProperties?.HostedZoneId ?? "", /^Z[A-Z0-9]+$/);
    assert.equal(made?.Properties?.DnsProperties?.SOA?.TTL, 7);
    await assert.rejects(map.namespace({ Name: "CORP.local", Vpc: vpc }), refused("NamespaceAlreadyExists"));
    const two = await map.namespace({ Name: "corp.local", Vpc: await map.otherVpc() });
    const { Namespace: other } = await client.send(new Sdk.GetNamespaceCommand({ Id: two }));
    assert.match(other?.Properties?.HttpProperties?.HttpName ?? "", /^corp\.local-.{8}$/);
    assert.equal(other?.Properties?.DnsProperties?.SOA?.TTL, 15);
    const listed = async (...Filters: Sdk.NamespaceFilter[]) =>
      (await client.send(new Sdk.ListNamespacesCommand({ Filters }))).Namespaces?.map(({ Id }) => Id).toSorted();
    assert.deepEqual(await listed({ Name: "NAME", Values: ["corp.local"] }), [one, two].toSorted());
    assert.deepEqual(await listed({ Name: "HTTP_NAME", Values: ["corp.local"] }, { Name: "TYPE", Values: ["DNS_PRIVATE"] }), [one]);
    assert.deepEqual(await listed({ Name: "NAME", Values: ["corp"], Condition: "BEGINS_WITH" }), [one, two].toSorted());
    assert.deepEqual(await listed({ Name: "RESOURCE_OWNER", Values: ["OTHER_ACCOUNTS"] }), []);
    await assert.rejects(listed({ Name: "TYPE", Values: ["A"] }), refused("InvalidInput"));
    await assert.rejects(listed({ Name: "NAME", Values: ["a", "b"] }), refused("InvalidInput"));
    const first = await client.send(new Sdk.ListNamespacesCommand({ MaxResults: 1 }));
    const second = await client.send(new Sdk.ListNamespacesCommand({ MaxResults: 1, NextToken: first.NextToken }));
    assert.deepEqual(
      [...(first.Namespaces ?? []), ...(second.Namespaces ?? [])].map(({ Id }) => Id),
      [one, two].toSorted(),
    );
    assert.equal(second.NextToken, undefined);
    await client.send(
      new Sdk.UpdatePrivateDnsNamespaceCommand({
        Id: two,
        Namespace: { Description: "d", Properties: { DnsProperties: { SOA: { TTL: 9 } } } },
      }),
    );
    const { Namespace: updated } = await client.send(new Sdk.GetNamespaceCommand({ Id: two }));
    assert.deepEqual([updated?.Description, updated?.Properties?.DnsProperties?.SOA?.TTL], ["d", 9]);
    await assert.rejects(
      client.send(new Sdk.UpdateHttpNamespaceCommand({ Id: two, Namespace: { Description: "" } })),
      refused("InvalidInput"),
    );
    await client.send(new Sdk.DeleteNamespaceCommand({ Id: one }));
    await client.send(new Sdk.DeleteNamespaceCommand({ Id: two }));
  });

  it("a repeated request makes nothing more; a VPC that is not there fails the operation; public ones are not there yet", async () => {
    const { client } = map;
    const request = { Name: "again", CreatorRequestId: "r1", Description: "x" };
    const [a, b] = await Promise.all([1, 2].map(() => client.send(new Sdk.CreateHttpNamespaceCommand(request))));
    assert.equal(a?.OperationId, b?.OperationId);
    await assert.rejects(
      client.send(new Sdk.CreateHttpNamespaceCommand({ ...request, Description: "y" })),
      refused("NamespaceAlreadyExists"),
    );
    const failing = await client.send(new Sdk.CreatePrivateDnsNamespaceCommand({ Name: "x.y", Vpc: "vpc-00000000000000000" }));
    const { Operation } = await client.send(new Sdk.GetOperationCommand({ OperationId: failing.OperationId }));
    assert.deepEqual([Operation?.Status, Operation?.ErrorCode], ["FAIL", "CANNOT_CREATE_HOSTED_ZONE"]);
    await assert.rejects(client.send(new Sdk.CreatePublicDnsNamespaceCommand({ Name: "x.y" })), refused("NotImplemented"));
    await assert.rejects(client.send(new Sdk.CreatePrivateDnsNamespaceCommand({ Name: "a..b", Vpc: map.vpc })), refused("InvalidInput"));
    await assert.rejects(client.send(new Sdk.GetOperationCommand({ OperationId: "none" })), refused("OperationNotFound"));
    const listed = await client.send(
      new Sdk.ListOperationsCommand({
        Filters: [
          { Name: "STATUS", Values: ["FAIL", "PENDING"], Condition: "IN" },
          { Name: "UPDATE_DATE", Values: ["0", String(Date.now() / 1000 + 60)], Condition: "BETWEEN" },
        ],
      }),
    );
    assert.deepEqual(listed.Operations, [{ Id: failing.OperationId, Status: "FAIL" }]);
  });
});

describe("services", () => {
  it("in a private namespace: made, shown, changed, refused while in use, deleted", async () => {
    const { client, vpc } = map;
    const namespace = await map.namespace({ Name: "svc", Vpc: vpc });
    const input: Sdk.CreateServiceCommandInput = {
      Name: "web",
      NamespaceId: namespace,
      CreatorRequestId: "web-1",
      DnsConfig: {
        DnsRecords: [
          { Type: "A", TTL: 10 },
          { Type: "SRV", TTL: 20 },
        ],
      },
      HealthCheckCustomConfig: { FailureThreshold: 3 },
      Tags: [{ Key: "k", Value: "v" }],
    };
    const { Service: made } = await client.send(new Sdk.CreateServiceCommand(input));
    const id = made?.Id ?? "";
    assert.match(id, /^srv-[a-z0-9]{16}$/);
    assert.deepEqual(
      { ...made, CreateDate: 0 },
      {
        Id: id,
        Arn: `arn:aws:servicediscovery:us-east-1:000000000000:service/${id}`,
        ResourceOwner: "000000000000",
        Name: "web",
        Type: "DNS_HTTP",
        InstanceCount: 0,
        NamespaceId: namespace,
        DnsConfig: {
          NamespaceId: namespace,
          RoutingPolicy: "MULTIVALUE",
          DnsRecords: [
            { Type: "A", TTL: 10 },
            { Type: "SRV", TTL: 20 },
          ],
        },
        HealthCheckCustomConfig: { FailureThreshold: 1 },
        CreateDate: 0,
        CreatorRequestId: "web-1",
        CreatedByAccount: "000000000000",
      },
    );
    assert.equal((await client.send(new Sdk.CreateServiceCommand(input))).Service?.Id, id, "repeated");
    await assert.rejects(client.send(new Sdk.CreateServiceCommand({ ...input, Name: "WEB" })), (error: Sdk.ServiceAlreadyExists) => {
      assert.deepEqual([error.name, error.ServiceId], ["ServiceAlreadyExists", id]);
      return true;
    });
    const update = await client.send(
      new Sdk.UpdateServiceCommand({
        Id: id,
        Service: {
          Description: "d",
          DnsConfig: {
            DnsRecords: [
              { Type: "A", TTL: 5 },
              { Type: "SRV", TTL: 6 },
            ],
          },
        },
      }),
    );
    assert.ok(update.OperationId);
    const { Service: updated } = await client.send(new Sdk.GetServiceCommand({ Id: id }));
    assert.deepEqual([updated?.Description, updated?.DnsConfig?.DnsRecords?.map(({ TTL }) => TTL)], ["d", [5, 6]]);
    await assert.rejects(
      client.send(new Sdk.UpdateServiceCommand({ Id: id, Service: { DnsConfig: { DnsRecords: [{ Type: "AAAA", TTL: 5 }] } } })),
      refused("InvalidInput", /type of a DNS record/),
    );
    await map.register(id, "one", { AWS_INSTANCE_IPV4: "10.0.0.1", AWS_INSTANCE_PORT: "80" });
    await assert.rejects(client.send(new Sdk.DeleteServiceCommand({ Id: id })), refused("ResourceInUse"));
    await assert.rejects(client.send(new Sdk.DeleteNamespaceCommand({ Id: namespace })), refused("ResourceInUse"));
    const listed = await client.send(new Sdk.ListServicesCommand({ Filters: [{ Name: "NAMESPACE_ID", Values: [namespace] }] }));
    assert.deepEqual(
      listed.Services?.map(({ Id, InstanceCount }) => [Id, InstanceCount]),
      [[id, 1]],
    );
    await client.send(new Sdk.DeregisterInstanceCommand({ ServiceId: id, InstanceId: "one" }));
    await client.send(new Sdk.DeleteServiceCommand({ Id: id }));
    await assert.rejects(client.send(new Sdk.GetServiceCommand({ Id: id })), refused("ServiceNotFound"));
    await client.send(new Sdk.DeleteNamespaceCommand({ Id: namespace }));
  });

  it("bad input is refused with the reason", async () => {
    const { client, vpc } = map;
    const http = await map.namespace({ Name: "bad-http" });
    const dns = await map.namespace({ Name: "bad.dns", Vpc: vpc });
    const make = (input: Partial<Sdk.CreateServiceCommandInput>) =>
      client.send(new Sdk.CreateServiceCommand({ Name: "s", NamespaceId: dns, ...input }));
    const a = { DnsRecords: [{ Type: "A" as const, TTL: 1 }] };
    await assert.rejects(make({ NamespaceId: http, DnsConfig: a }), refused("InvalidInput", /HTTP namespace/));
    await assert.rejects(make({ NamespaceId: "ns-0000000000000000" }), refused("NamespaceNotFound"));
    await assert.rejects(make({ NamespaceId: undefined }), refused("InvalidInput"));
    await assert.rejects(make({ DnsConfig: a, Type: "HTTP" }), refused("InvalidInput"));
    await assert.rejects(make({ DnsConfig: { DnsRecords: [] } }), refused("InvalidInput"));
    await assert.rejects(
      make({
        DnsConfig: {
          DnsRecords: [
            { Type: "CNAME", TTL: 1 },
            { Type: "A", TTL: 1 },
          ],
        },
      }),
      refused("InvalidInput"),
    );
    await assert.rejects(
      make({ DnsConfig: { DnsRecords: [{ Type: "CNAME", TTL: 1 }], RoutingPolicy: "MULTIVALUE" } }),
      refused("InvalidInput"),
    );
    await assert.rejects(make({ DnsConfig: { DnsRecords: [{ Type: "A", TTL: -1 }] } }), refused("InvalidInput"));
    await assert.rejects(make({ Name: "a b", DnsConfig: a }), refused("InvalidInput"));
    await assert.rejects(make({ DnsConfig: a, HealthCheckConfig: { Type: "HTTP" } }), refused("InvalidInput", /HealthCheckCustomConfig/));
    await assert.rejects(make({ NamespaceId: http, HealthCheckConfig: { Type: "HTTP" } }), refused("NotImplemented"));
    await assert.rejects(make({ DnsConfig: { ...a, NamespaceId: http } }), refused("InvalidInput"));
    const older = await client.send(new Sdk.CreateServiceCommand({ Name: "older", DnsConfig: { ...a, NamespaceId: dns } }));
    assert.equal(older.Service?.NamespaceId, dns);
  });

  it("attributes of services", async () => {
    const { client } = map;
    const id = await map.service({ Name: "with", NamespaceId: await map.namespace({ Name: "attributes" }) });
    await client.send(new Sdk.UpdateServiceAttributesCommand({ ServiceId: id, Attributes: { a: "1", b: "2" } }));
    await client.send(new Sdk.UpdateServiceAttributesCommand({ ServiceId: id, Attributes: { b: "3" } }));
    await client.send(new Sdk.DeleteServiceAttributesCommand({ ServiceId: id, Attributes: ["a", "none"] }));
    const { ServiceAttributes: all } = await client.send(new Sdk.GetServiceAttributesCommand({ ServiceId: id }));
    assert.deepEqual(all?.Attributes, { b: "3" });
    const many = Object.fromEntries(Array.from({ length: 31 }, (_, at) => [`k${at}`, "v"]));
    await assert.rejects(
      client.send(new Sdk.UpdateServiceAttributesCommand({ ServiceId: id, Attributes: many })),
      refused("ServiceAttributesLimitExceededException"),
    );
  });
});

describe("instances", () => {
  it("registered, replaced, listed in pages, discovered by attributes and health, deregistered", async () => {
    const { client } = map;
    const namespace = await map.namespace({ Name: "find" });
    const ServiceId = await map.service({ Name: "api", NamespaceId: namespace, HealthCheckCustomConfig: {} });
    const target = { NamespaceName: "find", ServiceName: "api" };
    const discover = async (more: Partial<Sdk.DiscoverInstancesCommandInput> = {}) =>
      (await client.send(new Sdk.DiscoverInstancesCommand({ ...target, ...more }))).Instances?.map(
        ({ InstanceId }) => InstanceId,
      ).toSorted();
    assert.deepEqual(await discover(), []);
    const { InstancesRevision: first } = await client.send(new Sdk.DiscoverInstancesRevisionCommand(target));
    for (const [at, version] of ["v1", "v1", "v2"].entries())
      await map.register(ServiceId, `i${at}`, { AWS_INSTANCE_IPV4: `10.0.0.${at}`, version, zone: at === 0 ? "a" : "b" });
    const { InstancesRevision: second } = await client.send(new Sdk.DiscoverInstancesRevisionCommand(target));
    assert.ok(first !== undefined && second !== undefined && second > first);
    const whole = await client.send(new Sdk.DiscoverInstancesCommand({ ...target, QueryParameters: { zone: "a" } }));
    assert.deepEqual(whole, {
      $metadata: whole.$metadata,
      Instances: [
        {
          InstanceId: "i0",
          NamespaceName: "find",
          ServiceName: "api",
          HealthStatus: "HEALTHY",
          Attributes: { AWS_INSTANCE_IPV4: "10.0.0.0", version: "v1", zone: "a" },
        },
      ],
      InstancesRevision: second,
    });
    assert.deepEqual(await discover(), ["i0", "i1", "i2"]);
    assert.deepEqual(await discover({ QueryParameters: { version: "v1" }, OptionalParameters: { zone: "a" } }), ["i0"]);
    assert.deepEqual(await discover({ QueryParameters: { version: "v2" }, OptionalParameters: { zone: "a" } }), ["i2"]);
    assert.equal((await discover({ MaxResults: 2 }))?.length, 2);
    const health = (InstanceId: string, Status: Sdk.CustomHealthStatus) =>
      client.send(new Sdk.UpdateInstanceCustomHealthStatusCommand({ ServiceId, InstanceId, Status }));
    await health("i0", "UNHEALTHY");
    assert.deepEqual(await discover(), ["i1", "i2"]);
    assert.deepEqual(await discover({ HealthStatus: "UNHEALTHY" }), ["i0"]);
    assert.deepEqual(await discover({ HealthStatus: "ALL" }), ["i0", "i1", "i2"]);
    await health("i1", "UNHEALTHY");
    await health("i2", "UNHEALTHY");
    assert.deepEqual(await discover({ HealthStatus: "HEALTHY" }), []);
    assert.deepEqual(await discover({ HealthStatus: "HEALTHY_OR_ELSE_ALL" }), ["i0", "i1", "i2"]);
    await map.register(ServiceId, "i2", { version: "v3", AWS_INIT_HEALTH_STATUS: "HEALTHY" });
    const { Instance } = await client.send(new Sdk.GetInstanceCommand({ ServiceId, InstanceId: "i2" }));
    assert.deepEqual(Instance?.Attributes, { version: "v3", AWS_INIT_HEALTH_STATUS: "HEALTHY" });
    const { Status } = await client.send(new Sdk.GetInstancesHealthStatusCommand({ ServiceId }));
    assert.deepEqual(Status, { i0: "UNHEALTHY", i1: "UNHEALTHY", i2: "HEALTHY" });
    await assert.rejects(
      client.send(new Sdk.GetInstancesHealthStatusCommand({ ServiceId, Instances: ["i0", "none"] })),
      refused("InstanceNotFound"),
    );
    const pages: (string | undefined)[] = [];
    for await (const page of Sdk.paginateListInstances({ client, pageSize: 2 }, { ServiceId }))
      pages.push(...(page.Instances ?? []).map(({ Id }) => Id));
    assert.deepEqual(pages, ["i0", "i1", "i2"]);
    const { OperationId } = await client.send(new Sdk.DeregisterInstanceCommand({ ServiceId, InstanceId: "i0" }));
    const { Operation } = await client.send(new Sdk.GetOperationCommand({ OperationId }));
    assert.deepEqual(Operation?.Targets, { INSTANCE: "i0", SERVICE: ServiceId });
    await assert.rejects(client.send(new Sdk.DeregisterInstanceCommand({ ServiceId, InstanceId: "i0" })), refused("InstanceNotFound"));
    await assert.rejects(discover({ NamespaceName: "none" }), refused("NamespaceNotFound"));
    await assert.rejects(discover({ ServiceName: "none" }), refused("ServiceNotFound"));
    const operations = await client.send(
      new Sdk.ListOperationsCommand({
        Filters: [
          { Name: "SERVICE_ID", Values: [ServiceId] },
          { Name: "TYPE", Values: ["DEREGISTER_INSTANCE"] },
        ],
      }),
    );
    assert.deepEqual(operations.Operations, [{ Id: OperationId, Status: "SUCCESS" }]);
  });

  it("need what the service's records need", async () => {
    const { client, vpc } = map;
    const NamespaceId = await map.namespace({ Name: "needs", Vpc: vpc });
    const of = (Name: string, Type: Sdk.RecordType) => map.service({ Name, NamespaceId, DnsConfig: { DnsRecords: [{ Type, TTL: 1 }] } });
    const a = await of("a", "A");
    const srv = await of("srv", "SRV");
    const cname = await of("cname", "CNAME");
    const rejected = (id: string, attributes: Record<string, string>, name = "InvalidInput") =>
      assert.rejects(map.register(id, "i", attributes), refused(name));
    await rejected(a, {});
    await rejected(a, { AWS_INSTANCE_IPV4: "10.0.0.300" });
    await rejected(srv, { AWS_INSTANCE_IPV4: "10.0.0.3" });
    await rejected(srv, { AWS_INSTANCE_PORT: "80" });
    await rejected(srv, { AWS_INSTANCE_IPV4: "10.0.0.3", AWS_INSTANCE_PORT: "99999" });
    await rejected(cname, { AWS_INSTANCE_CNAME: "a b" });
    await rejected(a, { AWS_INSTANCE_IPV4: "10.0.0.3", AWS_INIT_HEALTH_STATUS: "HEALTHY" });
    await rejected(a, { AWS_ALIAS_DNS_NAME: "lb.elb.amazonaws.com" }, "NotImplemented");
    await rejected("srv-none", { AWS_INSTANCE_IPV4: "10.0.0.3" }, "ServiceNotFound");
    await rejected(a, Object.fromEntries([["AWS_INSTANCE_IPV4", "10.0.0.3"], ...Array.from({ length: 31 }, (_, at) => [`k${at}`, "v"])]));
    await assert.rejects(map.register(a, "a b", { AWS_INSTANCE_IPV4: "10.0.0.3" }), refused("InvalidInput"));
    await assert.rejects(
      client.send(new Sdk.UpdateInstanceCustomHealthStatusCommand({ ServiceId: a, InstanceId: "i", Status: "HEALTHY" })),
      refused("CustomHealthNotFound"),
    );
  });

  it("no service goes while an instance comes, no namespace while a service comes", async () => {
    const { client } = map;
    for (let round = 0; round < 5; round++) {
      const namespace = await map.namespace({ Name: `race-${round}` });
      const made = client.send(new Sdk.CreateServiceCommand({ Name: "s", NamespaceId: namespace })).catch((error: Error) => error);
      const gone = client.send(new Sdk.DeleteNamespaceCommand({ Id: namespace })).catch((error: Error) => error);
      const [service, deleted] = await Promise.all([made, gone]);
      assert.equal(service instanceof Error, !(deleted instanceof Error), "exactly one of them");
    }
  });
});
