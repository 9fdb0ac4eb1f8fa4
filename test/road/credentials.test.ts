/** Issue 6, "The enforcement": what a task's roles let it and its agent do, on real containers of a Gantry that checks signatures. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Iam from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { sign } from "#agent/aws/sigv4.ts";
import { findRunsc } from "#agent/sandbox/runsc.ts";
import { type Blob, busyboxLayer, image } from "../containerd/support/image.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { until } from "../support/until.ts";

const runsc = await findRunsc().catch(() => undefined);
const account = "000000000000";
const roleArn = (name: string) => `arn:aws:iam::${account}:role/${name}`;
/** Long enough for a task to be looked at, short enough to see the next ones come. */
const credentialsSeconds = 30;

let gantry: RunningGantry;
let ecs: Ecs.ECSClient;
let logs: CloudWatchLogsClient;
let iam: Iam.IAMClient;
let subnet: string;
let root: { accessKeyId: string; secretAccessKey: string };
const clients: { destroy(): void }[] = [];
const options = (credentials: object = root) => ({
  endpoint: gantry.endpoint,
  region: "us-east-1",
  credentials: credentials as typeof root,
  maxAttempts: 1,
});
const client = <T extends { destroy(): void }>(made: T): T => (clients.push(made), made);

const document = (...Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const trusted = (Principal: object) => document({ Effect: "Allow", Principal, Action: "sts:AssumeRole" });
const tasks = { Service: "ecs-tasks.amazonaws.com" };
async function role(RoleName: string, Action: readonly string[], Principal: object = tasks): Promise<void> {
  await iam.send(new Iam.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: trusted(Principal) }));
  if (Action.length === 0) return;
  const PolicyDocument = document({ Effect: "Allow", Action, Resource: "*" });
  await iam.send(new Iam.PutRolePolicyCommand({ RoleName, PolicyName: "p", PolicyDocument }));
}

before(async () => {
  gantry = await startGantry({
    env: {
      GANTRY_TASK_CREDENTIALS_SECONDS: String(credentialsSeconds),
      GANTRY_INSTANCE_ROLE: "machine",
      GANTRY_METADATA_HOP_LIMIT: "2",
    },
  });
  const identity = JSON.parse(await readFile(join(gantry.home, "identity.json"), "utf8")) as Record<string, string>;
  root = { accessKeyId: identity.rootAccessKeyId!, secretAccessKey: identity.rootSecretAccessKey! };
  [ecs, logs, iam] = [
    client(new Ecs.ECSClient(options())),
    client(new CloudWatchLogsClient(options())),
    client(new Iam.IAMClient(options())),
  ];
  const pull = ["ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"];
  await Promise.all([
    role("app", ["ecs:ListClusters"]),
    role("nothing", []),
    role("logs-only", ["logs:*"]),
    role("token-only", ["ecr:GetAuthorizationToken", "logs:*"]),
    role("no-logs", pull),
    role("short-lived", pull),
    role("machine", ["ecs:ListTasks"], { Service: "ec2.amazonaws.com", AWS: `arn:aws:iam::${account}:root` }),
    role("execution", []).then(() =>
      iam.send(
        new Iam.AttachRolePolicyCommand({
          RoleName: "execution",
          PolicyArn: "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
        }),
      ),
    ),
    logs.send(new CreateLogGroupCommand({ logGroupName: "/c" })),
    push(),
  ]);
  const found = await client(new EC2Client(options())).send(
    new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }),
  );
  subnet = found.Subnets![0]!.SubnetId!;
});
after(async () => {
  for (const each of clients) each.destroy();
  await gantry?.stop();
});

/** busybox, as box:1 in our registry. */
async function push(): Promise<void> {
  const ecr = client(new ECRClient(options()));
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "box" }));
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const authorization = `Basic ${authorizationData![0]!.authorizationToken!}`;
  const { blobs, manifest } = image([await busyboxLayer()], { config: { Env: ["PATH=/bin"] } });
  const put = async ({ digest, bytes }: Blob) => {
    const started = await fetch(`${gantry.endpoint}/v2/box/blobs/uploads/`, { method: "POST", headers: { authorization } });
    const location = new URL(started.headers.get("location")!, gantry.endpoint);
    location.searchParams.set("digest", digest);
    const done = await fetch(location, { method: "PUT", headers: { authorization }, body: new Uint8Array(bytes) });
    assert.equal(done.status, 201);
  };
  for (const each of blobs) await put(each);
  const headers = { authorization, "content-type": manifest.mediaType };
  const done = await fetch(`${gantry.endpoint}/v2/box/manifests/1`, { method: "PUT", headers, body: new Uint8Array(manifest.bytes) });
  assert.equal(done.status, 201);
}

type Launch = "bridge" | "host" | "awsvpc" | "fargate";
let families = 0;
async function define(launch: Launch, script: string, more: Partial<Ecs.RegisterTaskDefinitionCommandInput>): Promise<string> {
  const fargate = launch === "fargate";
  const { taskDefinition } = await ecs.send(
    new Ecs.RegisterTaskDefinitionCommand({
      family: `credentials-${++families}`,
      executionRoleArn: roleArn("execution"),
      networkMode: fargate ? "awsvpc" : launch,
      ...(fargate ? { cpu: "256", memory: "512", requiresCompatibilities: ["FARGATE"] } : {}),
      containerDefinitions: [
        {
          name: "main",
          image: `localhost:${gantry.port}/box:1`,
          memory: 32,
          stopTimeout: 2,
          command: ["sh", "-c", script],
          logConfiguration: {
            logDriver: "awslogs",
            options: { "awslogs-group": "/c", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t" },
          },
        },
      ],
      ...more,
    }),
  );
  return taskDefinition!.taskDefinitionArn!;
}
const network = () => ({ awsvpcConfiguration: { subnets: [subnet], assignPublicIp: "DISABLED" as const } });
async function run(launch: Launch, script: string, more: Partial<Ecs.RegisterTaskDefinitionCommandInput> = {}): Promise<string> {
  const { tasks: made, failures } = await ecs.send(
    new Ecs.RunTaskCommand({
      taskDefinition: await define(launch, script, more),
      launchType: launch === "fargate" ? "FARGATE" : "EC2",
      ...(launch === "awsvpc" || launch === "fargate" ? { networkConfiguration: network() } : {}),
    }),
  );
  assert.deepEqual(failures, []);
  return made![0]!.taskArn!;
}
const describeTask = async (arn: string) => (await ecs.send(new Ecs.DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;
const stopped = (arn: string) =>
  until("STOPPED", async () => {
    const task = await describeTask(arn);
    return task.lastStatus === "STOPPED" ? task : undefined;
  });
const reasons = ({ stoppedReason, containers }: Ecs.Task) => [stoppedReason, ...containers!.map(({ reason }) => reason)].join(" | ");
async function entries(arn: string): Promise<{ readonly message: string; readonly timestamp: number }[]> {
  const logStreamName = `t/main/${arn.split("/").at(-1)}`;
  const found = await logs
    .send(new GetLogEventsCommand({ logGroupName: "/c", logStreamName, startFromHead: true }))
    .catch(() => ({ events: [] }));
  return found.events!.map(({ message, timestamp }) => ({ message: message!, timestamp: timestamp! }));
}
const log = async (arn: string) => (await entries(arn)).map(({ message }) => message);
/** All that a container of `show` has printed of its credentials, and when. */
const shown = async (arn: string): Promise<(Given & { readonly at: number })[]> =>
  (await entries(arn))
    .filter(({ message }) => message.includes('"AccessKeyId"'))
    .map(({ message, timestamp }) => ({ ...(JSON.parse(message) as Given), at: timestamp }));
const line = (arn: string, pattern: RegExp) =>
  until(`${pattern} in the log of ${arn}`, async () => {
    const found = (await log(arn)).find((text) => pattern.test(text));
    if (found === undefined && (await describeTask(arn)).stoppedReason?.includes("Error")) assert.fail(reasons(await describeTask(arn)));
    return found;
  });
const stop = (arn: string) => ecs.send(new Ecs.StopTaskCommand({ task: arn }));

interface Given {
  readonly AccessKeyId: string;
  readonly SecretAccessKey: string;
  readonly Token: string;
  readonly Expiration: string;
  readonly RoleArn: string;
}
const sdkOf = ({ AccessKeyId, SecretAccessKey, Token }: Given) =>
  options({ accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: Token });
const denied = (work: Promise<unknown>, message: RegExp) =>
  assert.rejects(work, (error: Error) => /^AccessDenied/.test(error.name) && message.test(error.message));

/** Prints where its credentials are, and what they are, again and again. */
const show = `echo at $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI.; while true; do wget -q -O - http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; sleep 2; done`;

describe("a task's role", () => {
  for (const launch of ["bridge", "awsvpc", "fargate"] as const) {
    test(
      `${launch}: the container has its credentials, which are good for what the role may and nothing else`,
      { skip: launch === "fargate" && !runsc && "no runsc" },
      async () => {
        const arn = await run(launch, show, { taskRoleArn: roleArn("app") });
        await line(arn, /"AccessKeyId"/);
        // The latest: on a busy machine the first ones may be near their end when a test reads of them.
        const given = (await shown(arn)).at(-1)!;
        const id = arn.split("/").at(-1)!;
        assert.equal(given.RoleArn, roleArn("app"));
        assert.match(given.AccessKeyId, /^ASIA/);
        const left = Date.parse(given.Expiration) - given.at;
        assert.ok(left > 0 && left <= credentialsSeconds * 1000, given.Expiration);
        const { Arn } = await client(new STSClient(sdkOf(given))).send(new GetCallerIdentityCommand({}));
        assert.equal(Arn, `arn:aws:sts::${account}:assumed-role/app/${id}`);
        const own = client(new Ecs.ECSClient(sdkOf(given)));
        await own.send(new Ecs.ListClustersCommand({}));
        await denied(
          own.send(new Ecs.ListTasksCommand({})),
          new RegExp(`assumed-role/app/${id} is not authorized to perform: ecs:ListTasks`),
        );
        await denied(client(new ECRClient(sdkOf(given))).send(new GetAuthorizationTokenCommand({})), /ecr:GetAuthorizationToken/);

        const path = /\/v2\/credentials\/[0-9a-f-]{36}/.exec(await line(arn, /^at /))![0];
        const others = await Promise.all(
          (["bridge", ...(launch === "bridge" ? ["awsvpc" as const] : [])] as const).map((other) =>
            run(
              other,
              `wget -q -O - http://169.254.170.2${path} 2>&1; echo end; wget -q -O - http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; echo; echo own`,
              {
                taskRoleArn: roleArn("nothing"),
              },
            ),
          ),
        );
        for (const other of others) {
          await line(other, /^own/);
          const said = (await log(other)).join("\n");
          assert.match(said, /400 Bad Request[^]*end/);
          assert.ok(!said.includes(given.AccessKeyId));
          assert.match(said, /role\/nothing/);
        }
        if (launch === "bridge") {
          const next = await until("the next credentials", async () =>
            (await shown(arn)).find(({ Expiration }) => Date.parse(Expiration) > Date.parse(given.Expiration)),
          );
          assert.notEqual(next.AccessKeyId, given.AccessKeyId);
          assert.ok(next.at < Date.parse(given.Expiration), "they come well before the old ones end");
          await client(new Ecs.ECSClient(sdkOf((await shown(arn)).at(-1)!))).send(new Ecs.ListClustersCommand({}));
          // The agent keeps none on the disk; after its death they come again, under the same id.
          const { pid } = (await gantry.status()).parts.find(({ name }) => name === "agent")!;
          const known = new Set((await shown(arn)).map(({ AccessKeyId }) => AccessKeyId));
          process.kill(pid!, "SIGKILL");
          await until("those after the agent's death", async () => !known.has((await shown(arn)).at(-1)!.AccessKeyId));
        }
        await stop(arn);
      },
    );
  }

  test("signed requests of a task go on to the API, whatever the network", async () => {
    const url = new URL("http://169.254.170.2/");
    const body = "Action=GetCallerIdentity&Version=2011-06-15";
    const signed = sign({
      method: "POST",
      url,
      headers: {},
      body,
      service: "sts",
      region: "us-east-1",
      credentials: root,
      now: Date.now(),
    });
    const headers = Object.entries(signed).map(([name, value]) => `--header '${name}: ${value}'`);
    const ask = `wget -q -O - ${headers.join(" ")} --post-data '${body}' http://169.254.170.2/; echo; echo done`;
    const arns = await Promise.all((["bridge", "awsvpc"] as const).map((launch) => run(launch, ask)));
    for (const arn of arns) {
      await line(arn, /^done/);
      assert.match((await log(arn)).join("\n"), /<Arn>arn:aws:iam::000000000000:root<\/Arn>/);
    }
  });
});

describe("the execution role", () => {
  const failing = async (launch: Launch, name: string, pattern: RegExp) => {
    const arn = await run(launch, "true", { executionRoleArn: roleArn(name) });
    const said = reasons(await stopped(arn));
    assert.match(said, pattern);
    assert.ok(said.includes(`assumed-role/${name}/${arn.split("/").at(-1)}`), said);
  };
  test("without ecr:GetAuthorizationToken", () =>
    failing(
      "bridge",
      "logs-only",
      /ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time\(s\): AccessDeniedException: User: arn:aws:sts::\S+ is not authorized to perform: ecr:GetAuthorizationToken on resource: \* because no identity-based policy allows the ecr:GetAuthorizationToken action status code: 400, request id: \S+/,
    ));
  test("without ecr:BatchGetImage, though another task left the image here", () =>
    failing(
      "bridge",
      "token-only",
      /CannotPullContainerError: pull image manifest has been retried 1 time\(s\): failed to resolve ref \S+: .*403 Forbidden.*is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:us-east-1:000000000000:repository\/box/,
    ));
  test("without logs:CreateLogStream, on an instance", () =>
    failing(
      "bridge",
      "no-logs",
      /CannotStartContainerError: failed to initialize logging driver: failed to create Cloudwatch log stream: operation error CloudWatch Logs: CreateLogStream, https response error StatusCode: 400, RequestID: \S+, AccessDeniedException: User: \S+ is not authorized to perform: logs:CreateLogStream/,
    ));
  test("without logs:CreateLogStream, on Fargate", { skip: !runsc && "no runsc" }, () =>
    failing(
      "fargate",
      "no-logs",
      /ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: AccessDeniedException: User: \S+ is not authorized to perform: logs:CreateLogStream/,
    ),
  );
  test("a service whose role has gone says so", async () => {
    const taskDefinition = await define("bridge", "sleep 1000", { executionRoleArn: roleArn("short-lived"), family: "gone" });
    await iam.send(new Iam.DeleteRolePolicyCommand({ RoleName: "short-lived", PolicyName: "p" }));
    await iam.send(new Iam.DeleteRoleCommand({ RoleName: "short-lived" }));
    await ecs.send(new Ecs.CreateServiceCommand({ serviceName: "gone", taskDefinition, desiredCount: 1 }));
    const event = await until("the event", async () => {
      const { services } = await ecs.send(new Ecs.DescribeServicesCommand({ services: ["gone"] }));
      return services![0]!.events!.find(({ message }) => message!.includes("role"))?.message;
    });
    assert.equal(
      event,
      `(service gone) failed to launch a task with (error ECS was unable to assume the role '${roleArn("short-lived")}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.).`,
    );
    await ecs.send(new Ecs.DeleteServiceCommand({ service: "gone", force: true }));
  });
});

describe("instance metadata", () => {
  /** IMDSv2 by hand. `at`: address and port. */
  const ask = (at: string) =>
    `t=$(printf 'PUT /latest/api/token HTTP/1.0\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60\\r\\n\\r\\n' | nc -w 30 ${at} | tail -n 1); wget -q -O - --header "X-aws-ec2-metadata-token: $t" http://$h/latest/meta-data/iam/security-credentials/machine; echo; wget -q -O - http://$h/latest/meta-data/instance-id 2>&1; echo; echo end`;
  const bridge = `h=169.254.169.254; ${ask("169.254.169.254 80")}`;
  const host = `h=\${AWS_EC2_METADATA_SERVICE_ENDPOINT#http://}; ${ask("${h%:*} ${h#*:}")}`;
  for (const [launch, script] of [
    ["bridge", bridge],
    ["host", host],
  ] as const) {
    test(`${launch}: the instance role's credentials, by version 2 only`, async () => {
      const arn = await run(launch, script);
      await line(arn, /^end/);
      const said = (await log(arn)).join("\n");
      const given = JSON.parse(/\{[^}]*\}/.exec(said)?.[0] ?? assert.fail(said)) as Given & { Code: string };
      assert.equal(given.Code, "Success", said);
      assert.match(said, /401 Unauthorized/);
      const { Arn } = await client(new STSClient(sdkOf(given))).send(new GetCallerIdentityCommand({}));
      assert.match(Arn!, /:assumed-role\/machine\/m?i-[0-9a-f]+$/);
      await client(new Ecs.ECSClient(sdkOf(given))).send(new Ecs.ListTasksCommand({}));
      await denied(client(new Ecs.ECSClient(sdkOf(given))).send(new Ecs.ListClustersCommand({})), /ecs:ListClusters/);
    });
  }
  test("awsvpc: never", async () => {
    const arn = await run(
      "awsvpc",
      `printf 'GET /latest/meta-data/ HTTP/1.0\\r\\n\\r\\n' | nc -w 2 169.254.169.254 80 2>&1; echo left with $?; echo end`,
    );
    await line(arn, /^end/);
    assert.match((await log(arn)).join("\n"), /^(nc: .*\n)?left with 1\nend$/);
  });
});
