/**
 * Issue 2, "It is done when", as a user types it: after `eval "$(./gantry env)"`, with the AWS CLI, docker, skopeo and buildah, against a whole
 * Gantry with signed requests (not --open). Steps build on each other, as they do for a user.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type DockerDaemon, startDockerDaemon } from "../support/docker.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { until } from "../support/until.ts";

let gantry: RunningGantry;
let docker: DockerDaemon;
let work: string;
/** Debian's old CLI does not read AWS_ENDPOINT_URL; the flag works with every version. */
const aws = (line: string) => `aws --endpoint-url "$AWS_ENDPOINT_URL" --output json ${line}`;

const shell = (line: string, timeoutMs = 120_000) =>
  gantry.shell(`cd ${work}\nexport HOME=${work} DOCKER_HOST=${docker.host} REGISTRY_AUTH_FILE=${work}/auth.json\n${line}`, { timeoutMs });
const json = async <T>(line: string) => JSON.parse((await shell(aws(line))) || "{}") as T;

interface Task {
  taskArn: string;
  lastStatus: string;
  desiredStatus: string;
  stopCode?: string;
  stoppedReason?: string;
  startedAt?: string;
  stoppedAt?: string;
  containers: {
    name: string;
    lastStatus: string;
    exitCode?: number;
    reason?: string;
    healthStatus?: string;
    runtimeId?: string;
    imageDigest?: string;
  }[];
}
const describeTask = async (arn: string) => (await json<{ tasks: Task[] }>(`ecs describe-tasks --tasks ${arn}`)).tasks[0]!;
const runTask = async (definition: string, extra = "") => {
  const answer = await json<{ tasks: Task[]; failures: unknown[] }>(`ecs run-task --task-definition ${definition} ${extra}`);
  assert.deepEqual(answer.failures, []);
  return answer.tasks[0]!.taskArn;
};

async function sees<T>(what: string, read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  let value: T;
  await until(what, async () => good((value = await read())), { ms: 120_000, every: 300, seen: () => JSON.stringify(value) });
  return value!;
}

describe("the road", { timeout: 600_000 }, () => {
  before(async () => {
    work = await mkdtemp(join(tmpdir(), "gantry-road-"));
    docker = await startDockerDaemon();
    gantry = await startGantry();
    await copyFile("/bin/busybox", join(work, "busybox"));
    await writeFile(join(work, "auth.json"), "{}");
    await writeFile(
      join(work, "Dockerfile"),
      'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "/bin"]\nCMD ["sh", "-c", "echo hello from the image"]\n',
    );
  });
  after(async () => {
    await gantry?.stop();
    await docker?.stop();
    await rm(work, { recursive: true, force: true });
  });

  const registry = () => `localhost:${gantry.port}`;

  test("a Dockerfile is built and pushed by buildah with the CLI's login", async () => {
    await json("ecr create-repository --repository-name app/web");
    await shell(
      `${aws("ecr get-login-password").replace("--output json", "")} | buildah login --username AWS --password-stdin --tls-verify=false ${registry()}`,
    );
    await shell(
      `export BUILDAH_ISOLATION=chroot; buildah --root ${work}/bs --runroot ${work}/br --storage-driver vfs bud -q -t ${registry()}/app/web:1 . && buildah --root ${work}/bs --runroot ${work}/br --storage-driver vfs push -q --tls-verify=false ${registry()}/app/web:1`,
    );
    const { imageDetails } = await json<{ imageDetails: { imageDigest: string; imageTags: string[] }[] }>(
      "ecr describe-images --repository-name app/web",
    );
    assert.deepEqual(imageDetails[0]?.imageTags, ["1"]);
  });

  test("docker logs in, pulls and pushes; skopeo copies; every digest is the same", async () => {
    const login = await shell(
      `${aws("ecr get-login-password").replace("--output json", "")} | docker login --username AWS --password-stdin ${registry()} 2>&1`,
    );
    assert.match(login, /Login Succeeded/);
    await shell(
      `docker pull -q ${registry()}/app/web:1 && docker tag ${registry()}/app/web:1 ${registry()}/app/web:docker && docker push -q ${registry()}/app/web:docker`,
    );
    await shell(
      `skopeo copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false docker://${registry()}/app/web:1 docker://${registry()}/app/web:skopeo`,
    );
    const digest = async (tag: string) =>
      (await shell(`skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://${registry()}/app/web:${tag}`)).trim();
    const { imageDetails } = await json<{ imageDetails: { imageDigest: string }[] }>(
      "ecr describe-images --repository-name app/web --image-ids imageTag=1",
    );
    assert.equal(await digest("1"), imageDetails[0]?.imageDigest);
    assert.equal(await digest("skopeo"), imageDetails[0]?.imageDigest);
    const repoDigests = await shell(`docker image inspect --format '{{json .RepoDigests}}' ${registry()}/app/web:1`);
    assert.ok(repoDigests.includes(imageDetails[0]!.imageDigest), repoDigests);
    await shell(`docker rmi -f $(docker image ls -q) >/dev/null; docker pull -q ${registry()}/app/web@${await digest("docker")}`);
  });

  test("a wrong password is refused", async () => {
    await assert.rejects(
      shell(`skopeo inspect --tls-verify=false --creds AWS:wrong docker://${registry()}/app/web:1`),
      /authentication required|unauthorized|invalid username/i,
    );
  });

  test("two containers with a dependency and a health check run, wait, log, and stop", async () => {
    await json("logs create-log-group --log-group-name /road");
    const log = (prefix: string) => ({
      logDriver: "awslogs",
      options: { "awslogs-group": "/road", "awslogs-region": "us-east-1", "awslogs-stream-prefix": prefix },
    });
    await writeFile(
      join(work, "pair.json"),
      JSON.stringify({
        family: "pair",
        networkMode: "bridge",
        containerDefinitions: [
          {
            name: "store",
            image: `${registry()}/app/web:1`,
            memory: 64,
            essential: true,
            command: ["sh", "-c", "echo store up; touch /tmp/ready 2>/dev/null || { mkdir /tmp; touch /tmp/ready; }; exec sleep 1000"],
            healthCheck: { command: ["CMD-SHELL", "test -f /tmp/ready"], interval: 5, timeout: 20, retries: 3 },
            logConfiguration: log("store"),
            stopTimeout: 2,
          },
          {
            name: "web",
            image: `${registry()}/app/web:1`,
            memory: 64,
            essential: true,
            command: ["sh", "-c", "echo web up; i=0; while true; do i=$((i+1)); echo tick $i; sleep 1; done"],
            dependsOn: [{ containerName: "store", condition: "HEALTHY" }],
            logConfiguration: log("web"),
            stopTimeout: 2,
          },
        ],
      }),
    );
    await json("ecs register-task-definition --cli-input-json file://pair.json");
    const arn = await runTask("pair");
    await shell(aws(`ecs wait tasks-running --tasks ${arn}`));
    const running = await describeTask(arn);
    assert.equal(running.lastStatus, "RUNNING");
    assert.deepEqual(running.containers.map((container) => container.lastStatus).sort(), ["RUNNING", "RUNNING"]);
    await sees(
      "store is healthy",
      () => describeTask(arn),
      (task) => task.containers.find((container) => container.name === "store")?.healthStatus === "HEALTHY",
    );
    const tail = await sees(
      "the log",
      () => shell(aws("logs tail /road --since 5m").replace("--output json", "").replace("aws ", "/usr/bin/aws ")),
      // Of two streams, each written in its own time.
      (text) => [/tick 2/, /store up/, /web up/].every((line) => line.test(text)),
    );
    assert.equal(tail.match(/store up/g)!.length, 1, tail);

    await json(`ecs stop-task --task ${arn} --reason "enough of it"`);
    await shell(aws(`ecs wait tasks-stopped --tasks ${arn}`));
    const stopped = await describeTask(arn);
    assert.equal(stopped.stopCode, "UserInitiated");
    assert.equal(stopped.stoppedReason, "enough of it");
    assert.ok(stopped.stoppedAt);
  });

  test("logs tail --follow shows lines as they come", async () => {
    const arn = await runTask("pair");
    const text = await shell(
      `set +o pipefail; timeout 100 ${aws("logs tail /road --follow --since 1s --format short").replace("--output json", "").replace("aws ", "/usr/bin/aws ")} | { grep -m1 'tick 3' || true; }`,
    );
    assert.match(text, /tick 3/);
    await json(`ecs stop-task --task ${arn}`);
  });

  test("an exit code comes through", async () => {
    await shell(
      aws(
        `ecs register-task-definition --family code --container-definitions '[{"name":"c","image":"${registry()}/app/web:1","memory":32,"command":["sh","-c","exit 42"]}]'`,
      ),
    );
    const arn = await runTask("code");
    await shell(aws(`ecs wait tasks-stopped --tasks ${arn}`));
    const task = await describeTask(arn);
    assert.equal(task.containers[0]?.exitCode, 42);
    assert.equal(task.stopCode, "EssentialContainerExited");
    assert.equal(task.stoppedReason, "Essential container in task exited");
  });

  test("server and agent killed with SIGKILL: tasks run on, an exit in between is reported, work goes on", async () => {
    const long = await runTask("pair");
    await shell(aws(`ecs wait tasks-running --tasks ${long}`));
    const before = await describeTask(long);
    // It ends when it is told to: by a file.
    await mkdir(join(work, "brief"));
    const ending = {
      family: "brief",
      volumes: [{ name: "v", host: { sourcePath: join(work, "brief") } }],
      containerDefinitions: [
        {
          ...{ name: "c", image: `${registry()}/app/web:1`, memory: 32 },
          command: ["sh", "-c", "until [ -e /v/end ]; do sleep 0.1; done; exit 7"],
          mountPoints: [{ sourceVolume: "v", containerPath: "/v" }],
        },
      ],
    };
    await writeFile(join(work, "brief.json"), JSON.stringify(ending));
    await json("ecs register-task-definition --cli-input-json file://brief.json");
    const brief = await runTask("brief");
    await shell(aws(`ecs wait tasks-running --tasks ${brief}`));

    const parts = (await gantry.status()).parts;
    for (const name of ["agent", "server"]) process.kill(parts.find((part) => part.name === name)!.pid!, "SIGKILL");
    await writeFile(join(work, "brief", "end"), "");
    await sees(
      "gantry is well again",
      () => gantry.status(),
      (status) => status.ok === true,
    );

    const finished = await sees(
      "the brief task is STOPPED",
      () => describeTask(brief),
      (task) => task.lastStatus === "STOPPED",
    );
    assert.equal(finished.containers[0]?.exitCode, 7);
    const still = await describeTask(long);
    assert.equal(still.lastStatus, "RUNNING");
    assert.deepEqual(still.containers.map((c) => c.runtimeId).sort(), before.containers.map((c) => c.runtimeId).sort());
    assert.equal(still.startedAt, before.startedAt);

    const next = await runTask("code");
    await shell(aws(`ecs wait tasks-stopped --tasks ${next}`));
    assert.equal((await describeTask(next)).containers[0]?.exitCode, 42);
    await json(`ecs stop-task --task ${long}`);
    await shell(aws(`ecs wait tasks-stopped --tasks ${long}`));
  });
});
