/** Amazon EC2 Auto Scaling through HTTP, by the SDK, with EC2's instances beneath that run as soon as they are made. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  AttachInstancesCommand,
  AutoScalingClient,
  CompleteLifecycleActionCommand,
  CreateAutoScalingGroupCommand,
  CreateOrUpdateTagsCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeLifecycleHooksCommand,
  DescribeScalingActivitiesCommand,
  DescribeTagsCommand,
  DetachInstancesCommand,
  PutLifecycleHookCommand,
  PutScalingPolicyCommand,
  ResumeProcessesCommand,
  SetDesiredCapacityCommand,
  SetInstanceHealthCommand,
  SetInstanceProtectionCommand,
  StartInstanceRefreshCommand,
  SuspendProcessesCommand,
  TerminateInstanceInAutoScalingGroupCommand,
  UpdateAutoScalingGroupCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  CreateLaunchTemplateCommand,
  DescribeInstancesCommand,
  DescribeSubnetsCommand,
  EC2Client,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { everyInstanceObeys } from "../support/instances.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let ec2: EC2Client;
let autoscaling: AutoScalingClient;
let template: string;
let subnets: string[];
let part: ReturnType<typeof createAutoScaling>;
const over = new AbortController();
let machine: Promise<void>;

before(async () => {
  server = await startServer({
    parts: (deps) => [createEc2(deps), (part = createAutoScaling(deps))],
  });
  await part.start?.();
  machine = everyInstanceObeys(server.deps.store, over.signal);
  ec2 = new EC2Client(server.sdk());
  autoscaling = new AutoScalingClient(server.sdk());
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: "nodes",
      LaunchTemplateData: { ImageId: "ami-0ec5000000000a001", InstanceType: "t3.micro" },
    }),
  );
  template = LaunchTemplate!.LaunchTemplateId!;
  subnets = (await ec2.send(new DescribeSubnetsCommand({}))).Subnets!.map(({ SubnetId }) => SubnetId!);
});
after(async () => {
  over.abort();
  await machine;
  await part.stop?.();
  ec2.destroy();
  autoscaling.destroy();
  await server.close();
});

const group = async (name = "g") =>
  (await autoscaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }))).AutoScalingGroups![0];
const settles = (count: number, name = "g") =>
  until(`${count} in service, and no others`, async () => {
    const instances = (await group(name))?.Instances ?? [];
    return instances.length === count && instances.every(({ LifecycleState }) => LifecycleState === "InService") && instances;
  });
/** It is no longer the first of its group. */
const leaves = (id: string | undefined) => until(`${id} leaves`, async () => (await group())!.Instances![0]?.InstanceId !== id);
const refused = (name: string, message?: RegExp) => (error: Error) => {
  assert.equal(error.name, name, error.message);
  if (message) assert.match(error.message, message);
  return true;
};
const AutoScalingGroupName = "g";

test("a group's life: balanced, resized, healed, protected, held by a hook, deleted", async () => {
  await autoscaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName,
      MinSize: 1,
      MaxSize: 4,
      DesiredCapacity: 3,
      VPCZoneIdentifier: subnets.join(","),
      LaunchTemplate: { LaunchTemplateId: template, Version: "$Latest" },
      Tags: [{ Key: "team", Value: "a", PropagateAtLaunch: true }],
    }),
  );
  const three = await settles(3);
  assert.equal(new Set(three.map(({ AvailabilityZone }) => AvailabilityZone)).size, 3);
  const { Reservations } = await ec2.send(
    new DescribeInstancesCommand({ Filters: [{ Name: "tag:aws:autoscaling:groupName", Values: ["g"] }] }),
  );
  assert.ok(
    Reservations!
      .flatMap(({ Instances = [] }) => Instances)
      .every(({ Tags }) => Tags!.some(({ Key, Value }) => Key === "team" && Value === "a")),
  );

  await autoscaling.send(
    new SetInstanceProtectionCommand({
      AutoScalingGroupName,
      InstanceIds: [three[0]!.InstanceId!, three[1]!.InstanceId!],
      ProtectedFromScaleIn: true,
    }),
  );
  await autoscaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity: 1 }));
  await settles(2);
  await autoscaling.send(
    new SetInstanceProtectionCommand({ AutoScalingGroupName, InstanceIds: [three[1]!.InstanceId!], ProtectedFromScaleIn: false }),
  );
  assert.deepEqual(
    (await settles(1)).map(({ InstanceId }) => InstanceId),
    [three[0]!.InstanceId],
  );
  await assert.rejects(
    autoscaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity: 9 })),
    refused("ValidationError", /above max value 4/),
  );

  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [three[0]!.InstanceId!] }));
  await leaves(three[0]!.InstanceId);
  const [healed] = await settles(1);
  await autoscaling.send(new SetInstanceHealthCommand({ InstanceId: healed!.InstanceId, HealthStatus: "Unhealthy" }));
  await leaves(healed!.InstanceId);
  const [last] = await settles(1);

  await autoscaling.send(
    new PutLifecycleHookCommand({
      AutoScalingGroupName,
      LifecycleHookName: "wait",
      LifecycleTransition: "autoscaling:EC2_INSTANCE_TERMINATING",
      HeartbeatTimeout: 60,
    }),
  );
  assert.equal(
    (await autoscaling.send(new DescribeLifecycleHooksCommand({ AutoScalingGroupName }))).LifecycleHooks![0]!.DefaultResult,
    "ABANDON",
  );
  await autoscaling.send(
    new TerminateInstanceInAutoScalingGroupCommand({ InstanceId: last!.InstanceId, ShouldDecrementDesiredCapacity: false }),
  );
  await until("another beside it", async () => (await group())!.Instances!.length === 2);
  const { AutoScalingInstances } = await autoscaling.send(new DescribeAutoScalingInstancesCommand({ InstanceIds: [last!.InstanceId!] }));
  assert.equal(AutoScalingInstances![0]!.LifecycleState, "Terminating:Wait");
  await assert.rejects(
    autoscaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName })),
    refused("ScalingActivityInProgressFault"),
  );
  await autoscaling.send(
    new CompleteLifecycleActionCommand({
      AutoScalingGroupName,
      LifecycleHookName: "wait",
      InstanceId: last!.InstanceId,
      LifecycleActionResult: "CONTINUE",
    }),
  );
  const [kept] = await settles(1);

  await autoscaling.send(new SuspendProcessesCommand({ AutoScalingGroupName, ScalingProcesses: ["Launch"] }));
  await autoscaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName, DesiredCapacity: 2 }));
  await part.idle();
  assert.equal((await group())!.Instances!.length, 1);
  await autoscaling.send(new ResumeProcessesCommand({ AutoScalingGroupName }));
  await settles(2);

  await autoscaling.send(
    new DetachInstancesCommand({ AutoScalingGroupName, InstanceIds: [kept!.InstanceId!], ShouldDecrementDesiredCapacity: true }),
  );
  await settles(1);
  await autoscaling.send(new AttachInstancesCommand({ AutoScalingGroupName, InstanceIds: [kept!.InstanceId!] }));
  await settles(2);
  await autoscaling.send(new UpdateAutoScalingGroupCommand({ AutoScalingGroupName, MinSize: 3 }));
  await settles(3);

  await autoscaling.send(
    new CreateOrUpdateTagsCommand({
      Tags: [{ ResourceId: "g", ResourceType: "auto-scaling-group", Key: "k", Value: "v", PropagateAtLaunch: false }],
    }),
  );
  assert.equal((await autoscaling.send(new DescribeTagsCommand({ Filters: [{ Name: "key", Values: ["k"] }] }))).Tags![0]!.Value, "v");
  const { Activities } = await autoscaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName }));
  assert.ok(Activities!.length > 8 && Activities!.every(({ StatusCode }) => StatusCode === "Successful" || StatusCode === "InProgress"));
  await assert.rejects(autoscaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName })), refused("ResourceInUseFault"));
  await autoscaling.send(new DeleteAutoScalingGroupCommand({ AutoScalingGroupName, ForceDelete: true }));
  await until("the group is gone", async () => (await group()) === undefined);
});

test("what can't be launched is said in an activity, and tried again", async () => {
  await autoscaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: "f",
      MinSize: 0,
      MaxSize: 1,
      AvailabilityZones: ["us-east-1a"],
      MixedInstancesPolicy: {
        LaunchTemplate: {
          LaunchTemplateSpecification: { LaunchTemplateId: template, Version: "1" },
          Overrides: [{ InstanceType: "t4g.micro" }],
        },
      },
    }),
  );
  await autoscaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: "f", DesiredCapacity: 1 }));
  await part.idle();
  const failed = await until(
    "an activity",
    async () => (await autoscaling.send(new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "f" }))).Activities![0],
  );
  assert.equal(failed.StatusCode, "Failed");
  assert.match(failed.StatusMessage!, /architecture/);
});

test("what AWS refuses, and what Gantry does not do", async () => {
  const create = (more: object) =>
    autoscaling.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: "x",
        MinSize: 0,
        MaxSize: 1,
        AvailabilityZones: ["us-east-1a"],
        LaunchTemplate: { LaunchTemplateId: template },
        ...more,
      }),
    );
  await assert.rejects(create({ LaunchTemplate: undefined }), refused("ValidationError"));
  await assert.rejects(create({ MinSize: 2 }), refused("ValidationError", /Max bound/));
  await assert.rejects(create({ AvailabilityZones: ["us-east-1z"] }), refused("ValidationError", /Invalid availability zone/));
  await assert.rejects(
    create({ LaunchTemplate: { LaunchTemplateId: "lt-00000000000000000" } }),
    refused("ValidationError", /does not exist/),
  );
  await assert.rejects(create({ AutoScalingGroupName: "f" }), refused("AlreadyExistsFault"));
  await assert.rejects(create({ TargetGroupARNs: ["arn:x"] }), refused("NotImplemented"));
  await assert.rejects(autoscaling.send(new StartInstanceRefreshCommand({ AutoScalingGroupName: "f" })), refused("NotImplemented"));
  await assert.rejects(
    autoscaling.send(new PutScalingPolicyCommand({ AutoScalingGroupName: "f", PolicyName: "p" })),
    refused("NotImplemented"),
  );
  await assert.rejects(
    autoscaling.send(new SetDesiredCapacityCommand({ AutoScalingGroupName: "nobody", DesiredCapacity: 1 })),
    refused("ValidationError", /not found/),
  );
});
