/** `up`, `status`, `down` and everything that can be killed in between, with containerd, server, agent and a task as they are. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { startContainerd } from "#agent/containerd/daemon.ts";
import { silentLogger } from "#platform/log.ts";
import { awsClient } from "#cli/commands.ts";
import { describeRemains, findRemains } from "#cli/remains.ts";
import { status } from "#cli/status.ts";
import { readConfig } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { type GantryStatus, type RunningGantry, freePort, repository, startGantry } from "../support/gantry.ts";
import { until } from "../support/until.ts";

/** A number of seconds that no other process of this machine sleeps. */
const seconds = 100_000 + process.pid;
let gantry: RunningGantry;
let work: string;
let taskArn: string;
let sleeper: number;

const aws = (line: string) => gantry.shell(`aws --endpoint-url "$AWS_ENDPOINT_URL" --output json ${line}`);
/** What `./gantry status --json` prints, without a process for each question. */
const now = () => status(readConfig({ GANTRY_HOME: gantry.home, GANTRY_PORT: String(gantry.port) }));
const partOf = async (name: string) => (await now()).parts.find((part) => part.name === name);
const lastStatus = async () => {
  const config = readConfig({ GANTRY_HOME: gantry.home, GANTRY_PORT: String(gantry.port) });
  const ecs = awsClient(config, await loadIdentity(config.home, systemRandom), "ecs");
  return (await ecs.call<{ tasks: [{ lastStatus: string }] }>("DescribeTasks", { tasks: [taskArn] })).tasks[0].lastStatus;
};

const isWell = () => until("all is well", async () => (await now()).ok, { seen: async () => JSON.stringify(await now()) });

/** The container's process on this machine. */
async function findSleeper(): Promise<number | undefined> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name)))
    if (/sleep\0(\d+)\0$/.exec(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""))?.[1] === String(seconds)) return Number(pid);
  return undefined;
}

describe("a whole Gantry", { timeout: 600_000 }, () => {
  before(async () => {
    work = await mkdtemp(join(tmpdir(), "gantry-up-"));
    gantry = await startGantry();
    await copyFile("/bin/busybox", join(work, "busybox"));
    await writeFile(join(work, "Dockerfile"), `FROM scratch\nCOPY busybox /bin/busybox\nCMD ["/bin/busybox", "sleep", "${seconds}"]\n`);
    const image = `localhost:${gantry.port}/sleeper:1`;
    const buildah = `buildah --root ${work}/storage --runroot ${work}/run --storage-driver vfs`;
    await aws("ecr create-repository --repository-name sleeper");
    await gantry.shell(
      `export BUILDAH_ISOLATION=chroot; ${buildah} bud -q -t ${image} ${work} && ${buildah} push -q --tls-verify=false --creds "AWS:$(aws --endpoint-url "$AWS_ENDPOINT_URL" ecr get-login-password)" ${image}`,
    );
    await aws(
      `ecs register-task-definition --family sleeper --container-definitions '[{"name":"main","image":"${image}","memory":32,"stopTimeout":2}]'`,
    );
    taskArn = (JSON.parse(await aws("ecs run-task --task-definition sleeper")) as { tasks: [{ taskArn: string }] }).tasks[0].taskArn;
    await until("the task is RUNNING", async () => (await lastStatus()) === "RUNNING");
    sleeper = await until("its process", findSleeper);
  });
  after(async () => {
    await gantry?.stop();
    await rm(work, { recursive: true, force: true });
  });

  test("status names every part, and that it is well", async () => {
    const shown = await gantry.status();
    assert.equal(shown.ok, true, JSON.stringify(shown));
    for (const name of ["supervisor", "containerd", "server", "agent", "registry", "container instance", "machine", "disk"])
      assert.equal(shown.parts.find((part) => part.name === name)?.ok, true, name);
    const detail = async () => (await partOf("container instance"))?.detail ?? "";
    await until("its task", async () => /ACTIVE, agent connected, 1 running and 0 pending/.test(await detail()), { seen: detail });
    assert.match(await gantry.gantry("status"), /^Gantry is well at http/);
    assert.equal((await fetch(`${gantry.endpoint}/healthz`)).status, 200);
  });

  test("up again says that it runs, reset says that it needs --open", async () => {
    const pid = (await partOf("supervisor"))?.pid;
    await gantry.gantry("up", "--detach");
    assert.equal((await partOf("supervisor"))?.pid, pid);
    await assert.rejects(gantry.gantry("reset"), /--open mode only/);
  });

  for (const name of ["server", "agent", "containerd"])
    test(`${name} killed with SIGKILL comes back, the task's process runs on`, async () => {
      const { pid } = (await partOf(name))!;
      process.kill(pid!, "SIGKILL");
      await until(`${name} is another process`, async () => (await partOf(name))?.pid !== pid);
      await isWell();
      assert.match((await partOf(name))?.detail ?? "", /started again 1 time/);
      assert.equal(await findSleeper(), sleeper);
      assert.equal(await lastStatus(), "RUNNING");
    });

  test("the supervisor killed with SIGKILL: status says so, the next up takes over", async () => {
    const before = await now();
    process.kill(before.parts.find(({ name }) => name === "supervisor")!.pid!, "SIGKILL");
    await until("the supervisor is gone", async () => (await partOf("supervisor"))?.ok === false);
    const after = await now();
    assert.match(after.parts[0]?.problem ?? "", /was killed while it was running/);
    assert.match(after.parts.find(({ name }) => name === "server")?.problem ?? "", /supervisor was killed/);
    await gantry.gantry("up", "--detach");
    assert.equal((await now()).ok, true);
    for (const name of ["containerd", "server", "agent"])
      assert.notEqual((await partOf(name))?.pid, before.parts.find((part) => part.name === name)?.pid);
    assert.equal(await findSleeper(), sleeper);
    assert.equal(await lastStatus(), "RUNNING");
  });

  test("down leaves the task running and says so, up finds it", async () => {
    const said = await gantry.shell(`${join(repository, "gantry")} down 2>&1`);
    assert.match(said, /1 task runs on: .\/gantry up takes over again, .\/gantry down --all stops everything/);
    assert.equal(await findSleeper(), sleeper);
    await gantry.gantry("up", "--detach");
    assert.equal((await now()).ok, true);
    assert.equal(await lastStatus(), "RUNNING");
  });

  test("a second Gantry beside it, in open mode, is emptied and taken down without touching the first", async () => {
    const second = await startGantry({ open: true });
    try {
      assert.equal((await second.status()).ok, true);
      const created = await fetch(`${second.endpoint}/`, {
        method: "POST",
        headers: { "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.CreateRepository", "content-type": "application/x-amz-json-1.1" },
        body: '{"repositoryName":"mine"}',
      });
      assert.equal(created.status, 200, await created.text());
      assert.match(await second.gantry("reset"), /^empty \(\d+ ms\)/);
      const listed = await second.shell('aws --endpoint-url "$AWS_ENDPOINT_URL" --output json ecr describe-repositories');
      assert.deepEqual((JSON.parse(listed) as { repositories: unknown[] }).repositories, []);
    } finally {
      await second.stop();
    }
    assert.deepEqual(describeRemains(await findRemains(second.home)), []);
    assert.equal((await now()).ok, true);
    assert.equal(await findSleeper(), sleeper);
  });

  test("down --all leaves nothing by the kernel's word, and the task stays STOPPED ever after", async () => {
    assert.notDeepEqual(describeRemains(await findRemains(gantry.home)), []);
    await gantry.gantry("down", "--all");
    assert.equal(await findSleeper(), undefined);
    assert.deepEqual(describeRemains(await findRemains(gantry.home)), []);
    await gantry.gantry("up", "--detach");
    assert.equal(await lastStatus(), "STOPPED");
    assert.equal(await findSleeper(), undefined);
  });

  test("up --containerd uses another's containerd, and down --all leaves that one alone", async () => {
    const [theirs, home] = [await mkdtemp(join(tmpdir(), "gantry-theirs-")), await mkdtemp(join(tmpdir(), "gantry-test-"))];
    const containerd = await startContainerd({ home: theirs, log: silentLogger });
    const env = { ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(await freePort()) };
    const run = async (...args: string[]) => (await promisify(execFile)(join(repository, "gantry"), args, { env })).stdout;
    try {
      await run("up", "--detach", "--containerd", containerd.socket);
      const { ok, parts } = JSON.parse(await run("status", "--json")) as GantryStatus;
      assert.ok(ok);
      assert.ok(!parts.some(({ name }) => name === "containerd"));
      await run("down", "--all");
      assert.deepEqual(describeRemains(await findRemains(home)), []);
      assert.equal(containerd.process.exitCode, null);
    } finally {
      await run("down", "--all");
      await containerd.stop();
      for (const directory of [theirs, home]) await rm(directory, { recursive: true, force: true });
    }
  });

  test("Ctrl-C in the foreground stops all in order", async () => {
    const home = await mkdtemp(join(tmpdir(), "gantry-test-"));
    const env = { ...process.env, GANTRY_HOME: home, GANTRY_PORT: String(await freePort()) };
    const up = spawn(join(repository, "gantry"), ["up"], { env, stdio: ["ignore", "ignore", "pipe"], detached: true });
    let said = "";
    up.stderr.on("data", (data: Buffer) => (said += data.toString()));
    const ended = new Promise<number | null>((resolve) => up.once("close", resolve));
    try {
      await until("ready", () => /ready at http/.test(said), { ms: 120_000, seen: () => said });
    } finally {
      // As a terminal does: to the whole foreground process group.
      process.kill(-up.pid!, "SIGINT");
    }
    assert.equal(await ended, 0, said);
    assert.match(said, /stopping agent\n.*stopping server\n.*stopping containerd\n/);
    await new Promise<void>((resolve) =>
      spawn(join(repository, "gantry"), ["down", "--all"], { env, stdio: "ignore" }).once("exit", () => resolve()),
    );
    assert.deepEqual(describeRemains(await findRemains(home)), []);
    await rm(home, { recursive: true, force: true });
  });
});
