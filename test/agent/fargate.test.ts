import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { PayloadContainer, PayloadTask } from "#agent-protocol/messages.ts";
import { detectHierarchy, directoryOf } from "#agent/cgroups/hierarchy.ts";
import { instanceOf } from "#agent/config.ts";
import { loopsOf } from "#agent/storage/mounts.ts";
import type { Report } from "#agent/task/report.ts";
import { cgroups, namespaces } from "../support/machine-state.ts";
import { until } from "../support/until.ts";
import { startMachine, type Machine } from "./machine.ts";
import { container, task } from "./payloads.ts";

/** Tasks of Fargate through the whole agent: one sandbox and one disk for all their containers. The network is the bridge's; test/road/fargate.test.ts has VPCs. */
describe("Fargate's tasks on a real machine", { skip: process.getuid?.() !== 0 && "needs root", timeout: 400_000 }, () => {
  let machine: Machine;
  before(async () => {
    machine = await startMachine();
    machine.plane.groups.add("/g");
    await machine.startAgent();
  });
  after(() => machine?.close());

  const arn = (id: string) => `arn:aws:ecs:us-east-1:000000000000:task/default/${id}`;
  const reported = (id: string, status: Report["status"]) =>
    until(`${id} ${status}`, () => machine.plane.reports.find((report) => report.task === arn(id) && report.status === status));
  const logs = { Type: "awslogs", Config: { "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p" } };
  const sh = (name: string, script: string, { host, ...options }: Parameters<typeof container>[1] = {}) =>
    container(name, {
      image: machine.image,
      command: ["sh", "-c", script],
      stopTimeout: 2,
      host: { LogConfig: logs, ...host },
      ...options,
    });
  const lines = (id: string, name: string) =>
    machine.plane.puts
      .filter(({ logStreamName }) => logStreamName === `p/${name}/${id}`)
      .flatMap(({ logEvents }) => logEvents.map(({ message }) => message));
  const fargate = (id: string, containers: readonly PayloadContainer[], rest: Partial<PayloadTask> = {}) =>
    task(id, containers, { isolation: "FARGATE", launchType: "FARGATE", cpu: 1, memory: 512, ephemeralStorage: 2, ...rest });
  const stop = (id: string) => machine.plane.payload(task(id, [], { desiredStatus: "STOPPED" }));
  const of = (report: Report, name: string) => report.containers.find(({ containerName }) => containerName === name);

  it("an init container, a seeded volume, a health check, localhost, one disk", async () => {
    const volumes = [{ name: "data", type: "docker" as const, dockerVolumeConfiguration: { scope: "task" as const } }];
    const mountPoints = [{ sourceVolume: "data", containerPath: "/data", readOnly: false }];
    const health = { Test: ["CMD-SHELL", "test -f /tmp/ready"], Interval: 300e6, Timeout: 3e9, Retries: 3 };
    machine.plane.payload(
      fargate(
        "three",
        [
          sh("init", "cat /data/seed >/data/copy; stat -c %u /data", { essential: false, mountPoints }),
          sh("db", "touch /tmp/ready; while true; do echo from db | nc -l -p 5432; done", {
            healthCheckType: "docker",
            config: { Healthcheck: health },
            // It ends at the first signal, however late that is carried out.
            stopTimeout: 60,
            dependsOn: [{ containerName: "init", condition: "SUCCESS" }],
          }),
          sh(
            "web",
            "cat /data/copy; i=0; until nc 127.0.0.1 5432 </dev/null 2>/dev/null || [ $i = 300 ]; do i=$((i+1)); sleep 0.1; done; cat /proc/version; echo $AWS_EXECUTION_ENV; id -u; exit 9",
            {
              mountPoints,
              config: { User: "app" },
              dependsOn: [{ containerName: "db", condition: "HEALTHY" }],
            },
          ),
        ],
        { volumes },
      ),
    );
    const report = await reported("three", "STOPPED");
    assert.deepEqual(
      ["init", "db", "web"].map((name) => of(report, name)?.exitCode),
      // Under gVisor a first process has no protection from a signal that it doesn't handle.
      [0, 143, 9],
      JSON.stringify(report),
    );
    const [seed, answer, version, ...rest] = lines("three", "web");
    assert.deepEqual([seed, answer, ...rest], ["from the image", "from db", "AWS_ECS_FARGATE", "1000"]);
    assert.ok(!version!.includes(release()), version!);
    assert.deepEqual(lines("three", "init"), ["1000"]);
  });

  it("a restart policy starts the container again in the same sandbox", async () => {
    machine.plane.payload(
      fargate("again", [sh("app", "echo run; sleep 1.2; exit 3", { restartPolicy: { enabled: true, restartAttemptPeriod: 1 } })]),
    );
    await until("three runs", () => lines("again", "app").length >= 3);
    const tasks = join(machine.home, "storage", "tasks");
    assert.deepEqual(
      readdirSync(tasks).filter((name) => name === "again"),
      ["again"],
    );
    stop("again");
    await reported("again", "STOPPED");
  });

  it("names AWS's reasons", async () => {
    machine.plane.payload(fargate("oom", [sh("app", "x=a; while true; do x=$x$x; done")], { memory: 96 }));
    machine.plane.payload(fargate("nocmd", [sh("app", "", { command: ["/no/such/command"] })]));
    machine.plane.payload(fargate("badsize", [sh("app", "true")], { ephemeralStorage: 1e9 }));
    const oom = of(await reported("oom", "STOPPED"), "app");
    assert.deepEqual([oom?.reason, oom?.exitCode], ["OutOfMemoryError: Container killed due to memory usage", 137]);
    assert.match(of(await reported("nocmd", "STOPPED"), "app")?.reason ?? "", /^CannotStartContainerError: .*\/no\/such\/command/s);
    assert.match(of(await reported("badsize", "STOPPED"), "app")?.reason ?? "", /^ResourceInitializationError: a disk of 1000000000 GiB/);
  });

  it("killed with SIGKILL: sandboxes run on and are taken up again", async () => {
    const ticks = "i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done";
    machine.plane.payload(
      fargate("alone", [sh("app", ticks)]),
      fargate("pair", [sh("app", ticks), sh("short", "sleep 3; exit 5", { essential: false })]),
    );
    await reported("alone", "RUNNING");
    await reported("pair", "RUNNING");
    const hierarchy = detectHierarchy();
    const quota = (id: string) => {
      const directory = directoryOf(hierarchy, "cpu", `/gantry-${instanceOf(machine.home)}/${id}`)!;
      return readFileSync(join(directory, hierarchy.version === 1 ? "cpu.cfs_quota_us" : "cpu.max"), "utf8");
    };
    for (const id of ["alone", "pair"]) assert.match(quota(id), /^100000\b/);
    await machine.killAgent();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    await machine.startAgent();
    await until("the exit meanwhile", () =>
      machine.plane.reports.find((report) => report.task === arn("pair") && of(report, "short")?.exitCode === 5),
    );
    const before = lines("alone", "app").length;
    await until("more lines", () => lines("alone", "app").length > before);
    stop("alone");
    stop("pair");
    await reported("alone", "STOPPED");
    await reported("pair", "STOPPED");
    for (const id of ["alone", "pair"]) {
      const numbers = lines(id, "app").map((line) => Number(line.split(" ")[1]));
      assert.deepEqual(
        [...new Set(numbers)],
        [...new Set(numbers)].map((_, index) => index + 1),
      );
    }
  });

  it("taken down, leaves no process, mount, loop device, file or cgroup", async () => {
    machine.plane.payload(fargate("last", [sh("a", "sleep 300"), sh("b", "sleep 300")]), fargate("lonely", [sh("a", "sleep 300")]));
    await reported("last", "RUNNING");
    await reported("lonely", "RUNNING");
    assert.equal(await machine.endAgent("SIGUSR2"), 0, machine.agentOutput());
    const instance = instanceOf(machine.home);
    for (const text of [...namespaces(), readFileSync("/proc/mounts", "utf8")]) assert.ok(!text.includes(instance), text);
    assert.ok(!readFileSync("/proc/mounts", "utf8").includes(`${machine.home}/storage`));
    // The kernel lets a device and a killed process go in its own time.
    await until("no loop device remains", async () => (await loopsOf(`${machine.home}/`)).length === 0);
    assert.ok(!readdirSync(machine.home).includes("storage"));
    assert.deepEqual(cgroups(`gantry-${instance}`), [], "no cgroup remains");
    await until(
      "no process remains",
      () => !execFileSync("ps", ["axo", "args"], { encoding: "utf8" }).includes(`${machine.home}/runtime/`),
    );
  });
});
