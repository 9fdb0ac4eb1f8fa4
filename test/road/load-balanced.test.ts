/** Issue 5 on real tasks: a service of six behind a load balancer, updated under 200 requests a second, and not one of them lost. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  type Service,
  UpdateServiceCommand,
  waitUntilServicesInactive,
  waitUntilServicesStable,
} from "@aws-sdk/client-ecs";
import { CloudWatchClient, GetMetricStatisticsCommand } from "@aws-sdk/client-cloudwatch";
import {
  DeleteListenerCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeTargetHealthCommand,
  type ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { openBalanced } from "../support/balanced.ts";
import { type Family, neverFalls, parseExposition } from "../support/exposition.ts";
import { repository, type RunningGantry, startGantry } from "../support/gantry.ts";
import { startLoad } from "#cli/demo/load.ts";
import { fargateSize, httpd, openClient, openTasks, sh, sleep, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let elb: ElasticLoadBalancingV2Client;
let subnets: string[];
let group: string;
let url: string;
let loadBalancerArn: string;
let targetGroupArn: string;
let listenerArn: string;
let cloudwatch: CloudWatchClient;
/** Requests that were answered. */
let sent = 0;
let scraped: ReadonlyMap<string, Family>;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-balanced-"));
  // Twelve small tasks at once on two cores; what isolates them is not the question here.
  gantry = await startGantry({ open: true, env: { GANTRY_CPU_OVERCOMMIT: "8", GANTRY_FARGATE_RUNTIME: "runc" } });
  t = await openTasks(gantry, work);
  const balanced = await openBalanced(gantry);
  ({ elb, subnets, group, loadBalancerArn } = balanced);
  url = `http://${balanced.host}/`;
  targetGroupArn = await balanced.targetGroup("web");
  listenerArn = await balanced.listener(80, targetGroupArn);
  cloudwatch = new CloudWatchClient(openClient(gantry));
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const define = (version: string, container = httpd(version)) => t.define([container], fargateSize);
const wait = () => ({ client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 });
const service = async (): Promise<Service> => (await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }))).services![0]!;
async function becomes(what: string, good: (now: Service) => boolean): Promise<void> {
  let now: Service;
  const seen = () => `${JSON.stringify(now.deployments)} ${JSON.stringify(now.events!.slice(0, 5))}`;
  await until(what, async () => good((now = await service())), { ms: 240_000, every: 250, seen });
}

async function scrape(): Promise<ReadonlyMap<string, Family>> {
  const response = await fetch(`${gantry.endpoint}/metrics`);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(await response.text());
}
const valueOf = (families: ReadonlyMap<string, Family>, name: string) => families.get(name)?.samples.get(name)?.value;

test("six tasks are healthy targets, and the load balancer answers by its name", async () => {
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition: await define("one"),
      desiredCount: 6,
      launchType: "FARGATE",
      loadBalancers: [{ targetGroupArn, containerName: "main", containerPort: 8080 }],
      networkConfiguration: { awsvpcConfiguration: { subnets, securityGroups: [group] } },
      healthCheckGracePeriodSeconds: 30,
      deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
    }),
  );
  scraped = await scrape();
  assert.equal(valueOf(scraped, "gantry_load_balancer_requests_total"), 0);
  await waitUntilServicesStable(wait(), { services: ["web"] });
  await becomes("steady", ({ events }) => events!.some(({ message }) => message!.includes("steady state")));
  // A service is stable when its tasks run: their targets are healthy two checks later.
  await eventually("six healthy targets", async () => {
    const { TargetHealthDescriptions: targets } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }));
    assert.deepEqual(
      targets!.map(({ TargetHealth }) => TargetHealth!.State),
      Array.from({ length: 6 }, () => "healthy"),
    );
  });
  const load = startLoad(url, 50, 2);
  await sleep(1000);
  await load.stop();
  sent += load.sent;
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()], ["one"]);
});

test("a rolling deployment loses no request", async () => {
  const load = startLoad(url, 200, 300);
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: await define("two") }));
  await becomes("rolled out", ({ deployments }) => deployments!.length === 1 && deployments![0]!.rolloutState === "COMPLETED");
  await sleep(2000);
  await load.stop();
  sent += load.sent;
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()].toSorted(), ["one", "two"]);
  assert.ok(load.sent > 1000, `${load.sent}`);
});

test("a deployment whose tasks fail the load balancer's checks is rolled back, and loses no request", async () => {
  const load = startLoad(url, 200, 300);
  // It runs and answers, but not with a page.
  const broken = await define("broken", { ...httpd("broken"), ...sh("mkdir -p /www && exec httpd -f -p 8080 -h /www") });
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: broken, healthCheckGracePeriodSeconds: 0 }));
  await becomes("rolled back", ({ deployments, events }) => {
    const [primary] = deployments!;
    return (
      primary!.taskDefinition !== undefined &&
      !primary!.taskDefinition.includes(broken) &&
      events!.some(({ message }) => message!.includes("rolling back"))
    );
  });
  await becomes("steady again", ({ runningCount, deployments }) => runningCount === 6 && deployments!.length === 1);
  await load.stop();
  sent += load.sent;
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()], ["two"]);
});

test("CloudWatch has every request once, and how long it took", async () => {
  const began = Date.now() - 1_800_000;
  const balancer = { Name: "LoadBalancer", Value: loadBalancerArn.split(":loadbalancer/")[1]! };
  const both = [balancer, { Name: "TargetGroup", Value: targetGroupArn.split(":").at(-1)! }];
  const metric = async (MetricName: string, Dimensions: typeof both, more: object) => {
    const window = { StartTime: new Date(began), EndTime: new Date(Date.now() + 60_000), Period: 3600 };
    const asked = { Namespace: "AWS/ApplicationELB", MetricName, Dimensions, ...window, ...more };
    return (await cloudwatch.send(new GetMetricStatisticsCommand(asked))).Datapoints!;
  };
  const sum = async (name: string, dimensions = both) =>
    (await metric(name, dimensions, { Statistics: ["Sum"] })).reduce((all, { Sum = 0 }) => all + Sum, 0);
  // A listener that goes says at once what it has carried.
  await elb.send(new DeleteListenerCommand({ ListenerArn: listenerArn }));
  await eventually("all of it", async () => {
    assert.equal(await sum("RequestCount"), sent);
    assert.equal(await sum("RequestCount", [balancer]), sent);
    assert.equal(await sum("HTTPCode_Target_2XX_Count", [balancer]), sent);
    assert.ok((await sum("ProcessedBytes", [balancer])) > sent * 200);
  });
  assert.equal(await sum("HTTPCode_ELB_5XX_Count", [balancer]), 0);
  for (const { ExtendedStatistics } of await metric("TargetResponseTime", both, { ExtendedStatistics: ["p50", "p99"] })) {
    const { p50, p99 } = ExtendedStatistics!;
    assert.ok(p50! > 0.0001 && p50! < 0.5 && p99! >= p50! && p99! < 5, `p50 ${p50}, p99 ${p99}`);
  }
});

test("Prometheus has them too, in its own format, and every series of examples/prometheus", async () => {
  const now = await eventually("all requests, and the agent", async () => {
    const families = await scrape();
    assert.equal(valueOf(families, "gantry_load_balancer_requests_total"), sent);
    assert.ok(valueOf(families, "gantry_load_balancer_bytes_total")! > sent * 200);
    assert.equal(valueOf(families, "gantry_agents_connected"), 1);
    return families;
  });
  neverFalls(scraped, now);
  assert.equal(valueOf(now, "gantry_load_balancer_target_errors_total"), 0);
  assert.ok(valueOf(now, "gantry_metric_series")! > 10);
  const calls = (of: ReadonlyMap<string, Family>) =>
    of.get("gantry_requests_total")!.samples.get('gantry_requests_total{service="ecs",operation="CreateService",status="200"}')?.value;
  assert.deepEqual([calls(scraped), calls(now)], [1, 1]);
  const directory = join(repository, "examples", "prometheus");
  const texts = await Promise.all((await readdir(directory)).map((name) => readFile(join(directory, name), "utf8")));
  const named = new Set(texts.flatMap((text) => text.match(/\b(gantry|process|nodejs)_[a-z_]+\b/g) ?? []));
  assert.ok(named.size > 8, [...named].join(" "));
  const known = new Set([...now].flatMap(([name, { samples }]) => [name, ...[...samples.values()].map((each) => each.name)]));
  assert.deepEqual(
    [...named].filter((name) => !known.has(name)),
    [],
  );
});

test("taken down: no target, no name, nothing left", async () => {
  await t.ecs.send(new DeleteServiceCommand({ service: "web", force: true }));
  await waitUntilServicesInactive(wait(), { services: ["web"] });
  await eventually("no target", async () => {
    const { TargetHealthDescriptions: targets } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }));
    assert.deepEqual(targets, []);
  });
  await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: loadBalancerArn }));
  await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: targetGroupArn }));
  await eventually("nobody answers", async () => {
    const load = startLoad(url, 10, 1);
    await sleep(500);
    await load.stop();
    assert.ok(load.failures.length > 0);
    assert.equal(load.answers.size, 0);
  });
});
