/** Issue 7, "Capacity": a service that does not fit brings instances from zero, system containers on this machine; scaled down they are drained and gone. SSH gets in where a group lets it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  AutoScalingClient,
  CreateAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeScalingActivitiesCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateKeyPairCommand,
  CreateLaunchTemplateCommand,
  CreateSecurityGroupCommand,
  DescribeImagesCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
  EC2Client,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateCapacityProviderCommand,
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeContainerInstancesCommand,
  DescribeTasksCommand,
  ListContainerInstancesCommand,
  ListTasksCommand,
  PutClusterCapacityProvidersCommand,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { instanceOf } from "#agent/config.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { openTasks, sh, sleep, type Tasks } from "../support/tasks.ts";

const run = promisify(execFile);
let gantry: RunningGantry;
let work: string;
let t: Tasks;
let ec2: EC2Client;
let autoscaling: AutoScalingClient;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-capacity-"));
  gantry = await startGantry({ open: true, env: { GANTRY_SCALE_IN_SECONDS: "1" } });
  t = await openTasks(gantry, work);
  const options = {
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
    maxAttempts: 1,
  };
  ec2 = new EC2Client(options);
  autoscaling = new AutoScalingClient(options);
});
after(async () => {
  ec2?.destroy();
  autoscaling?.destroy();
  t?.ecs.destroy();
  t?.logs.destroy();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

/** Polls until `look` gives something; what it last saw is in the error. */
async function until<T>(what: string, look: () => Promise<T | undefined>, seconds = 60): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

test("from zero to two instances and back, with SSH by a security group", { timeout: 170_000 }, async () => {
  const { ecs } = t;
  const cluster = "elastic";
  const { Images } = await ec2.send(
    new DescribeImagesCommand({ Owners: ["amazon"], Filters: [{ Name: "architecture", Values: ["x86_64"] }] }),
  );
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({}));
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "instances", Description: "instances" }));
  const open = (port: number, to = port) => ({ IpProtocol: "tcp", FromPort: port, ToPort: to, IpRanges: [{ CidrIp: "0.0.0.0/0" }] });
  await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [open(22), open(8080)] }));
  const { KeyMaterial } = await ec2.send(new CreateKeyPairCommand({ KeyName: "admin", KeyType: "ed25519" }));
  await writeFile(join(work, "key"), `${KeyMaterial}\n`, { mode: 0o600 });
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: "ecs",
      LaunchTemplateData: {
        ImageId: Images![0]!.ImageId,
        InstanceType: "t3.small",
        KeyName: "admin",
        SecurityGroupIds: [GroupId!],
        UserData: Buffer.from(`#!/bin/bash\necho ECS_CLUSTER=${cluster} >> /etc/ecs/ecs.config\n`).toString("base64"),
      },
    }),
  );
  await autoscaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: "nodes",
      MinSize: 0,
      MaxSize: 3,
      VPCZoneIdentifier: Subnets!.map(({ SubnetId }) => SubnetId).join(","),
      LaunchTemplate: { LaunchTemplateId: LaunchTemplate!.LaunchTemplateId, Version: "$Latest" },
      NewInstancesProtectedFromScaleIn: true,
    }),
  );
  const group = async () => (await autoscaling.send(new DescribeAutoScalingGroupsCommand({}))).AutoScalingGroups![0]!;
  const { AutoScalingGroupARN } = await group();
  await ecs.send(
    new CreateCapacityProviderCommand({
      name: "cp",
      autoScalingGroupProvider: {
        autoScalingGroupArn: AutoScalingGroupARN,
        managedScaling: { status: "ENABLED", targetCapacity: 100 },
        managedTerminationProtection: "ENABLED",
        managedDraining: "ENABLED",
      },
    }),
  );
  await ecs.send(new CreateClusterCommand({ clusterName: cluster }));
  await ecs.send(
    new PutClusterCapacityProvidersCommand({
      cluster,
      capacityProviders: ["cp"],
      defaultCapacityProviderStrategy: [{ capacityProvider: "cp", weight: 1 }],
    }),
  );
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "web",
      containerDefinitions: [
        {
          ...sh("mkdir -p /tmp/w; hostname > /tmp/w/index.html; httpd -f -p 80 -h /tmp/w"),
          name: "web",
          image: t.image,
          memory: 512,
          cpu: 256,
          stopTimeout: 2,
          portMappings: [{ containerPort: 80, hostPort: 8080 }],
        },
      ],
    }),
  );
  const began = Date.now();
  // The same host port twice: two instances.
  await ecs.send(
    new CreateServiceCommand({ cluster, serviceName: "web", taskDefinition: "web", desiredCount: 2, enableExecuteCommand: true }),
  );
  const tasks = async () => {
    const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster }));
    return taskArns.length === 0 ? [] : ((await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }))).tasks ?? []);
  };
  const provisioning = await until("tasks in PROVISIONING", async () => {
    const found = await tasks();
    return found.length === 2 && found.every(({ lastStatus }) => lastStatus === "PROVISIONING") ? found : undefined;
  });
  assert.ok(
    provisioning.every(
      ({ containerInstanceArn, capacityProviderName }) => containerInstanceArn === undefined && capacityProviderName === "cp",
    ),
  );
  await until("two tasks RUNNING", async () => {
    const found = await tasks();
    return found.length === 2 && found.every(({ lastStatus }) => lastStatus === "RUNNING") ? found : undefined;
  });
  process.stderr.write(`from zero to two instances with their tasks: ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  const { Reservations } = await ec2.send(
    new DescribeInstancesCommand({ Filters: [{ Name: "instance-state-name", Values: ["running"] }] }),
  );
  const instances = Reservations!.flatMap(({ Instances = [] }) => Instances);
  assert.equal(instances.length, 2);
  assert.equal(new Set(instances.map(({ SubnetId }) => SubnetId)).size, 2, "in two zones");
  const { containerInstanceArns } = await ecs.send(new ListContainerInstancesCommand({ cluster }));
  const { containerInstances } = await ecs.send(
    new DescribeContainerInstancesCommand({ cluster, containerInstances: containerInstanceArns! }),
  );
  assert.deepEqual(
    containerInstances!.map(({ ec2InstanceId }) => ec2InstanceId).toSorted(),
    instances.map(({ InstanceId }) => InstanceId).toSorted(),
  );
  assert.ok(containerInstances!.every(({ capacityProviderName }) => capacityProviderName === "cp"));
  assert.ok(
    (await group()).Instances!.every(({ ProtectedFromScaleIn, LifecycleState }) => ProtectedFromScaleIn && LifecycleState === "InService"),
  );

  for (const { PublicIpAddress } of instances) {
    const answer = await until("an answer", () =>
      fetch(`http://${PublicIpAddress}:8080/`).then(
        (response) => response.text(),
        () => undefined,
      ),
    );
    assert.match(answer, /^[0-9a-f]{12}\n$/);
  }
  // ECS Exec goes by the instance's own agent.
  assert.match(await gantry.gantry("exec", "web", "--cluster", cluster, "--", "cat", "/tmp/w/index.html"), /^[0-9a-f]{12}\n$/);

  const [first] = instances;
  const ssh = () =>
    run("ssh", [
      ...["-i", join(work, "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"],
      ...[
        "-o",
        "ConnectTimeout=3",
        "-o",
        "LogLevel=ERROR",
        `ec2-user@${first!.PublicIpAddress}`,
        "hostname -f; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true",
      ],
    ]).then(({ stdout }) => stdout.trim().split("\n"));
  assert.deepEqual(await ssh(), [first!.PrivateDnsName, String(2048 * 1024 * 1024)]);
  await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [open(22)] }));
  await sleep(500);
  await assert.rejects(ssh, /timed out|Connection/);

  const down = Date.now();
  await ecs.send(new UpdateServiceCommand({ cluster, service: "web", desiredCount: 0 }));
  await until("no instance is left", async () => ((await group()).Instances!.length === 0 ? true : undefined));
  process.stderr.write(`from two to zero: ${((Date.now() - down) / 1000).toFixed(1)} s\n`);
  const left = await ec2.send(new DescribeInstancesCommand({}));
  assert.deepEqual(
    [...new Set(left.Reservations!.flatMap(({ Instances = [] }) => Instances.map(({ State }) => State!.Name)))],
    ["terminated"],
  );
  const { Activities } = await autoscaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "nodes" }));
  assert.equal(Activities!.filter(({ StatusCode }) => StatusCode === "Successful").length, 4);
  assert.deepEqual((await ecs.send(new ListContainerInstancesCommand({ cluster }))).containerInstanceArns, []);
  assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), new RegExp(`${gantry.home}/instances`));
  assert.equal(
    (await run("sh", ["-c", `find /sys/fs/cgroup -type d -path '*gantry-${instanceOf(gantry.home)}/instances/*' | wc -l`])).stdout.trim(),
    "0",
  );
});
