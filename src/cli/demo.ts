import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Config, readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { awsClient, endpointOf } from "./commands.ts";
import { down } from "./down.ts";
import { runningState } from "./supervisor.ts";
import { up } from "./up.ts";

const run = promisify(execFile);
const example = new URL("../../examples/hello/", import.meta.url).pathname;

let stepNumber = 0;
/** What a step does, and what a user would type for it. */
function step(text: string, typed?: string): void {
  stepNumber++;
  process.stdout.write(`\n${stepNumber}. ${text}\n${typed ? `   $ ${typed}\n` : ""}`);
}
const show = (text: string) => process.stdout.write(text.replace(/^(?=.)/gm, "   ") + "\n");

/**
 * `gantry demo`: examples/hello along the whole road, on a Gantry of its own (a temporary home, a free port), or on the one that is running. Whatever
 * happens, what the demo made is removed.
 */
export async function demo(): Promise<number> {
  const wanted = readConfig(process.env);
  if (runningState(wanted.home)) {
    process.stdout.write(`Gantry is running at ${endpointOf(wanted)}: the demo uses it.\n`);
    return road(wanted, "busybox-demo");
  }
  const home = await mkdtemp(join(tmpdir(), "gantry-demo-"));
  const config = readConfig({ ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(await freePort()) });
  const interrupted = new Promise<number>((resolve) => process.once("SIGINT", () => resolve(130)));
  process.env.GANTRY_HOME = config.home;
  process.env.GANTRY_PORT = String(config.port);
  try {
    step("Start Gantry: containerd, the server and this machine's agent", "./gantry up --detach");
    if ((await up(config, { detach: true, containerd: undefined })) !== 0) return 1;
    return await Promise.race([road(config, "hello"), interrupted]);
  } finally {
    step("Stop everything and clean up", "./gantry down --all");
    await down(config, { all: true });
    await rm(home, { recursive: true, force: true });
    process.stdout.write(
      '\nNext: ./gantry up --detach && eval "$(./gantry env)", then the steps above with your own Dockerfile. README.md has a tour.\n',
    );
  }
}

interface Task {
  taskArn: string;
  lastStatus: string;
  stoppedReason?: string;
  containers: { exitCode?: number; reason?: string; networkBindings?: { hostPort: number }[] }[];
}

async function road(config: Config, repositoryName: string): Promise<number> {
  const identity = await loadIdentity(config.home, systemRandom);
  const [ecr, ecs, logs] = [awsClient(config, identity, "ecr"), awsClient(config, identity, "ecs"), awsClient(config, identity, "logs")];
  const work = await mkdtemp(join(tmpdir(), "gantry-hello-"));
  const image = `localhost:${config.port}/${repositoryName}:1`;
  const began = performance.now();
  let taskArn = "";
  let taskDefinition = "";
  try {
    step("Build the image out of examples/hello/Dockerfile", `buildah bud -t ${image} examples/hello`);
    for (const file of ["Dockerfile", "hello.sh"]) await copyFile(join(example, file), join(work, file));
    await copyFile("/bin/busybox", join(work, "busybox"));
    const storage = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--storage-driver", "vfs"];
    const buildah = (...args: string[]) =>
      run("buildah", [...storage, ...args], {
        env: { ...process.env, BUILDAH_ISOLATION: "chroot", REGISTRY_AUTH_FILE: join(work, "auth.json"), TMPDIR: work },
        maxBuffer: 1 << 24,
      });
    await mkdir(join(work, "storage"));
    await writeFile(join(work, "auth.json"), "{}");
    await buildah("bud", "-q", "-t", image, work);

    step(
      "Create a repository and log in",
      `aws ecr create-repository --repository-name ${repositoryName}\n   $ aws ecr get-login-password | buildah login --username AWS --password-stdin localhost:${config.port}`,
    );
    await ecr.call("CreateRepository", { repositoryName }).catch((error: { code?: string }) => {
      if (error.code !== "RepositoryAlreadyExistsException") throw error;
    });
    const { authorizationData = [] } = await ecr.call<{ authorizationData?: { authorizationToken: string }[] }>(
      "GetAuthorizationToken",
      {},
    );
    const [, password = ""] = Buffer.from(authorizationData[0]?.authorizationToken ?? "", "base64")
      .toString()
      .split(/:(.*)/s);

    step("Push", `buildah push ${image}`);
    await buildah("push", "-q", "--tls-verify=false", "--creds", `AWS:${password}`, image);
    const { imageDetails = [] } = await ecr.call<{ imageDetails?: { imageDigest: string; imageSizeInBytes: number }[] }>("DescribeImages", {
      repositoryName,
      imageIds: [{ imageTag: "1" }],
    });
    show(`${imageDetails[0]?.imageDigest}, ${((imageDetails[0]?.imageSizeInBytes ?? 0) / 1e6).toFixed(1)} MB`);

    step("Register the task definition", "aws ecs register-task-definition --cli-input-json file://examples/hello/task-definition.json");
    const text = await readFile(join(example, "task-definition.json"), "utf8");
    const input = JSON.parse(text.replace("IMAGE", image).replaceAll("us-east-1", config.region)) as object;
    const registered = await ecs.call<{ taskDefinition: { taskDefinitionArn: string } }>("RegisterTaskDefinition", input);
    taskDefinition = registered.taskDefinition.taskDefinitionArn;
    show(taskDefinition);

    step("Run it as a task", "aws ecs run-task --task-definition hello");
    const ran = performance.now();
    const { tasks = [], failures = [] } = await ecs.call<{ tasks?: Task[]; failures?: { reason: string; detail?: string }[] }>("RunTask", {
      taskDefinition,
      cluster: config.cluster,
    });
    if (!tasks[0]) throw new Error(`the task was not placed: ${failures[0]?.reason} ${failures[0]?.detail ?? ""}`);
    taskArn = tasks[0].taskArn;
    const describe = async () =>
      (await ecs.call<{ tasks: [Task] }>("DescribeTasks", { cluster: config.cluster, tasks: [taskArn] })).tasks[0];
    const running = await until(describe, (task) => task.lastStatus === "RUNNING" || task.lastStatus === "STOPPED");
    if (running.lastStatus === "STOPPED")
      throw new Error(`the task stopped: ${running.stoppedReason}; ${running.containers[0]?.reason ?? ""}`);
    show(`${taskArn} is RUNNING after ${Math.round(performance.now() - ran)} ms`);

    const port = running.containers[0]?.networkBindings?.[0]?.hostPort;
    const url = `http://127.0.0.1:${port}/`;
    step("Ask it", `curl ${url}`);
    const page = await until(
      () =>
        fetch(url, { signal: AbortSignal.timeout(2000) }).then(
          (response) => response.text(),
          () => "",
        ),
      (body) => body !== "",
    );
    show(page.trimEnd());

    step(
      "Let it leave with exit code 7, and wait until it has stopped",
      `curl ${url}cgi-bin/leave?7; aws ecs wait tasks-stopped --tasks ${taskArn.split("/").at(-1)}`,
    );
    await fetch(`${url}cgi-bin/leave?7`).then((response) => response.arrayBuffer());
    const stopped = await until(describe, (task) => task.lastStatus === "STOPPED");
    show(`${stopped.stoppedReason}; exit code ${stopped.containers[0]?.exitCode}`);

    step("Read its log", `aws logs tail /examples/hello`);
    const { events = [] } = await logs.call<{ events?: { message: string }[] }>("FilterLogEvents", {
      logGroupName: "/examples/hello",
      logStreamNames: [`demo/web/${taskArn.split("/").at(-1)}`],
    });
    for (const { message } of events) show(message);
    const good = stopped.containers[0]?.exitCode === 7 && events.length >= 2;
    process.stdout.write(
      `\n${good ? "The whole road" : "The road was NOT whole"}: ${((performance.now() - began) / 1000).toFixed(1)} s from Dockerfile to exit code.\n`,
    );
    return good ? 0 : 1;
  } catch (error) {
    process.stderr.write(`\ngantry demo: ${(error as Error).message}\n`);
    return 1;
  } finally {
    // On a Gantry that was running before, the demo leaves nothing either.
    if (taskArn) await ecs.call("StopTask", { cluster: config.cluster, task: taskArn }).catch(() => undefined);
    if (taskDefinition) await ecs.call("DeregisterTaskDefinition", { taskDefinition }).catch(() => undefined);
    await ecr.call("DeleteRepository", { repositoryName, force: true }).catch(() => undefined);
    await logs.call("DeleteLogGroup", { logGroupName: "/examples/hello" }).catch(() => undefined);
    await rm(work, { recursive: true, force: true });
  }
}

async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = await read();
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
