import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createSampler } from "#agent/metadata/sampler.ts";
import type { HttpListeners } from "#agent/metadata/listeners.ts";
import { createMetadataServer } from "#agent/metadata/server.ts";
import { metadataVariables } from "#agent/metadata/variables.ts";
import { freePort } from "../support/port.ts";
import { Harness } from "./harness.ts";
import { container, task } from "./payloads.ts";

describe("the metadata endpoint", () => {
  let harness: Harness;
  let server: HttpListeners;
  let port: number;

  /** A request from a source address of our choosing: every address of 127.0.0.0/8 is ours. */
  const get = (path: string, localAddress = "127.0.0.1", method = "GET") =>
    new Promise<{ status: number; body: never }>((resolve, reject) => {
      request({ host: "127.0.0.1", port, path, localAddress, method }, (response) => {
        let text = "";
        response.on("data", (data: Buffer) => (text += data.toString()));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as never }));
      })
        .on("error", reject)
        .end();
    });

  beforeEach(async () => {
    harness = new Harness();
    let next = 50;
    harness.network.allocate = (_plan, { definition }) => ({
      mode: "bridge",
      namespace: `ns${next}`,
      address: `127.0.0.${next++}`,
      bindings: (definition.portMappings ?? []).map(({ containerPort = 0 }) => ({ protocol: "tcp", containerPort, hostPort: 49_200 })),
    });
    server = createMetadataServer({
      world: harness.world,
      engine: harness.engine,
      sampler: createSampler(harness.world),
      tags: async () => ({ TaskTags: { a: "b" } }),
    });
    port = await freePort();
    await server.listen("127.0.0.1", port);
    const credentials = {
      credentialsId: "secret-id",
      roleArn: "arn:role",
      accessKeyId: "AK",
      secretAccessKey: "SK",
      sessionToken: "T",
      expiration: "2030-01-01T00:00:00Z",
    };
    harness.engine.apply([
      task(
        "t1",
        [
          container("web", {
            cpu: 128,
            memory: 64,
            portMappings: [{ containerPort: 80, protocol: "tcp" }],
            config: { Labels: { mine: "1" } },
          }),
          container("side", { essential: false, host: { LogConfig: { Type: "json-file", Config: { "max-size": "5m" } } } }),
        ],
        { cpu: 0.25, memory: 128, roleCredentials: credentials, zone: "us-east-1a", launchType: "EC2" },
      ),
      task("t2", [container("other")]),
    ]);
    await harness.advance(100);
  });

  afterEach(async () => {
    await server.close();
    harness.close();
  });

  const id = (name: string, index = 0) => harness.container(name, index).metadataId;

  it("describes the container, v4 and v3", async () => {
    const { status, body } = await get(`/v4/${id("web")}`, "127.0.0.50");
    assert.equal(status, 200);
    const { DockerId, Labels, Ports, Networks, CreatedAt, StartedAt, ...rest } = body as Record<string, string>;
    assert.equal(DockerId, harness.container("web").id);
    assert.deepEqual(Labels, {
      mine: "1",
      "com.amazonaws.ecs.cluster": "default",
      "com.amazonaws.ecs.container-name": "web",
      "com.amazonaws.ecs.task-arn": harness.state().arn,
      "com.amazonaws.ecs.task-definition-family": "family",
      "com.amazonaws.ecs.task-definition-version": "1",
    });
    assert.deepEqual(Ports, [{ ContainerPort: 80, Protocol: "tcp", HostPort: 49_200, HostIp: "0.0.0.0" }]);
    assert.deepEqual(Networks, [{ NetworkMode: "bridge", IPv4Addresses: ["127.0.0.50"] }]);
    assert.ok(Date.parse(CreatedAt ?? "") <= Date.parse(StartedAt ?? ""));
    assert.deepEqual(rest, {
      Name: "web",
      DockerName: `ecs-family-1-web-${String(DockerId).slice(0, 20)}`,
      Image: "web",
      ImageID: `sha256:${"c".repeat(64)}`,
      DesiredStatus: "RUNNING",
      KnownStatus: "RUNNING",
      Limits: { CPU: 128, Memory: 64 },
      Type: "NORMAL",
      LogDriver: "json-file",
      ContainerARN: "arn:aws:ecs:us-east-1:000000000000:container/default/web",
    });
    const old = (await get(`/v3/${id("web")}`, "127.0.0.50")).body as Record<string, unknown>;
    assert.equal(old.LogDriver, undefined);
    assert.equal(old.Name, "web");
  });

  it("describes the task, with tags where asked", async () => {
    const { body } = await get(`/v4/${id("side")}/taskWithTags`, "127.0.0.51");
    const { Containers, PullStartedAt, PullStoppedAt, ...rest } = body as Record<string, string>;
    assert.deepEqual(
      (Containers as unknown as { Name: string }[]).map(({ Name }) => Name),
      ["web", "side"],
    );
    assert.ok(PullStartedAt && PullStoppedAt);
    assert.deepEqual(rest, {
      Cluster: "arn:aws:ecs:us-east-1:000000000000:cluster/default",
      TaskARN: harness.state().arn,
      Family: "family",
      Revision: "1",
      DesiredStatus: "RUNNING",
      KnownStatus: "RUNNING",
      Limits: { CPU: 0.25, Memory: 128 },
      AvailabilityZone: "us-east-1a",
      LaunchType: "EC2",
      TaskTags: { a: "b" },
    });
  });

  it("gives Docker's stats, of one and of all", async () => {
    const one = (await get(`/v4/${id("web")}/stats`, "127.0.0.50")).body as {
      memory_stats: { usage: number };
      cpu_stats: { cpu_usage: { total_usage: number } };
    };
    assert.equal(one.memory_stats.usage, 3 << 20);
    assert.equal(one.cpu_stats.cpu_usage.total_usage, 5e6);
    const all = (await get(`/v4/${id("web")}/task/stats`, "127.0.0.50")).body as Record<string, unknown>;
    assert.deepEqual(Object.keys(all).toSorted(), [harness.container("web").id, harness.container("side").id].toSorted());
  });

  it("gives the task role's credentials to the task alone", async () => {
    assert.deepEqual(await get("/v2/credentials/secret-id", "127.0.0.50"), {
      status: 200,
      body: { RoleArn: "arn:role", AccessKeyId: "AK", SecretAccessKey: "SK", Token: "T", Expiration: "2030-01-01T00:00:00Z" },
    });
    const refused = {
      status: 400,
      body: { code: "InvalidIdInRequest", message: "CredentialsV2Request: Credentials not found", HTTPErrorCode: 400 },
    };
    assert.deepEqual(await get("/v2/credentials/secret-id", "127.0.0.52"), refused);
    assert.deepEqual(await get("/v2/credentials/guess", "127.0.0.50"), refused);
  });

  it("tells no task of another, and unknown paths 404 with a JSON string", async () => {
    for (const path of [`/v4/${id("web")}`, `/v4/${id("web")}/task`, "/v4/unknown", "/", "/v1/x", "/v4//task", `/v4/${id("web")}/nope`]) {
      const { status, body } = await get(path, "127.0.0.52");
      assert.equal(status, 404, path);
      assert.equal(typeof body, "string", path);
    }
    assert.equal((await get(`/v4/${id("web")}`, "127.0.0.50", "POST")).status, 405);
  });

  it("names itself in every container's environment, over loopback in host mode", () => {
    const [view] = harness.engine.tasks();
    assert.ok(view);
    const web = view.plan.containers.get("web");
    assert.ok(web);
    const bridge = metadataVariables(view.plan, view.state, web, 1234);
    assert.equal(bridge.ECS_CONTAINER_METADATA_URI_V4, `http://169.254.170.2/v4/${id("web")}`);
    assert.equal(bridge.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, "/v2/credentials/secret-id");
    const host = metadataVariables({ ...view.plan, networkMode: "host" }, view.state, web, 1234);
    assert.equal(host.ECS_CONTAINER_METADATA_URI_V4, `http://127.0.0.1:1234/v4/${id("web")}`);
    assert.equal(host.AWS_CONTAINER_CREDENTIALS_FULL_URI, "http://127.0.0.1:1234/v2/credentials/secret-id");
  });
});

describe("what a container is created with", () => {
  let harness: Harness;
  afterEach(() => harness.close());

  const specOf = (name: string) => {
    const life = [...harness.runtime.lives.values()].find(({ spec }) => spec.labels["com.amazonaws.ecs.container-name"] === name);
    assert.ok(life);
    return life.spec;
  };

  it("every field of the definition", async () => {
    harness = new Harness();
    mkdirSync(`${harness.directory}/src`);
    writeFileSync(`${harness.directory}/vars.env`, "# comment\nA=from file\nB=b=c\n\nnot a variable\n");
    harness.engine.apply([
      task(
        "t1",
        [
          container("db", {
            portMappings: [{ containerPort: 5432, protocol: "tcp" }],
            mountPoints: [{ sourceVolume: "data", containerPath: "/data", readOnly: false }],
          }),
          container("app", {
            cpu: 256,
            memory: 100,
            command: ["never"],
            overrides: JSON.stringify({ command: ["run", "it"] }),
            entryPoint: ["/entry"],
            environment: { A: "from definition" },
            environmentFiles: [{ type: "path", value: `${harness.directory}/vars.env` }],
            links: ["db:database"],
            volumesFrom: [{ sourceContainer: "db", readOnly: true }],
            mountPoints: [{ sourceVolume: "src", containerPath: "/src", readOnly: true }],
            config: { User: "1000:1000", WorkingDir: "/work", Hostname: "host-1", Labels: { l: "1" } },
            host: {
              CapAdd: ["NET_ADMIN"],
              CapDrop: ["MKNOD"],
              Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }],
              ReadonlyRootfs: true,
              ExtraHosts: ["extra:10.0.0.1"],
              Dns: ["10.0.0.2"],
              DnsSearch: ["example.test"],
              Sysctls: { "net.core.somaxconn": "100" },
              MemoryReservation: 50 * 1048576,
              IpcMode: "host",
            },
            linuxParameters: {
              initProcessEnabled: true,
              sharedMemorySize: 128,
              tmpfs: [{ containerPath: "/tmp", size: 10, mountOptions: ["noexec"] }],
              devices: [{ hostPath: "/dev/fuse", permissions: ["read", "write"] }],
              maxSwap: 10,
              swappiness: 5,
            },
          }),
        ],
        {
          volumes: [
            { name: "src", type: "host", host: { sourcePath: `${harness.directory}/src` } },
            { name: "data", type: "docker", dockerVolumeConfiguration: { scope: "shared" } },
          ],
        },
      ),
    ]);
    await harness.advance(100);
    const spec = specOf("app");
    const db = harness.container("db");
    assert.deepEqual(spec.command, ["run", "it"]);
    assert.deepEqual(spec.entryPoint, ["/entry"]);
    assert.equal(spec.environment.A, "from definition");
    // What a file brings no disk may see.
    assert.deepEqual([spec.environment.B, spec.secretEnvironment?.B], [undefined, "b=c"]);
    assert.equal(spec.environment.AWS_EXECUTION_ENV, "AWS_ECS_EC2");
    assert.equal(spec.environment.DATABASE_PORT_5432_TCP_ADDR, db.network?.address);
    assert.equal(spec.user, "1000:1000");
    assert.equal(spec.hostname, "host-1");
    assert.deepEqual([spec.cpuShares, spec.memoryMiB, spec.memoryReservationMiB, spec.sharedMemoryMiB], [256, 100, 50, 128]);
    assert.deepEqual(spec.capabilities, { add: ["NET_ADMIN"], drop: ["MKNOD"] });
    assert.deepEqual(spec.ulimits, [{ name: "nofile", soft: 10, hard: 20 }]);
    assert.deepEqual(spec.tmpfs, [{ path: "/tmp", sizeMiB: 10, options: ["noexec"] }]);
    assert.deepEqual(spec.devices, [{ hostPath: "/dev/fuse", containerPath: "/dev/fuse", permissions: "rw" }]);
    assert.deepEqual(spec.swap, { maxMiB: 10, swappiness: 5 });
    assert.equal(spec.ipcNamespace, "host");
    assert.equal(spec.readonlyRootFilesystem, true);
    assert.equal(spec.initProcess, true);
    const volumes = spec.mounts.filter(({ target }) => !target.startsWith("/etc/"));
    assert.deepEqual(volumes, [
      { source: `${harness.directory}/src`, target: "/src", readOnly: true },
      { source: `${harness.directory}/volumes/shared/data`, target: "/data", readOnly: true },
    ]);
    const file = async (name: string) =>
      (await import("node:fs")).readFileSync(spec.mounts.find(({ target }) => target === `/etc/${name}`)?.source ?? "", "utf8");
    const hosts = await file("hosts");
    assert.ok(hosts.includes(`${db.network?.address}\tdatabase ${db.id.slice(0, 12)} db\n`));
    assert.ok(hosts.includes("10.0.0.1\textra\n"));
    assert.match(await file("resolv.conf"), /^nameserver 10\.0\.0\.2\nsearch example\.test\n/);
    assert.equal(await file("hostname"), "host-1\n");
  });

  for (const [what, definition, reason] of [
    [
      "an S3 environment file",
      container("app", { environmentFiles: [{ type: "s3", value: "arn:aws:s3:::b/k.env" }] }),
      /S3 is not available/,
    ],
    [
      "a missing environment file",
      container("app", { environmentFiles: [{ type: "path", value: "/nowhere/x.env" }] }),
      /failed to read environment file \/nowhere\/x\.env: ENOENT/,
    ],
    [
      "an unknown volume",
      container("app", { mountPoints: [{ sourceVolume: "x", containerPath: "/x", readOnly: false }] }),
      /CannotCreateContainerError: volume x/,
    ],
    ["a shared process namespace", container("app", { host: { PidMode: "task" } }), /pidMode task is not supported/],
  ] as const) {
    it(`${what} stops the task with a reason`, async () => {
      harness = new Harness();
      harness.engine.apply([task("t1", [definition])]);
      await harness.advance(100);
      assert.equal(harness.reports.at(-1)?.status, "STOPPED");
      assert.match(harness.reports.at(-1)?.containers[0]?.reason ?? "", reason);
    });
  }
});
