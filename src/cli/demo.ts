import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { AwsClient } from "#agent/aws/client.ts";
import { type Config, readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { awsClient, endpointOf } from "./commands.ts";
import { down } from "./down.ts";
import { effectiveConfig, runningState } from "./supervisor.ts";
import { up } from "./up.ts";

const run = promisify(execFile);
const example = new URL("../../examples/hello/", import.meta.url).pathname;

let stepNumber = 0;
/** What a step does, and what a user would type for it after `eval "$(./gantry env)"`. */
function step(text: string, typed: readonly string[]): void {
  stepNumber++;
  process.stdout.write(`\n${stepNumber}. ${text}\n${typed.map((line) => `   $ ${line}\n`).join("")}`);
}
const show = (text: string) => process.stdout.write(text.replace(/^(?=.)/gm, "   ") + "\n");

/**
 * `gantry demo`: examples/hello along the whole road, on a Gantry of its own (a temporary home, a free port), or on the one that is running. Whatever
 * happens, what the demo made is removed. Returns the exit code.
 */
export async function demo(): Promise<number> {
  const wanted = effectiveConfig(readConfig(process.env));
  const interrupted = new Promise<number>((resolve) => process.once("SIGINT", () => resolve(130)));
  if (runningState(wanted.home)) {
    process.stdout.write(`Gantry is running at ${endpointOf(wanted)}: the demo uses it.\n`);
    return road(wanted, "demo-hello", interrupted);
  }
  const home = await mkdtemp(join(tmpdir(), "gantry-demo-"));
  const config = readConfig({ ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(await freePort()) });
  try {
    step("Start Gantry: containerd, the server and this machine's agent", ["./gantry up --detach"]);
    if ((await up(config, { detach: true, containerd: undefined })) !== 0) return 1;
    return await road(config, "hello", interrupted);
  } finally {
    step("Stop everything and clean up", ["./gantry down --all"]);
    await down(config, { all: true });
    await rm(home, { recursive: true, force: true });
    process.stdout.write(
      '\nNext: ./gantry up --detach && eval "$(./gantry env)", then the steps above with your own Dockerfile. README.md has a tour.\n',
    );
  }
}

interface Task {
  readonly taskArn: string;
  readonly lastStatus: string;
  readonly stoppedReason?: string;
  readonly containers: readonly { exitCode?: number; reason?: string; networkBindings?: { hostPort: number }[] }[];
}

/** Build, push, register, run, ask, stop, read the log; then what it made is removed. */
async function road(config: Config, repositoryName: string, interrupted: Promise<number>): Promise<number> {
  const identity = await loadIdentity(config.home, systemRandom);
  const [ecr, ecs, logs] = (["ecr", "ecs", "logs"] as const).map((service) => awsClient(config, identity, service)) as [
    AwsClient,
    AwsClient,
    AwsClient,
  ];
  const work = await mkdtemp(join(tmpdir(), "gantry-hello-"));
  const registry = `localhost:${config.port}`;
  const image = `${registry}/${repositoryName}:1`;
  const logGroupName = "/examples/hello";
  const cleanUps: (() => Promise<unknown>)[] = [() => rm(work, { recursive: true, force: true })];
  const began = performance.now();

  const walk = async (): Promise<number> => {
    step("Build the image out of examples/hello/Dockerfile", ["cp /bin/busybox examples/hello/", `buildah bud -t ${image} examples/hello`]);
    for (const file of ["Dockerfile", "hello.sh"]) await copyFile(join(example, file), join(work, file));
    await copyFile("/bin/busybox", join(work, "busybox"));
    await mkdir(join(work, "storage"));
    const buildah = await buildahIn(work);
    await buildah(["bud", "-q", "-t", image, work]);

    step("Create a repository and log in", [
      `aws ecr create-repository --repository-name ${repositoryName}`,
      `aws ecr get-login-password | buildah login --username AWS --password-stdin ${registry}`,
    ]);
    const made = await ecr.call("CreateRepository", { repositoryName }).then(
      () => true,
      (error: { code?: string }) => {
        if (error.code !== "RepositoryAlreadyExistsException") throw error;
        return false;
      },
    );
    if (made) cleanUps.push(() => ecr.call("DeleteRepository", { repositoryName, force: true }));
    const { authorizationData } = await ecr.call<{ authorizationData: [{ authorizationToken: string }] }>("GetAuthorizationToken", {});
    const [, password = ""] = Buffer.from(authorizationData[0].authorizationToken, "base64").toString().split(/:(.*)/s);
    await buildah(["login", "--tls-verify=false", "--username", "AWS", "--password-stdin", registry], password);

    step("Push", [`buildah push ${image}`]);
    await buildah(["push", "-q", "--tls-verify=false", image]);
    const { imageDetails } = await ecr.call<{ imageDetails: [{ imageDigest: string; imageSizeInBytes: number }] }>("DescribeImages", {
      repositoryName,
      imageIds: [{ imageTag: "1" }],
    });
    show(`${imageDetails[0].imageDigest}, ${(imageDetails[0].imageSizeInBytes / 1e6).toFixed(1)} MB`);

    const input = JSON.parse(await readFile(join(example, "task-definition.json"), "utf8")) as { containerDefinitions: [Container] };
    const [container] = input.containerDefinitions;
    const file = "file://examples/hello/task-definition.json";
    step("Register the task definition", [
      container.image === image
        ? `aws ecs register-task-definition --cli-input-json ${file}`
        : `sed s#${container.image}#${image}# examples/hello/task-definition.json >hello.json; aws ecs register-task-definition --cli-input-json file://hello.json`,
    ]);
    container.image = image;
    container.logConfiguration.options["awslogs-region"] = config.region;
    const { taskDefinition } = await ecs.call<{ taskDefinition: { taskDefinitionArn: string } }>("RegisterTaskDefinition", input);
    const definition = taskDefinition.taskDefinitionArn;
    cleanUps.push(() => ecs.call("DeregisterTaskDefinition", { taskDefinition: definition }));
    show(definition);

    step("Run it as a task", ["aws ecs run-task --task-definition hello"]);
    const { logGroups = [] } = await logs.call<{ logGroups?: { logGroupName: string }[] }>("DescribeLogGroups", {
      logGroupNamePrefix: logGroupName,
    });
    if (!logGroups.some((group) => group.logGroupName === logGroupName)) cleanUps.push(() => logs.call("DeleteLogGroup", { logGroupName }));
    const ran = performance.now();
    const { tasks = [], failures = [] } = await ecs.call<{ tasks?: Task[]; failures?: { reason: string; detail?: string }[] }>("RunTask", {
      taskDefinition: definition,
      cluster: config.cluster,
    });
    if (!tasks[0]) throw new Error(`the task was not placed: ${failures[0]?.reason} ${failures[0]?.detail ?? ""}`);
    const { taskArn } = tasks[0];
    const id = taskArn.split("/").at(-1) ?? "";
    const describe = async () =>
      (await ecs.call<{ tasks: [Task] }>("DescribeTasks", { cluster: config.cluster, tasks: [taskArn] })).tasks[0];
    cleanUps.push(async () => {
      if ((await describe()).lastStatus === "STOPPED") return;
      await ecs.call("StopTask", { cluster: config.cluster, task: taskArn, reason: "The demo is over" });
      await until(describe, (task) => task.lastStatus === "STOPPED");
    });
    const running = await until(describe, (task) => task.lastStatus === "RUNNING" || task.lastStatus === "STOPPED");
    if (running.lastStatus === "STOPPED")
      throw new Error(`the task stopped: ${running.stoppedReason}; ${running.containers[0]?.reason ?? ""}`);
    show(`${taskArn} is RUNNING after ${Math.round(performance.now() - ran)} ms`);

    const url = `http://127.0.0.1:${running.containers[0]?.networkBindings?.[0]?.hostPort}/`;
    step("Ask it, at the host port it was given", [
      `aws ecs describe-tasks --tasks ${id} --query 'tasks[0].containers[0].networkBindings[0].hostPort'`,
      `curl ${url}`,
    ]);
    show(
      (
        await until(
          () => read(url),
          (page) => page !== "",
        )
      ).trimEnd(),
    );

    step("Let it leave with exit code 7, and wait until it has stopped", [
      `curl ${url}cgi-bin/leave?7`,
      `aws ecs wait tasks-stopped --tasks ${id}`,
    ]);
    await read(`${url}cgi-bin/leave?7`);
    const stopped = await until(describe, (task) => task.lastStatus === "STOPPED");
    const exitCode = stopped.containers[0]?.exitCode;
    show(`STOPPED: ${stopped.stoppedReason}; exit code ${exitCode}`);

    step("Read its log", [`aws logs tail ${logGroupName}`]);
    const { events = [] } = await logs.call<{ events?: { message: string }[] }>("FilterLogEvents", {
      logGroupName,
      logStreamNames: [`demo/web/${id}`],
    });
    for (const { message } of events) show(message);
    const good = exitCode === 7 && events.length >= 2;
    const took = ((performance.now() - began) / 1000).toFixed(1);
    process.stdout.write(`\n${good ? "The whole road" : "The road was NOT whole"}: ${took} s from Dockerfile to exit code.\n`);
    return good ? 0 : 1;
  };

  try {
    return await Promise.race([walk(), interrupted]);
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    process.stderr.write(`\ngantry demo: ${stderr?.trim() || message}\n`);
    return 1;
  } finally {
    // The last thing made goes first.
    for (const cleanUp of cleanUps.toReversed()) await cleanUp().catch(() => undefined);
  }
}

interface Container {
  image: string;
  logConfiguration: { options: Record<string, string> };
}

/** buildah with its storage, its temporary files and its logins below one directory. */
async function buildahIn(work: string): Promise<(args: readonly string[], input?: string) => Promise<unknown>> {
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--storage-driver", "vfs"];
  // buildah 1.28 refuses a file that it is told of and does not find.
  await writeFile(join(work, "auth.json"), "{}");
  const env = { ...process.env, BUILDAH_ISOLATION: "chroot", REGISTRY_AUTH_FILE: join(work, "auth.json"), TMPDIR: work };
  return (args, input = "") => {
    const running = run("buildah", [...storage, ...args], { env, maxBuffer: 1 << 24 });
    running.child.stdin?.end(input);
    return running;
  };
}

const read = (url: string) =>
  fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    (response) => response.text(),
    () => "",
  );

async function until<T>(look: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = await look();
    if (good(value)) return value;
    if (Date.now() > end) throw new Error(`nothing came of it within 60 s: ${JSON.stringify(value).slice(0, 400)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
