/** Targets: registration, health as the data plane tells it, draining, and what the data plane is told of all that. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ImportCertificateCommand } from "@aws-sdk/client-acm";
import { AllocateAddressCommand } from "@aws-sdk/client-ec2";
import {
  CreateListenerCommand,
  CreateRuleCommand,
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type TargetDescription,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { thisMachine } from "#agent-protocol/load-balancers.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { LoadBalancerRecord, TargetHealthRecord, TargetRecord } from "#model/elb-records.ts";
import { BalancerRecords } from "#reconcilers/load-balancers/records.ts";
import { snapshotOf } from "#reconcilers/load-balancers/snapshot.ts";
import { registerTarget } from "#reconcilers/load-balancers/targets.ts";
import { createWriter } from "#store/unit.ts";
import { until } from "../support/until.ts";
import { type Lab, makeCertificates, refused, startLab } from "./support.ts";

const scope = { account: "000000000000", region: "us-east-1" };
let lab: Lab;
before(async () => {
  lab = await startLab();
});
after(() => lab.close());

const idOf = (arn: string) => arn.slice(arn.lastIndexOf("/") + 1);
const register = (TargetGroupArn: string, ...Targets: TargetDescription[]) =>
  lab.elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets }));
const deregister = (TargetGroupArn: string, ...Targets: TargetDescription[]) =>
  lab.elb.send(new DeregisterTargetsCommand({ TargetGroupArn, Targets }));
const health = async (TargetGroupArn: string, ...Targets: TargetDescription[]) => {
  const asked = { TargetGroupArn, ...(Targets.length > 0 ? { Targets } : {}) };
  const { TargetHealthDescriptions } = await lab.elb.send(new DescribeTargetHealthCommand(asked));
  return TargetHealthDescriptions!.map(
    ({ Target, TargetHealth }) => `${Target!.Id}:${Target!.Port} ${TargetHealth!.State} ${TargetHealth!.Reason ?? "-"}`,
  );
};
const listen = async (balancer: string | undefined, TargetGroupArn: string, Port = 80) =>
  (
    await lab.elb.send(
      new CreateListenerCommand({
        LoadBalancerArn: balancer,
        Protocol: "HTTP",
        Port,
        DefaultActions: [{ Type: "forward", TargetGroupArn }],
      }),
    )
  ).Listeners![0]!.ListenerArn!;
/** As the data plane does it. */
const seen = async (group: string, id: string, port: number, told: Pick<TargetHealthRecord, "state" | "reason" | "description">) => {
  const { store } = lab.server.deps;
  const target = (await store.get<TargetRecord>(elbKeys.target(scope, idOf(group), id, port)))!.value;
  const value: TargetHealthRecord = { registeredAt: target.registeredAt, changedAt: 1, ...told };
  await store.transaction({ writes: [{ put: elbKeys.health(scope, idOf(group), id, port), value }] });
};
const delay = (TargetGroupArn: string, seconds: number) =>
  lab.elb.send(
    new ModifyTargetGroupAttributesCommand({
      TargetGroupArn,
      Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: String(seconds) }],
    }),
  );

test("the life of a target: unused, initial, healthy, unhealthy, draining, gone", async () => {
  const group = await lab.targetGroup("life");
  const target = { Id: "10.9.0.10" };
  await register(group, target);
  assert.deepEqual(await health(group), ["10.9.0.10:80 unused Target.NotInUse"]);
  const { LoadBalancerArn } = await lab.balancer("life");
  const listener = await listen(LoadBalancerArn, group);
  assert.deepEqual(await health(group), ["10.9.0.10:80 initial Elb.RegistrationInProgress"]);
  await seen(group, "10.9.0.10", 80, { state: "healthy" });
  assert.deepEqual(await health(group, target), ["10.9.0.10:80 healthy -"]);
  await lab.server.aws("elbv2", "wait", "target-in-service", "--target-group-arn", group, "--targets", "Id=10.9.0.10");
  // Registered again: nothing changes.
  await register(group, target);
  assert.deepEqual(await health(group), ["10.9.0.10:80 healthy -"]);
  await seen(group, "10.9.0.10", 80, {
    state: "unhealthy",
    reason: "Target.ResponseCodeMismatch",
    description: "Health checks failed with these codes: [500]",
  });
  assert.deepEqual(await health(group), ["10.9.0.10:80 unhealthy Target.ResponseCodeMismatch"]);
  await deregister(group, target);
  assert.deepEqual(await health(group), ["10.9.0.10:80 draining Target.DeregistrationInProgress"]);
  // Back before it is gone: a new registration, whose health nobody knows yet.
  await register(group, target);
  assert.deepEqual(await health(group), ["10.9.0.10:80 initial Elb.RegistrationInProgress"]);
  await delay(group, 1);
  await deregister(group, target);
  await deregister(group, target);
  const key = elbKeys.target(scope, idOf(group), "10.9.0.10", 80);
  await until("its record is gone", async () => (await lab.server.deps.store.get(key)) === undefined);
  assert.deepEqual([await health(group), await health(group, target)], [[], ["10.9.0.10:80 unused Target.NotRegistered"]]);
  await lab.server.aws("elbv2", "wait", "target-deregistered", "--target-group-arn", group, "--targets", "Id=10.9.0.10");

  // With the delay of five minutes, but out of use: gone at once.
  await delay(group, 300);
  await register(group, target);
  await deregister(group, target);
  assert.deepEqual(await health(group), ["10.9.0.10:80 draining Target.DeregistrationInProgress"]);
  await lab.elb.send(new DeleteListenerCommand({ ListenerArn: listener }));
  assert.deepEqual(await health(group), []);
  await until("its record is gone", async () => (await lab.server.deps.store.get(key)) === undefined);
  await lab.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
  await lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: group }));
});

test("targets by address, instance and load balancer: what they must be", async () => {
  const ip = await lab.targetGroup("ip");
  const instance = await lab.targetGroup("instance", { TargetType: "instance" });
  const alb = await lab.targetGroup("alb", { TargetType: "alb", Protocol: "TCP" });
  const behind = await lab.balancer("behind");
  await refused(register(ip, { Id: "10.9.0.300" }), "ValidationError", /not a valid IPv4 address/);
  await refused(register(ip, { Id: "8.8.8.8" }), "ValidationError", /not a private IP/);
  await refused(register(ip, { Id: "192.168.1.1" }), "ValidationError", /Availability Zone/);
  await refused(register(ip, { Id: "10.9.0.1", Port: 70_000 }), "ValidationError");
  await refused(register(instance, { Id: "10.9.0.1" }), "InvalidTarget");
  await refused(register(instance, { Id: "i-0123456789abcdef0" }), "InvalidTarget", /not in a running state/);
  await refused(register(alb, { Id: behind.LoadBalancerArn!, Port: 80 }), "InvalidTarget", /no listener on port/);
  await refused(register(`${ip.slice(0, -1)}x`, { Id: "10.9.0.1" }), "TargetGroupNotFound");
  await refused(register(ip, { Id: "10.9.0.1" }, { Id: "10.9.0.1", Port: 80 }), "ValidationError", /only once/);
  assert.deepEqual((await lab.server.deps.store.list(elbKeys.allTargets(scope))).entries, []);

  const node = { arn: "", id: "n", cluster: "c", ec2InstanceId: "i-0123456789abcdef0", status: "ACTIVE" };
  await lab.server.deps.store.transaction({ writes: [{ put: ecsKeys.containerInstance(scope, "c", "n"), value: node }] });
  await register(instance, { Id: "i-0123456789abcdef0", Port: 32_768 }, { Id: "i-0123456789abcdef0", Port: 32_769 });
  assert.equal((await health(instance)).length, 2);
  await register(ip, { Id: "192.168.1.1", AvailabilityZone: "all" }, { Id: "10.9.2.9" });
  // The target's zone is that of its subnet, which the load balancer is not in.
  const { LoadBalancerArn } = await lab.balancer("zones");
  await listen(LoadBalancerArn, ip);
  assert.deepEqual(await health(ip), ["10.9.2.9:80 unused Target.NotInUse", "192.168.1.1:80 initial Elb.RegistrationInProgress"]);

  const forward = await lab.targetGroup("forwarded");
  await listen(behind.LoadBalancerArn, forward);
  await register(alb, { Id: behind.LoadBalancerArn!, Port: 80 });
  await refused(lab.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: behind.LoadBalancerArn })), "ResourceInUse");
  for (const arn of [behind.LoadBalancerArn, LoadBalancerArn]) {
    await deregister(alb, { Id: behind.LoadBalancerArn! });
    await lab.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  }
  for (const arn of [ip, instance, alb, forward]) await lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: arn }));
  assert.deepEqual((await lab.server.deps.store.list("/elb/")).entries, []);
});

test("a group that goes while targets come leaves none behind", async () => {
  const writer = createWriter(lab.server.deps.store);
  for (let round = 0; round < 10; round++) {
    const group = await lab.targetGroup(`race-${round}`);
    const [, ...registered] = await Promise.all([
      lab.elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: group })),
      ...Array.from({ length: 5 }, (_, at) =>
        writer.run("a task's", (unit) => registerTarget(unit, scope, idOf(group), { id: `10.9.0.${20 + at}`, port: 80 }, 1)),
      ),
    ]);
    assert.ok(registered.every((each) => typeof each === "boolean"));
    assert.deepEqual((await lab.server.deps.store.list(elbKeys.targets(scope, idOf(group)))).entries, []);
  }
});

test("what the data plane is told", async () => {
  const { deps } = lab.server;
  const [made] = await makeCertificates(["tls.example.com"]);
  const { CertificateArn } = await lab.acm.send(new ImportCertificateCommand({ Certificate: made!.certificate, PrivateKey: made!.key }));
  const web = await lab.balancer("web");
  const blue = await lab.targetGroup("blue", { HealthCheckPath: "/h", HealthCheckPort: "9000" });
  const green = await lab.targetGroup("green", { Protocol: "HTTPS", ProtocolVersion: "HTTP2", TargetType: "instance" });
  const listener = await listen(web.LoadBalancerArn, blue);
  const rule = await lab.elb.send(
    new CreateRuleCommand({
      ListenerArn: listener,
      Priority: 5,
      Conditions: [{ Field: "path-pattern", Values: ["/x/*"] }],
      Actions: [
        {
          Type: "forward",
          ForwardConfig: {
            TargetGroups: [
              { TargetGroupArn: blue, Weight: 9 },
              { TargetGroupArn: green, Weight: 1 },
            ],
            TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 60 },
          },
        },
      ],
    }),
  );
  const secure = await lab.elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: web.LoadBalancerArn,
      Protocol: "HTTPS",
      Port: 443,
      Certificates: [{ CertificateArn }],
      DefaultActions: [{ Type: "redirect", RedirectConfig: { StatusCode: "HTTP_302", Path: "/y" } }],
    }),
  );
  await lab.elb.send(
    new ModifyLoadBalancerAttributesCommand({
      LoadBalancerArn: web.LoadBalancerArn,
      Attributes: [{ Key: "idle_timeout.timeout_seconds", Value: "7" }],
    }),
  );
  await register(blue, { Id: "10.9.0.10" }, { Id: "10.9.1.10", Port: 81 }, { Id: "10.9.2.10" });
  await register(green, { Id: "i-0123456789abcdef0", Port: 32_768 });
  await deregister(blue, { Id: "10.9.1.10", Port: 81 });

  const { AllocationId, PublicIp } = await lab.ec2.send(new AllocateAddressCommand({ Domain: "vpc" }));
  const tcp = await lab.targetGroup("tcp", { Protocol: "TCP" });
  const unused = await lab.targetGroup("unused");
  await register(unused, { Id: "10.9.0.99" });
  const net = await lab.balancer("net", {
    Type: "network",
    Subnets: undefined,
    SecurityGroups: undefined,
    SubnetMappings: [{ SubnetId: lab.subnets[0], AllocationId }],
  });
  const tls = await lab.elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: net.LoadBalancerArn,
      Protocol: "TLS",
      Port: 6379,
      Certificates: [{ CertificateArn }],
      AlpnPolicy: ["HTTP2Preferred"],
      DefaultActions: [{ Type: "forward", TargetGroupArn: tcp }],
    }),
  );

  const records = new BalancerRecords();
  for (const entry of (await deps.store.list(elbKeys.everything)).entries) records.put(entry.key, entry);
  const snapshot = snapshotOf(records, { instance: "i-0123456789abcdef0", pemOf: (arn) => (arn === CertificateArn ? "a pem" : undefined) });
  const addressOf = async (arn: string | undefined) =>
    (await deps.store.get<LoadBalancerRecord>(elbKeys.loadBalancer(scope, idOf(arn!))))!.value.address;
  const check = { interval: 30, timeout: 5, healthyThreshold: 5, unhealthyThreshold: 2 };
  const balancer = records.loadBalancers.get(idOf(web.LoadBalancerArn!))!;
  const inside = balancer.zones.map(({ privateIp }) => privateIp);
  const [, app] = snapshot.loadBalancers.toSorted((a, b) => (a.kind > b.kind ? -1 : 1));
  assert.equal(app?.listeners.length, 2);
  assert.deepEqual(
    {
      ...app,
      listeners: app.listeners.toSorted((a, b) => a.port - b.port).map((each) => ({ ...each, certificates: each.certificates?.length })),
    },
    {
      id: web.LoadBalancerArn,
      name: web.LoadBalancerArn!.split(":loadbalancer/")[1],
      kind: "application",
      addresses: [await addressOf(web.LoadBalancerArn)],
      network: { namespace: balancer.vpcId, source: inside[0], addresses: inside },
      idleTimeout: 7,
      clientKeepAlive: 3600,
      attributes: { http2: true, dropInvalidHeaderFields: false, xffMode: "append", xffClientPort: false, tlsHeaders: false },
      listeners: [
        {
          id: listener,
          port: 80,
          protocol: "HTTP",
          certificates: undefined,
          defaultAction: { type: "forward", targetGroups: [{ id: blue, weight: 1 }] },
          rules: [
            {
              id: rule.Rules![0]!.RuleArn,
              priority: 5,
              conditions: [{ field: "path-pattern", values: ["/x/*"] }],
              action: {
                type: "forward",
                targetGroups: [
                  { id: blue, weight: 9 },
                  { id: green, weight: 1 },
                ],
                stickinessSeconds: 60,
              },
            },
          ],
        },
        {
          id: secure.Listeners![0]!.ListenerArn,
          port: 443,
          protocol: "HTTPS",
          certificates: 1,
          sslPolicy: "ELBSecurityPolicy-2016-08",
          defaultAction: {
            type: "redirect",
            statusCode: 302,
            protocol: "#{protocol}",
            host: "#{host}",
            port: "#{port}",
            path: "/y",
            query: "#{query}",
          },
        },
      ],
    },
  );
  const plain = snapshot.loadBalancers.find(({ kind }) => kind === "network")!;
  assert.deepEqual(
    [plain.addresses, plain.idleTimeout, plain.listeners.map(({ id, alpn }) => [id, alpn])],
    [[await addressOf(net.LoadBalancerArn), PublicIp], 350, [[tls.Listeners![0]!.ListenerArn, ["h2", "http/1.1", "http/1.0"]]]],
  );
  const groups = new Map(snapshot.targetGroups.map((each) => [each.id, each]));
  assert.deepEqual([...groups.keys()].toSorted(), [blue, green, tcp, unused].toSorted());
  assert.deepEqual(groups.get(blue), {
    id: blue,
    protocol: "HTTP",
    protocolVersion: "HTTP1",
    algorithm: "round_robin",
    healthCheck: { protocol: "HTTP", port: 9000, path: "/h", ...check, matcher: "200" },
    deregistrationDelay: 300,
    targets: [
      { address: "10.9.0.10", port: 80 },
      { address: "10.9.1.10", port: 81, wanted: "deregistered" },
    ],
  });
  assert.deepEqual(groups.get(green)!.targets, [{ address: thisMachine, port: 32_768 }]);
});
