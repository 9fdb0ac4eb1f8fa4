/** Service Connect's API: namespaces, endpoints, what tasks are made with. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Map_ from "@aws-sdk/client-servicediscovery";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const scope = { account: "000000000000", region: "us-east-1" };
let server: TestServer;
let ecs: Ecs.ECSClient;
let names: Map_.ServiceDiscoveryClient;
before(async () => {
  server = await startServer({ parts: (deps) => [createEcs(deps), createServiceDiscovery(deps)] });
  ecs = new Ecs.ECSClient(server.sdk());
  names = new Map_.ServiceDiscoveryClient({ ...server.sdk(), disableHostPrefix: true });
  await ecs.send(new Ecs.CreateClusterCommand({ clusterName: "shop", serviceConnectDefaults: { namespace: "shop" } }));
  const ports: Ecs.PortMapping[] = [
    { name: "http", containerPort: 8080, appProtocol: "http" },
    { name: "grpc", containerPort: 9090, appProtocol: "grpc" },
    { name: "raw", containerPort: 7070 },
    { name: "datagrams", containerPort: 53, protocol: "udp" },
  ];
  for (const networkMode of ["bridge", "host"] as const)
    await ecs.send(
      new Ecs.RegisterTaskDefinitionCommand({
        family: networkMode,
        networkMode,
        containerDefinitions: [{ name: "app", image: "busybox", memory: 8, portMappings: ports }],
      }),
    );
});
after(async () => {
  ecs.destroy();
  names.destroy();
  await server.close();
});

const create = async (serviceName: string, services?: Ecs.ServiceConnectService[], more: Partial<Ecs.CreateServiceCommandInput> = {}) =>
  (
    await ecs.send(
      new Ecs.CreateServiceCommand({
        cluster: "shop",
        serviceName,
        taskDefinition: "bridge",
        desiredCount: 0,
        serviceConnectConfiguration: { enabled: true, ...(services ? { services } : {}) },
        ...more,
      }),
    )
  ).service!;
const update = async (service: string, more: Partial<Ecs.UpdateServiceCommandInput>) =>
  (await ecs.send(new Ecs.UpdateServiceCommand({ cluster: "shop", service, ...more }))).service!;
const alias = (dnsName: string, port = 80) => [{ dnsName, port }];
/** Names that the tasks of the service's newest deployment know. */
async function known(service: string): Promise<string[]> {
  const { store } = server.deps;
  const record = (await store.get<ServiceRecord>(ecsKeys.service(scope, "shop", service)))!.value;
  const deployment = (await store.get<{ revision: string }>(ecsKeys.deployment(scope, "shop", service, record.deployment!)))!.value;
  const revision = await store.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, "shop", service, deployment.revision));
  return (revision!.value.serviceConnect?.aliases ?? []).map(({ dnsName, port }) => `${dnsName}:${port}`);
}
const mapServices = async () =>
  (await names.send(new Map_.ListServicesCommand({}))).Services!.map(({ Name, Type }) => `${Name} ${Type}`).toSorted();

describe("namespaces", () => {
  test("the cluster's default is made where it is not there, and shown by its ARN", async () => {
    const { Namespaces } = await names.send(new Map_.ListNamespacesCommand({}));
    assert.deepEqual(
      Namespaces!.map(({ Name, Type }) => [Name, Type]),
      [["shop", "HTTP"]],
    );
    const { clusters } = await ecs.send(new Ecs.DescribeClustersCommand({ clusters: ["shop"] }));
    assert.equal(clusters![0]!.serviceConnectDefaults!.namespace, Namespaces![0]!.Arn);
    const again = await ecs.send(new Ecs.UpdateClusterCommand({ cluster: "shop", serviceConnectDefaults: { namespace: "shop" } }));
    assert.equal(again.cluster!.serviceConnectDefaults!.namespace, Namespaces![0]!.Arn);
  });

  test("one that a service names must be there", async () => {
    await assert.rejects(create("lost", undefined, { serviceConnectConfiguration: { enabled: true, namespace: "nowhere" } }), {
      name: "NamespaceNotFoundException",
    });
    await assert.rejects(ecs.send(new Ecs.ListServicesByNamespaceCommand({ namespace: "nowhere" })), {
      name: "NamespaceNotFoundException",
    });
    await ecs.send(new Ecs.CreateClusterCommand({ clusterName: "plain" }));
    await assert.rejects(create("lost", undefined, { cluster: "plain" }), {
      name: "InvalidParameterException",
      message: /namespace was not specified/,
    });
  });
});

describe("what is refused", () => {
  const cases: [string, Ecs.ServiceConnectService[], RegExp][] = [
    ["an unknown port", [{ portName: "none" }], /portName none was not found/],
    ["a port of UDP", [{ portName: "datagrams" }], /protocol udp/],
    ["a discovery name with capitals", [{ portName: "http", discoveryName: "Web" }], /discoveryName Web/],
    ["two aliases", [{ portName: "http", clientAliases: [{ port: 1 }, { port: 2 }] }], /at most 1 clientAlias/],
    ["port 0", [{ portName: "http", clientAliases: [{ port: 0 }] }], /between 1 and 65535/],
    ["a name with a space", [{ portName: "http", clientAliases: alias("a b") }], /dnsName a b/],
    [
      "a discovery name twice",
      [
        { portName: "http", discoveryName: "x" },
        { portName: "grpc", discoveryName: "x" },
      ],
      /discoveryName x is used more than once/,
    ],
    [
      "an alias twice",
      [
        { portName: "http", clientAliases: alias("x") },
        { portName: "grpc", clientAliases: alias("x") },
      ],
      /clientAlias x:80 is used more than once/,
    ],
    ["a request's timeout for tcp", [{ portName: "raw", timeout: { perRequestTimeoutSeconds: 3 } }], /appProtocol is tcp/],
  ];
  for (const [what, services, message] of cases)
    test(what, () => assert.rejects(create("bad", services), { name: "InvalidParameterException", message }));

  test("network mode host, and what is not there yet", async () => {
    await assert.rejects(create("bad", [], { taskDefinition: "host" }), {
      name: "InvalidParameterException",
      message: /network mode host/,
    });
    await assert.rejects(create("bad", [{ portName: "http", tls: { issuerCertificateAuthority: {} } }]), { name: "NotImplemented" });
  });
});

describe("a service's life", () => {
  test("a Cloud Map service for each discovery name; shown in deployment, revision and namespace", async () => {
    const made = await create("web", [
      { portName: "http", discoveryName: "web", clientAliases: alias("web") },
      { portName: "grpc", clientAliases: [{ port: 9000 }], timeout: { perRequestTimeoutSeconds: 0 } },
    ]);
    assert.deepEqual(await mapServices(), ["grpc HTTP", "web HTTP"]);
    const [deployment] = made.deployments!;
    assert.match(deployment!.serviceConnectConfiguration!.namespace!, /:namespace\/ns-/);
    assert.deepEqual(
      deployment!.serviceConnectResources!.map(({ discoveryName }) => discoveryName),
      ["web", "grpc"],
    );
    assert.match(deployment!.serviceConnectResources![0]!.discoveryArn!, /:servicediscovery:us-east-1:000000000000:service\/srv-/);
    const serviceRevisionArns = [made.currentServiceRevisions![0]!.arn!];
    const { serviceRevisions } = await ecs.send(new Ecs.DescribeServiceRevisionsCommand({ serviceRevisionArns }));
    assert.equal(serviceRevisions![0]!.serviceConnectConfiguration!.services!.length, 2);
    const { serviceArns } = await ecs.send(new Ecs.ListServicesByNamespaceCommand({ namespace: "shop" }));
    assert.deepEqual(serviceArns, [made.serviceArn]);
    assert.deepEqual(await known("web"), ["grpc.shop:9000", "web:80"]);
  });

  test("names are what they were when the deployment began", async () => {
    await create("client");
    assert.deepEqual(await known("client"), ["grpc.shop:9000", "web:80"]);
    await create("late", [{ portName: "http", discoveryName: "late", clientAliases: alias("late") }]);
    assert.deepEqual(await known("client"), ["grpc.shop:9000", "web:80"]);
    const same = await update("client", { desiredCount: 0 });
    assert.equal(same.deployments!.length, 1);
    await update("client", { forceNewDeployment: true });
    assert.deepEqual(await known("client"), ["grpc.shop:9000", "late:80", "web:80"]);
  });

  test("a name is one service's only", async () => {
    const services = (discoveryName: string, dnsName: string) => [{ portName: "http", discoveryName, clientAliases: alias(dnsName) }];
    const taken = { name: "InvalidParameterException", message: /already in use in the namespace shop/ };
    await assert.rejects(create("thief", services("web", "mine")), taken);
    await assert.rejects(create("thief", services("mine", "web")), taken);
    assert.ok(!(await mapServices()).includes("mine HTTP"), "nothing is left of what was refused");
  });

  test("an update changes the endpoints; disabled, there are none, and Cloud Map keeps nothing after the next", async () => {
    const services = [{ portName: "http", discoveryName: "front", clientAliases: alias("web", 8000) }];
    await update("web", { serviceConnectConfiguration: { enabled: true, services } });
    assert.deepEqual(await known("web"), ["late:80", "web:8000"]);
    // What the deployment before had may still be asked for, or rolled back to.
    assert.deepEqual(await mapServices(), ["front HTTP", "grpc HTTP", "late HTTP", "web HTTP"]);
    await update("web", { forceNewDeployment: true });
    assert.deepEqual(await mapServices(), ["front HTTP", "late HTTP"]);
    const off = await update("web", { serviceConnectConfiguration: { enabled: false } });
    assert.equal(off.deployments![0]!.serviceConnectConfiguration!.enabled, false);
    assert.equal(off.deployments![0]!.serviceConnectResources, undefined);
    assert.deepEqual(await mapServices(), ["late HTTP"]);
    assert.deepEqual(await known("web"), []);
  });

  test("deleted, it takes its Cloud Map service along", async () => {
    await ecs.send(new Ecs.DeleteServiceCommand({ cluster: "shop", service: "late", force: true }));
    await until("Cloud Map has none", async () => (await mapServices()).length === 0);
    const { serviceArns } = await ecs.send(new Ecs.ListServicesByNamespaceCommand({ namespace: "shop" }));
    assert.deepEqual(
      serviceArns!.map((arn) => arn.split("/").at(-1)),
      ["client"],
    );
  });
});
