/** Issue 7, "Events", Exec: `aws ecs execute-command` and `./gantry exec` against real containers of a Gantry that checks signatures. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { CloudTrailClient, LookupEventsCommand } from "@aws-sdk/client-cloudtrail";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import * as Ecs from "@aws-sdk/client-ecs";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import * as Iam from "@aws-sdk/client-iam";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { DescribeSessionsCommand, SSMClient, StartSessionCommand, TerminateSessionCommand } from "@aws-sdk/client-ssm";
import { findRunsc } from "#agent/sandbox/runsc.ts";
import { type Blob, busyboxLayer, image } from "../containerd/support/image.ts";
import { Plugin, type PluginOptions } from "../exec/session-manager-plugin.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";

const execute = promisify(execFile);
const runsc = await findRunsc().catch(() => undefined);
const cli = ["/usr/bin/aws", "/usr/local/bin/aws"].find((path) => existsSync(path));
const account = "000000000000";

let gantry: RunningGantry;
let root: { accessKeyId: string; secretAccessKey: string };
let work: string;
let ecs: Ecs.ECSClient;
let logs: CloudWatchLogsClient;
let iam: Iam.IAMClient;
/** A container whose own process is not root's, with the audit of the cluster. */
let task: string;
const clients: { destroy(): void }[] = [];
const options = (credentials = root) => ({ endpoint: gantry.endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
const client = <T extends { destroy(): void }>(made: T): T => (clients.push(made), made);
const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until<T>(what: string, look: () => Promise<T | undefined> | T | undefined, timeoutMs = 20_000): Promise<T> {
  for (const end = Date.now() + timeoutMs; ;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) assert.fail(`${what} did not come`);
    await delay(50);
  }
}

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-exec-"));
  gantry = await startGantry();
  const identity = JSON.parse(await readFile(join(gantry.home, "identity.json"), "utf8")) as Record<string, string>;
  root = { accessKeyId: identity.rootAccessKeyId!, secretAccessKey: identity.rootSecretAccessKey! };
  [ecs, logs, iam] = [
    client(new Ecs.ECSClient(options())),
    client(new CloudWatchLogsClient(options())),
    client(new Iam.IAMClient(options())),
  ];
  // What the plugin's own requests (SSM, KMS) are signed with.
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: root.accessKeyId, AWS_SECRET_ACCESS_KEY: root.secretAccessKey, AWS_REGION: "us-east-1" });
  await Promise.all([push(), role("app", ["logs:*", "kms:Decrypt"]), ...["/audit", "/c"].map(group)]);
  await writeFile(
    join(work, "session-manager-plugin"),
    `#!/bin/sh\nexec ${process.execPath} ${new URL("../exec/session-manager-plugin.ts", import.meta.url).pathname} "$@"\n`,
    { mode: 0o755 },
  );
  task = await run({ user: "1000" });
});
after(async () => {
  for (const each of clients) each.destroy();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const group = (logGroupName: string) => logs.send(new CreateLogGroupCommand({ logGroupName }));

async function role(RoleName: string, Action: readonly string[]): Promise<void> {
  const document = (Statement: object) => JSON.stringify({ Version: "2012-10-17", Statement: [Statement] });
  const AssumeRolePolicyDocument = document({ Effect: "Allow", Principal: { Service: "ecs-tasks.amazonaws.com" }, Action: "sts:AssumeRole" });
  await iam.send(new Iam.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  const PolicyDocument = document({ Effect: "Allow", Action, Resource: "*" });
  await iam.send(new Iam.PutRolePolicyCommand({ RoleName, PolicyName: "p", PolicyDocument }));
}

/** busybox, as box:1 in our registry. */
async function push(): Promise<void> {
  const ecr = client(new ECRClient(options()));
  await ecr.send(new CreateRepositoryCommand({ repositoryName: "box" }));
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  const authorization = `Basic ${authorizationData![0]!.authorizationToken!}`;
  const { blobs, manifest } = image([await busyboxLayer()], { config: { Env: ["PATH=/bin", "OWN=image"], WorkingDir: "/tmp" } });
  const put = async ({ digest, bytes }: Blob) => {
    const started = await fetch(`${gantry.endpoint}/v2/box/blobs/uploads/`, { method: "POST", headers: { authorization } });
    const location = new URL(started.headers.get("location")!, gantry.endpoint);
    location.searchParams.set("digest", digest);
    assert.equal((await fetch(location, { method: "PUT", headers: { authorization }, body: new Uint8Array(bytes) })).status, 201);
  };
  for (const each of blobs) await put(each);
  const headers = { authorization, "content-type": manifest.mediaType };
  const done = await fetch(`${gantry.endpoint}/v2/box/manifests/1`, { method: "PUT", headers, body: new Uint8Array(manifest.bytes) });
  assert.equal(done.status, 201);
}

let families = 0;
interface Started {
  readonly user?: string;
  readonly enabled?: boolean;
  readonly fargate?: boolean;
  readonly cluster?: string;
  readonly tags?: Ecs.Tag[];
  readonly taskRole?: string;
}
async function run({ user, enabled = true, fargate = false, cluster = "default", tags = [], taskRole = "app" }: Started = {}): Promise<string> {
  const { taskDefinition } = await ecs.send(
    new Ecs.RegisterTaskDefinitionCommand({
      family: `exec-${++families}`,
      taskRoleArn: `arn:aws:iam::${account}:role/${taskRole}`,
      ...(fargate ? { cpu: "256", memory: "512", requiresCompatibilities: ["FARGATE"], networkMode: "awsvpc" } : {}),
      containerDefinitions: [
        { name: "main", image: `localhost:${gantry.port}/box:1`, memory: 32, stopTimeout: 2, command: ["sleep", "600"], ...(user ? { user } : {}) },
      ],
    }),
  );
  const subnets = fargate
    ? (await client(new EC2Client(options())).send(new DescribeSubnetsCommand({}))).Subnets!.slice(0, 1).map(({ SubnetId }) => SubnetId!)
    : [];
  const { tasks, failures } = await ecs.send(
    new Ecs.RunTaskCommand({
      cluster,
      taskDefinition: taskDefinition!.taskDefinitionArn!,
      launchType: fargate ? "FARGATE" : "EC2",
      ...(fargate ? { networkConfiguration: { awsvpcConfiguration: { subnets } } } : {}),
      enableExecuteCommand: enabled,
      tags,
    }),
  );
  assert.deepEqual(failures, []);
  const arn = tasks![0]!.taskArn!;
  await until("RUNNING", async () => ((await describeTask(arn, cluster)).lastStatus === "RUNNING" ? true : undefined));
  return arn;
}
const describeTask = async (arn: string, cluster = "default") =>
  (await ecs.send(new Ecs.DescribeTasksCommand({ cluster, tasks: [arn] }))).tasks![0]!;

/** A session as the CLI starts one, with the plugin in this process. */
async function open(arn: string, command: string, more: Partial<PluginOptions> & { readonly cluster?: string } = {}) {
  const { cluster = "default", ...rest } = more;
  const answer = await ecs.send(new Ecs.ExecuteCommandCommand({ cluster, task: arn, command, interactive: true }));
  const { sessionId = "", streamUrl = "", tokenValue = "" } = answer.session!;
  const runtimeId = (await describeTask(arn, cluster)).containers![0]!.runtimeId;
  const seen = { text: "", bytes: [] as Uint8Array[] };
  const size = { cols: 80, rows: 24 };
  const target = `ecs:${cluster}_${arn.split("/").at(-1)}_${runtimeId}`;
  const plugin = new Plugin({
    sessionId,
    streamUrl,
    tokenValue,
    endpoint: gantry.endpoint,
    region: "us-east-1",
    target,
    size: () => size,
    display(bytes) {
      seen.bytes.push(bytes);
      seen.text += Buffer.from(bytes).toString("latin1");
    },
    ...rest,
  });
  await plugin.open();
  return { plugin, seen, size, sessionId, shows: (what: RegExp) => until(`${what}`, () => (what.test(seen.text) ? true : undefined)) };
}

/** Nothing of any session is left on the machine. */
const leftovers = () => readdirSync(join(gantry.home, "agent", "runtime", "opened"));

test("DescribeTasks shows the agent; the answer names the session; a shell, resized, interrupted, left", async () => {
  const { containers, enableExecuteCommand } = await describeTask(task);
  assert.equal(enableExecuteCommand, true);
  const [{ lastStartedAt, ...agent }] = containers![0]!.managedAgents as [Ecs.ManagedAgent];
  assert.deepEqual(agent, { name: "ExecuteCommandAgent", lastStatus: "RUNNING" });
  assert.ok(lastStartedAt! > new Date(0));
  const { plugin, seen, size, sessionId, shows } = await open(task, "/bin/sh");
  assert.match(sessionId, /^ecs-execute-command-[0-9a-f]{17}$/);
  await shows(/# $/);
  assert.equal(plugin.agentVersion, "3.3.0.0");
  plugin.type("stty size; id -u; pwd; echo $OWN $TERM\r");
  await shows(/\n24 80\r\n0\r\n\/tmp\r\nimage xterm-256color\r\n/);
  Object.assign(size, { cols: 132, rows: 43 });
  await delay(600);
  plugin.type("stty size\r");
  await shows(/\n43 132\r\n/);
  plugin.type("sleep 100\r");
  await delay(300);
  plugin.send(1, new Uint8Array([3]));
  plugin.type("echo on\r");
  await shows(/\non\r\n/);
  plugin.type("exit\r");
  assert.equal(await plugin.closed, `\n\nExiting session with sessionId: ${sessionId}.\n\n`);
  assert.equal(seen.text.includes("undefined"), false);
  assert.deepEqual(leftovers(), []);
});

test("./gantry exec: streams, an end of input, exit codes", async () => {
  const id = task.split("/").at(-1)!;
  const input = randomBytes(600_000).toString("base64");
  const sum = createHash("md5").update(input).digest("hex");
  const child = execute("bash", ["-c", `exec ${new URL("../../gantry", import.meta.url).pathname} exec ${id} -- sh -c 'md5sum; echo wrong >&2; exit 9'`], {
    env: gantry.env,
    timeout: 60_000,
  });
  child.child.stdin!.end(input);
  const failed = await child.then(
    () => assert.fail("its exit code is 9"),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  assert.deepEqual([failed.code, failed.stdout, failed.stderr], [9, `${sum}  -\n`, "wrong\n"]);
});
void [describe, spawn, readFileSync, delimiter, cli, runsc, CloudTrailClient, LookupEventsCommand, GetLogEventsCommand, CreateKeyCommand, KMSClient, DescribeSessionsCommand, SSMClient, StartSessionCommand, TerminateSessionCommand];
