/** Deployment strategies through HTTP by the SDK: what is accepted, what is refused and how, listeners as Elastic Load Balancing shows them, hooks by real HTTP. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateSubnetCommand,
  CreateVpcCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  type CreateServiceCommandInput,
  type DeploymentConfiguration,
  DescribeServiceDeploymentsCommand,
  DescribeServiceRevisionsCommand,
  DescribeServicesCommand,
  ECSClient,
  ListServiceDeploymentsCommand,
  RegisterTaskDefinitionCommand,
  type ServiceDeployment,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateRuleCommand,
  CreateTargetGroupCommand,
  DescribeRulesCommand,
  ElasticLoadBalancingV2Client,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let ecs: ECSClient;
let elb: ElasticLoadBalancingV2Client;
let subnets: string[];
let blue: string;
let green: string;
let lonely: string;
let production: string;
let test_: string;
let fixed: string;

/** What lifecycle hooks call. */
const asked: { readonly type: string | undefined; readonly body: Record<string, unknown> }[] = [];
let answer: { readonly status: number; readonly text: string } = { status: 200, text: '{"hookStatus":"SUCCEEDED"}' };
const hooks = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (piece: string) => (text += piece));
  request.on("end", () => {
    asked.push({ type: request.headers["content-type"], body: JSON.parse(text) as Record<string, unknown> });
    response.writeHead(answer.status).end(answer.text);
  });
});
const hookArn = "arn:aws:lambda:us-east-1:000000000000:function:approve";

before(async () => {
  await new Promise<void>((resolve) => hooks.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(hooks.address() as AddressInfo).port}/approve`;
  server = await startServer({
    parts: (deps) => [createEc2(deps), createElbv2(deps), createEcs(deps)],
    config: { lifecycleHooks: JSON.stringify({ approve: url }) },
  });
  ecs = new ECSClient(server.sdk());
  elb = new ElasticLoadBalancingV2Client(server.sdk());
  const ec2 = new EC2Client(server.sdk());
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.9.0.0/16" }));
  const VpcId = Vpc!.VpcId!;
  const { InternetGateway } = await ec2.send(new CreateInternetGatewayCommand({}));
  await ec2.send(new AttachInternetGatewayCommand({ VpcId, InternetGatewayId: InternetGateway!.InternetGatewayId }));
  subnets = [];
  for (const [at, zone] of ["a", "b"].entries()) {
    const made = await ec2.send(new CreateSubnetCommand({ VpcId, CidrBlock: `10.9.${at}.0/24`, AvailabilityZone: `us-east-1${zone}` }));
    subnets.push(made.Subnet!.SubnetId!);
  }
  const { LoadBalancers } = await elb.send(new CreateLoadBalancerCommand({ Name: "web", Subnets: subnets }));
  const { LoadBalancerArn } = LoadBalancers![0]!;
  const group = async (Name: string, Protocol: "HTTP" | "HTTPS" = "HTTP") =>
    (await elb.send(new CreateTargetGroupCommand({ Name, Protocol, Port: 80, VpcId, TargetType: "ip" }))).TargetGroups![0]!.TargetGroupArn!;
  [blue, green, lonely] = [await group("blue"), await group("green"), await group("lonely", "HTTPS")];
  const listener = async (Port: number) => {
    const DefaultActions = [{ Type: "fixed-response" as const, FixedResponseConfig: { StatusCode: "404" } }];
    const made = await elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port, DefaultActions }));
    return made.Listeners![0]!.ListenerArn!;
  };
  const ListenerArn = await listener(80);
  const rule = async (path: string, Priority: number, action: object) => {
    const Conditions = [{ Field: "path-pattern", Values: [path] }];
    const made = await elb.send(new CreateRuleCommand({ ListenerArn, Priority, Conditions, Actions: [action as { Type: "forward" }] }));
    return made.Rules![0]!.RuleArn!;
  };
  production = await rule("/web*", 1, { Type: "forward", TargetGroupArn: blue });
  test_ = await rule("/test*", 2, { Type: "forward", TargetGroupArn: blue });
  fixed = await rule("/gone*", 3, { Type: "fixed-response", FixedResponseConfig: { StatusCode: "410" } });
  await ecs.send(new CreateClusterCommand({ clusterName: "default" }));
  for (const image of ["one", "two"])
    await ecs.send(
      new RegisterTaskDefinitionCommand({
        family: "web",
        networkMode: "awsvpc",
        cpu: "256",
        memory: "512",
        requiresCompatibilities: ["FARGATE"],
        containerDefinitions: [{ name: "main", image, portMappings: [{ containerPort: 80 }] }],
      }),
    );
});
after(async () => {
  ecs.destroy();
  elb.destroy();
  hooks.close();
  await server.close();
});

const advanced = () => ({
  alternateTargetGroupArn: green,
  productionListenerRule: production,
  testListenerRule: test_,
  roleArn: "arn:aws:iam::000000000000:role/ecs",
});
const loadBalancers = (change: object = {}): CreateServiceCommandInput["loadBalancers"] => [
  { targetGroupArn: blue, containerName: "main", containerPort: 80, advancedConfiguration: { ...advanced(), ...change } },
];
/** Nobody serves: what passes are the stages. */
const input = (
  serviceName: string,
  deploymentConfiguration: DeploymentConfiguration,
  more: Partial<CreateServiceCommandInput> = {},
): CreateServiceCommandInput => ({
  serviceName,
  taskDefinition: "web:1",
  desiredCount: 0,
  launchType: "FARGATE",
  networkConfiguration: { awsvpcConfiguration: { subnets } },
  deploymentConfiguration,
  ...more,
});
const create = (...given: Parameters<typeof input>) => ecs.send(new CreateServiceCommand(input(...given)));

async function newest(service: string): Promise<ServiceDeployment> {
  const { serviceDeployments } = await ecs.send(new ListServiceDeploymentsCommand({ service }));
  const serviceDeploymentArns = [serviceDeployments![0]!.serviceDeploymentArn!];
  return (await ecs.send(new DescribeServiceDeploymentsCommand({ serviceDeploymentArns }))).serviceDeployments![0]!;
}
const ended = (service: string, status: string) =>
  until(`${service} is ${status}`, async () => {
    const deployment = await newest(service);
    return deployment.status === status && deployment;
  });
async function weights(rule: string): Promise<Record<string, number>> {
  const { Rules } = await elb.send(new DescribeRulesCommand({ RuleArns: [rule] }));
  const names = new Map([
    [blue, "blue"],
    [green, "green"],
  ]);
  return Object.fromEntries(
    Rules![0]!.Actions![0]!.ForwardConfig!.TargetGroups!.map((each) => [names.get(each.TargetGroupArn!), each.Weight!]),
  );
}

test("target groups change their parts with each deployment, and the rules say so", async () => {
  const configuration = { strategy: "BLUE_GREEN" as const, bakeTimeInMinutes: 0 };
  const { service } = await create("parts", configuration, { loadBalancers: loadBalancers() });
  assert.equal(service!.deploymentConfiguration!.strategy, "BLUE_GREEN");
  assert.deepEqual(service!.loadBalancers, loadBalancers());
  await ended("parts", "SUCCESSFUL");
  assert.deepEqual(await weights(production), { blue: 100, green: 0 });
  for (const [at, [own, other]] of [
    ["green", "blue"],
    ["blue", "green"],
  ].entries()) {
    await ecs.send(new UpdateServiceCommand({ service: "parts", taskDefinition: `web:${at + 1}`, forceNewDeployment: true }));
    const { targetServiceRevision, sourceServiceRevisions, lifecycleStage } = await ended("parts", "SUCCESSFUL");
    assert.equal(lifecycleStage, "CLEAN_UP");
    assert.deepEqual(
      [targetServiceRevision!.requestedProductionTrafficWeight, targetServiceRevision!.requestedTestTrafficWeight],
      [100, 100],
    );
    assert.deepEqual(
      [sourceServiceRevisions![0]!.requestedProductionTrafficWeight, sourceServiceRevisions![0]!.requestedTestTrafficWeight],
      [0, 0],
    );
    assert.deepEqual(await weights(production), { [own!]: 100, [other!]: 0 });
    assert.deepEqual(await weights(test_), { [own!]: 100, [other!]: 0 });
    const { serviceRevisions } = await ecs.send(
      new DescribeServiceRevisionsCommand({ serviceRevisionArns: [targetServiceRevision!.arn!] }),
    );
    assert.deepEqual(serviceRevisions![0]!.resolvedConfiguration!.loadBalancers, [
      { targetGroupArn: own === "green" ? green : blue, productionListenerRule: production },
    ]);
  }
  const { services } = await ecs.send(new DescribeServicesCommand({ services: ["parts"] }));
  assert.deepEqual(services![0]!.deploymentController, { type: "ECS" });
});

test("configurations come back as given", async () => {
  const lifecycleHooks = [
    {
      hookTargetArn: hookArn,
      roleArn: "arn:aws:iam::000000000000:role/hook",
      lifecycleStages: ["POST_SCALE_UP" as const],
      hookDetails: { a: [1, { b: "c" }] },
    },
    {
      targetType: "PAUSE" as const,
      lifecycleStages: ["PRE_SCALE_UP" as const],
      timeoutConfiguration: { timeoutInMinutes: 5, action: "CONTINUE" as const },
    },
  ];
  const given = {
    strategy: "LINEAR" as const,
    bakeTimeInMinutes: 3,
    linearConfiguration: { stepPercent: 12.5, stepBakeTimeInMinutes: 0 },
    lifecycleHooks,
  };
  const { service } = await create("given", given);
  assert.deepEqual(service!.deploymentConfiguration, { ...given, minimumHealthyPercent: 100, maximumPercent: 200 });
  const changed = await ecs.send(
    new UpdateServiceCommand({
      service: "given",
      deploymentConfiguration: { strategy: "CANARY", canaryConfiguration: { canaryPercent: 1.5 }, lifecycleHooks: [] },
    }),
  );
  assert.equal(changed.service!.deploymentConfiguration!.strategy, "CANARY");
  assert.deepEqual(changed.service!.deploymentConfiguration!.canaryConfiguration, { canaryPercent: 1.5 });
  // Its first deployment comes there in its own time, and waits there.
  const lifecycleHookDetails = await until("it pauses", async () => {
    const { lifecycleStage, lifecycleHookDetails: details } = await newest("given");
    return lifecycleStage === "PRE_SCALE_UP" && details?.length !== 0 && details;
  });
  assert.deepEqual(
    lifecycleHookDetails.map(({ targetType, status, timeoutAction }) => [targetType, status, timeoutAction]),
    [["PAUSE", "AWAITING_ACTION", "CONTINUE"]],
  );
});

const hooked = (more: object): DeploymentConfiguration => ({
  strategy: "BLUE_GREEN",
  lifecycleHooks: [{ hookTargetArn: hookArn, lifecycleStages: ["PRE_SCALE_UP"], ...more }],
});
const blueGreen: DeploymentConfiguration = { strategy: "BLUE_GREEN" };
const refusals: readonly (readonly [string, DeploymentConfiguration, (() => Partial<CreateServiceCommandInput>) | undefined, RegExp])[] = [
  ["a strategy that is none", { strategy: "RED" as "ROLLING" }, undefined, /strategy/],
  [
    "a daemon",
    blueGreen,
    () => ({ schedulingStrategy: "DAEMON", desiredCount: undefined, launchType: "EC2" }),
    /daemon scheduling strategy does not support the BLUE_GREEN/,
  ],
  [
    "another controller",
    blueGreen,
    () => ({
      deploymentController: { type: "EXTERNAL" },
      taskDefinition: undefined,
      launchType: undefined,
      networkConfiguration: undefined,
    }),
    /ECS deployment controller only/,
  ],
  [
    "no advancedConfiguration",
    blueGreen,
    () => ({ loadBalancers: [{ targetGroupArn: blue, containerName: "main", containerPort: 80 }] }),
    /advancedConfiguration is required/,
  ],
  [
    "no alternate group",
    blueGreen,
    () => ({ loadBalancers: loadBalancers({ alternateTargetGroupArn: undefined }) }),
    /alternateTargetGroupArn is required/,
  ],
  [
    "one group twice",
    blueGreen,
    () => ({ loadBalancers: loadBalancers({ alternateTargetGroupArn: blue }) }),
    /must be different target groups/,
  ],
  [
    "a group that is not there",
    blueGreen,
    () => ({ loadBalancers: loadBalancers({ alternateTargetGroupArn: `${green}0` }) }),
    /does not exist/,
  ],
  ["groups of two kinds", blueGreen, () => ({ loadBalancers: loadBalancers({ alternateTargetGroupArn: lonely }) }), /same protocol/],
  [
    "no production rule",
    blueGreen,
    () => ({ loadBalancers: loadBalancers({ productionListenerRule: undefined }) }),
    /productionListenerRule is required/,
  ],
  [
    "a rule that is not there",
    blueGreen,
    () => ({ loadBalancers: loadBalancers({ productionListenerRule: `${production}0` }) }),
    /productionListenerRule does not exist/,
  ],
  ["one rule for both", blueGreen, () => ({ loadBalancers: loadBalancers({ testListenerRule: production }) }), /must be different/],
  ["a rule that does not forward", blueGreen, () => ({ loadBalancers: loadBalancers({ testListenerRule: fixed }) }), /forward action only/],
  [
    "a listener of an application load balancer",
    blueGreen,
    () => ({
      loadBalancers: loadBalancers({ testListenerRule: production.replace("listener-rule/", "listener/").replace(/\/[^/]+$/, "") }),
    }),
    /forward action only|listener rule/,
  ],
  [
    "a bake time beyond a day",
    { strategy: "BLUE_GREEN", bakeTimeInMinutes: 1441 },
    undefined,
    /bakeTimeInMinutes must be an integer between 0 and 1440/,
  ],
  [
    "a linear configuration of another",
    { strategy: "CANARY", linearConfiguration: { stepPercent: 10 } },
    undefined,
    /linearConfiguration is supported with the LINEAR/,
  ],
  [
    "a canary configuration of another",
    { strategy: "LINEAR", canaryConfiguration: {} },
    undefined,
    /canaryConfiguration is supported with the CANARY/,
  ],
  [
    "steps too small",
    { strategy: "LINEAR", linearConfiguration: { stepPercent: 2.9 } },
    undefined,
    /stepPercent must be a multiple of 0.1 between 3.0/,
  ],
  ["steps too fine", { strategy: "LINEAR", linearConfiguration: { stepPercent: 10.05 } }, undefined, /multiple of 0.1/],
  [
    "a canary of nothing",
    { strategy: "CANARY", canaryConfiguration: { canaryPercent: 0 } },
    undefined,
    /canaryPercent must be a multiple of 0.1 between 0.1/,
  ],
  ["hooks of rolling updates", { ...hooked({}), strategy: "ROLLING" }, undefined, /not supported with the ROLLING/],
  ["a hook that is no function", hooked({ hookTargetArn: "http://127.0.0.1/" }), undefined, /ARN of a Lambda function/],
  ["a function without a URL", hooked({ hookTargetArn: `${hookArn}-not` }), undefined, /GANTRY_LIFECYCLE_HOOKS/],
  ["no stages", hooked({ lifecycleStages: [] }), undefined, /lifecycleStages of a lifecycle hook cannot be empty/],
  ["a stage without hooks", hooked({ lifecycleStages: ["BAKE_TIME"] }), undefined, /lifecycleStages/],
  ["details that are no object", hooked({ hookDetails: [1] }), undefined, /JSON object/],
  [
    "a pause while traffic shifts",
    hooked({ targetType: "PAUSE", hookTargetArn: undefined, lifecycleStages: ["TEST_TRAFFIC_SHIFT"] }),
    undefined,
    /cannot be configured at TEST_TRAFFIC_SHIFT/,
  ],
  ["a pause with a target", hooked({ targetType: "PAUSE" }), undefined, /not supported for PAUSE/],
  ["a timeout of nothing", hooked({ timeoutConfiguration: { timeoutInMinutes: 0 } }), undefined, /between 1 and 20160/],
];
for (const [what, configuration, more, message] of refusals) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(create("refused", configuration, more?.()), (error: Error) => {
      assert.equal(error.name, "InvalidParameterException", error.message);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a service that has no alternate target group cannot become blue/green by UpdateService", async () => {
  await create("plain", { strategy: "ROLLING" }, { loadBalancers: [{ targetGroupArn: blue, containerName: "main", containerPort: 80 }] });
  await ended("plain", "SUCCESSFUL");
  await assert.rejects(
    ecs.send(new UpdateServiceCommand({ service: "plain", deploymentConfiguration: blueGreen })),
    /advancedConfiguration is required/,
  );
});

test("a hook is a POST with AWS's payload; what is no answer rolls back and says why", async () => {
  asked.length = 0;
  await create("hooked", hooked({ hookDetails: { who: "me" } }));
  const first = await ended("hooked", "SUCCESSFUL");
  const arn = "arn:aws:ecs:us-east-1:000000000000";
  assert.equal(asked.length, 1);
  assert.equal(asked[0]!.type, "application/json");
  const { executionId, ...payload } = asked[0]!.body;
  assert.ok(typeof executionId === "string" && executionId !== "");
  assert.deepEqual(payload, {
    lifecycleStage: "PRE_SCALE_UP",
    resourceArn: first.serviceDeploymentArn,
    executionDetails: {
      testTrafficWeights: {},
      productionTrafficWeights: { [first.targetServiceRevision!.arn!]: 0 },
      serviceArn: `${arn}:service/default/hooked`,
      targetServiceRevisionArn: first.targetServiceRevision!.arn!,
    },
    hookDetails: { who: "me" },
  });
  for (const [status, text, reason] of [
    [500, "{}", /it answered 500/],
    [200, "fine", /its answer is not JSON/],
    [200, '{"hookStatus":"FAILED"}', /it answered FAILED/],
    [200, '{"hookStatus":"IN_PROGRESS","callBackDelay":"soon"}', /callBackDelay/],
  ] as const) {
    answer = { status, text };
    await ecs.send(new UpdateServiceCommand({ service: "hooked", forceNewDeployment: true }));
    const failed = await ended("hooked", "ROLLBACK_SUCCESSFUL");
    assert.match(failed.statusReason!, reason);
    assert.match(failed.statusReason!, new RegExp(`${hookArn} failed at PRE_SCALE_UP`));
  }
});

test("a file of hooks counts as it is now", async () => {
  const file = join(server.home, "hooks.json");
  const { port } = hooks.address() as AddressInfo;
  Object.assign(server.deps.config, { lifecycleHooks: file });
  await assert.rejects(create("filed", hooked({})), /GANTRY_LIFECYCLE_HOOKS can't be read/);
  await writeFile(file, JSON.stringify({ [hookArn]: "ftp://127.0.0.1/" }));
  await assert.rejects(create("filed", hooked({})), /no http\(s\) URL/);
  answer = { status: 200, text: '{"hookStatus":"SUCCEEDED"}' };
  await writeFile(file, JSON.stringify({ [hookArn]: `http://127.0.0.1:${port}/` }));
  await create("filed", hooked({ hookTargetArn: `${hookArn}:live` }));
  await ended("filed", "SUCCESSFUL");
});
