/** Issue 6, "Secrets": tasks get them, with the execution role's credentials; no API answer, log or disk has them. On a whole Gantry that checks signatures. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import * as Ecs from "@aws-sdk/client-ecs";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateSecretCommand, PutSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { findRunsc } from "#agent/sandbox/runsc.ts";
import { busyboxLayer, image } from "../containerd/support/image.ts";
import { type RealRegistry, startRegistry } from "../containerd/support/registry.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { eventually, until } from "../support/until.ts";

const runsc = await findRunsc().catch(() => undefined);
/** Nothing else on the disk looks like these. */
const secret = {
  first: "Plaintext-of-the-first-4711",
  user: "Plaintext-of-the-user-4712",
  password: 'Plaintext "quoted" \\ and\nof two lines 4713',
  old: "Plaintext-of-before-4714",
  parameter: "Plaintext-of-a-parameter-4715",
  login: "Plaintext-of-a-login-4716",
};
/** How each is found on a disk: any one line of it. */
const marks = Object.values(secret).map((text) => text.split("\n")[0]!.replaceAll('"', ".").replaceAll("\\", "."));
const hash = (text: string) => createHash("sha256").update(text).digest("hex");

let gantry: RunningGantry;
let work: string;
let registry: RealRegistry;
let locked: RealRegistry;
let ecs: Ecs.ECSClient;
let logs: CloudWatchLogsClient;
let secrets: SecretsManagerClient;
let subnet: string;
const arns: Record<string, string> = {};
const role = "arn:aws:iam::000000000000:role/execution";
const clients: { destroy(): void }[] = [];

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-secrets-"));
  gantry = await startGantry();
  const box = image([await busyboxLayer()], { config: { Env: ["PATH=/bin", "FIRST=of the image"] } });
  registry = await startRegistry(join(work, "open"));
  await registry.push("box", "1", box);
  locked = await startRegistry(join(work, "locked"), { username: "me", password: secret.login });
  await locked.push("box", "1", box);
  const identity = JSON.parse(await readFile(join(gantry.home, "identity.json"), "utf8")) as Record<string, string>;
  const options = {
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: identity.rootAccessKeyId!, secretAccessKey: identity.rootSecretAccessKey! },
    maxAttempts: 1,
  };
  const iam = new IAMClient(options);
  const ssm = new SSMClient(options);
  const ec2 = new EC2Client(options);
  ecs = new Ecs.ECSClient(options);
  logs = new CloudWatchLogsClient(options);
  secrets = new SecretsManagerClient(options);
  clients.push(iam, ssm, ec2, ecs, logs, secrets);
  await logs.send(new CreateLogGroupCommand({ logGroupName: "/s" }));
  const trust = { Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" };
  const allowed = [
    "secretsmanager:GetSecretValue",
    "ssm:GetParameters",
    "kms:Decrypt",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ecr:*",
  ];
  const document = (Statement: object) => JSON.stringify({ Version: "2012-10-17", Statement: [Statement] });
  await iam.send(new CreateRoleCommand({ RoleName: "execution", AssumeRolePolicyDocument: document(trust) }));
  await iam.send(
    new PutRolePolicyCommand({
      RoleName: "execution",
      PolicyName: "p",
      PolicyDocument: document({ Effect: "Allow", Action: allowed, Resource: "*" }),
    }),
  );
  const create = async (Name: string, SecretString: string) => {
    const { ARN } = await secrets.send(new CreateSecretCommand({ Name, SecretString }));
    arns[Name] = ARN!;
  };
  await create("whole", secret.first);
  await create("json", JSON.stringify({ user: secret.old, password: secret.password, port: 5432 }));
  await secrets.send(
    new PutSecretValueCommand({
      SecretId: "json",
      SecretString: JSON.stringify({ user: secret.user, password: secret.password, port: 5432 }),
    }),
  );
  await create("login", JSON.stringify({ username: "me", password: secret.login }));
  await create("bad-login", JSON.stringify({ name: "me" }));
  await ssm.send(new PutParameterCommand({ Name: "/app/key", Value: secret.parameter, Type: "SecureString" }));
  await ssm.send(new PutParameterCommand({ Name: "group", Value: "/s", Type: "String" }));
  const found = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }));
  subnet = found.Subnets![0]!.SubnetId!;
});
after(async () => {
  for (const client of clients) client.destroy();
  await registry?.stop();
  await locked?.stop();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const all = () => [
  { name: "FIRST", valueFrom: arns.whole! },
  { name: "DB_USER", valueFrom: `${arns.json}:user::` },
  { name: "DB_PASSWORD", valueFrom: `${arns.json}:password:AWSCURRENT:` },
  { name: "DB_PORT", valueFrom: `${arns.json}:port::` },
  { name: "OLD", valueFrom: `${arns.json}:user:AWSPREVIOUS:` },
  { name: "KEY", valueFrom: "/app/key" },
  { name: "KEY_AGAIN", valueFrom: "arn:aws:ssm:us-east-1:000000000000:parameter/app/key:1" },
];
const expected: Readonly<Record<string, string>> = {
  FIRST: secret.first,
  DB_USER: secret.user,
  DB_PASSWORD: secret.password,
  DB_PORT: "5432",
  OLD: secret.old,
  KEY: secret.parameter,
  KEY_AGAIN: secret.parameter,
};
const print = `for n in ${Object.keys(expected).join(" ")}; do eval "v=\\$$n"; echo "$n $(printf %s "$v" | busybox sha256sum | head -c 64)"; done`;

type Container = Partial<Ecs.ContainerDefinition>;
let families = 0;
async function run(
  container: Container,
  launch: "EC2" | "FARGATE" = "EC2",
  more: Partial<Ecs.RegisterTaskDefinitionCommandInput> = {},
): Promise<string> {
  const fargate = launch === "FARGATE";
  const { taskDefinition } = await ecs.send(
    new Ecs.RegisterTaskDefinitionCommand({
      family: `secrets-${++families}`,
      executionRoleArn: role,
      ...(fargate ? { networkMode: "awsvpc", cpu: "256", memory: "512", requiresCompatibilities: ["FARGATE"] } : {}),
      containerDefinitions: [
        {
          name: "main",
          image: `${registry.host}/box:1`,
          memory: 64,
          stopTimeout: 2,
          logConfiguration: {
            logDriver: "awslogs",
            options: { "awslogs-group": "/s", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t" },
          },
          ...container,
        },
      ],
      ...more,
    }),
  );
  const { tasks, failures } = await ecs.send(
    new Ecs.RunTaskCommand({
      taskDefinition: taskDefinition!.taskDefinitionArn,
      launchType: launch,
      ...(fargate ? { networkConfiguration: { awsvpcConfiguration: { subnets: [subnet], assignPublicIp: "DISABLED" } } } : {}),
    }),
  );
  assert.deepEqual(failures, []);
  return tasks![0]!.taskArn!;
}
async function becomes(arn: string, what: string, holds: (task: Ecs.Task) => boolean): Promise<Ecs.Task> {
  let task: Ecs.Task;
  const look = async () => {
    task = (await ecs.send(new Ecs.DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;
    if (holds(task)) return task;
    if (task.lastStatus === "STOPPED") assert.fail(`${what} did not come: ${JSON.stringify(task)}`);
    return undefined;
  };
  return until(what, look, { ms: 120_000, every: 200, seen: () => JSON.stringify(task) });
}
const stopped = (arn: string) => becomes(arn, "STOPPED", ({ lastStatus }) => lastStatus === "STOPPED");
async function log(arn: string): Promise<string[]> {
  const logStreamName = `t/main/${arn.split("/").at(-1)}`;
  const { events } = await logs.send(new GetLogEventsCommand({ logGroupName: "/s", logStreamName, startFromHead: true }));
  return events!.map(({ message }) => message!);
}
const hashes = Object.entries(expected).map(([name, value]) => `${name} ${hash(value)}`);

/** The files below this Gantry's home that hold a secret, as it is or as JSON has it; what is mounted there (containers' root file systems) among them. */
async function found(...where: string[]): Promise<string[]> {
  // The sparse file of a Fargate task's disk is searched where it is mounted.
  const grep = ["grep", "-l", "-a", ...marks.flatMap((mark) => ["-e", mark])];
  const args = [...where, "-type", "f", "-size", "-512M", "-exec", ...grep, "{}", "+"];
  return new Promise((resolve) =>
    execFile("find", args, { encoding: "utf8", maxBuffer: 1 << 26 }, (_error, stdout) => resolve(stdout.split("\n").filter(Boolean))),
  );
}
const nowhere = async (when: string) => assert.deepEqual(await found(gantry.home, work), [], when);

describe("secrets of a task", { timeout: 480_000, concurrency: 4 }, () => {
  for (const launch of ["EC2", "FARGATE"] as const) {
    const skip = launch === "FARGATE" && !runsc && "no gVisor here";
    test(
      `${launch}: the container has each value, in commands that are run in it too; no disk has any, and memory has none when it is over`,
      { skip },
      async () => {
        const check = `[ "$(printf %s "$FIRST" | busybox sha256sum | head -c 64)" = ${hash(secret.first)} ]`;
        const arn = await run(
          {
            command: ["sh", "-c", `${print}; trap 'exit 0' TERM; while true; do sleep 0.2; done`],
            secrets: all(),
            healthCheck: { command: ["CMD-SHELL", check], interval: 5, timeout: 20, retries: 1 },
          },
          launch,
        );
        const task = await becomes(arn, "HEALTHY", ({ healthStatus }) => healthStatus === "HEALTHY");
        await nowhere("while it runs");
        const memory = await readlink(join(gantry.home, "runtime", "memory"));
        assert.match(memory, /^\/(run|dev\/shm)\/gantry-/);
        assert.ok(
          (await found(memory)).some((path) => path.includes(task.containers![0]!.runtimeId!)),
          "the search finds what is there",
        );
        const shown = JSON.stringify([
          task,
          await ecs.send(new Ecs.DescribeTaskDefinitionCommand({ taskDefinition: task.taskDefinitionArn })),
        ]);
        for (const value of Object.values(secret)) assert.ok(!shown.includes(value));
        await ecs.send(new Ecs.StopTaskCommand({ task: arn }));
        await stopped(arn);
        assert.deepEqual((await log(arn)).slice(0, hashes.length), hashes);
        await nowhere("when it is over");
        const { runtimeId } = task.containers![0]!;
        await eventually("memory has none of it", async () =>
          assert.deepEqual(
            (await found(memory)).filter((path) => path.includes(runtimeId!)),
            [],
          ),
        );
      },
    );
  }
});

// By itself: lines on their way to CloudWatch Logs when the agent dies are delivered at least once, of any task.
test(
  "the agent is killed and comes back: what runs has its secrets, what is started again gets them again",
  { timeout: 480_000 },
  async () => {
    const launches = ["EC2", ...(runsc ? ["FARGATE" as const] : [])] as const;
    const arns = await Promise.all(
      launches.map((launch) =>
        run(
          {
            // Longer than the period by what an agent may be late to see that it has begun.
            command: ["sh", "-c", `echo begun $(date +%s); ${print}; trap 'exit 3' TERM; sleep 64 & wait $!; exit 5`],
            secrets: all(),
            restartPolicy: { enabled: true, restartAttemptPeriod: 60 },
            essential: true,
          },
          launch,
        ),
      ),
    );
    /** Each has begun so often, and each time it had all. Lines that were under way when the agent died may be there twice, before the next beginning. */
    const logged = (times: number) =>
      Promise.all(
        arns.map((arn) =>
          eventually(
            `${times} times all secrets in the log of ${arn}`,
            async () => {
              const lines = await log(arn);
              const begun = new Set(lines.filter((line) => line.startsWith("begun ")));
              assert.equal(begun.size, times, lines.join("\n"));
              for (const line of begun) assert.deepEqual(lines.slice(lines.indexOf(line) + 1).slice(0, hashes.length), hashes);
            },
            { ms: 200_000, every: 500 },
          ),
        ),
      );
    await logged(1);
    const agent = (await gantry.status()).parts.find(({ name }) => name === "agent");
    process.kill(agent!.pid!, "SIGKILL");
    await nowhere("after the agent's death");
    // Ended once, each is started again by an agent that never saw its secrets.
    await logged(2);
    await nowhere("after the restart");
    for (const arn of arns) {
      await ecs.send(new Ecs.StopTaskCommand({ task: arn }));
      await stopped(arn);
    }
  },
);

describe("what cannot be had stops the task with AWS's reason", { timeout: 360_000, concurrency: 4 }, () => {
  const prefix = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: ";
  const reasonOf = async (container: Container, more: Partial<Ecs.RegisterTaskDefinitionCommandInput> = {}) => {
    const task = await stopped(await run({ command: ["true"], ...container }, "EC2", more));
    assert.equal(task.stopCode, "TaskFailedToStart");
    assert.ok((task.stoppedReason ?? "").startsWith(prefix), task.stoppedReason ?? "");
    for (const value of Object.values(secret)) assert.ok(!JSON.stringify(task).includes(value));
    return task.stoppedReason!.slice(prefix.length);
  };
  const one = (valueFrom: string): Container => ({ secrets: [{ name: "S", valueFrom }] });

  test("a secret that is not there", async () => {
    const missing = "arn:aws:secretsmanager:us-east-1:000000000000:secret:missing-AbCdEf";
    assert.match(
      await reasonOf(one(missing)),
      /^unable to retrieve secret from asm: service call has been retried 1 time\(s\): failed to fetch secret arn:.*missing-AbCdEf from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret\. status code: 400, request id: /,
    );
  });
  test("a key that the secret has not, a secret that is no JSON", async () => {
    assert.equal(await reasonOf(one(`${arns.json}:nothing::`)), "retrieved secret from Secrets Manager did not contain json key nothing");
    assert.match(await reasonOf(one(`${arns.whole}:key::`)), /not a JSON object/);
  });
  test("a parameter that is not there", async () => {
    assert.equal(
      await reasonOf(one("/not/there")),
      "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid parameters: /not/there",
    );
  });
  test("a role that is not there", async () => {
    const executionRoleArn = "arn:aws:iam::000000000000:role/nobody";
    await assert.rejects(reasonOf(one(arns.whole!), { executionRoleArn }), /ECS was unable to assume the role/);
  });
  test("a container beside it that has no secrets does not start either", async () => {
    const arn = await run(one("/not/there"), "EC2", {
      containerDefinitions: [
        { name: "main", image: `${registry.host}/box:1`, memory: 32, essential: false, command: ["true"], ...one("/not/there") },
        { name: "beside", image: `${registry.host}/box:1`, memory: 32, command: ["sleep", "100"] },
      ],
    });
    const task = await stopped(arn);
    assert.ok((task.stoppedReason ?? "").startsWith(prefix), task.stoppedReason ?? "");
  });

  test("repositoryCredentials: the private registry's login; without it, and with a secret that is none", async () => {
    const box = (credentialsParameter?: string): Container => ({
      image: `${locked.host}/box:1`,
      command: ["sh", "-c", "echo pulled"],
      ...(credentialsParameter ? { repositoryCredentials: { credentialsParameter } } : {}),
    });
    assert.match((await stopped(await run(box()))).stoppedReason ?? "", /^CannotPullContainerError: .*(401|unauthorized|authentication)/i);
    assert.match(await reasonOf(box(arns["bad-login"])), /^unable to get registry auth from asm: .*username and password/);
    const arn = await run(box(arns.login));
    await stopped(arn);
    assert.deepEqual(await log(arn), ["pulled"]);
    await nowhere("after a pull with a login");
  });

  test("secretOptions: an option of the log driver", async () => {
    const arn = await run({
      command: ["echo", "to the group of the parameter"],
      logConfiguration: {
        logDriver: "awslogs",
        options: { "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t" },
        secretOptions: [{ name: "awslogs-group", valueFrom: "group" }],
      },
    });
    await stopped(arn);
    assert.deepEqual(await log(arn), ["to the group of the parameter"]);
  });
});

test("keys rotate: everything is encrypted anew, the old key opens nothing, tasks get their secrets", { timeout: 360_000 }, async () => {
  const path = join(gantry.home, "secrets.key");
  const before = await readFile(path, "utf8");
  assert.match(await gantry.gantry("keys"), /secrets are encrypted with the key [0-9a-f]{16} in .*secrets\.key/);
  assert.match(await gantry.gantry("keys", "rotate"), /records are encrypted with the new key/);
  const now = await readFile(path, "utf8");
  assert.match(now, /^[0-9a-f]{64}\n$/);
  assert.notEqual(now, before);
  const arn = await run({ command: ["sh", "-c", print], secrets: all() });
  await stopped(arn);
  assert.deepEqual(await log(arn), hashes);
});

test("down --all leaves nothing in memory", async () => {
  const memory = await readlink(join(gantry.home, "runtime", "memory"));
  await gantry.gantry("down", "--all");
  assert.equal(existsSync(memory), false);
});
