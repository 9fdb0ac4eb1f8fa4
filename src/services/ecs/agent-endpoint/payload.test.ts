import assert from "node:assert/strict";
import { test } from "node:test";
import type { TaskDefinition } from "@aws-sdk/client-ecs";
import { definitionRecord, hex, instanceRecord, scope } from "#test/simulation/records.ts";
import { seededRandom } from "#platform/random.ts";
import { onEc2 } from "#reconcilers/launch.ts";
import { newTask, planOf } from "../tasks/plan.ts";
import { payloadTaskOf } from "./payload.ts";
import { registryAuthenticationOf } from "./registry-authentication.ts";

const registry = {
  account: scope.account,
  region: scope.region,
  endpoint: "http://10.0.0.1:4566",
  hosts: new Set(["localhost:4566", "10.0.0.1:4566"]),
  domain: "example.test",
};

function payloadOf(definition: Omit<TaskDefinition, "family">, input: object = {}) {
  const record = definitionRecord("f", 3, { ...definition });
  const plan = planOf(scope, "c", record, { taskDefinition: "f", ...input });
  const task = newTask(plan, { instance: instanceRecord("c", hex(1)), place: { ...scope, cluster: "c" } }, onEc2, seededRandom(1), 1000);
  return payloadTaskOf(task, record, "arn:cluster", registry);
}

test("every member in the protocol's own form", () => {
  const payload = payloadOf(
    {
      cpu: ".5 vCPU",
      memory: "1GB",
      networkMode: "bridge",
      pidMode: "host",
      volumes: [
        { name: "h", host: { sourcePath: "/x" } },
        { name: "d", dockerVolumeConfiguration: { scope: "shared", driver: "local" } },
        { name: "e" },
      ],
      containerDefinitions: [
        {
          name: "app",
          image: "localhost:4566/app:1",
          command: ["a"],
          environment: [{ name: "A", value: "1" }],
          portMappings: [{ containerPort: 80 }, { containerPort: 53, hostPort: 5353, protocol: "udp" }],
          ulimits: [{ name: "nofile", softLimit: 1, hardLimit: 2 }],
          linuxParameters: { capabilities: { add: ["SYS_PTRACE"], drop: ["ALL"] }, initProcessEnabled: true, sharedMemorySize: 32 },
          logConfiguration: { logDriver: "awslogs", options: { "awslogs-group": "g" } },
          healthCheck: { command: ["CMD", "x"], interval: 7, startPeriod: 2 },
          dockerLabels: { a: "b" },
          user: "1000:1000",
          memoryReservation: 64,
          readonlyRootFilesystem: true,
          dependsOn: [{ containerName: "init", condition: "SUCCESS" }],
          mountPoints: [{ sourceVolume: "h", containerPath: "/h" }],
          systemControls: [{ namespace: "net.core.somaxconn", value: "1024" }],
          extraHosts: [{ hostname: "h", ipAddress: "1.2.3.4" }],
          stopTimeout: 5,
        },
        { name: "init", image: "busybox", essential: false, memory: 10 },
      ],
    },
    { overrides: { containerOverrides: [{ name: "app", command: ["b"], environment: [{ name: "B", value: "2" }] }] } },
  );
  assert.deepEqual([payload.cpu, payload.memory, payload.version, payload.pidMode, payload.group], [0.5, 1024, "3", "host", "family:f"]);
  const [app, init] = payload.containers;
  assert.deepEqual(app!.command, ["b"]);
  assert.deepEqual(app!.environment, { A: "1", B: "2" });
  assert.deepEqual(JSON.parse(JSON.stringify(app!.portMappings)), [
    { containerPort: 80, hostPort: 0, protocol: "tcp" },
    { containerPort: 53, hostPort: 5353, protocol: "udp" },
  ]);
  assert.deepEqual(JSON.parse(app!.dockerConfig.config), {
    Labels: { a: "b" },
    Healthcheck: { Test: ["CMD", "x"], Interval: 7e9, Timeout: 5e9, Retries: 3, StartPeriod: 2e9 },
    User: "1000:1000",
  });
  assert.deepEqual(JSON.parse(app!.dockerConfig.hostConfig), {
    NetworkMode: "bridge",
    CapAdd: ["SYS_PTRACE"],
    CapDrop: ["ALL"],
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
    LogConfig: { Type: "awslogs", Config: { "awslogs-group": "g" } },
    ReadonlyRootfs: true,
    ExtraHosts: ["h:1.2.3.4"],
    Sysctls: { "net.core.somaxconn": "1024" },
    MemoryReservation: 64 * 1024 * 1024,
    PidMode: "host",
  });
  assert.deepEqual(app!.dependsOn, [{ containerName: "init", condition: "SUCCESS" }]);
  assert.deepEqual(app!.mountPoints, [{ sourceVolume: "h", containerPath: "/h", readOnly: false }]);
  assert.deepEqual([init!.essential, init!.registryAuthentication, init!.healthCheckType], [false, undefined, undefined]);
  assert.deepEqual(app!.registryAuthentication?.ecrAuthData?.endpointOverride, "http://10.0.0.1:4566");
  assert.deepEqual(
    payload.volumes!.map(({ type }) => type),
    ["host", "docker", "host"],
  );
});

test("host mode: the host's port is the container's", () => {
  const payload = payloadOf({
    networkMode: "host",
    containerDefinitions: [{ name: "a", image: "i", portMappings: [{ containerPort: 80 }] }],
  });
  assert.equal(payload.containers[0]!.portMappings![0]!.hostPort, 80);
});

test("which images are pulled with ECR's token", () => {
  const idOf = (image: string) => registryAuthenticationOf(image, registry)?.ecrAuthData?.registryId;
  assert.equal(idOf("localhost:4566/a/b:1"), scope.account);
  assert.equal(idOf("10.0.0.1:4566/a"), scope.account);
  assert.equal(idOf("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a"), "123456789012");
  assert.equal(idOf("123456789012.dkr.ecr.eu-west-1.example.test:4566/a"), "123456789012");
  for (const image of [
    "busybox",
    "library/busybox",
    "docker.io/a/b",
    "localhost:5000/a",
    "ghcr.io/x",
    "123456789012.dkr.ecr.eu-west-1.evil.test/a",
  ])
    assert.equal(idOf(image), undefined, image);
});
