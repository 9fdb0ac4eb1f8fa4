/** Issue 2, sections 6 and 7: every setting of a container, proved by what the container itself saw, wrote or ended with. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { freePort, type RunningGantry, startGantry } from "../support/gantry.ts";
import { openTasks, sh, sleep, type Tasks } from "../support/tasks.ts";
import { eventually } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-containers-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const text = async (...args: Parameters<Tasks["lines"]>) => (await t.lines(...args)).join("\n");

describe("a container's process", { concurrency: 6, timeout: 360_000 }, () => {
  test("command, entryPoint, workingDirectory, environment", async () => {
    assert.deepEqual(
      await t.lines("", {
        entryPoint: ["sh", "-c", 'echo "$0 $1"; pwd; echo "$A"; hostname; echo $HOSTNAME'],
        command: ["one", "two"],
        workingDirectory: "/work",
        environment: [{ name: "A", value: "b c" }],
        hostname: "box",
      }),
      ["one two", "/work", "b c", "box", "box"],
    );
  });

  test("a working directory that is not in the image is made", async () => {
    assert.deepEqual(await t.lines("pwd", { workingDirectory: "/not/there" }), ["/not/there"]);
  });

  test("environmentFiles: a path; environment wins over them, the first file over the second", async () => {
    await writeFile(join(work, "one.env"), "# comment\nA=1\nB=x=y z\n\nE=file\n");
    await writeFile(join(work, "two.env"), "A=2\nC=3\n");
    assert.equal(
      await text('echo "$A|$B|$C|$E"', {
        environment: [{ name: "E", value: "own" }],
        environmentFiles: ["one.env", "two.env"].map((name) => ({ type: "s3" as const, value: join(work, name) })),
      }),
      "1|x=y z|3|own",
    );
  });

  test("user by name, by uid:gid, by uid alone", async () => {
    const [name, both, uid] = await Promise.all(["web", "1234:4321", "1000"].map((user) => t.lines("id -u; id -g", { user })));
    assert.deepEqual(
      [name, both, uid],
      [
        ["1000", "1001"],
        ["1234", "4321"],
        ["1000", "1001"],
      ],
    );
  });

  test("ulimits", async () => {
    assert.equal(
      await text("ulimit -Sn; ulimit -Hn; ulimit -c", {
        ulimits: [
          { name: "nofile", softLimit: 123, hardLimit: 456 },
          { name: "core", softLimit: 0, hardLimit: 0 },
        ],
      }),
      "123\n456\n0",
    );
  });

  test("capabilities added and dropped", async () => {
    const capabilities = async (settings = {}) => BigInt(`0x${await text("grep CapEff /proc/self/status | cut -f2", settings)}`);
    const [plain, changed] = await Promise.all([
      capabilities(),
      capabilities({ linuxParameters: { capabilities: { add: ["NET_ADMIN"], drop: ["CHOWN"] } } }),
    ]);
    const [chown, netAdmin] = [1n << 0n, 1n << 12n];
    assert.deepEqual([plain & chown, plain & netAdmin], [chown, 0n]);
    assert.deepEqual([changed & chown, changed & netAdmin], [0n, netAdmin]);
  });

  test("initProcessEnabled, sharedMemorySize, tmpfs", async () => {
    const [init, shm, tmpfs] = await t.lines("cat /proc/1/comm; df -m /dev/shm | tail -1 | awk '{print $2}'; mount | grep ' /scratch '", {
      linuxParameters: {
        initProcessEnabled: true,
        sharedMemorySize: 17,
        tmpfs: [{ containerPath: "/scratch", size: 5, mountOptions: ["noexec"] }],
      },
    });
    assert.notEqual(init, "sh");
    assert.equal(shm, "17");
    assert.match(tmpfs ?? "", /^tmpfs on \/scratch type tmpfs .*noexec.*size=5120k/);
  });

  test("readonlyRootFilesystem", async () => {
    assert.match(
      await text("echo x > /x 2>&1 || true; touch /y 2>&1 || echo refused", { readonlyRootFilesystem: true }),
      /Read-only[\s\S]*refused/,
    );
  });

  test("privileged, and not", async () => {
    const script = "mkdir /m; mount -t tmpfs none /m 2>/dev/null && echo mounted || echo refused";
    assert.deepEqual(await Promise.all([text(script, { privileged: true }), text(script)]), ["mounted", "refused"]);
  });

  test("dockerLabels, extraHosts, dnsServers, systemControls", async () => {
    const log = await text("cat /etc/hosts /etc/resolv.conf; cat /proc/sys/net/core/somaxconn", {
      extraHosts: [{ hostname: "far", ipAddress: "10.9.8.7" }],
      dnsServers: ["10.1.2.3"],
      dnsSearchDomains: ["example.org"],
      systemControls: [{ namespace: "net.core.somaxconn", value: "77" }],
    });
    assert.match(log, /10\.9\.8\.7\s+far/);
    assert.match(log, /nameserver 10\.1\.2\.3/);
    assert.match(log, /search example\.org/);
    assert.match(log, /^77$/m);
  });
});

describe("volumes", { concurrency: 6, timeout: 360_000 }, () => {
  test("host volume, read-only and not", async () => {
    const sourcePath = join(work, "host-volume");
    await mkdir(sourcePath);
    await writeFile(join(sourcePath, "in"), "from outside\n");
    assert.match(
      await text(
        "cat /a/in; echo inside > /a/out; echo x > /b/x 2>/dev/null || echo refused",
        {
          mountPoints: [
            { sourceVolume: "v", containerPath: "/a" },
            { sourceVolume: "v", containerPath: "/b", readOnly: true },
          ],
        },
        { volumes: [{ name: "v", host: { sourcePath } }] },
      ),
      /from outside\nrefused/,
    );
    assert.equal(await readFile(join(sourcePath, "out"), "utf8"), "inside\n");
  });

  test("a docker volume of scope shared outlives the task, one of scope task does not", async () => {
    const fields = (scope: "shared" | "task") => ({
      volumes: [
        {
          name: `kept-${scope}`,
          dockerVolumeConfiguration: { scope, ...(scope === "shared" ? { autoprovision: true } : {}), driver: "local" },
        },
      ],
    });
    for (const [scope, seen] of [
      ["shared", "1\n2"],
      ["task", "1\n1"],
    ] as const) {
      const settings = { mountPoints: [{ sourceVolume: `kept-${scope}`, containerPath: "/v" }] };
      const script = "echo x >> /v/f; wc -l < /v/f";
      assert.equal([await text(script, settings, fields(scope)), await text(script, settings, fields(scope))].join("\n"), seen);
    }
  });

  test("volumesFrom", async () => {
    const end = await t.run(
      [
        { name: "source", essential: false, ...sh("echo shared > /v/f"), mountPoints: [{ sourceVolume: "v", containerPath: "/v" }] },
        {
          ...sh("cat /v/f; touch /v/g 2>/dev/null || echo refused"),
          volumesFrom: [{ sourceContainer: "source", readOnly: true }],
          dependsOn: [{ containerName: "source", condition: "SUCCESS" }],
        },
      ],
      { volumes: [{ name: "v" }] },
    );
    assert.equal((await end.log())[0], "shared");
    assert.equal((await end.log()).at(-1), "refused");
  });
});

describe("memory and CPU", { concurrency: 6, timeout: 360_000 }, () => {
  test("hard and soft limits and CPU shares stand in the cgroup", async () => {
    const read = (file: string, other: string) => `cat /sys/fs/cgroup/${file} 2>/dev/null || cat /sys/fs/cgroup/${other}`;
    const log = await t.lines(
      [
        read("memory.max", "memory/memory.limit_in_bytes"),
        read("memory.low", "memory/memory.soft_limit_in_bytes"),
        read("cpu.weight", "cpu/cpu.shares"),
      ].join("; "),
      { memory: 64, memoryReservation: 32, cpu: 512 },
    );
    assert.deepEqual(log.slice(0, 2), [String(64 << 20), String(32 << 20)]);
    // cgroup v2: 1 + (shares - 2) * 9999 / 262142; newer runc: log2 curve.
    assert.ok(["512", "20", "59", "60"].includes(log[2] ?? ""), String(log[2]));
  });

  test("OutOfMemoryError", async () => {
    const end = await t.run([{ ...sh("tail /dev/zero"), memory: 16 }]);
    assert.equal(end.container().exitCode, 137);
    assert.equal(end.container().reason, "OutOfMemoryError: Container killed due to memory usage");
    assert.equal(end.task.stopCode, "EssentialContainerExited");
    assert.equal(end.task.stoppedReason, "Essential container in task exited");
  });

  test("task memory bounds all its containers", async () => {
    const end = await t.run([{ ...sh("tail /dev/zero"), memory: undefined, memoryReservation: 8 }], { memory: "24", cpu: "256" });
    assert.equal(end.container().exitCode, 137);
    assert.match(end.container().reason ?? "", /^OutOfMemoryError/);
  });
});

describe("the end of a container", { concurrency: 8, timeout: 360_000 }, () => {
  test("stopTimeout: a process that ignores SIGTERM is killed, exit code 137", async () => {
    const arn = await t.start(await t.define([{ ...sh("trap '' TERM; while true; do sleep 1; done"), stopTimeout: 2 }]));
    await t.running(arn);
    const began = Date.now();
    const task = await t.stop(arn);
    assert.ok(Date.now() - began >= 1900);
    assert.equal(task.containers![0]!.exitCode, 137);
    assert.equal(task.stopCode, "UserInitiated");
    assert.equal(task.stoppedReason, "test");
  });

  test("SIGTERM: the process's own exit code, or 143", async () => {
    const own = await t.start(await t.define([sh("trap 'exit 9' TERM; echo begun; while true; do sleep 0.1; done")]));
    const plain = await t.start(
      await t.define([{ ...sh("echo begun; exec sleep 1000"), linuxParameters: { initProcessEnabled: true }, stopTimeout: 30 }]),
    );
    await Promise.all([t.running(own), t.running(plain)]);
    await Promise.all([t.says(own, "begun"), t.says(plain, "begun")]);
    const [a, b] = await Promise.all([t.stop(own), t.stop(plain)]);
    assert.deepEqual([a.containers![0]!.exitCode, b.containers![0]!.exitCode], [9, 143]);
  });

  test("restartPolicy: restarted when it ran as long as restartAttemptPeriod, not before, and not for an ignored code", async () => {
    const sourcePath = join(work, "restarts");
    await mkdir(sourcePath);
    const restartPolicy = { enabled: true, restartAttemptPeriod: 60, ignoredExitCodes: [4] };
    const fields = { volumes: [{ name: "v", host: { sourcePath } }] };
    const mounted = { mountPoints: [{ sourceVolume: "v", containerPath: "/v" }], restartPolicy };
    // Longer than the period by what an agent may be late to see that it has begun.
    const [late, early, ignored] = await Promise.all([
      t.run([{ ...mounted, ...sh("echo x >> /v/late; [ $(wc -l < /v/late) = 2 ] && exit 5; sleep 64; exit 3") }], fields, {}, 180_000),
      t.run([{ ...mounted, ...sh("echo x >> /v/early; exit 3") }], fields),
      t.run([{ ...mounted, ...sh("echo x >> /v/ignored; exit 4") }], fields),
    ]);
    assert.deepEqual(
      [late, early, ignored].map((end) => end.container().exitCode),
      [5, 3, 4],
    );
    const count = async (name: string) => (await readFile(join(sourcePath, name), "utf8")).length / 2;
    assert.deepEqual([await count("late"), await count("early"), await count("ignored")], [2, 1, 1]);
  });

  test("a container that is not essential may end, the task goes on", async () => {
    const arn = await t.start(
      await t.define([
        { name: "main", ...sh("sleep 1000") },
        { name: "side", essential: false, ...sh("exit 3") },
      ]),
    );
    const task = await t.until(arn, "side's end", ({ containers }) =>
      containers!.some((c) => c.name === "side" && c.lastStatus === "STOPPED"),
    );
    assert.equal(task.containers!.find(({ name }) => name === "side")!.exitCode, 3);
    await t.running(arn);
    await sleep(1500);
    assert.equal((await t.describe(arn)).lastStatus, "RUNNING");
    await t.stop(arn);
  });

  test("an unhealthy essential container is said to be so, with its task", async () => {
    const healthCheck = { command: ["CMD-SHELL", "exit 1"], interval: 5, timeout: 2, retries: 1 };
    const arn = await t.start(await t.define([{ ...sh("sleep 1000"), healthCheck }]));
    const task = await t.until(arn, "UNHEALTHY", ({ healthStatus }) => healthStatus === "UNHEALTHY");
    assert.equal(task.containers![0]!.healthStatus, "UNHEALTHY");
    assert.equal(task.lastStatus, "RUNNING");
    await t.stop(arn);
  });

  test("CannotPullContainerError: a tag and a repository that are not there", async () => {
    for (const image of [`localhost:${gantry.port}/box:none`, `localhost:${gantry.port}/nothing:1`]) {
      const end = await t.run([{ ...sh("true"), image }]);
      assert.match(end.container().reason ?? "", /^CannotPullContainerError: .*not found/);
      assert.equal(end.task.stopCode, "TaskFailedToStart");
      assert.match(end.task.stoppedReason ?? "", /^CannotPullContainerError|^Task failed to start/);
      assert.equal(end.container().exitCode, undefined);
    }
  });

  test("CannotStartContainerError: an unknown command, an unknown user, a directory as command", async () => {
    const [command, user, directory] = await Promise.all([
      t.run([{ command: ["no-such-command"] }]),
      t.run([{ ...sh("true"), user: "nobody-knows" }]),
      t.run([{ command: ["/etc"] }]),
    ]);
    assert.match(command.container().reason ?? "", /^CannotStartContainerError: .*no-such-command.*(not found|no such file)/);
    assert.match(user.container().reason ?? "", /^Cannot(Start|Create)ContainerError: .*unable to find user nobody-knows/);
    assert.match(directory.container().reason ?? "", /^CannotStartContainerError: .*(permission denied|is a directory)/);
    for (const end of [command, user, directory]) assert.equal(end.task.stopCode, "TaskFailedToStart");
  });
});

describe("dependsOn", { concurrency: 4, timeout: 360_000 }, () => {
  const depends = (condition: "START" | "COMPLETE" | "SUCCESS" | "HEALTHY") => ({ dependsOn: [{ containerName: "first", condition }] });
  const volumes = { volumes: [{ name: "v" }] };
  const mountPoints = [{ sourceVolume: "v", containerPath: "/v" }];

  for (const [condition, code] of [
    ["COMPLETE", 3],
    ["SUCCESS", 0],
  ] as const) {
    test(`${condition} waits for the end`, async () => {
      const end = await t.run(
        [
          { name: "first", essential: false, ...sh(`sleep 1; touch /v/done; exit ${code}`), mountPoints },
          { ...sh("test -f /v/done && echo after"), mountPoints, ...depends(condition) },
        ],
        volumes,
      );
      assert.deepEqual(await end.log(), ["after"], JSON.stringify(end.task));
    });
  }
  test("SUCCESS that can't come any more ends the task", async () => {
    const end = await t.run([
      { name: "first", essential: false, ...sh("exit 3") },
      { ...sh("echo never"), ...depends("SUCCESS") },
    ]);
    assert.match(end.container().reason ?? "", /did not exit successfully|dependency/);
    assert.equal(end.container("first").exitCode, 3);
  });
  test("START and HEALTHY", async () => {
    const healthCheck = { command: ["CMD-SHELL", "test -f /v/up"], interval: 5, timeout: 20, retries: 3 };
    const end = await t.run(
      [
        { name: "first", ...sh("sleep 1; touch /v/up; exec sleep 1000"), healthCheck, mountPoints },
        { name: "early", essential: false, ...sh("echo early"), ...depends("START") },
        { ...sh("test -f /v/up && echo healthy"), mountPoints, ...depends("HEALTHY") },
      ],
      volumes,
    );
    assert.deepEqual([await end.log(), await end.log("early")], [["healthy"], ["early"]]);
    assert.equal(end.container("first").healthStatus, "HEALTHY");
  });
});

describe("networks", { concurrency: 6, timeout: 360_000 }, () => {
  const server = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www";
  const served = (url: string) => eventually(`an answer of ${url}`, async () => (await (await fetch(url)).text()).trim());

  test("bridge: static and dynamic host ports", async () => {
    const hostPort = await freePort();
    const arn = await t.start(
      await t.define([
        { name: "main", ...sh(server), portMappings: [{ containerPort: 80, hostPort }] },
        { name: "dynamic", ...sh(server), portMappings: [{ containerPort: 80 }] },
      ]),
    );
    const task = await t.running(arn);
    const bindings = (name: string) => task.containers!.find((container) => container.name === name)!.networkBindings!;
    assert.deepEqual(bindings("main"), [{ bindIP: "0.0.0.0", containerPort: 80, hostPort, protocol: "tcp" }]);
    const dynamic = bindings("dynamic")[0]!.hostPort!;
    assert.ok(dynamic >= 32768);
    assert.equal(await served(`http://127.0.0.1:${hostPort}`), "served");
    assert.equal(await served(`http://127.0.0.1:${dynamic}`), "served");
    await t.stop(arn);
    // The task beside this one may get the port after it, for a moment.
    await eventually("nobody answers any more", () => assert.rejects(fetch(`http://127.0.0.1:${dynamic}`)));
  });

  test("links", async () => {
    const end = await t.run([
      { name: "db", ...sh(server), portMappings: [{ containerPort: 80 }] },
      {
        ...sh("for i in $(seq 100); do wget -qO- http://store/ 2>/dev/null && break; sleep 0.3; done; echo $STORE_PORT_80_TCP_PORT"),
        links: ["db:store"],
      },
    ]);
    assert.deepEqual(await end.log(), ["served", "80"]);
  });

  test("host and none", async () => {
    const port = await freePort();
    const host = await t.start(await t.define([sh(server.replace("-p 80", `-p ${port}`))], { networkMode: "host" }));
    await t.running(host);
    assert.equal(await served(`http://127.0.0.1:${port}`), "served");
    await t.stop(host);
    assert.equal(await text("ls /sys/class/net", {}, { networkMode: "none" }), "lo");
  });

  test("metadata v4 and stats from inside", async () => {
    const [known, counted] = [`/task | grep -q '"KnownStatus":"RUNNING"'`, `/task/stats | grep -q '"memory_stats"'`].map(
      (what) => `for i in $(seq 100); do wget -qO- $ECS_CONTAINER_METADATA_URI_V4${what} && break; sleep 0.3; done`,
    );
    const ask = "for p in '' /task /task/stats /stats; do wget -qO- $ECS_CONTAINER_METADATA_URI_V4$p; echo; done";
    const family = await t.define([{ ...sh(`${known}; ${counted}; ${ask}`), cpu: 64 }]);
    const end = await t.ended(await t.start(family));
    const [container, task, taskStats, stats] = (await end.log()).map((line) => JSON.parse(line) as Record<string, any>);
    assert.equal(container!.Name, "main");
    assert.equal(container!.Image, t.image);
    assert.equal(container!.Limits.Memory, 32);
    assert.equal(container!.LogOptions["awslogs-stream"], `t/main/${end.id}`);
    assert.equal(task!.TaskARN, end.task.taskArn);
    assert.equal(task!.Family, family);
    assert.equal(task!.Revision, "1");
    assert.equal(task!.KnownStatus, "RUNNING");
    assert.ok(stats!.memory_stats.usage > 0, JSON.stringify(stats));
    assert.ok(stats!.cpu_stats.cpu_usage.total_usage > 0);
    assert.deepEqual(Object.keys(taskStats!), [container!.DockerId]);
  });
});
