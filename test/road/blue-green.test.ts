/** Issue 5 on real tasks: blue/green deployments of a service of six under 200 requests a second, one that comes through and one that is rolled back, and not a request lost. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServiceDeploymentsCommand,
  DescribeServicesCommand,
  ListServiceDeploymentsCommand,
  type ServiceDeployment,
  UpdateServiceCommand,
  waitUntilServicesInactive,
} from "@aws-sdk/client-ecs";
import { DescribeRulesCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import { openBalanced } from "../support/balanced.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { type Load, startLoad } from "#cli/demo/load.ts";
import { fargateSize, httpd, openTasks, sleep, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let subnets: string[];
let group: string;
let url: string;
let testUrl: string;
let groups: string[];
let rules: string[];

/** The lifecycle hook: looks at what its stage is about, and answers. */
interface Asked {
  readonly stage: string;
  /** What the test listener answered ten times. */
  readonly tested: readonly string[];
  /** What production has answered so far. */
  readonly served: readonly string[];
}
const asked: Asked[] = [];
let load: Load | undefined;
let verdict: (stage: string) => string = () => "SUCCEEDED";
const hook = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  request.on("end", () => {
    const stage = (JSON.parse(text) as { lifecycleStage: string }).lifecycleStage;
    look(stage).then(
      () => response.end(JSON.stringify({ hookStatus: verdict(stage) })),
      (error: Error) => response.writeHead(500).end(error.message),
    );
  });
});
/** What the newest deployment serves, and the stages that its watcher has seen it in. */
let green = "one";
let seen: string[] = [];
async function look(stage: string): Promise<void> {
  const ask = async () => (await (await fetch(testUrl)).text()).trim();
  // HAProxy is told right after the record is written; and whoever looks from time to time is to see the stage that waits for this answer.
  await until(`${green} at the test listener`, async () => (await ask()) === green);
  if (stage === "POST_PRODUCTION_TRAFFIC_SHIFT" && load) await until(`${green} in production`, () => load!.answers.has(green));
  await until(`${stage} is seen`, () => seen.includes(stage));
  const tested: string[] = [];
  for (let i = 0; i < 10; i++) tested.push(await ask());
  asked.push({ stage, tested, served: [...(load?.answers.keys() ?? [])] });
}

before(async () => {
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  work = await mkdtemp(join(tmpdir(), "gantry-blue-green-"));
  gantry = await startGantry({
    open: true,
    env: {
      GANTRY_CPU_OVERCOMMIT: "8",
      GANTRY_FARGATE_RUNTIME: "runc",
      GANTRY_LIFECYCLE_HOOKS: JSON.stringify({ look: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/` }),
    },
  });
  t = await openTasks(gantry, work);
  const balanced = await openBalanced(gantry);
  ({ subnets, group } = balanced);
  url = `http://${balanced.host}/`;
  testUrl = `http://${balanced.host}:8080/`;
  groups = [await balanced.targetGroup("web-1"), await balanced.targetGroup("web-2")];
  const rule = async (port: number) => {
    const { Rules } = await balanced.elb.send(new DescribeRulesCommand({ ListenerArn: await balanced.listener(port, groups[0]!) }));
    return Rules![0]!.RuleArn!;
  };
  rules = [await rule(80), await rule(8080)];
});
after(async () => {
  await load?.stop();
  hook.close();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const define = (version: string) => t.define([httpd(version)], fargateSize);

async function newest(): Promise<ServiceDeployment> {
  const { serviceDeployments } = await t.ecs.send(new ListServiceDeploymentsCommand({ service: "web" }));
  const serviceDeploymentArns = [serviceDeployments![0]!.serviceDeploymentArn!];
  return (await t.ecs.send(new DescribeServiceDeploymentsCommand({ serviceDeploymentArns }))).serviceDeployments![0]!;
}

/** Waits for the newest deployment's end, and collects the stages that it is seen in. */
async function ended(status: string): Promise<string[]> {
  const stages: string[] = [];
  seen = stages;
  let now: ServiceDeployment;
  const look = async () => {
    now = await newest();
    if (now.status === "IN_PROGRESS" && now.lifecycleStage !== stages.at(-1)) stages.push(now.lifecycleStage!);
    return now.status === status;
  };
  const said = async () => {
    const { services } = await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
    return `${now.status} at ${now.lifecycleStage}: ${now.statusReason}; ${JSON.stringify(services![0]!.events!.slice(0, 4))}`;
  };
  await until(status, look, { ms: 240_000, seen: said });
  return stages;
}

test("a blue/green deployment loses no request, and the test listener sees green before production does", async () => {
  await t.ecs.send(
    new CreateServiceCommand({
      serviceName: "web",
      taskDefinition: await define("one"),
      desiredCount: 6,
      launchType: "FARGATE",
      loadBalancers: [
        {
          targetGroupArn: groups[0]!,
          containerName: "main",
          containerPort: 8080,
          advancedConfiguration: {
            alternateTargetGroupArn: groups[1]!,
            productionListenerRule: rules[0]!,
            testListenerRule: rules[1]!,
            roleArn: "arn:aws:iam::000000000000:role/ecsInfrastructureRole",
          },
        },
      ],
      networkConfiguration: { awsvpcConfiguration: { subnets, securityGroups: [group] } },
      healthCheckGracePeriodSeconds: 30,
      deploymentConfiguration: {
        strategy: "BLUE_GREEN",
        bakeTimeInMinutes: 0,
        lifecycleHooks: [
          {
            hookTargetArn: "arn:aws:lambda:us-east-1:000000000000:function:look",
            roleArn: "arn:aws:iam::000000000000:role/hook",
            lifecycleStages: ["POST_TEST_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"],
          },
        ],
      },
    }),
  );
  await ended("SUCCESSFUL");
  asked.length = 0;
  green = "two";
  load = startLoad(url, 200, 300);
  await sleep(1000);
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: await define("two") }));
  const stages = await ended("SUCCESSFUL");
  await sleep(1000);
  await load.stop();
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()], ["one", "two"]);
  assert.ok(load.sent > 1000, `${load.sent}`);
  const two = Array.from({ length: 10 }, () => "two");
  assert.deepEqual(asked, [
    { stage: "POST_TEST_TRAFFIC_SHIFT", tested: two, served: ["one"] },
    { stage: "POST_PRODUCTION_TRAFFIC_SHIFT", tested: two, served: ["one", "two"] },
  ]);
  for (const stage of ["SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "CLEAN_UP"])
    assert.ok(stages.includes(stage), stages.join());
});

test("a deployment that its hook refuses when production has shifted goes back in one step, and loses no request", async () => {
  verdict = (stage) => (stage === "POST_PRODUCTION_TRAFFIC_SHIFT" ? "FAILED" : "SUCCEEDED");
  asked.length = 0;
  green = "three";
  load = startLoad(url, 200, 300);
  await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: await define("three") }));
  await ended("ROLLBACK_SUCCESSFUL");
  await eventually("nobody sees it any more", async () => {
    const before = load!.answers.get("three");
    await sleep(1000);
    assert.equal(load!.answers.get("three"), before);
  });
  await load.stop();
  assert.deepEqual(load.failures.slice(0, 10), []);
  assert.deepEqual([...load.answers.keys()], ["two", "three"]);
  assert.match((await newest()).statusReason!, /function:look failed at POST_PRODUCTION_TRAFFIC_SHIFT: it answered FAILED/);
  await eventually("six tasks of one deployment", async () => {
    const { services } = await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
    assert.deepEqual([services![0]!.runningCount, services![0]!.deployments!.length], [6, 1]);
  });
  await t.ecs.send(new DeleteServiceCommand({ service: "web", force: true }));
  await waitUntilServicesInactive({ client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 }, { services: ["web"] });
});
