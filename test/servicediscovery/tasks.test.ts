/** Tasks of services with serviceRegistries, as ECS registers and deregisters them inside its own transactions. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-servicediscovery";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { checkRegistries, deregisterTask, registerTask, type ServiceRegistry } from "#reconcilers/names/instances.ts";
import { createWriter, type Unit, type Writer } from "#store/unit.ts";
import { type CloudMap, startCloudMap } from "./support.ts";

const scope = { account: "000000000000", region: "us-east-1" };

const taskOf = (id: string, more: Partial<TaskRecord> = {}): TaskRecord =>
  ({
    arn: `arn:aws:ecs:us-east-1:000000000000:task/shop/${id}`,
    id,
    cluster: "shop",
    taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/web-app:3",
    group: "service:web",
    availabilityZone: "us-east-1b",
    network: { privateIp: "10.0.0.9" },
    containers: [{ name: "app", essential: true }],
    ...more,
  }) as TaskRecord;
const running = (...containers: Partial<TaskObservation["containers"][number]>[]): TaskObservation =>
  ({
    lastStatus: "RUNNING",
    version: 1,
    containers: containers.length > 0 ? containers : [{ name: "app", lastStatus: "RUNNING" }],
  }) as TaskObservation;

describe("tasks as instances", () => {
  let map: CloudMap;
  let writer: Writer;
  let namespace: string;
  before(async () => {
    map = await startCloudMap();
    writer = createWriter(map.server.deps.store);
    namespace = await map.namespace({ Name: "shop", Vpc: map.vpc });
  });
  after(() => map.close());

  const run = <T>(work: (unit: Unit) => Promise<T>) => writer.run("tasks", work);
  const registry = async (Name: string, types: Sdk.RecordType[], health = true) => {
    const DnsConfig = { DnsRecords: types.map((Type) => ({ Type, TTL: 10 })) };
    const { Service } = await map.client.send(
      new Sdk.CreateServiceCommand({ Name, NamespaceId: namespace, DnsConfig, ...(health ? { HealthCheckCustomConfig: {} } : {}) }),
    );
    return { id: Service?.Id ?? "", registryArn: Service?.Arn ?? "" };
  };
  const register = (task: TaskRecord, observed: TaskObservation, registries: ServiceRegistry[], hostAddress?: string) =>
    run((unit) => registerTask(unit, scope, { task, observed, registries, now: 5, ...(hostAddress ? { hostAddress } : {}) }));
  const discover = async (ServiceName: string) =>
    (await map.client.send(new Sdk.DiscoverInstancesCommand({ NamespaceName: "shop", ServiceName, HealthStatus: "ALL" }))).Instances;

  it("A: the address and what ECS says of a task; repeated, nothing changes; deregistered, nothing is left", async () => {
    const { id, registryArn } = await registry("web", ["A"]);
    assert.deepEqual(await register(taskOf("t1"), running(), [{ registryArn }]), []);
    assert.deepEqual(await discover("web"), [
      {
        InstanceId: "t1",
        NamespaceName: "shop",
        ServiceName: "web",
        HealthStatus: "HEALTHY",
        Attributes: {
          AVAILABILITY_ZONE: "us-east-1b",
          AWS_INIT_HEALTH_STATUS: "HEALTHY",
          AWS_INSTANCE_IPV4: "10.0.0.9",
          ECS_CLUSTER_NAME: "shop",
          ECS_SERVICE_NAME: "web",
          ECS_TASK_DEFINITION_FAMILY: "web-app",
          REGION: "us-east-1",
        },
      },
    ]);
    const { revision } = await writer.commit("tasks", (unit) =>
      registerTask(unit, scope, { task: taskOf("t1"), observed: running(), registries: [{ registryArn }], now: 9 }),
    );
    assert.equal(revision, 0, "no write");
    await assert.rejects(map.client.send(new Sdk.DeleteServiceCommand({ Id: id })), { name: "ResourceInUse" });
    await run((unit) => deregisterTask(unit, scope, "t1"));
    await run((unit) => deregisterTask(unit, scope, "t1"));
    assert.deepEqual(await discover("web"), []);
    assert.equal(await map.server.deps.store.get(cloudMapKeys.task(scope, "t1")), undefined);
    await map.client.send(new Sdk.DeleteServiceCommand({ Id: id }));
  });

  it("health: unhealthy until its checks say so, and whenever they say otherwise", async () => {
    const { registryArn } = await registry("checked", ["A"]);
    const task = taskOf("t2", { containers: [{ name: "app", essential: true, healthCheck: true }] as unknown as TaskRecord["containers"] });
    const health = async (healthStatus: "HEALTHY" | "UNHEALTHY" | "UNKNOWN") => {
      await register(task, running({ name: "app", lastStatus: "RUNNING", healthStatus }), [{ registryArn }]);
      return (await discover("checked"))?.map(({ HealthStatus }) => HealthStatus)[0];
    };
    assert.deepEqual([await health("UNKNOWN"), await health("HEALTHY"), await health("UNHEALTHY")], ["UNHEALTHY", "HEALTHY", "UNHEALTHY"]);
    await run((unit) => deregisterTask(unit, scope, "t2"));
  });

  it("SRV: the container's port of an awsvpc task, the host's of a bridge task", async () => {
    const { registryArn } = await registry("_api._tcp", ["SRV"], false);
    const named = { registryArn, containerName: "app", containerPort: 80 };
    await register(taskOf("t3"), running(), [named]);
    await register(taskOf("t4"), running(), [{ registryArn, port: 8443 }]);
    const bridge = taskOf("t5", { network: undefined });
    const observed = running({ name: "app", lastStatus: "RUNNING", networkBindings: [{ containerPort: 80, hostPort: 49_200 }] });
    await register(bridge, observed, [named], "192.0.2.7");
    const all = await discover("_api._tcp");
    assert.deepEqual(
      all
        ?.map(({ InstanceId, Attributes, HealthStatus }) => [
          InstanceId,
          Attributes?.AWS_INSTANCE_IPV4,
          Attributes?.AWS_INSTANCE_PORT,
          HealthStatus,
        ])
        .toSorted(),
      [
        ["t3", "10.0.0.9", "80", "UNKNOWN"],
        ["t4", "10.0.0.9", "8443", "UNKNOWN"],
        ["t5", "192.0.2.7", "49200", "UNKNOWN"],
      ],
    );
    assert.match((await register(taskOf("t6"), running(), [{ registryArn }])).join(), /no such port/);
    assert.match((await register(bridge, observed, [named])).join(), /no address/);
    const missing = "arn:aws:servicediscovery:us-east-1:000000000000:service/srv-none";
    assert.match((await register(taskOf("t7"), running(), [{ registryArn: missing }])).join(), /does not exist/);
    for (const id of ["t3", "t4", "t5", "t6", "t7"]) await run((unit) => deregisterTask(unit, scope, id));
    assert.deepEqual(await discover("_api._tcp"), []);
  });

  it("the registry does not go while a task comes", async () => {
    for (let round = 0; round < 5; round++) {
      const { id, registryArn } = await registry(`race-${round}`, ["A"]);
      const [problems, deleted] = await Promise.all([
        register(taskOf(`r${round}`), running(), [{ registryArn }]),
        map.client.send(new Sdk.DeleteServiceCommand({ Id: id })).then(
          () => true,
          () => false,
        ),
      ]);
      assert.equal(problems.length > 0, deleted, "exactly one of them");
    }
  });

  it("CreateService's serviceRegistries are checked with the reason", async () => {
    const read = async <T>(key: string) => (await map.server.deps.store.get<T>(key))?.value;
    const a = (await registry("check-a", ["A"])).registryArn;
    const srv = (await registry("check-srv", ["SRV"])).registryArn;
    const check = (registries: ServiceRegistry[], networkMode = "awsvpc") =>
      checkRegistries(read, scope, registries, { networkMode, ports: { app: [80] } });
    assert.equal(await check([{ registryArn: a }]), undefined);
    assert.equal(await check([{ registryArn: srv, containerName: "app", containerPort: 80 }], "bridge"), undefined);
    assert.match((await check([{ registryArn: srv }])) ?? "", /needs port/);
    assert.match((await check([{ registryArn: srv, containerName: "app", containerPort: 81 }])) ?? "", /container port 81/);
    assert.match(
      (await check([{ registryArn: srv, containerName: "db", containerPort: 80 }])) ?? "",
      /does not exist in the task definition/,
    );
    assert.match((await check([{ registryArn: a }], "bridge")) ?? "", /'host' or 'bridge'/);
    assert.match((await check([{ registryArn: a, containerName: "app", containerPort: 80 }], "bridge")) ?? "", /SRV/);
    assert.match((await check([{ registryArn: a }, { registryArn: srv }])) ?? "", /Only one/);
    assert.match((await check([{ registryArn: `${a}x` }])) ?? "", /Unable to find/);
  });
});
