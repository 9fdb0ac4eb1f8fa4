import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { instanceOf } from "#agent/config.ts";
import type { Report } from "#agent/task/report.ts";
import { cgroups, links, namespaces } from "../support/machine-state.ts";
import { until } from "../support/until.ts";
import { startMachine, type Machine } from "./machine.ts";
import { container, task } from "./payloads.ts";

/** The agent as a process, over a containerd of its own, with the kernel's network. */
describe("the agent on a real machine", { skip: process.getuid?.() !== 0 && "needs root", timeout: 400_000 }, () => {
  let machine: Machine;
  let count = 0;

  before(async () => {
    machine = await startMachine();
    machine.plane.groups.add("/g");
    await machine.startAgent();
  });
  after(() => machine?.close());

  const arn = (id: string) => `arn:aws:ecs:us-east-1:000000000000:task/default/${id}`;
  const reported = (id: string, status: Report["status"]) =>
    until(`${id} ${status}`, () => machine.plane.reports.find((report) => report.task === arn(id) && report.status === status));
  const reports = (id: string) => machine.plane.reports.filter((report) => report.task === arn(id));
  const sh = (script: string, options: Parameters<typeof container>[1] = {}) =>
    container("app", { image: machine.image, command: ["sh", "-c", script], stopTimeout: 2, ...options });
  const logs = { Type: "awslogs", Config: { "awslogs-group": "/g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p" } };
  const lines = (id: string, name = "app") =>
    machine.plane.puts
      .filter(({ logStreamName }) => logStreamName === `p/${name}/${id}`)
      .flatMap(({ logEvents }) => logEvents.map(({ message }) => message));
  /** Runs a script to its end; what it wrote. */
  const output = async (script: string, options: Parameters<typeof container>[1] = {}, rest: Parameters<typeof task>[2] = {}) => {
    const id = `run${count++}`;
    machine.plane.payload(task(id, [sh(script, { ...options, host: { ...options.host, LogConfig: logs } })], rest));
    const report = await reported(id, "STOPPED");
    return { id, report, app: report.containers[0], lines: lines(id) };
  };
  const stop = (id: string) => machine.plane.payload(task(id, [], { desiredStatus: "STOPPED" }));
  const ask = (port: number) =>
    new Promise<string>((resolve, reject) => {
      let text = "";
      connect({ port, host: "127.0.0.1", timeout: 10_000 })
        .on("timeout", () => reject(new Error("no answer")))
        .on("data", (data) => (text += data.toString()))
        .on("end", () => resolve(text))
        .on("error", reject);
    });

  it("runs a process with its environment, delivers its output, reports its exit code", async () => {
    const { app, lines: written } = await output("echo out; echo err >&2; echo $MINE $FROM_IMAGE $AWS_EXECUTION_ENV; exit 7", {
      environment: { MINE: "mine" },
    });
    assert.equal(app?.exitCode, 7);
    assert.match(app?.imageDigest ?? "", /^sha256:/);
    assert.match(app?.reason ?? "", /^Exit code 7\. Last output: /);
    assert.deepEqual(written.toSorted(), ["err", "mine yes AWS_ECS_EC2", "out"]);
  });

  it("gives user, host name, hosts, metadata, seeded volumes", async () => {
    const { lines: written } = await output(
      'id -u; hostname; grep extra /etc/hosts; cat /data/seed; stat -c %u /data; touch /data/new && echo writable; U=${ECS_CONTAINER_METADATA_URI_V4#http://169.254.170.2}; printf "GET $U/task HTTP/1.0\\r\\n\\r\\n" | nc 169.254.170.2 80 | grep -o "\\"TaskARN\\":\\"[^\\"]*\\""',
      {
        config: { User: "app", Hostname: "box" },
        host: { ExtraHosts: ["extra:10.1.2.3"] },
        mountPoints: [{ sourceVolume: "data", containerPath: "/data", readOnly: false }],
      },
      { volumes: [{ name: "data", type: "docker", dockerVolumeConfiguration: { scope: "task" } }] },
    );
    assert.deepEqual(written.slice(0, 6), ["1000", "box", "10.1.2.3\textra", "from the image", "1000", "writable"]);
    assert.match(written[6] ?? "", /"TaskARN":"arn:aws:ecs:us-east-1:000000000000:task\/default\/run\d+"/);
  });

  it("names AWS's reasons", async () => {
    machine.plane.payload(task("nocmd", [container("app", { image: machine.image, command: ["/no/such/command"] })]));
    machine.plane.payload(task("nouser", [sh("true", { config: { User: "nobody-here" } })]));
    machine.plane.payload(task("noimage", [container("app", { image: machine.image.replace("busybox:1", "nothing:1") })]));
    machine.plane.payload(task("oom", [sh("x=a; while true; do x=$x$x; done", { memory: 16 })]));
    assert.match((await reported("nocmd", "STOPPED")).containers[0]?.reason ?? "", /^CannotStartContainerError: .*\/no\/such\/command/s);
    assert.match((await reported("nouser", "STOPPED")).containers[0]?.reason ?? "", /^Cannot(Create|Start)ContainerError: .*nobody-here/s);
    assert.match((await reported("noimage", "STOPPED")).containers[0]?.reason ?? "", /^CannotPullContainerError: /);
    const oom = (await reported("oom", "STOPPED")).containers[0];
    assert.deepEqual([oom?.reason, oom?.exitCode], ["OutOfMemoryError: Container killed due to memory usage", 137]);
  });

  it("publishes ports, links containers, checks health, stops in order", async () => {
    const health = { Test: ["CMD-SHELL", "test -f /tmp/ready"], Interval: 200e6, Timeout: 2e9, Retries: 3 };
    machine.plane.payload(
      task("pair", [
        container("db", {
          image: machine.image,
          command: ["sh", "-c", "touch /tmp/ready; while true; do echo from db | nc -l -p 5432; done"],
          healthCheckType: "docker",
          config: { Healthcheck: health },
          stopTimeout: 1,
        }),
        container("web", {
          image: machine.image,
          command: ["sh", "-c", "while true; do nc db 5432 </dev/null | nc -l -p 80; done"],
          links: ["db"],
          dependsOn: [{ containerName: "db", condition: "HEALTHY" }],
          portMappings: [{ containerPort: 80, hostPort: 0, protocol: "tcp" }],
          stopTimeout: 1,
        }),
      ]),
    );
    const running = await reported("pair", "RUNNING");
    const port = running.containers.find(({ containerName }) => containerName === "web")?.networkBindings?.[0]?.hostPort ?? 0;
    assert.ok(port > 0);
    assert.equal(await until("an answer", async () => (await ask(port).catch(() => "")) || undefined), "from db\n");
    stop("pair");
    const stopped = await reported("pair", "STOPPED");
    assert.deepEqual(
      stopped.containers.map(({ exitCode }) => exitCode),
      [137, 137],
    );
  });

  it("killed with SIGKILL: tasks run on, no line is lost, an exit meanwhile is reported with its code and time", async () => {
    const ticks = (host: object) => sh("i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.05 2>/dev/null || sleep 1; done", { host });
    machine.plane.payload(
      task("long", [ticks({ LogConfig: logs })]),
      task("short", [sh("sleep 3; echo bye; exit 5", { host: { LogConfig: logs } })]),
    );
    await reported("long", "RUNNING");
    await reported("short", "RUNNING");
    // Until it has noted that its reports were taken: one on its way at the kill may be said again.
    const puts = machine.plane.puts.length;
    await until("some lines, again and again", () => lines("long").length > 0 && machine.plane.puts.length > puts + 2);
    await machine.killAgent();
    await until("an exit that no agent saw", () => machine.exited("short"));
    await new Promise((resolve) => setTimeout(resolve, 400));
    const restarted = Date.now();
    await machine.startAgent();
    const short = await reported("short", "STOPPED");
    assert.equal(short.containers[0]?.exitCode, 5);
    assert.deepEqual(lines("short"), ["bye"]);
    assert.ok((short.executionStoppedAt ?? Infinity) * 1000 < restarted - 300, "the time of the exit, not of its discovery");
    assert.equal(reports("long").length, 1, "nothing is reported twice");
    stop("long");
    await reported("long", "STOPPED");
    const numbers = [...new Set(lines("long").map((line) => Number(line.split(" ")[1])))];
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
      "every line, in order",
    );
    assert.equal(machine.plane.instances.size, 1);
  });

  it("killed in the middle of twenty starts, starts each once", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `many${index}`);
    machine.plane.payload(...ids.map((id) => task(id, [sh("echo started; sleep 300", { host: { LogConfig: logs } })])));
    await until("the first run", () => ids.some((id) => reports(id).length > 0));
    await machine.killAgent();
    await machine.startAgent();
    for (const id of ids) await reported(id, "RUNNING");
    machine.plane.payload(...ids.map((id) => task(id, [], { desiredStatus: "STOPPED" })));
    for (const id of ids) {
      await reported(id, "STOPPED");
      // What was on its way at the kill may be said again, in the same words.
      const distinct = [...new Set(reports(id).map((report) => JSON.stringify(report)))].map((text) => (JSON.parse(text) as Report).status);
      assert.deepEqual(distinct, ["RUNNING", "STOPPED"]);
      assert.deepEqual([...new Set(lines(id))], ["started"]);
    }
  });

  it("taken down, leaves nothing on the machine", async () => {
    machine.plane.payload(task("last", [sh("sleep 300", { portMappings: [{ containerPort: 80, protocol: "tcp" }] })]));
    await reported("last", "RUNNING");
    assert.equal(await machine.endAgent("SIGUSR2"), 0, machine.agentOutput());
    const instance = instanceOf(machine.home);
    const tables = execFileSync("nft", ["list", "tables"], { encoding: "utf8" });
    for (const text of [...links(), ...namespaces(), tables, readFileSync("/proc/mounts", "utf8")])
      assert.ok(!text.includes(instance), text);
    assert.deepEqual(cgroups(`gantry-${instance}`), [], "no cgroup remains");
  });
});
