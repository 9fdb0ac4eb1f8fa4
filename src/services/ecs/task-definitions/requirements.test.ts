/** Answers of AWS that are public, reduced to what decides: what AWS asks of an instance for a definition, and in which order it says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { compatibilities, requiredAttributes } from "./requirements.ts";

const short = (names: readonly { readonly name: string }[]) =>
  names.map(({ name }) =>
    name
      .replace("com.amazonaws.ecs.capability.docker-remote-api.", "api-")
      .replace("com.amazonaws.ecs.capability.", "+")
      .replace("ecs.capability.", ""),
  );

const ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1";
const role = "arn:aws:iam::123456789012:role/r";
const awslogs = (options: Record<string, string> = {}) => ({
  logDriver: "awslogs" as const,
  options: { "awslogs-group": "g", "awslogs-region": "us-east-1", ...options },
});
const healthCheck = { command: ["CMD-SHELL", "true"], interval: 30, timeout: 5, retries: 3 };
const fargate = { networkMode: "awsvpc", cpu: "256", memory: "512" } as const;

const answers: readonly [what: string, input: Omit<RegisterTaskDefinitionRequest, "family">, attributes: string[], compatible: string[]][] =
  [
    [
      "Fargate, awslogs that make their group",
      {
        ...fargate,
        executionRoleArn: role,
        containerDefinitions: [{ name: "a", image: "nginx", logConfiguration: awslogs({ "awslogs-create-group": "true" }) }],
      },
      ["+logging-driver.awslogs", "execution-role-awslogs", "api-1.19", "api-1.18", "task-eni", "api-1.29"],
      ["EC2", "FARGATE"],
    ],
    [
      "environment files, ECR, task role; a memory that Fargate does not have",
      {
        networkMode: "awsvpc",
        cpu: "512",
        memory: "717",
        executionRoleArn: role,
        taskRoleArn: role,
        containerDefinitions: [
          {
            name: "a",
            image: ecr,
            environmentFiles: [{ type: "s3", value: "arn:aws:s3:::b/e.env" }],
            logConfiguration: awslogs({ "awslogs-create-group": "true" }),
          },
        ],
      },
      [
        "+logging-driver.awslogs",
        "execution-role-awslogs",
        "+ecr-auth",
        "api-1.19",
        "env-files.s3",
        "+task-iam-role",
        "execution-role-ecr-pull",
        "api-1.18",
        "task-eni",
        "api-1.29",
      ],
      ["EC2"],
    ],
    [
      "bridge with a health check, an order, a volume, Service Connect's ports",
      {
        networkMode: "bridge",
        cpu: "1024",
        memory: "512",
        executionRoleArn: role,
        taskRoleArn: role,
        volumes: [{ name: "certs", host: { sourcePath: "/etc/ssl/certs" } }],
        containerDefinitions: [
          {
            name: "app",
            image: ecr,
            hostname: "app",
            portMappings: [{ name: "app-3000", containerPort: 3000, hostPort: 3000, protocol: "tcp", appProtocol: "http" }],
            logConfiguration: awslogs({ mode: "non-blocking", "awslogs-create-group": "true", "max-buffer-size": "25m" }),
            healthCheck,
          },
          {
            name: "nginx",
            image: ecr,
            essential: false,
            links: ["app:a"],
            mountPoints: [{ sourceVolume: "certs", containerPath: "/etc/ssl/certs" }],
            dependsOn: [{ containerName: "app", condition: "HEALTHY" }],
          },
        ],
      },
      [
        "execution-role-awslogs",
        "+ecr-auth",
        "api-1.17",
        "api-1.28",
        "+task-iam-role",
        "container-health-check",
        "execution-role-ecr-pull",
        "api-1.29",
        "+logging-driver.awslogs",
        "api-1.24",
        "api-1.19",
        "container-ordering",
      ],
      ["EC2"],
    ],
    [
      "a privileged daemon on the host's network",
      {
        networkMode: "host",
        pidMode: "host",
        ipcMode: "host",
        requiresCompatibilities: ["EC2"],
        volumes: [{ name: "host-fs", host: { sourcePath: "/" } }],
        containerDefinitions: [
          {
            name: "a",
            image: "example.com/a:1",
            memory: 2048,
            entryPoint: ["/initd"],
            mountPoints: [{ sourceVolume: "host-fs", containerPath: "/host-fs", readOnly: true }],
            linuxParameters: { capabilities: { add: ["SYS_ADMIN"], drop: [] } },
            privileged: true,
            readonlyRootFilesystem: false,
          },
        ],
      },
      ["+privileged-container", "pid-ipc-namespace-sharing", "api-1.17", "api-1.18"],
      ["EXTERNAL", "EC2"],
    ],
    [
      "ECR without a role, a soft limit of memory",
      {
        requiresCompatibilities: ["EC2"],
        containerDefinitions: [{ name: "a", image: ecr, memoryReservation: 128, logConfiguration: awslogs(), dockerLabels: { a: "b" } }],
      },
      ["+logging-driver.awslogs", "+ecr-auth", "api-1.19", "api-1.21", "api-1.18"],
      ["EXTERNAL", "EC2"],
    ],
    [
      "a user, a health check, Fargate",
      {
        ...fargate,
        executionRoleArn: role,
        taskRoleArn: role,
        containerDefinitions: [
          { name: "xray", image: "public.ecr.aws/xray/aws-xray-daemon", user: "1337" },
          { name: "a", image: ecr, logConfiguration: awslogs(), healthCheck },
        ],
      },
      [
        "+logging-driver.awslogs",
        "api-1.24",
        "execution-role-awslogs",
        "+ecr-auth",
        "api-1.19",
        "api-1.17",
        "+task-iam-role",
        "container-health-check",
        "execution-role-ecr-pull",
        "api-1.18",
        "task-eni",
      ],
      ["EC2", "FARGATE"],
    ],
  ];

for (const [what, input, attributes, compatible] of answers)
  test(what, () => {
    const whole = { family: "f", ...input };
    assert.deepEqual(short(requiredAttributes(whole)), attributes);
    assert.deepEqual(compatibilities(whole), compatible);
  });
