/** RegisterTaskDefinition keeps every member of the API exactly: definitions made from AWS's own schema, through HTTP and back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DescribeTaskDefinitionCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionRequest,
} from "@aws-sdk/client-ecs";
import fc from "fast-check";
import { serviceTable } from "#api/schema.ts";
import { createEcs } from "#services/ecs/index.ts";
import { startServer, type TestServer } from "../support/http.ts";

let server: TestServer;
let ecs: ECSClient;
before(async () => {
  server = await startServer({ parts: (deps) => [createEcs(deps)] });
  ecs = new ECSClient(server.sdk());
});
after(async () => {
  ecs.destroy();
  await server.close();
});

const { shapes } = serviceTable("ecs");
const text = fc.stringMatching(/^[a-zA-Z0-9 _./:=-]{0,12}$/);
const path = fc.stringMatching(/^\/[a-z]{1,8}$/);
const between = (min: number, max: number) => fc.integer({ min, max });
const role = fc.constant("arn:aws:iam::000000000000:role/r");

/** Members whose values AWS checks; everything else is any value of its type. Absent members are never generated. */
const checked: Readonly<Record<string, Readonly<Record<string, fc.Arbitrary<unknown> | undefined>>>> = {
  RegisterTaskDefinitionRequest: {
    family: fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/),
    networkMode: fc.constant("bridge"),
    taskRoleArn: role,
    executionRoleArn: role,
    requiresCompatibilities: fc.constant(["EC2"]),
    cpu: fc.constant("4096"),
    memory: fc.constant("65536"),
    pidMode: fc.constantFrom("host", "task"),
    ipcMode: fc.constantFrom("host", "task"),
    placementConstraints: fc.constant([{ type: "memberOf", expression: "attribute:a exists" }]),
    proxyConfiguration: undefined,
    tags: undefined,
    runtimePlatform: fc.record({ cpuArchitecture: fc.constantFrom("X86_64", "ARM64"), operatingSystemFamily: fc.constant("LINUX") }),
  },
  ContainerDefinition: {
    name: undefined,
    image: fc.constant("busybox:1"),
    cpu: between(0, 100),
    memory: between(512, 1024),
    memoryReservation: between(4, 512),
    portMappings: fc.array(
      fc.oneof(
        fc.record({
          containerPort: between(1, 65535),
          hostPort: fc.constant(0),
          protocol: fc.constantFrom("tcp", "udp"),
          appProtocol: fc.constantFrom("http", "grpc"),
        }),
        fc.record({ containerPortRange: fc.constant("100-120"), protocol: fc.constant("tcp") }),
      ),
      { maxLength: 3 },
    ),
    environment: fc.array(fc.record({ name: fc.stringMatching(/^[A-Z]{1,8}$/), value: text }), { maxLength: 4 }),
    environmentFiles: fc.array(fc.record({ type: fc.constant("s3"), value: fc.constantFrom("arn:aws:s3:::bucket/a.env", "/etc/a.env") }), {
      maxLength: 2,
    }),
    secrets: fc.uniqueArray(
      fc.record({ name: fc.stringMatching(/^s[a-z]{1,8}$/), valueFrom: fc.constant("arn:aws:ssm:us-east-1:000000000000:parameter/p") }),
      { maxLength: 2, selector: ({ name }) => name },
    ),
    links: undefined,
    dependsOn: undefined,
    mountPoints: undefined,
    volumesFrom: undefined,
    essential: undefined,
    startTimeout: between(2, 1000),
    stopTimeout: between(2, 1000),
    hostname: undefined,
    ulimits: fc.array(fc.record({ name: fc.constantFrom("nofile", "core"), softLimit: between(0, 10), hardLimit: between(10, 20) }), {
      maxLength: 2,
    }),
  },
  HealthCheck: {
    command: fc.constant(["CMD", "true"]),
    interval: between(5, 300),
    timeout: between(2, 60),
    retries: between(1, 10),
    startPeriod: between(0, 300),
  },
  LogConfiguration: {
    logDriver: fc.constantFrom("json-file", "syslog", "journald", "gelf", "fluentd", "splunk"),
    options: fc.dictionary(
      fc.stringMatching(/^[a-z-]{1,8}$/).filter((name) => name !== "mode"),
      text,
      { maxKeys: 3 },
    ),
  },
  Secret: { name: fc.stringMatching(/^[a-z]{1,8}$/), valueFrom: fc.constant("arn:aws:secretsmanager:us-east-1:000000000000:secret:s") },
  KernelCapabilities: { add: fc.constant(["SYS_ADMIN"]), drop: fc.constant(["ALL"]) },
  Device: { hostPath: path, permissions: fc.constant(["read", "write"]) },
  Tmpfs: { containerPath: path, size: between(1, 64), mountOptions: fc.constant(["ro"]) },
  LinuxParameters: { swappiness: between(0, 100), sharedMemorySize: between(0, 100), maxSwap: between(0, 100) },
  ContainerRestartPolicy: { restartAttemptPeriod: between(60, 1800) },
  SystemControl: { namespace: fc.constant("net.core.somaxconn") },
  EphemeralStorage: { sizeInGiB: between(21, 200) },
  FirelensConfiguration: { type: fc.constantFrom("fluentd", "fluentbit") },
  ResourceRequirement: { type: fc.constant("GPU"), value: fc.constant("1") },
};

/** Any value of a shape, by the SDK's schema. */
function valueOf(ref: string): fc.Arbitrary<unknown> {
  if (ref === "s") return text;
  if (ref === "n") return between(0, 1000);
  if (ref === "b") return fc.boolean();
  const shape = shapes[ref];
  assert.ok(shape, ref);
  if ("l" in shape) return fc.array(valueOf(shape.l[0]), { maxLength: 2 });
  if ("m" in shape) return fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), valueOf(shape.m[1][0]), { maxKeys: 3 });
  const entries = Object.entries(shape.s).flatMap(([name, [member]], index) => {
    const rule = checked[ref];
    if (rule && name in rule) return rule[name] ? [[name, rule[name], index < shape.r] as const] : [];
    return [[name, valueOf(member), index < shape.r] as const];
  });
  return fc.record(Object.fromEntries(entries.map(([name, value]) => [name, value])), {
    requiredKeys: entries
      .filter(([name, , required]) => required || (ref === "ContainerDefinition" && ["image", "memory"].includes(name)))
      .map(([name]) => name),
  });
}

const volume = fc.oneof(
  fc.record({ host: fc.record({ sourcePath: path }) }),
  fc.record({
    dockerVolumeConfiguration: fc.record({
      scope: fc.constant("shared"),
      autoprovision: fc.boolean(),
      driver: text,
      driverOpts: fc.constant({ a: "b" }),
      labels: fc.constant({ c: "d" }),
    }),
  }),
  fc.record({
    efsVolumeConfiguration: fc.record({
      fileSystemId: text,
      rootDirectory: path,
      transitEncryption: fc.constant("ENABLED"),
      transitEncryptionPort: between(1, 1000),
      authorizationConfig: fc.record({ accessPointId: text, iam: fc.constant("ENABLED") }),
    }),
  }),
  fc.record({
    fsxWindowsFileServerVolumeConfiguration: fc.record({
      fileSystemId: text,
      rootDirectory: text,
      authorizationConfig: fc.record({ credentialsParameter: text, domain: text }),
    }),
  }),
  fc.record({ configuredAtLaunch: fc.boolean() }),
);

const definition = fc
  .tuple(
    valueOf("RegisterTaskDefinitionRequest").filter((value) => typeof value === "object"),
    fc.array(valueOf("ContainerDefinition"), { minLength: 1, maxLength: 2 }),
    fc.array(volume, { maxLength: 2 }),
  )
  .map(([rest, containers, volumes]) => {
    const named = volumes.map((each, index) => ({ name: `v${index}`, ...each }));
    return {
      ...(rest as object),
      executionRoleArn: "arn:aws:iam::000000000000:role/r",
      containerDefinitions: containers.map((each, index) => ({
        ...(each as object),
        name: `c${index}`,
        ...(index > 0
          ? {
              dependsOn: [{ containerName: "c0", condition: "START" }],
              links: ["c0:zero"],
              volumesFrom: [{ sourceContainer: "c0", readOnly: true }],
            }
          : {}),
        mountPoints: named.map(({ name }) => ({ sourceVolume: name, containerPath: `/${name}`, readOnly: true })),
      })),
      volumes: named,
    } as RegisterTaskDefinitionRequest;
  });

/** What was given is there, member by member; only members that AWS fills in may be there besides. */
function contains(found: unknown, given: unknown, where: string): void {
  if (Array.isArray(given)) {
    assert.ok(Array.isArray(found), where);
    assert.equal(found.length, given.length, where);
    given.forEach((each, index) => contains(found[index], each, `${where}[${index}]`));
  } else if (typeof given === "object" && given !== null) {
    assert.ok(typeof found === "object" && found !== null, where);
    for (const [name, value] of Object.entries(given)) contains((found as Record<string, unknown>)[name], value, `${where}.${name}`);
    const filledIn = new Set([
      "cpu",
      "essential",
      "environment",
      "mountPoints",
      "portMappings",
      "volumesFrom",
      "systemControls",
      "interval",
      "timeout",
      "retries",
      "hostPort",
      "protocol",
      "volumes",
      "placementConstraints",
    ]);
    if (where !== "definition")
      assert.deepEqual(
        Object.keys(found).filter((name) => !(name in given) && !filledIn.has(name)),
        [],
        where,
      );
  } else assert.deepEqual(found, given, where);
}

test("every member comes back as it was given", async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(definition, async (input) => {
      const registered = await ecs.send(new RegisterTaskDefinitionCommand(input));
      contains(registered.taskDefinition, input, "definition");
      const described = await ecs.send(
        new DescribeTaskDefinitionCommand({ taskDefinition: registered.taskDefinition!.taskDefinitionArn! }),
      );
      assert.deepEqual(described.taskDefinition, registered.taskDefinition);
      for (const container of input.containerDefinitions!) for (const name of Object.keys(container)) seen.add(name);
    }),
    { numRuns: 80 },
  );
  const members = Object.keys((shapes["ContainerDefinition"] as { s: object }).s).filter(
    (name) => !["essential", "hostname"].includes(name),
  );
  assert.deepEqual(
    members.filter((name) => !seen.has(name)),
    [],
    "members that no definition had",
  );
});
