/** What RegisterTaskDefinition refuses, in AWS's words where they are public, and what it makes of units. Pure. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import fc from "fast-check";
import { ApiError } from "#api/contract.ts";
import { withDefaults } from "#services/ecs/task-definitions/defaults.ts";
import { isFargateSize } from "#services/ecs/task-definitions/fargate-rules.ts";
import { checkTaskDefinition } from "#services/ecs/task-definitions/rules.ts";

const container: ContainerDefinition = { name: "app", image: "busybox", memory: 64 };
const whole = (input: Partial<RegisterTaskDefinitionRequest>): RegisterTaskDefinitionRequest => ({
  family: "f",
  containerDefinitions: [container],
  ...input,
});
const one = (more: Partial<ContainerDefinition>, input: Partial<RegisterTaskDefinitionRequest> = {}) =>
  whole({ ...input, containerDefinitions: [{ ...container, ...more }] });
const two = (more: Partial<ContainerDefinition>, other: Partial<ContainerDefinition> = {}) =>
  whole({
    containerDefinitions: [
      { ...container, ...more },
      { ...container, name: "other", ...other },
    ],
  });
const role = "arn:aws:iam::000000000000:role/r";
const fargate = { requiresCompatibilities: ["FARGATE" as const], networkMode: "awsvpc" as const, cpu: "256", memory: "512" };
const ecr = "000000000000.dkr.ecr.us-east-1.amazonaws.com/a";

const refused: readonly [input: RegisterTaskDefinitionRequest, message: string][] = [
  [whole({ containerDefinitions: [] }), "Container list cannot be empty."],
  [
    whole({ containerDefinitions: Array.from({ length: 11 }, (_, index) => ({ ...container, name: `c${index}` })) }),
    "Too many containers.",
  ],
  [one({ name: "" }), "Container.name should not be null or empty."],
  [one({ image: "" }), "Container.image should not be null or empty."],
  [one({ memory: undefined }), "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified."],
  [
    one({ memory: 10, memoryReservation: 20 }),
    "Invalid setting for container 'app'. 'memory' must be greater than or equal to 'memoryReservation'.",
  ],
  [one({ memory: 1024 }, { memory: "512" }), "The 'memory' setting for container 'app' is greater than for the task."],
  [
    whole({
      memory: "512",
      containerDefinitions: [
        { ...container, memory: undefined, memoryReservation: 300 },
        { ...container, name: "b", memory: undefined, memoryReservation: 300 },
      ],
    }),
    "The sum of all container 'memoryReservation' values cannot be greater than the value of the task 'memory'.",
  ],
  [one({ cpu: 512 }, { cpu: "256" }), "The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'."],
  [
    whole({ cpu: "1" }),
    "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
  ],
  [
    whole({ memory: "much" }),
    "Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
  ],
  [one({ portMappings: [{ hostPort: 80 }] }), "Invalid 'containerPort' setting for container 'app'."],
  [
    one({ portMappings: [{ containerPort: 80, hostPort: 81 }] }, { networkMode: "awsvpc" }),
    "When networkMode=awsvpc, the host ports and container ports in port mappings must match.",
  ],
  [one({ hostname: "h" }, { networkMode: "awsvpc" }), "hostname is not supported on container when networkMode=awsvpc."],
  [
    one({ disableNetworking: true }, { networkMode: "awsvpc" }),
    "Disable Networking is not supported on container when networkMode=awsvpc.",
  ],
  [one({ links: ["b"] }, { networkMode: "host" }), "Links are not supported when networkMode=host."],
  [one({ logConfiguration: { logDriver: "awslogs" } }), "Log driver awslogs requires options: awslogs-region, awslogs-group"],
  [
    one({ logConfiguration: { logDriver: "awslogs", options: { "awslogs-region": "us-east-1" } } }),
    "Log driver awslogs requires options: awslogs-group",
  ],
  [
    one({ secrets: [{ name: "A", valueFrom: "p" }] }),
    "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
  ],
  [whole({ taskRoleArn: "arn:aws:s3:::bucket" }), "Role is not valid"],
  [one({ stopTimeout: 1 }), "Granular stop timeout on container 'app' must be at least 2 seconds."],
  [two({ dependsOn: [{ containerName: "none", condition: "START" }] }), "Cannot depend on container + 'none' because it does not exist"],
  [
    two({ dependsOn: [{ containerName: "other", condition: "SUCCESS" }] }),
    "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
  ],
  [
    two({ dependsOn: [{ containerName: "other", condition: "HEALTHY" }] }),
    "A dependency container with HEALTHY condition must have health check configured",
  ],
  [whole({ ephemeralStorage: { sizeInGiB: 19 } }), "Invalid setting for ephemeral storage. Size must be between 20 GiB and 200 GiB."],
  [whole({ ...fargate, networkMode: "bridge" }), "Fargate only supports network mode ‘awsvpc’."],
  [whole({ ...fargate, cpu: undefined }), "Fargate requires that 'cpu' be defined at the task level."],
  [whole({ ...fargate, memory: undefined }), "Fargate requires that 'memory' be defined at the task level."],
  [
    whole({ ...fargate, memory: "4096" }),
    "No Fargate configuration exists for given values: 256 CPU, 4096 memory. See the Amazon ECS documentation for the valid values.",
  ],
  [
    whole({ ...fargate, runtimePlatform: { operatingSystemFamily: "WINDOWS_SERVER_2022_CORE" } }),
    "No Fargate configuration exists for given values: 256 CPU, 512 memory. See the Amazon ECS documentation for the valid values.",
  ],
  [
    whole({ ...fargate, volumes: [{ name: "v", host: { sourcePath: "/v" } }] }),
    "Fargate compatible task definitions do not support sourcePath",
  ],
  [
    whole({ ...fargate, volumes: [{ name: "v", dockerVolumeConfiguration: {} }] }),
    "Fargate compatible task definitions do not support dockerVolumeConfiguration",
  ],
  [one({ linuxParameters: { devices: [{ hostPath: "/dev/x" }] } }, fargate), "Fargate compatible task definitions do not support devices"],
  [one({ linuxParameters: { sharedMemorySize: 1 } }, fargate), "Fargate compatible task definitions do not support sharedMemorySize"],
  [one({ linuxParameters: { maxSwap: 0 } }, fargate), "Fargate compatible task definitions do not support maxSwap"],
  [
    whole({ ...fargate, placementConstraints: [{ type: "memberOf", expression: "attribute:a exists" }] }),
    "Fargate compatible task definitions do not support constraints",
  ],
  [one({ image: ecr }, fargate), "Fargate requires task definition to have execution role ARN to support ECR images."],
  [
    one({ logConfiguration: { logDriver: "awslogs", options: { "awslogs-region": "r", "awslogs-group": "g" } } }, fargate),
    "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
  ],
  [
    one({ stopTimeout: 121 }, { ...fargate, executionRoleArn: role }),
    "Tasks using the Fargate launch type must have a container stop timeout of less than 120 seconds.",
  ],
];

for (const [input, message] of refused)
  test(message, () =>
    assert.throws(
      () => checkTaskDefinition(input),
      (error: unknown) => {
        assert.ok(error instanceof ApiError);
        assert.deepEqual([error.code, error.message], ["ClientException", message]);
        return true;
      },
    ),
  );

test("accepted: files of the machine, a short role name, half a Fargate table", () => {
  for (const input of [
    one({
      environmentFiles: [
        { type: "s3", value: "/etc/app.env" },
        { type: "s3", value: "arn:aws:s3:::bucket/app.env" },
      ],
    }),
    one({ secrets: [{ name: "A", valueFrom: "p" }] }, { executionRoleArn: "ecsTaskExecutionRole" }),
    whole({ ...fargate, executionRoleArn: role, cpu: ".5 vCPU", memory: "1 GB" }),
    one({ portMappings: [{ containerPortRange: "100-199" }] }),
    two({ links: ["other:o"] }),
  ])
    checkTaskDefinition(input);
  assert.ok(isFargateSize(16_384, 122_880) && !isFargateSize(16_384, 122_881) && !isFargateSize(8192, 17_408));
});

test("units become numbers", () => {
  const { cpu, memory } = withDefaults(whole({ cpu: "0.25 vCPU", memory: "0.5GB" }));
  assert.deepEqual([cpu, memory], ["256", "512"]);
});

test("whatever it is given, it is taken or refused with ClientException", () => {
  const anything = fc.record(
    {
      family: fc.string({ maxLength: 5 }),
      cpu: fc.string(),
      memory: fc.oneof(fc.string(), fc.constantFrom("1GB", "1e9", "-1", " 512 ")),
      networkMode: fc.constantFrom("bridge", "host", "awsvpc", "none", "x"),
      requiresCompatibilities: fc.array(fc.constantFrom("EC2", "FARGATE", "EXTERNAL", "MOON"), { maxLength: 2 }),
      volumes: fc.array(fc.record({ name: fc.string(), host: fc.record({ sourcePath: fc.string() }) }, { requiredKeys: [] })),
      containerDefinitions: fc.array(
        fc.record(
          {
            name: fc.constantFrom("a", "b", ""),
            image: fc.string(),
            cpu: fc.double(),
            memory: fc.double(),
            portMappings: fc.array(
              fc.record({ containerPort: fc.integer(), hostPort: fc.integer(), containerPortRange: fc.string() }, { requiredKeys: [] }),
            ),
            dependsOn: fc.array(fc.record({ containerName: fc.constantFrom("a", "b"), condition: fc.string() })),
            links: fc.array(fc.string()),
            healthCheck: fc.record({ command: fc.array(fc.string()), interval: fc.double() }, { requiredKeys: [] }),
            logConfiguration: fc.record({ logDriver: fc.string(), options: fc.dictionary(fc.string(), fc.string()) }, { requiredKeys: [] }),
          },
          { requiredKeys: [] },
        ),
        { maxLength: 3 },
      ),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(anything, (input) => {
      try {
        checkTaskDefinition(input as RegisterTaskDefinitionRequest);
      } catch (error) {
        assert.ok(error instanceof ApiError && error.code === "ClientException", String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
