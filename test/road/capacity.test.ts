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
  type AutoScalingGroup,
  DescribeScalingActivitiesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
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
  ModifyInstanceMetadataOptionsCommand,
  RevokeSecurityGroupIngressCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateCapacityProviderCommand,
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeContainerInstancesCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ListContainerInstancesCommand,
  ListTasksCommand,
  PutClusterCapacityProvidersCommand,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { AddRoleToInstanceProfileCommand, CreateInstanceProfileCommand, CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { instanceOf } from "#agent/config.ts";
import { instanceHome } from "#agent/instances/files.ts";
import { rootKeys, type RunningGantry, startGantry } from "../support/gantry.ts";
import { openClient, openTasks, sh, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

const run = promisify(execFile);
let gantry: RunningGantry;
let work: string;
let t: Tasks;
let ec2: EC2Client;
let autoscaling: AutoScalingClient;
let sts: (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string }) => STSClient;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-capacity-"));
  // Of sixteen places at which a Gantry begins to look for a subnet, this machine's is its instances' own: they must not take the same.
  const place = (path: string) => Number.parseInt(instanceOf(path), 16) % 16;
  // Longer than a busy machine takes from an instance that drains to the task in the place of the one on it: for so long fewer instances would do, and another would be one too many.
  gantry = await startGantry({ env: { GANTRY_SCALE_IN_SECONDS: "8" }, home: (home) => place(home) === place(instanceHome) });
  const keys = await rootKeys(gantry);
  t = await openTasks(gantry, work, keys);
  const options = openClient(gantry, keys);
  sts = (credentials) => new STSClient({ ...options, credentials });
  const iam = new IAMClient(options);
  const trust = { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" };
  await iam.send(
    new CreateRoleCommand({
      RoleName: "worker",
      AssumeRolePolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: [trust] }),
    }),
  );
  await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: "nodes" }));
  await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: "nodes", RoleName: "worker" }));
  iam.destroy();
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

/** Machines begin and end: longer than a moment where many tests run. */
const patience = { ms: 180_000, every: 100 };

/** An instance with a task is taken away: it drains while another comes in its place, and goes when the task runs there and has stopped here. The service has its two all the time. */
async function drainsFirst(cluster: string, group: () => Promise<AutoScalingGroup>): Promise<void> {
  const { ecs } = t;
  const began = Date.now();
  const { taskArns } = await ecs.send(new ListTasksCommand({ cluster }));
  const { tasks: before } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns! }));
  const [task] = before!;
  const containerInstances = [task!.containerInstanceArn!];
  const host = async () => (await ecs.send(new DescribeContainerInstancesCommand({ cluster, containerInstances }))).containerInstances![0];
  const InstanceId = (await host())!.ec2InstanceId!;
  await autoscaling.send(new TerminateInstanceInAutoScalingGroupCommand({ InstanceId, ShouldDecrementDesiredCapacity: false }));
  const seen: string[] = [];
  await until(
    "its end",
    async () => {
      // In this order: a task that stops only after its instance began to go is found out.
      const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds: [InstanceId] }));
      const machine = Reservations![0]!.Instances![0]!.State!.Name;
      const lifecycle = (await group()).Instances!.find((each) => each.InstanceId === InstanceId)?.LifecycleState;
      const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: ["web"] }));
      const { tasks } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: [task!.taskArn!] }));
      const last = tasks![0]!.lastStatus;
      const now = `${machine} ${lifecycle} ${(await host())?.status} ${last}`;
      if (now !== seen.at(-1)) seen.push(now);
      assert.ok(services![0]!.runningCount! >= 2, `${services![0]!.runningCount} run: ${seen.join(", ")}`);
      if (machine !== "running") assert.equal(last, "STOPPED", seen.join(", "));
      return machine === "terminated";
    },
    patience,
  );
  process.stderr.write(`drained and replaced in ${((Date.now() - began) / 1000).toFixed(1)} s: ${seen.join(", ")}\n`);
  assert.ok(seen.includes("running Terminating:Wait DRAINING RUNNING"), seen.join(", "));
}

test("from zero to two instances and back, with SSH by a security group", { timeout: 600_000 }, async () => {
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
        IamInstanceProfile: { Name: "nodes" },
        SecurityGroupIds: [GroupId!],
        UserData: Buffer.from(`#!/bin/bash\necho ECS_CLUSTER=${cluster} >> /etc/ecs/ecs.config\n`).toString("base64"),
      },
    }),
  );
  await autoscaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: "nodes",
      MinSize: 0,
      // None may come before the tasks that wait for one were seen.
      MaxSize: 0,
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
  // The same host port twice: two instances.
  await ecs.send(
    new CreateServiceCommand({ cluster, serviceName: "web", taskDefinition: "web", desiredCount: 2, enableExecuteCommand: true }),
  );
  const tasks = async () => {
    const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster }));
    return taskArns.length === 0 ? [] : ((await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }))).tasks ?? []);
  };
  const provisioning = await until(
    "tasks in PROVISIONING",
    async () => {
      const found = await tasks();
      return found.length === 2 && found.every(({ lastStatus }) => lastStatus === "PROVISIONING") ? found : undefined;
    },
    patience,
  );
  assert.ok(
    provisioning.every(
      ({ containerInstanceArn, capacityProviderName }) => containerInstanceArn === undefined && capacityProviderName === "cp",
    ),
  );
  const began = Date.now();
  await autoscaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName: "nodes", MaxSize: 3 }));
  await until(
    "two tasks RUNNING",
    async () => {
      const found = await tasks();
      return found.length === 2 && found.every(({ lastStatus }) => lastStatus === "RUNNING") ? found : undefined;
    },
    patience,
  );
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
  await eventually("both are in service, and protected", async () => {
    const states = (await group()).Instances!.map(({ ProtectedFromScaleIn, LifecycleState }) => [ProtectedFromScaleIn, LifecycleState]);
    assert.deepEqual(states, [
      [true, "InService"],
      [true, "InService"],
    ]);
  });

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
  // Who is kept out is so by his packets' loss: that shows in a moment. Who gets in may have to wait for a busy machine.
  const ssh = (
    seconds: number,
    command = "hostname -f; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true",
  ) =>
    run("ssh", [
      ...["-i", join(work, "key"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"],
      ...["-o", `ConnectTimeout=${seconds}`, "-o", "LogLevel=ERROR", `ec2-user@${first!.PublicIpAddress}`, command],
    ]).then(({ stdout }) => stdout.trim().split("\n"));
  await eventually("SSH", async () => assert.deepEqual(await ssh(30), [first!.PrivateDnsName, String(2048 * 1024 * 1024)]));
  // Its instance profile, by version 2 of the metadata service.
  const imds = "http://169.254.169.254/latest";
  const withToken = `-H "X-aws-ec2-metadata-token: $(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' ${imds}/api/token)"`;
  const given = JSON.parse((await ssh(30, `curl -sS ${withToken} ${imds}/meta-data/iam/security-credentials/worker`)).join("\n")) as Record<
    string,
    string
  >;
  const asWorker = sts({ accessKeyId: given.AccessKeyId!, secretAccessKey: given.SecretAccessKey!, sessionToken: given.Token! });
  const { Arn } = await asWorker.send(new GetCallerIdentityCommand({}));
  asWorker.destroy();
  assert.equal(Arn, `arn:aws:sts::000000000000:assumed-role/worker/${first!.InstanceId}`);
  // A container is one hop further: version 1 answers it, but the answer with a token does not come so far.
  const inContainer = (command: string) => gantry.gantry("exec", "web", "--cluster", cluster, "--", "sh", "-c", command);
  assert.match(await inContainer(`wget -qO- ${imds}/meta-data/instance-id`), /^i-[0-9a-f]{17}\s*$/);
  const put = `printf 'PUT /latest/api/token HTTP/1.0\\r\\nX-aws-ec2-metadata-token-ttl-seconds: 60\\r\\n\\r\\n' | nc -w 2 169.254.169.254 80`;
  assert.doesNotMatch(await inContainer(`${put}; echo over`), /200 OK/);
  for (const { InstanceId } of instances)
    await ec2.send(new ModifyInstanceMetadataOptionsCommand({ InstanceId, HttpPutResponseHopLimit: 2 }));
  await eventually("a token comes one hop further", async () => assert.match(await inContainer(put), /200 OK/));

  await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [open(22)] }));
  await eventually("SSH is shut", () => assert.rejects(ssh(3), /timed out|Connection/));

  await drainsFirst(cluster, group);

  const down = Date.now();
  await ecs.send(new UpdateServiceCommand({ cluster, service: "web", desiredCount: 0 }));
  await until("no instance is left", async () => (await group()).Instances!.length === 0, patience);
  process.stderr.write(`from two to zero: ${((Date.now() - down) / 1000).toFixed(1)} s\n`);
  await eventually("nothing of them is left", async () => {
    const left = await ec2.send(new DescribeInstancesCommand({}));
    assert.deepEqual(
      [...new Set(left.Reservations!.flatMap(({ Instances = [] }) => Instances.map(({ State }) => State!.Name)))],
      ["terminated"],
    );
    const { Activities } = await autoscaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "nodes" }));
    assert.equal(Activities!.filter(({ StatusCode }) => StatusCode === "Successful").length, 6);
    assert.deepEqual((await ecs.send(new ListContainerInstancesCommand({ cluster }))).containerInstanceArns, []);
    assert.doesNotMatch(readFileSync("/proc/mounts", "utf8"), new RegExp(`${gantry.home}/instances`));
    // Directories that go away while it looks are told on its standard error.
    const groups = `find /sys/fs/cgroup -type d -path '*gantry-${instanceOf(gantry.home)}/instances/*' 2>/dev/null | wc -l`;
    assert.equal((await run("sh", ["-c", groups])).stdout.trim(), "0");
  });
});
