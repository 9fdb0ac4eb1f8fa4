/** Issue 7, "Events", Exec: `aws ecs execute-command` and `./gantry exec` against real containers of a Gantry that checks signatures. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
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
import { eventually, until } from "../support/until.ts";

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
  const AssumeRolePolicyDocument = document({
    Effect: "Allow",
    Principal: { Service: "ecs-tasks.amazonaws.com" },
    Action: "sts:AssumeRole",
  });
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
  /** Its own output goes to this log group. */
  readonly logGroup?: string;
}
async function run({
  user,
  enabled = true,
  fargate = false,
  cluster = "default",
  tags = [],
  taskRole = "app",
  logGroup,
}: Started = {}): Promise<string> {
  const { taskDefinition } = await ecs.send(
    new Ecs.RegisterTaskDefinitionCommand({
      family: `exec-${++families}`,
      taskRoleArn: `arn:aws:iam::${account}:role/${taskRole}`,
      ...(fargate ? { cpu: "256", memory: "512", requiresCompatibilities: ["FARGATE"], networkMode: "awsvpc" } : {}),
      containerDefinitions: [
        {
          name: "main",
          image: `localhost:${gantry.port}/box:1`,
          memory: 32,
          stopTimeout: 2,
          // Ended at once when it is asked.
          command: ["sh", "-c", "trap 'exit 0' TERM; sleep 600 & wait"],
          ...(user ? { user } : {}),
          ...(logGroup
            ? {
                logConfiguration: {
                  logDriver: "awslogs",
                  options: { "awslogs-group": logGroup, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t" },
                },
              }
            : {}),
        },
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
  await until("RUNNING", async () => (await describeTask(arn, cluster)).lastStatus === "RUNNING");
  return arn;
}
const describeTask = async (arn: string, cluster = "default") =>
  (await ecs.send(new Ecs.DescribeTasksCommand({ cluster, tasks: [arn] }))).tasks![0]!;

/** Asks until it is answered: a terminal's new size is noticed within half a second, or later on a busy machine; what was typed when a control-C is noticed is lost. */
const asks = (ask: () => void, answered: () => boolean, seen: () => string) =>
  until(
    "the answer",
    async () => {
      if (!answered()) ask();
      for (let looks = 0; looks < 8 && !answered(); looks++) await delay(50);
      return answered();
    },
    { every: 400, seen: () => JSON.stringify(seen().slice(-1_000)) },
  );

/** A program that a control-C ends, and never its shell, which might not have begun it. */
const endless = "sh -c 'echo be''gun; exec sleep 100'\r";

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
  let closed: string | undefined;
  void plugin.closed.then((text) => (closed = text));
  const shows = (what: RegExp) =>
    until(
      `${what}`,
      () => {
        if (what.test(seen.text)) return true;
        if (closed !== undefined)
          assert.fail(`${what} did not come, but ${JSON.stringify(closed)} after ${JSON.stringify(seen.text.slice(-500))}`);
        return undefined;
      },
      { seen: () => JSON.stringify(seen.text.slice(-500)) },
    );
  return { plugin, seen, size, sessionId, shows };
}

/** Nothing of any session is left on the machine. */
const leftovers = () => readdirSync(join(gantry.home, "runtime", "opened"));

test("DescribeTasks shows the agent; the answer names the session; a shell, resized, interrupted, left", async () => {
  const { containers, enableExecuteCommand } = await describeTask(task);
  assert.equal(enableExecuteCommand, true);
  const [{ lastStartedAt, ...agent }] = containers![0]!.managedAgents as [Ecs.ManagedAgent];
  assert.deepEqual(agent, { name: "ExecuteCommandAgent", lastStatus: "RUNNING" });
  assert.ok(lastStartedAt! > new Date(0));
  const { plugin, seen, size, sessionId, shows } = await open(task, "/bin/sh");
  assert.match(sessionId, /^ecs-execute-command-[0-9a-f]{17}$/);
  await shows(/# /);
  assert.equal(plugin.agentVersion, "3.3.0.0");
  plugin.type("stty size; id -u; pwd; echo $OWN $TERM\r");
  await shows(/\n24 80\r\n0\r\n\/tmp\r\nimage xterm-256color\r\n/);
  Object.assign(size, { cols: 132, rows: 43 });
  await asks(
    () => plugin.type("stty size\r"),
    () => seen.text.includes("\n43 132\r\n"),
    () => seen.text,
  );
  plugin.type(endless);
  await shows(/\nbegun\r/);
  plugin.send(1, new Uint8Array([3]));
  await asks(
    () => plugin.type("echo o''n\r"),
    () => seen.text.includes("\non\r\n"),
    () => seen.text,
  );
  plugin.type("exit\r");
  assert.equal(await plugin.closed, `\n\nExiting session with sessionId: ${sessionId}.\n\n`);
  assert.equal(seen.text.includes("undefined"), false);
  await until("no leftovers", () => leftovers().length === 0, { seen: () => leftovers().join(" ") });
});

test("./gantry exec: what goes in comes out, megabytes of it", async (t) => {
  const bytes = randomBytes(6_000_000);
  await writeFile(join(work, "in"), bytes);
  const began = Date.now();
  const line = `exec ${new URL("../../gantry", import.meta.url).pathname} exec ${task} -- cat <${join(work, "in")} >${join(work, "out")}`;
  await execute("bash", ["-c", line], { env: gantry.env, timeout: 180_000 });
  assert.ok(bytes.equals(readFileSync(join(work, "out"))));
  t.diagnostic(`${(bytes.length / 1000 / (Date.now() - began)).toFixed(1)} MB/s both ways, the start of the command line with it`);
});

// They wait more than they work.
describe("side by side", { concurrency: 4 }, () => {
  test("./gantry exec: streams, an end of input, exit codes", async () => {
    const id = task.split("/").at(-1)!;
    const input = randomBytes(600_000).toString("base64");
    const sum = createHash("md5").update(input).digest("hex");
    const child = execute(
      "bash",
      ["-c", `exec ${new URL("../../gantry", import.meta.url).pathname} exec ${id} -- sh -c 'md5sum; echo wrong >&2; exit 9'`],
      {
        env: gantry.env,
        timeout: 180_000,
      },
    );
    child.child.stdin!.end(input);
    const failed = await child.then(
      () => assert.fail("its exit code is 9"),
      (error: { code: number; stdout: string; stderr: string }) => error,
    );
    assert.deepEqual([failed.code, failed.stdout, failed.stderr], [9, `${sum}  -\n`, "wrong\n"]);
  });

  test("./gantry exec: the end of an input that waits for its reader", async () => {
    // The pipes on its way hold some of it; of one of these sizes the rest is too little for anybody to be told to wait.
    const counts = [120, 160, 200, 240].map(async (thousands) => {
      const file = join(work, `late-${thousands}`);
      await writeFile(file, randomBytes(thousands * 1000));
      const line = `exec ${new URL("../../gantry", import.meta.url).pathname} exec ${task} -- sh -c 'sleep 2; wc -c' <${file}`;
      return (await execute("bash", ["-c", line], { env: gantry.env, timeout: 180_000 })).stdout.trim();
    });
    assert.deepEqual(await Promise.all(counts), ["120000", "160000", "200000", "240000"]);
  });

  test("./gantry exec: a reader that leaves ends it, however much the command writes", async () => {
    const line = `${new URL("../../gantry", import.meta.url).pathname} exec ${task} -- sh -c 'while :; do echo 0123456789; done' | head -n 1`;
    const { stdout } = await execute("bash", ["-c", line], { env: gantry.env, timeout: 180_000 });
    assert.equal(stdout, "0123456789\n");
  });

  test("./gantry exec in a terminal: raw, resized, its exit code", async (t) => {
    const gantryCommand = new URL("../../gantry", import.meta.url).pathname;
    const resize = join(work, "resize");
    const later = `for i in $(seq 600); do [ -e ${resize} ] && break; sleep 0.1; done; stty -F $tty cols 66 rows 22`;
    const line = `stty cols 101 rows 31; tty=$(tty); (${later}) & ${gantryCommand} exec ${task.split("/").at(-1)} -- sh`;
    const child = spawn("script", ["-qfec", line, "/dev/null"], {
      env: { ...process.env, ...gantry.env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.after(() => child.kill());
    let text = "";
    child.stdout.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
    const shows = (what: RegExp) => until(`${what}`, () => what.test(text), { seen: () => JSON.stringify(text) });
    await shows(/# /);
    await asks(
      () => child.stdin.write("stty size\r"),
      () => /\n31 101\r/.test(text),
      () => text,
    );
    await writeFile(resize, "");
    child.stdin.write(endless);
    await shows(/\nbegun\r/);
    child.stdin.write("\x03");
    await asks(
      () => child.stdin.write("stty size\r"),
      () => /\n22 66\r/.test(text),
      () => text,
    );
    child.stdin.write("exit 5\r");
    assert.equal(await new Promise((resolve) => child.once("exit", resolve)), 5);
  });

  test("./gantry exec of a service; errors in words", async () => {
    const { taskDefinitionArn } = await describeTask(task);
    await ecs.send(
      new Ecs.CreateServiceCommand({ serviceName: "web", taskDefinition: taskDefinitionArn!, desiredCount: 1, enableExecuteCommand: true }),
    );
    const said = await until("the service's task", () =>
      gantry.gantry("exec", "web", "--", "sh", "-c", "echo $OWN 'a  b'").catch(() => undefined as string | undefined),
    );
    assert.equal(said, "image a  b\n");
    await assert.rejects(gantry.gantry("exec", "nothing"), /gantry: .*(Service not found|no task|ServiceNotFound)/);
    await assert.rejects(gantry.gantry("exec", "web", "--", "no-such-program"), /no-such-program/);
    await ecs.send(new Ecs.DeleteServiceCommand({ service: "web", force: true }));
  });

  describe("aws ecs execute-command", { skip: cli === undefined && "the AWS CLI is not installed", concurrency: 1 }, () => {
    const command = (...words: string[]) =>
      [...words, "--endpoint-url", gantry.endpoint, "--region", "us-east-1"].map((word) => `'${word}'`).join(" ");
    const env = () => ({
      ...process.env,
      PATH: `${work}${delimiter}${process.env["PATH"]}`,
      PLUGIN_SIZE_FILE: join(work, "size"),
      AWS_PAGER: "",
      HOME: work,
    });

    test("the CLI hands over to the plugin: a shell with a size that changes, control-C, a command with quotes", async (t) => {
      // The plugin reads it every 500 ms: never half of it.
      const sized = async (size: string) => {
        await writeFile(join(work, "size.new"), size);
        await rename(join(work, "size.new"), join(work, "size"));
      };
      await sized('{"cols":111,"rows":33}');
      // In a terminal of its own, as from a keyboard, and without a shell between it and the CLI: Debian's dash, which `script` takes without a SHELL, waits and then dies of the control-C.
      const line = `exec ${command(cli!, "ecs", "execute-command", "--task", task, "--container", "main", "--interactive", "--command", "/bin/sh")}`;
      const child = spawn("script", ["-qfec", line, "/dev/null"], { env: env(), stdio: ["pipe", "pipe", "inherit"] });
      t.after(() => child.kill());
      let text = "";
      child.stdout.on("data", (piece: Buffer) => (text += piece.toString("latin1")));
      const shows = (what: RegExp) => until(`${what}`, () => what.test(text), { ms: 120_000, seen: () => JSON.stringify(text) });
      await shows(
        /The Session Manager plugin was installed successfully[\s\S]*Starting session with SessionId: ecs-execute-command-[\s\S]*# /,
      );
      await asks(
        () => child.stdin.write("stty size\r"),
        () => /33 111/.test(text),
        () => text,
      );
      await sized('{"cols":55,"rows":12}');
      await asks(
        () => child.stdin.write("stty size\r"),
        () => /12 55/.test(text),
        () => text,
      );
      child.stdin.write(endless);
      await shows(/\nbegun\r/);
      child.stdin.write("\x03");
      await asks(
        () => child.stdin.write("echo inter''rupted\r"),
        () => /interrupted/.test(text),
        () => text,
      );
      child.stdin.write("exit\r");
      const code = await new Promise((resolve) => child.once("exit", resolve));
      assert.equal(code, 0);
      assert.match(text, /Exiting session with sessionId: ecs-execute-command-/);
      const once = await execute(
        "bash",
        [
          "-c",
          `${command(cli!, "ecs", "execute-command", "--task", task, "--interactive", "--command", 'sh -c "echo one two; exit 3"')} </dev/null`,
        ],
        { env: env(), timeout: 180_000 },
      );
      assert.match(once.stdout, /\none two\r\n\n\nExiting session/);
    });
  });

  describe("refusals", { concurrency: 1 }, () => {
    const refused = (input: Partial<Ecs.ExecuteCommandCommandInput>, by = ecs) =>
      by.send(new Ecs.ExecuteCommandCommand({ task, command: "sh", interactive: true, ...input })).then(
        () => assert.fail("it is refused"),
        ({ name, message }: Error) => `${name}: ${message}`,
      );

    test("AWS's own errors", async () => {
      const off = await run({ enabled: false });
      const notEnabled =
        /^InvalidParameterException: The execute command failed because execute command was not enabled when the task was run/;
      assert.match(await refused({ task: off }), notEnabled);
      assert.equal((await describeTask(off)).containers![0]!.managedAgents, undefined);
      assert.match(
        await refused({ interactive: false }),
        /^InvalidParameterException: Interactive is the only mode supported currently\.$/,
      );
      assert.match(await refused({ cluster: "nowhere" }), /^ClusterNotFoundException: /);
      assert.match(await refused({ task: "f".repeat(32) }), /^InvalidParameterException: The referenced task was not found/);
      assert.match(await refused({ container: "other" }), /^InvalidParameterException: /);
      const { plugin } = await open(task, "no-such-program");
      assert.match(
        await plugin.closed,
        /SessionId: ecs-execute-command-\w+ : ----------ERROR-------\nUnable to start command: Failed to start pty: .*no-such-program/,
      );
    });

    test("a principal needs ecs:ExecuteCommand on the task, and conditions hold", async () => {
      const user = "exec";
      await iam.send(new Iam.CreateUserCommand({ UserName: user }));
      const { AccessKey } = await iam.send(new Iam.CreateAccessKeyCommand({ UserName: user }));
      const theirs = client(
        new Ecs.ECSClient(options({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! })),
      );
      const policy = (...Statement: object[]) =>
        iam.send(
          new Iam.PutUserPolicyCommand({
            UserName: user,
            PolicyName: "p",
            PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
          }),
        );
      const Action = "ecs:ExecuteCommand";
      assert.match(
        await refused({}, theirs),
        /^AccessDeniedException: .*ecs:ExecuteCommand on resource: arn:aws:ecs:us-east-1:000000000000:task\/default\//,
      );
      const clusterArn = `arn:aws:ecs:us-east-1:${account}:cluster/default`;
      await policy({
        Effect: "Allow",
        Action,
        Resource: "*",
        Condition: { StringEquals: { "ecs:cluster": clusterArn, "ecs:container-name": "main" } },
      });
      assert.match(await refused({ container: "other" }, theirs), /^AccessDeniedException/);
      await theirs.send(new Ecs.ExecuteCommandCommand({ task, command: "true", container: "main", interactive: true }));
      await policy({ Effect: "Allow", Action, Resource: "*", Condition: { StringEquals: { "ecs:ResourceTag/stage": "development" } } });
      assert.match(await refused({ container: "main" }, theirs), /^AccessDeniedException/);
      await policy(
        { Effect: "Allow", Action, Resource: "*" },
        { Effect: "Deny", Action, Resource: "*", Condition: { StringEquals: { "ecs:container-name": "main" } } },
      );
      // Leaving the name out is no way round.
      assert.match(await refused({}, theirs), /^AccessDeniedException/);
    });

    test("a token is its session's own", async () => {
      const answer = await ecs.send(new Ecs.ExecuteCommandCommand({ task, command: "cat", interactive: true }));
      const other = await ecs.send(new Ecs.ExecuteCommandCommand({ task, command: "cat", interactive: true }));
      const { WebSocket } = await import("ws");
      for (const TokenValue of [other.session!.tokenValue!, "no", ""]) {
        const socket = new WebSocket(answer.session!.streamUrl!);
        socket.on("open", () => socket.send(JSON.stringify({ TokenValue })));
        assert.equal(await new Promise((resolve) => socket.once("close", resolve)), 1008);
      }
      const ssm = client(new SSMClient(options()));
      for (const { session } of [answer, other]) await ssm.send(new TerminateSessionCommand({ SessionId: session!.sessionId! }));
      const history = await ssm.send(new DescribeSessionsCommand({ State: "History" }));
      assert.equal(history.Sessions!.find(({ SessionId }) => SessionId === answer.session!.sessionId)!.Status, "Terminated");
    });
  });
});

describe("a session that goes on", () => {
  test("through broken connections: nothing is lost, nothing comes twice", async () => {
    const { plugin, seen, shows } = await open(
      task,
      "sh -c 'stty -echo; echo ready; cat | md5sum; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; echo over'",
      { resumeRetries: 12 },
    );
    await shows(/ready/);
    let broken = 0;
    for (let at = 0; at < 60; at++) {
      plugin.type(`${"x".repeat(50)}${at}\r`);
      if (at % 20 === 10) {
        // What is broken already cannot break again.
        await until("it has resumed", () => plugin.resumed === broken);
        plugin.breakConnection();
        broken++;
      }
      await delay(10);
    }
    await until("it has resumed", () => plugin.resumed === broken);
    plugin.type("\x04");
    await shows(/line 20\r/);
    plugin.breakConnection();
    const text = await plugin.closed;
    assert.match(text, /Exiting session/);
    assert.ok(plugin.resumed >= 3, `${plugin.resumed}`);
    const expected = createHash("md5")
      .update(Array.from({ length: 60 }, (_, at) => `${"x".repeat(50)}${at}\n`).join(""))
      .digest("hex");
    assert.equal(seen.text, `ready\r\n${expected}  -\r\n${Array.from({ length: 3000 }, (_, at) => `line ${at}\r\n`).join("")}over\r\n`);
  });

  test("output without end waits for a reader, in little memory; several at once; its end by TerminateSession", async (t) => {
    let open_!: () => void;
    const gate = new Promise<void>((resolve) => (open_ = resolve));
    let held = false;
    const flood = await open(task, "sh -c 'while :; do echo 0123456789012345678901234567890123456789; done'", {
      gate: () => (held ? gate : undefined),
    });
    await flood.shows(/0123456789/);
    const pids = (await gantry.status()).parts.filter(({ name }) => name === "server" || name === "agent").map(({ pid }) => pid!);
    const memory = () => pids.map((pid) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]));
    held = true;
    const before = memory();
    const beside = await open(task, "sh");
    const began = Date.now();
    for (let at = 0; at < 20; at++) {
      beside.plugin.type(`echo pong''${at}\r`);
      await beside.shows(new RegExp(`pong${at}\r`));
    }
    t.diagnostic(`20 round trips beside a flood: ${Date.now() - began} ms`);
    assert.ok(Date.now() - began < 5_000, `20 round trips took ${Date.now() - began} ms`);
    await delay(2_500);
    const grown = memory().map((now, at) => now - before[at]!);
    t.diagnostic(`server and agent grew by ${grown.join(" and ")} KiB`);
    assert.ok(
      grown.every((kilobytes) => kilobytes < 30_000),
      `${grown}`,
    );
    held = false;
    open_();
    await client(new SSMClient(options())).send(new TerminateSessionCommand({ SessionId: flood.sessionId }));
    assert.match(await flood.plugin.closed, /Exiting session/);
    beside.plugin.sendFlag(2);
    assert.match(await beside.plugin.closed, /Exiting session/);
    await until("no leftovers", () => leftovers().length === 0, { seen: () => leftovers().join(" ") });
  });

  test("the server is killed: the session is there again; then the agent is: it is over, and says why", async () => {
    const { plugin, shows } = await open(task, "sh", { resumeRetries: 12 });
    await shows(/# /);
    plugin.type("VARIABLE=kept\r");
    const pidOf = async (part: string) => (await gantry.status()).parts.find(({ name }) => name === part)!.pid!;
    process.kill(await pidOf("server"), "SIGKILL");
    await delay(500);
    plugin.type("echo still $VARIABLE\r");
    await shows(/still kept\r/);
    plugin.type("sh -c 'echo be''gun; exec sleep 4713'\r");
    await shows(/\nbegun\r/);
    process.kill(await pidOf("agent"), "SIGKILL");
    assert.match(await plugin.closed, /SessionId: \S+ : The agent of the task's machine was started again/);
    await until("no leftovers", () => leftovers().length === 0, { seen: () => leftovers().join(" ") });
    await eventually("what ran in it is gone", async () => {
      const { plugin: next, seen } = await open(task, "sh -c \"ps | grep -c 'sleep 471[3]'\"");
      await next.closed;
      assert.equal(seen.text, "0\r\n");
    });
  });

  test("the container's end is the session's", async () => {
    const other = await run();
    const { plugin, shows } = await open(other, "sh");
    await shows(/# /);
    await ecs.send(new Ecs.StopTaskCommand({ task: other }));
    assert.match(await plugin.closed, /SessionId: \S+ : The container has stopped\./);
    await until("STOPPED", async () => (await describeTask(other)).containers![0]!.managedAgents![0]!.lastStatus === "STOPPED");
  });
});

describe("the audit", { concurrency: 3 }, () => {
  test("the transcript in the cluster's log group, the call in the trail, the stream encrypted by a KMS key", async () => {
    const { KeyMetadata } = await client(new KMSClient(options())).send(new CreateKeyCommand({}));
    await ecs.send(
      new Ecs.CreateClusterCommand({
        clusterName: "audited",
        configuration: {
          executeCommandConfiguration: {
            kmsKeyId: KeyMetadata!.Arn!,
            logging: "OVERRIDE",
            logConfiguration: { cloudWatchLogGroupName: "/audit", s3BucketName: "transcripts", s3KeyPrefix: "exec" },
          },
        },
      }),
    );
    const arn = await run({ fargate: runsc !== undefined, cluster: "audited" });
    const { plugin, seen, sessionId, shows } = await open(arn, "sh", { cluster: "audited" });
    await shows(/# /);
    assert.equal(plugin.customerMessage, "This session is encrypted using AWS KMS.");
    plugin.type("echo seen-by-$(id -un 2>/dev/null || id -u)\r");
    await shows(/\nseen-by-\w+\r/);
    plugin.type("stty size; exit\r");
    await shows(/24 80/);
    await plugin.closed;
    const { events } = await logs.send(new GetLogEventsCommand({ logGroupName: "/audit", logStreamName: sessionId, startFromHead: true }));
    const lines = events!.map(({ message }) => message!);
    assert.match(lines[0]!, /^Script started on .*COMMAND="sh" USER="arn:aws:iam::000000000000:root"/);
    assert.ok(
      lines.some((line) => /^seen-by-\w+$/.test(line)),
      lines.join("\n"),
    );
    assert.match(lines.at(-1)!, /^Script done on .*COMMAND_EXIT_CODE="0"/);
    assert.match(readFileSync(join(gantry.home, "buckets", "transcripts", "exec", `${sessionId}.log`), "utf8"), /seen-by-/);
    const trail = client(new CloudTrailClient(options()));
    const event = await until("the event", async () => {
      const found = await trail.send(
        new LookupEventsCommand({ LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "ExecuteCommand" }] }),
      );
      return found.Events!.map(({ CloudTrailEvent }) => CloudTrailEvent!).find((each) => each.includes(sessionId));
    });
    const { requestParameters, responseElements, userIdentity } = JSON.parse(event) as Record<string, Record<string, unknown>>;
    assert.equal(requestParameters!["command"], "sh");
    assert.equal(userIdentity!["arn"], `arn:aws:iam::${account}:root`);
    assert.equal(JSON.stringify(responseElements).includes("HIDDEN"), true);
    assert.equal(seen.text.includes("\0"), false);
  });

  test("by default the transcript is beside the container's own log, from the first second on", async () => {
    const { plugin, sessionId, shows } = await open(await run({ logGroup: "/c" }), "sh");
    await shows(/# /);
    plugin.type("echo to''day\r");
    const lines = await until("the line, while the session goes on", async () => {
      const input = { logGroupName: "/c", logStreamName: sessionId, startFromHead: true };
      const found = await logs.send(new GetLogEventsCommand(input)).catch(() => ({ events: [] }));
      const messages = found.events!.map(({ message }) => message!);
      return messages.includes("today") ? messages : undefined;
    });
    assert.match(lines[0]!, /^Script started on /);
    plugin.type("exit\r");
    await plugin.closed;
  });

  test("a log group that cannot be written forbids the session", async () => {
    const logConfiguration = { cloudWatchLogGroupName: "/not-there" };
    await ecs.send(
      new Ecs.CreateClusterCommand({
        clusterName: "strict",
        configuration: { executeCommandConfiguration: { logging: "OVERRIDE", logConfiguration } },
      }),
    );
    const arn = await run({ cluster: "strict" }).catch(() => undefined);
    // The machine is in the cluster default: only Fargate's capacity is everybody's.
    const on = arn ?? (runsc ? await run({ cluster: "strict", fargate: true }) : undefined);
    if (!on) return;
    const { plugin } = await open(on, "sh", { cluster: "strict" });
    assert.match(
      await plugin.closed,
      /Couldn't start the session because we are unable to write to the CloudWatch Logs log group \/not-there/,
    );
  });
});

test("ssm start-session with the task as its target is a shell in it", async () => {
  const { runtimeId } = (await describeTask(task)).containers![0]!;
  const ssm = client(new SSMClient(options()));
  const Target = `ecs:default_${task.split("/").at(-1)}_${runtimeId}`;
  const { SessionId } = await ssm.send(new StartSessionCommand({ Target }));
  const { Sessions } = await ssm.send(new DescribeSessionsCommand({ State: "Active" }));
  const found = Sessions!.find((session) => session.SessionId === SessionId)!;
  assert.deepEqual([found.Target, found.Status], [Target, "Disconnected"]);
  await ssm.send(new TerminateSessionCommand({ SessionId: SessionId! }));
  await assert.rejects(ssm.send(new StartSessionCommand({ Target: "i-0123456789abcdef0" })), { name: "TargetNotConnected" });
});
