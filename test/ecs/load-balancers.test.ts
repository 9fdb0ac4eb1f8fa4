/** Services behind load balancers: what CreateService and UpdateService refuse, and what they keep. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  type LoadBalancer,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteListenerCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { startServer, type TestServer } from "../support/http.ts";

let server: TestServer;
let ecs: ECSClient;
let elb: ElasticLoadBalancingV2Client;
let subnets: string[];
let vpc: string;
let balancer: string;
before(async () => {
  server = await startServer({ parts: (deps) => [createEc2(deps), createElbv2(deps), createEcs(deps)] });
  ecs = new ECSClient(server.sdk());
  elb = new ElasticLoadBalancingV2Client(server.sdk());
  const { Subnets } = await new EC2Client(server.sdk()).send(new DescribeSubnetsCommand({}));
  subnets = Subnets!.map(({ SubnetId }) => SubnetId!);
  vpc = Subnets![0]!.VpcId!;
  const made = await elb.send(new CreateLoadBalancerCommand({ Name: "web", Subnets: subnets }));
  balancer = made.LoadBalancers![0]!.LoadBalancerArn!;
  await ecs.send(new CreateClusterCommand({}));
  const port = { containerPort: 8080 };
  const web = { name: "web", image: "busybox", memory: 8, portMappings: [port] };
  await ecs.send(new RegisterTaskDefinitionCommand({ family: "bridge", containerDefinitions: [web] }));
  await ecs.send(new RegisterTaskDefinitionCommand({ family: "awsvpc", networkMode: "awsvpc", containerDefinitions: [web] }));
});
after(async () => {
  ecs.destroy();
  elb.destroy();
  await server.close();
});

let listenerPort = 80;
const group = async (Name: string, TargetType: "ip" | "instance", listened = true) => {
  const { TargetGroups } = await elb.send(new CreateTargetGroupCommand({ Name, Protocol: "HTTP", Port: 80, VpcId: vpc, TargetType }));
  const TargetGroupArn = TargetGroups![0]!.TargetGroupArn!;
  if (!listened) return { TargetGroupArn, listener: "" };
  const { Listeners } = await elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: balancer,
      Protocol: "HTTP",
      Port: listenerPort++,
      DefaultActions: [{ Type: "forward", TargetGroupArn }],
    }),
  );
  return { TargetGroupArn, listener: Listeners![0]!.ListenerArn! };
};
const create = (serviceName: string, taskDefinition: string, loadBalancers: LoadBalancer[]) =>
  ecs.send(
    new CreateServiceCommand({
      serviceName,
      taskDefinition,
      desiredCount: 0,
      loadBalancers,
      ...(taskDefinition === "awsvpc" ? { networkConfiguration: { awsvpcConfiguration: { subnets } } } : {}),
    }),
  );
const refused = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "InvalidParameterException", error.message);
  assert.match(error.message, message);
  return true;
};
const to = (targetGroupArn: string, more: Partial<LoadBalancer> = {}): LoadBalancer => ({
  targetGroupArn,
  containerName: "web",
  containerPort: 8080,
  ...more,
});

test("what does not lead to the tasks is refused, and makes no service", async () => {
  const ip = await group("ip", "ip");
  const instance = await group("instance", "instance");
  const alone = await group("alone", "ip", false);
  const gone = ip.TargetGroupArn.replace(/\w{16}$/, "0123456789abcdef");
  await assert.rejects(create("no", "awsvpc", [to(gone)]), refused(/does not exist/));
  await assert.rejects(create("no", "awsvpc", [to(alone.TargetGroupArn)]), refused(/does not have an associated load balancer\.$/));
  await assert.rejects(
    create("no", "awsvpc", [to(ip.TargetGroupArn, { containerName: "app" })]),
    refused(/^The container app does not exist in the task definition\.$/),
  );
  await assert.rejects(
    create("no", "awsvpc", [to(ip.TargetGroupArn, { containerPort: 80 })]),
    refused(/^The container web did not have a container port 80 defined\.$/),
  );
  await assert.rejects(
    create("no", "bridge", [to(ip.TargetGroupArn)]),
    refused(/has target type ip, which is incompatible with the bridge network mode specified in the task definition\.$/),
  );
  await assert.rejects(
    create("no", "awsvpc", [to(instance.TargetGroupArn)]),
    refused(/has target type instance, which is incompatible with the awsvpc network mode/),
  );
  await assert.rejects(
    create(
      "no",
      "awsvpc",
      Array.from({ length: 6 }, () => to(ip.TargetGroupArn)),
    ),
    refused(/at most 5/),
  );
  const { failures } = await ecs.send(new DescribeServicesCommand({ services: ["no"] }));
  assert.equal(failures![0]!.reason, "MISSING");
});

test("several target groups are kept as given, change by UpdateService, and go by an empty list", async () => {
  const [one, two] = [await group("one", "instance"), await group("two", "instance")];
  const both = [to(one.TargetGroupArn), to(two.TargetGroupArn)];
  const { service } = await create("shop", "bridge", both);
  assert.deepEqual(service!.loadBalancers, both);
  assert.equal(service!.healthCheckGracePeriodSeconds, 0);
  const update = (loadBalancers: LoadBalancer[]) => ecs.send(new UpdateServiceCommand({ service: "shop", loadBalancers }));
  assert.deepEqual((await update([to(two.TargetGroupArn)])).service!.loadBalancers, [to(two.TargetGroupArn)]);
  await elb.send(new DeleteListenerCommand({ ListenerArn: one.listener }));
  await assert.rejects(update(both), refused(/does not have an associated load balancer/));
  assert.deepEqual((await update([])).service!.loadBalancers, []);
});
