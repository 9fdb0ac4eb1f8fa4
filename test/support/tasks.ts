/** Tasks as a user of the JavaScript SDK runs them, against a whole Gantry in --open mode. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ContainerDefinition,
  DescribeTasksCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
  type Task,
} from "@aws-sdk/client-ecs";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { pushRoot } from "../../bench/image.ts";
import { run } from "../../bench/support.ts";
import type { RunningGantry } from "./gantry.ts";
import { eventually, until } from "./until.ts";

export const logGroup = "/containers";
type Container = Partial<ContainerDefinition>;
type TaskFields = Omit<Partial<RegisterTaskDefinitionCommandInput>, "containerDefinitions">;

export interface Ended {
  readonly task: Task;
  readonly id: string;
  /** What container `name` (default: `main`) wrote. */
  log(name?: string): Promise<string[]>;
  container(name?: string): NonNullable<Task["containers"]>[number];
}

export interface Tasks {
  readonly ecs: ECSClient;
  readonly logs: CloudWatchLogsClient;
  readonly image: string;
  /** Registers the containers (image, 32 MiB, the log group and the name `main` are the default) and returns the family. */
  define(containers: readonly Container[], fields?: TaskFields): Promise<string>;
  start(family: string, input?: Partial<RunTaskCommandInput>): Promise<string>;
  describe(arn: string): Promise<Task>;
  /** Fails at once when it is STOPPED and still not good. */
  until(arn: string, what: string, good: (task: Task) => boolean, timeoutMs?: number): Promise<Task>;
  running(arn: string): Promise<Task>;
  stop(arn: string): Promise<Task>;
  ended(arn: string, timeoutMs?: number): Promise<Ended>;
  /** What container `name` (default: `main`) of the task has written so far. */
  log(arn: string, name?: string): Promise<string[]>;
  /** Waits for a line of `main`'s: a task that is RUNNING has only begun what its shell is to do. */
  says(arn: string, line: string): Promise<void>;
  /** define, start, ended. */
  run(containers: readonly Container[], fields?: TaskFields, input?: Partial<RunTaskCommandInput>, timeoutMs?: number): Promise<Ended>;
  /** `script` by /bin/sh in one container with `settings`; it must end with code 0. Returns what it wrote. */
  lines(script: string, settings?: Container, fields?: TaskFields): Promise<string[]>;
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
export const sh = (script: string): Container => ({ command: ["sh", "-c", script] });
/** Answers with `answer` on port 8080. */
export const httpd = (answer: string): Container => ({
  ...sh(`mkdir -p /www && echo ${answer} >/www/index.html && exec httpd -f -p 8080 -h /www`),
  portMappings: [{ containerPort: 8080 }],
});
/** The smallest task on Fargate. */
export const fargateSize = {
  cpu: "256",
  memory: "512",
  networkMode: "awsvpc" as const,
  requiresCompatibilities: ["FARGATE" as const],
  executionRoleArn: "arn:aws:iam::000000000000:role/execution",
};
/** What every client of a Gantry is made with: in --open mode any keys do. */
export const openClient = (gantry: RunningGantry, credentials = { accessKeyId: "test", secretAccessKey: "test" }) => ({
  endpoint: gantry.endpoint,
  region: "us-east-1",
  credentials,
  maxAttempts: 1,
});

/** A tar of a root file system: Debian's static busybox with all its applets, and a user `web` (1000:1001). */
export async function makeRoot(directory: string): Promise<string> {
  const root = join(directory, "root");
  for (const name of ["bin", "etc", "tmp", "data", "work"]) await mkdir(join(root, name), { recursive: true });
  await copyFile("/bin/busybox", join(root, "bin", "busybox"));
  const { stdout } = await run("/bin/busybox", ["--list"]);
  for (const name of stdout.split("\n").filter((line) => line && line !== "busybox")) await symlink("busybox", join(root, "bin", name));
  await writeFile(join(root, "etc", "passwd"), "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1001:web:/work:/bin/sh\n");
  await writeFile(join(root, "etc", "group"), "root:x:0:\nwebs:x:1001:\n");
  const tar = join(directory, "root.tar");
  await run("tar", ["-C", root, "--owner=0", "--group=0", "-cf", tar, "."]);
  return tar;
}

export async function openTasks(
  gantry: RunningGantry,
  directory: string,
  credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string },
): Promise<Tasks> {
  const options = openClient(gantry, credentials);
  const ecs = new ECSClient(options);
  const logs = new CloudWatchLogsClient(options);
  const image = `localhost:${gantry.port}/box:1`;
  await pushRoot(await makeRoot(directory), image, credentials ? { ...gantry, credentials } : gantry);
  await logs.send(new CreateLogGroupCommand({ logGroupName: logGroup }));

  const define: Tasks["define"] = async (containers, fields = {}) => {
    const family = `t-${randomUUID()}`;
    await ecs.send(
      new RegisterTaskDefinitionCommand({
        family,
        ...fields,
        containerDefinitions: containers.map((container) => ({
          name: "main",
          image,
          memory: 32,
          stopTimeout: 2,
          logConfiguration: {
            logDriver: "awslogs",
            options: { "awslogs-group": logGroup, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "t" },
          },
          ...container,
        })),
      }),
    );
    return family;
  };
  const start: Tasks["start"] = async (taskDefinition, input = {}) => {
    const { tasks, failures } = await ecs.send(new RunTaskCommand({ taskDefinition, ...input }));
    assert.deepEqual(failures, []);
    return tasks![0]!.taskArn!;
  };
  const describe = async (arn: string) => (await ecs.send(new DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;
  const becomes: Tasks["until"] = async (arn, what, good, ms = 120_000) => {
    let task: Task | undefined;
    const look = async () => {
      task = await describe(arn);
      if (good(task)) return task;
      if (task.lastStatus === "STOPPED") assert.fail(`${what} did not come: ${JSON.stringify(task)}`);
      return undefined;
    };
    return until(what, look, { ms, every: 200, seen: () => JSON.stringify(task) });
  };
  const log: Tasks["log"] = async (arn, name = "main") => {
    const logStreamName = `t/${name}/${arn.slice(arn.lastIndexOf("/") + 1)}`;
    const { events } = await logs.send(new GetLogEventsCommand({ logGroupName: logGroup, logStreamName, startFromHead: true }));
    return (events ?? []).map(({ message }) => message ?? "");
  };
  const ended: Tasks["ended"] = async (arn, timeoutMs) => {
    const task = await becomes(arn, "STOPPED", ({ lastStatus }) => lastStatus === "STOPPED", timeoutMs);
    const id = arn.slice(arn.lastIndexOf("/") + 1);
    return {
      task,
      id,
      container: (name = "main") => task.containers!.find((container) => container.name === name)!,
      log: (name) => log(arn, name),
    };
  };
  const runs: Tasks["run"] = async (containers, fields, input, timeoutMs) =>
    ended(await start(await define(containers, fields), input), timeoutMs);
  return {
    ecs,
    logs,
    image,
    define,
    start,
    describe,
    until: becomes,
    log,
    says: (arn, line) => eventually(`${line} in the log of ${arn}`, async () => assert.ok((await log(arn)).includes(line))),
    running: (arn) => becomes(arn, "RUNNING", ({ lastStatus }) => lastStatus === "RUNNING"),
    async stop(arn) {
      await ecs.send(new StopTaskCommand({ task: arn, reason: "test" }));
      return (await ended(arn)).task;
    },
    ended,
    run: runs,
    async lines(script, settings = {}, fields = {}) {
      const end = await runs([{ ...sh(script), ...settings }], fields);
      const lines = await end.log();
      assert.equal(end.container().exitCode, 0, JSON.stringify({ lines, task: end.task }));
      return lines;
    },
  };
}
