/** Issue 5 on real tasks: a service of six behind a load balancer, updated under 200 requests a second, and not one of them lost. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
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
import {
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DescribeTargetHealthCommand,
  type ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { openBalanced } from "../support/balanced.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { startLoad } from "#cli/demo/load.ts";
import { fargateSize, httpd, openTasks, sh, sleep, type Tasks } from "../support/tasks.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let elb: ElasticLoadBalancingV2Client;
let subnets: string[];
let group: string;
let url: string;
let loadBalancerArn: string;
let targetGroupArn: string;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-balanced-"));
  // Twelve small tasks at once on two cores; what isolates them is not the question here.
  gantry = await startGantry({ open: true, env: { GANTRY_CPU_OVERCOMMIT: "8", GANTRY_FARGATE_RUNTIME: "runc" } });
  t = await openTasks(gantry, work);
  const balanced = await openBalanced(gantry);
  ({ elb, subnets, group, loadBalancerArn } = balanced);
  url = `http://${balanced.host}/`;
  targetGroupArn = await balanced.targetGroup("web");
  await balanced.listener(80, targetGroupArn);
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const define = (version: string, container = httpd(version)) => t.define([container], fargateSize);
const wait = () => ({ client: t.ecs, maxWaitTime: 120, minDelay: 1, maxDelay: 1 });
const service = async (): Promise<Service> => (await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }))).services![0]!;
async function until(what: string, good: (now: Service) => boolean, ms = 120_000): Promise<Service> {
  const end = Date.now() + ms;
  for (;;) {
    const now = await service();
    if (good(now)) return now;
    if (Date.now() > end)
      assert.fail(`not within ${ms} ms: ${what}: ${JSON.stringify(now.deployments)} ${JSON.stringify(now.events!.slice(0, 5))}`);
    await sleep(250);
  }
}

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
  await waitUntilServicesStable(wait(), { services: ["web"] });
  await until("steady", ({ events }) => events!.some(({ message }) => message!.includes("steady state")));
  const { TargetHealthDescriptions: targets } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }));
  assert.deepEqual(
    targets!.map(({ TargetHealth }) => TargetHealth!.State),
    Array.from({ length: 6 }, () => "healthy"),
  );
  const load = startLoad(url, 50, 2);
  await sleep(1000);
  await load.stop();
  assert.deepEqual([...load.answers.keys()], ["one"], load.failures.slice(0, 5).join("\n"));
});

test("a rolling deployment loses no request", async () => {
  const load = startLoad(url, 200, 120);
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: await define("two") }));
  await until("rolled out", ({ deployments }) => deployments!.length === 1 && deployments![0]!.rolloutState === "COMPLETED");
  await sleep(2000);
  await load.stop();
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()].toSorted(), ["one", "two"]);
  assert.ok(load.sent > 1000, `${load.sent}`);
});

test("a deployment whose tasks fail the load balancer's checks is rolled back, and loses no request", async () => {
  const load = startLoad(url, 200, 120);
  // It runs and answers, but not with a page.
  const broken = await define("broken", { ...httpd("broken"), ...sh("mkdir -p /www && exec httpd -f -p 8080 -h /www") });
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: broken, healthCheckGracePeriodSeconds: 0 }));
  await until("rolled back", ({ deployments, events }) => {
    const [primary] = deployments!;
    return (
      primary!.taskDefinition !== undefined &&
      !primary!.taskDefinition.includes(broken) &&
      events!.some(({ message }) => message!.includes("rolling back"))
    );
  });
  await until("steady again", ({ runningCount, deployments }) => runningCount === 6 && deployments!.length === 1);
  await load.stop();
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()], ["two"]);
});

test("taken down: no target, no name, nothing left", async () => {
  await t.ecs.send(new DeleteServiceCommand({ service: "web", force: true }));
  await waitUntilServicesInactive(wait(), { services: ["web"] });
  const end = Date.now() + 20_000;
  for (;;) {
    const { TargetHealthDescriptions: targets } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn }));
    if (targets!.length === 0) break;
    assert.ok(Date.now() < end, JSON.stringify(targets));
    await sleep(250);
  }
  await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: loadBalancerArn }));
  await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: targetGroupArn }));
  await sleep(1000);
  const load = startLoad(url, 10, 1);
  await sleep(500);
  await load.stop();
  assert.equal(load.answers.size, 0);
});
