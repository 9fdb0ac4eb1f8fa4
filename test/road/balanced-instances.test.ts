/** Issue 5 on a container instance: a service of bridge tasks with dynamic ports in two target groups, behind HTTPS with ACM's certificate and behind TCP; access logs. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { get as httpsGet } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { ACMClient, ImportCertificateCommand } from "@aws-sdk/client-acm";
import { AuthorizeSecurityGroupIngressCommand, CreateSecurityGroupCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateServiceCommand, DeleteServiceCommand, UpdateServiceCommand, waitUntilServicesStable } from "@aws-sdk/client-ecs";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  ModifyLoadBalancerAttributesCommand,
  ModifyTargetGroupAttributesCommand,
  type ProtocolEnum,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { makeCertificates } from "../elbv2/support.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { openClient, openTasks, sh, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let elb: ElasticLoadBalancingV2Client;
let ca: Buffer;
let app: { arn: string; name: string };
let net: { arn: string; name: string };
let webGroup: string;
let tcpGroup: string;

const domain = "shop.example.com";
const check = { HealthCheckIntervalSeconds: 5, HealthCheckTimeoutSeconds: 2, HealthyThresholdCount: 2, UnhealthyThresholdCount: 2 };

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-instances-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
  const options = openClient(gantry);
  const ec2 = new EC2Client(options);
  elb = new ElasticLoadBalancingV2Client(options);
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({}));
  const VpcId = Subnets![0]!.VpcId!;
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "public", Description: "public" }));
  const everywhere = { IpProtocol: "tcp", FromPort: 80, ToPort: 443, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [everywhere] }));
  const made = async (Name: string, Type: "application" | "network") => {
    const { LoadBalancers } = await elb.send(
      new CreateLoadBalancerCommand({
        Name,
        Type,
        Subnets: Subnets!.map(({ SubnetId }) => SubnetId!),
        ...(Type === "application" ? { SecurityGroups: [GroupId!] } : {}),
      }),
    );
    return { arn: LoadBalancers![0]!.LoadBalancerArn!, name: LoadBalancers![0]!.DNSName! };
  };
  app = await made("shop", "application");
  net = await made("raw", "network");
  const group = async (Name: string, Protocol: ProtocolEnum) => {
    const { TargetGroups } = await elb.send(
      new CreateTargetGroupCommand({ Name, Protocol, Port: 80, VpcId, TargetType: "instance", ...check }),
    );
    const TargetGroupArn = TargetGroups![0]!.TargetGroupArn!;
    const Attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: "1" }];
    await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn, Attributes }));
    return TargetGroupArn;
  };
  webGroup = await group("web", "HTTP");
  tcpGroup = await group("tcp", "TCP");
  const [root, leaf] = await makeCertificates(["ca.example.com", domain]);
  ca = root!.certificate;
  const acm = new ACMClient(options);
  const { CertificateArn } = await acm.send(new ImportCertificateCommand({ Certificate: leaf!.certificate, PrivateKey: leaf!.key }));
  await elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: app.arn,
      Protocol: "HTTPS",
      Port: 443,
      Certificates: [{ CertificateArn }],
      DefaultActions: [{ Type: "forward", TargetGroupArn: webGroup }],
    }),
  );
  await elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: app.arn,
      Protocol: "HTTP",
      Port: 80,
      DefaultActions: [{ Type: "redirect", RedirectConfig: { Protocol: "HTTPS", Port: "443", StatusCode: "HTTP_301" } }],
    }),
  );
  await elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: net.arn,
      Protocol: "TCP",
      Port: 80,
      DefaultActions: [{ Type: "forward", TargetGroupArn: tcpGroup }],
    }),
  );
  const Attributes = Object.entries({ enabled: "true", bucket: "shop-logs", prefix: "web" });
  await elb.send(
    new ModifyLoadBalancerAttributesCommand({
      LoadBalancerArn: app.arn,
      Attributes: Attributes.map(([key, Value]) => ({ Key: `access_logs.s3.${key}`, Value })),
    }),
  );
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

/** By HTTPS to the load balancer's name, as a client that knows it as `shop.example.com`. */
const overTls = () =>
  new Promise<string>((resolve, reject) => {
    const options = { host: app.name, port: 443, servername: domain, ca, headers: { host: domain }, agent: false, timeout: 30_000 };
    const asked = httpsGet(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve(`${response.statusCode} ${text.trim()}`));
    });
    asked.on("timeout", () => asked.destroy(new Error("timeout"))).on("error", reject);
  });
const overTcp = () =>
  new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = connect(80, net.name, () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    socket.setTimeout(30_000, () => socket.destroy(new Error("timeout")));
    socket.on("data", (data) => (text += data.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(text.split("\r\n\r\n")[1]?.trim() ?? text));
  });
/** The healthy targets, `instance:port`. */
const ports = async (TargetGroupArn: string) => {
  const { TargetHealthDescriptions } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  return TargetHealthDescriptions!
    .filter(({ TargetHealth }) => TargetHealth!.State === "healthy")
    .map(({ Target }) => `${Target!.Id}:${Target!.Port}`)
    .toSorted();
};
/** A service is stable when its tasks run: their targets are healthy two checks later. */
const balanced = (count: number) =>
  eventually(`${count} healthy targets in both groups`, async () => {
    const targets = await ports(webGroup);
    assert.equal(targets.length, count);
    assert.deepEqual(await ports(tcpGroup), targets);
    return targets;
  });
const wait = () => waitUntilServicesStable({ client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 }, { services: ["shop"] });

test("targets are the instance with each task's own host port, in both groups", async () => {
  const family = await t.define([
    {
      ...sh("mkdir -p /www && hostname >/www/index.html && exec httpd -f -p 8080 -h /www"),
      portMappings: [{ containerPort: 8080, hostPort: 0 }],
    },
  ]);
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName: "shop",
      taskDefinition: family,
      desiredCount: 2,
      loadBalancers: [webGroup, tcpGroup].map((targetGroupArn) => ({ targetGroupArn, containerName: "main", containerPort: 8080 })),
    }),
  );
  await wait();
  const targets = await balanced(2);
  assert.ok(
    targets.every((each) => /^m?i-[0-9a-f]{17}:[3-6]\d{4}$/.test(each)),
    targets.join(" "),
  );
});

test("HTTPS with ACM's certificate and the redirect to it, and TCP: both tasks answer through both", async () => {
  const redirect = await fetch(`http://${app.name}/x?y=1`, { redirect: "manual", headers: { host: domain } });
  assert.deepEqual([redirect.status, redirect.headers.get("location")], [301, `https://${app.name}:443/x?y=1`]);
  const web = new Set<string>();
  const raw = new Set<string>();
  for (let i = 0; i < 8; i++) {
    web.add(await overTls());
    raw.add(await overTcp());
  }
  await until("answers of both tasks through both", async () => {
    if (web.size >= 2 && raw.size >= 2) return true;
    web.add(await overTls());
    raw.add(await overTcp());
    return undefined;
  });
  assert.equal(web.size, 2, [...web].join());
  assert.deepEqual([...raw].map((each) => `200 ${each}`).toSorted(), [...web].toSorted());
});

test("the service grows and shrinks, and its targets with it", async () => {
  for (const desiredCount of [3, 1]) {
    await t.ecs.send(new UpdateServiceCommand({ service: "shop", desiredCount }));
    await wait();
    await balanced(desiredCount);
    assert.match(await overTls(), /^200 \w+/);
  }
});

test("taken down: its targets are gone, and its access log is where its bucket would be", async () => {
  await t.ecs.send(new DeleteServiceCommand({ service: "shop", force: true }));
  await balanced(0);
  for (const { arn } of [app, net]) await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: arn }));
  const bucket = join(gantry.home, "buckets", "shop-logs");
  await eventually("the lines of the access log", () => {
    const files = globSync("web/AWSLogs/000000000000/elasticloadbalancing/us-east-1/*/*/*/*.log.gz", { cwd: bucket });
    const lines = files.flatMap((file) =>
      gunzipSync(readFileSync(join(bucket, file)))
        .toString()
        .trim()
        .split("\n"),
    );
    const asked = lines.filter((line) => line.startsWith("https ") && line.includes(`"GET https://${domain}:443/ HTTP/1.1"`));
    assert.ok(asked.length >= 8, lines.join("\n"));
    assert.ok(
      lines.some((line) => line.startsWith("http ") && line.includes(" 301 ")),
      lines.join("\n"),
    );
  });
});
