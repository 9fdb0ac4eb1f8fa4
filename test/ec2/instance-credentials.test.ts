/** Who a local instance is, in signed mode: the credentials that its machine's agent is given for it, what they allow and when they end. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { AutoScalingClient, CreateAutoScalingGroupCommand } from "@aws-sdk/client-auto-scaling";
import * as Ec2 from "@aws-sdk/client-ec2";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Iam from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { WebSocket } from "ws";
import { sign } from "#agent/aws/sigv4.ts";
import type { InstanceIdentity, InstanceReport, LocalInstance, SessionKeys } from "#agent-protocol/instances.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { account, allow, type Iam as Server, policy, type SdkCredentials, startIam, trust } from "../iam/support.ts";
import { accessKeyId, secretAccessKey } from "../support/http.ts";
import { JumpingClock } from "../support/jumping-clock.ts";
import { eventually, until } from "../support/until.ts";

const root: SdkCredentials = { accessKeyId, secretAccessKey };
const image = "ami-0ec5000000000a001";
const denied = { name: "AccessDeniedException" };
const clients: { destroy(): void }[] = [];
const clock = new JumpingClock();
/** Seconds: after half of them there are new ones. Less than a signature may be old, so that the clock may jump so far. */
const roleLife = 240;
let it: Server;
let host: Machine;
let ec2: Ec2.EC2Client;

const ecsOf = (credentials: SdkCredentials) => client(new Ecs.ECSClient({ ...it.server.sdk(), credentials, maxAttempts: 1 }));
const ec2Of = (credentials: SdkCredentials) => client(new Ec2.EC2Client({ ...it.server.sdk(), credentials, maxAttempts: 1 }));
function client<T extends { destroy(): void }>(made: T): T {
  clients.push(made);
  return made;
}

function signed(path: string, query: Record<string, string>, credentials: SdkCredentials) {
  const url = new URL(path, it.server.endpoint);
  url.search = new URLSearchParams(query).toString();
  const { host: _, ...headers } = sign({
    method: "GET",
    url,
    headers: {},
    body: "",
    service: "ecs",
    region: "us-east-1",
    credentials,
    now: Date.now(),
  });
  return { url, headers };
}

const register = async (credentials: SdkCredentials, input: Partial<Ecs.RegisterContainerInstanceCommandInput>) => {
  const { containerInstance } = await ecsOf(credentials).send(
    new Ecs.RegisterContainerInstanceCommand({
      totalResources: [
        { name: "CPU", type: "INTEGER", integerValue: 8192 },
        { name: "MEMORY", type: "INTEGER", integerValue: 16_000 },
      ],
      ...input,
    }),
  );
  return containerInstance!;
};

interface Machine {
  readonly frames: { readonly type: string; readonly message: { readonly instances?: readonly unknown[] } }[];
  identity(id: string): InstanceIdentity | undefined;
  close(): void;
}

/** An agent's connection; what it is told to have, it reports. */
async function connect(credentials: SdkCredentials, cluster: string, containerInstanceArn: string): Promise<Machine> {
  const { url, headers } = signed("/acs/ws", { clusterArn: cluster, containerInstanceArn, seqNum: "1" }, credentials);
  url.protocol = "ws:";
  const frames: Machine["frames"] = [];
  const socket = new WebSocket(url, { headers });
  const report = (instances: readonly InstanceReport[]) =>
    socket.send(JSON.stringify({ type: "InstanceReportMessage", message: { messageId: "m", instances } }));
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => resolve());
    socket.on("message", (data) => {
      const frame = JSON.parse((data as Buffer).toString()) as Machine["frames"][number];
      frames.push(frame);
      if (frame.type !== "InstanceStateMessage") return;
      const list = frame.message.instances as readonly LocalInstance[];
      report(list.map(({ instanceId, desired, boot }) => ({ instanceId, boot, state: desired, ready: true })));
    });
  });
  report([]);
  return {
    frames,
    identity: (id) =>
      (frames.findLast(({ type }) => type === "InstanceCredentialsMessage")?.message.instances as InstanceIdentity[] | undefined)?.find(
        ({ instanceId }) => instanceId === id,
      ),
    close: () => socket.terminate(),
  };
}

const launch = async (input: Partial<Ec2.RunInstancesCommandInput> = {}, by = ec2) => {
  const { Instances } = await by.send(
    new Ec2.RunInstancesCommand({ ImageId: image, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1, ...input }),
  );
  return Instances![0]!.InstanceId!;
};
const identityOf = (id: string) => until("who it is", () => host.identity(id));
const roleOf = (id: string, check: (keys: SdkCredentials) => boolean = () => true) =>
  until("its role's credentials", () => {
    const keys = host.identity(id)?.profile?.role?.credentials;
    return keys && check(keys) ? sdkKeys(keys) : undefined;
  });
/** The SDK wants a Date for an end, if it is told of one. */
const sdkKeys = ({ accessKeyId: id, secretAccessKey: secret, sessionToken }: SessionKeys): SdkCredentials => ({
  accessKeyId: id,
  secretAccessKey: secret,
  sessionToken,
});

before(async () => {
  it = await startIam({
    clock,
    config: { taskCredentialsSeconds: roleLife },
    more: (deps) => [createEc2(deps), createEcs(deps), createAutoScaling(deps)],
  });
  ec2 = ec2Of(root);
  const { url, headers } = signed("/_gantry/agent-credentials", { node: "machine", cluster: "default" }, root);
  const own = (await (await fetch(url, { headers })).json()) as SdkCredentials;
  const { containerInstanceArn } = await register(own, { attributes: [{ name: "gantry.instances", value: "true" }] });
  host = await connect(own, "default", containerInstanceArn!);
  const { iam } = it;
  await iam.send(
    new Iam.CreateRoleCommand({ RoleName: "worker", Path: "/m/", AssumeRolePolicyDocument: trust({ Service: "ec2.amazonaws.com" }) }),
  );
  await iam.send(new Iam.PutRolePolicyCommand({ RoleName: "worker", PolicyName: "p", PolicyDocument: allow("ecs:ListClusters") }));
  await iam.send(new Iam.CreateInstanceProfileCommand({ InstanceProfileName: "nodes" }));
  await iam.send(new Iam.AddRoleToInstanceProfileCommand({ InstanceProfileName: "nodes", RoleName: "worker" }));
  await iam.send(new Iam.CreateInstanceProfileCommand({ InstanceProfileName: "empty" }));
  await ecsOf(root).send(new Ecs.CreateClusterCommand({ clusterName: "blue" }));
});
after(async () => {
  host?.close();
  for (const each of clients) each.destroy();
  await it.close();
});

describe("the instance profile", () => {
  test("gives the role's credentials, named after the instance, and new ones before they end", async () => {
    const id = await launch({ IamInstanceProfile: { Name: "nodes" } });
    const keys = await roleOf(id);
    const caller = await it.as(keys).sts.send(new GetCallerIdentityCommand({}));
    assert.equal(caller.Arn, `arn:aws:sts::${account}:assumed-role/worker/${id}`);
    await ecsOf(keys).send(new Ecs.ListClustersCommand({}));
    await assert.rejects(ecsOf(keys).send(new Ecs.ListServicesCommand({ cluster: "blue" })), denied);
    const { arn, found } = (await identityOf(id)).profile!;
    assert.deepEqual([arn, found], [`arn:aws:iam::${account}:instance-profile/nodes`, true]);
    clock.jump((roleLife / 2 + 10) * 1000);
    await roleOf(id, (next) => next.accessKeyId !== keys.accessKeyId);
    await it.as(keys).sts.send(new GetCallerIdentityCommand({}));
  });

  test("is associated, replaced and taken away while the instance runs", async () => {
    const id = await launch();
    assert.equal((await identityOf(id)).profile, undefined);
    const associate = () => ec2.send(new Ec2.AssociateIamInstanceProfileCommand({ InstanceId: id, IamInstanceProfile: { Name: "nodes" } }));
    const { IamInstanceProfileAssociation: made } = await associate();
    assert.equal(made!.State, "associating");
    await roleOf(id);
    await assert.rejects(associate, { name: "IncorrectState" });
    const listed = async () =>
      (
        await ec2.send(new Ec2.DescribeIamInstanceProfileAssociationsCommand({ Filters: [{ Name: "instance-id", Values: [id] }] }))
      ).IamInstanceProfileAssociations!.map(({ AssociationId, State, IamInstanceProfile }) => [
        AssociationId,
        State,
        IamInstanceProfile!.Arn,
      ]);
    assert.deepEqual(await listed(), [[made!.AssociationId, "associated", `arn:aws:iam::${account}:instance-profile/nodes`]]);
    const { IamInstanceProfileAssociation: next } = await ec2.send(
      new Ec2.ReplaceIamInstanceProfileAssociationCommand({ AssociationId: made!.AssociationId, IamInstanceProfile: { Name: "empty" } }),
    );
    assert.notEqual(next!.AssociationId, made!.AssociationId);
    const empty = await until("the other profile", () => {
      const profile = host.identity(id)?.profile;
      return profile?.arn.endsWith("/empty") ? profile : undefined;
    });
    assert.equal(empty.role, undefined);
    await ec2.send(new Ec2.DisassociateIamInstanceProfileCommand({ AssociationId: next!.AssociationId }));
    await until("no profile", () => host.identity(id) && host.identity(id)!.profile === undefined);
    assert.deepEqual(await listed(), []);
    await assert.rejects(ec2.send(new Ec2.DisassociateIamInstanceProfileCommand({ AssociationId: next!.AssociationId })), {
      name: "InvalidAssociationID.NotFound",
    });
  });

  test("follows IAM: without its role, with one that EC2 may not become, deleted and made again", async () => {
    const { iam } = it;
    const nodes = { InstanceProfileName: "changing" };
    await iam.send(new Iam.CreateInstanceProfileCommand(nodes));
    await iam.send(new Iam.CreateRoleCommand({ RoleName: "other", AssumeRolePolicyDocument: trust({ Service: "ecs.amazonaws.com" }) }));
    const id = await launch({ IamInstanceProfile: { Name: "changing" } });
    assert.equal((await identityOf(id)).profile!.role, undefined);
    await iam.send(new Iam.AddRoleToInstanceProfileCommand({ ...nodes, RoleName: "other" }));
    const role = await until("the role", () => host.identity(id)!.profile!.role);
    assert.deepEqual(role, { name: "other" });
    await iam.send(new Iam.UpdateAssumeRolePolicyCommand({ RoleName: "other", PolicyDocument: trust({ Service: "ec2.amazonaws.com" }) }));
    await roleOf(id);
    await iam.send(new Iam.RemoveRoleFromInstanceProfileCommand({ ...nodes, RoleName: "other" }));
    await until("no role", () => host.identity(id)!.profile!.role === undefined);
    await iam.send(new Iam.DeleteInstanceProfileCommand(nodes));
    await until("it is not found", () => !host.identity(id)!.profile!.found);
    await iam.send(new Iam.CreateInstanceProfileCommand(nodes));
    await iam.send(new Iam.AddRoleToInstanceProfileCommand({ ...nodes, RoleName: "other" }));
    // Who is told of the next instance has been told of that, too.
    await identityOf(await launch());
    assert.deepEqual([host.identity(id)!.profile!.found, host.identity(id)!.profile!.role], [false, undefined]);
  });

  test("that is not there is refused, and so is one whose role the caller may not pass", async () => {
    await assert.rejects(launch({ IamInstanceProfile: { Name: "nobody" } }), {
      name: "InvalidParameterValue",
      message: /iamInstanceProfile\.name is invalid\. Invalid IAM Instance Profile name/,
    });
    const { iam } = it;
    await ec2.send(
      new Ec2.CreateLaunchTemplateCommand({
        LaunchTemplateName: "profiled",
        LaunchTemplateData: { ImageId: image, InstanceType: "t3.micro", IamInstanceProfile: { Name: "nodes" } },
      }),
    );
    await iam.send(new Iam.CreateUserCommand({ UserName: "ann" }));
    const { AccessKey } = await iam.send(new Iam.CreateAccessKeyCommand({ UserName: "ann" }));
    const annsKeys = { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
    const ann = ec2Of(annsKeys);
    const may = (...statements: object[]) =>
      iam.send(new Iam.PutUserPolicyCommand({ UserName: "ann", PolicyName: "p", PolicyDocument: policy(...statements) }));
    const autoscaling = client(new AutoScalingClient({ ...it.server.sdk(), credentials: annsKeys, maxAttempts: 1 }));
    const all = { Effect: "Allow", Action: ["ec2:*", "autoscaling:*"], Resource: "*" };
    await may(all);
    const id = await launch({}, ann);
    const byTemplate = () =>
      ann.send(new Ec2.RunInstancesCommand({ MinCount: 1, MaxCount: 1, LaunchTemplate: { LaunchTemplateName: "profiled" } }));
    const associate = () => ann.send(new Ec2.AssociateIamInstanceProfileCommand({ InstanceId: id, IamInstanceProfile: { Name: "nodes" } }));
    const passing = { name: "UnauthorizedOperation" };
    await assert.rejects(launch({ IamInstanceProfile: { Name: "nodes" } }, ann), passing);
    await assert.rejects(byTemplate, passing);
    await assert.rejects(associate, passing);
    const group = (AutoScalingGroupName: string) =>
      autoscaling.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName,
          MinSize: 0,
          MaxSize: 1,
          AvailabilityZones: ["us-east-1a"],
          LaunchTemplate: { LaunchTemplateName: "profiled" },
        }),
      );
    await assert.rejects(group("asg"), { name: /AccessDenied/, message: /iam:PassRole on resource: .*role\/m\/worker/ });
    await may(all, { Effect: "Allow", Action: "iam:PassRole", Resource: `arn:aws:iam::${account}:role/m/worker` });
    await byTemplate();
    await group("asg");
    const { IamInstanceProfileAssociation } = await associate();
    // An association is its instance's.
    await may({ ...all, Resource: `arn:aws:ec2:us-east-1:${account}:instance/i-0123456789abcdef0` });
    const disassociate = () =>
      ann.send(new Ec2.DisassociateIamInstanceProfileCommand({ AssociationId: IamInstanceProfileAssociation!.AssociationId }));
    await assert.rejects(disassociate, passing);
    await may({ ...all, Resource: `arn:aws:ec2:us-east-1:${account}:instance/${id}` });
    await disassociate();
  });
});

describe("an instance's agent", () => {
  const document = (instanceId: string) => JSON.stringify({ instanceId, instanceType: "t3.micro" });

  test("registers its own instance in any cluster and speaks for it, for no other, until it is terminated", async () => {
    const [one, two] = [await launch(), await launch()];
    const [agent, thief] = [sdkKeys((await identityOf(one)).agent), sdkKeys((await identityOf(two)).agent)];
    const { containerInstanceArn: arn = "", ec2InstanceId } = await register(agent, {
      cluster: "blue",
      instanceIdentityDocument: document(one),
    });
    assert.equal(ec2InstanceId, one);
    const machine = await connect(agent, "blue", arn);
    try {
      await until("its connection", () => machine.frames.length > 0);

      await assert.rejects(register(thief, { cluster: "blue", instanceIdentityDocument: document(one) }), denied);
      await assert.rejects(register(thief, { cluster: "blue" }), denied);
      await assert.rejects(
        register(thief, { cluster: "blue", containerInstanceArn: arn, instanceIdentityDocument: document(two) }),
        denied,
      );
      await assert.rejects(connect(thief, "blue", arn), /403/);
      for (const cluster of ["blue", "default"])
        await assert.rejects(register(agent, { cluster, instanceIdentityDocument: document(one) }), denied, "a second one");
      for (const name of ["gantry.instances", "gantry.load-balancers", "gantry.fargate"])
        await assert.rejects(
          register(agent, {
            cluster: "blue",
            containerInstanceArn: arn,
            instanceIdentityDocument: document(one),
            attributes: [{ name, value: "true" }],
          }),
          denied,
          name,
        );
      await assert.rejects(ecsOf(agent).send(new Ecs.ListClustersCommand({})), denied);
      await assert.rejects(ec2Of(agent).send(new Ec2.DescribeInstancesCommand({})), { name: "UnauthorizedOperation" });
      assert.ok(
        machine.frames.every(({ type }) => !type.startsWith("Instance")),
        "an instance is told of no instances",
      );

      await ec2.send(new Ec2.TerminateInstancesCommand({ InstanceIds: [two] }));
      await assert.rejects(register(thief, { cluster: "blue", instanceIdentityDocument: document(two) }), {
        name: "UnrecognizedClientException",
      });
      assert.equal(
        (await register(agent, { cluster: "blue", containerInstanceArn: arn, instanceIdentityDocument: document(one) }))
          .containerInstanceArn,
        arn,
      );
    } finally {
      machine.close();
    }
    // Its agent has left: it may begin anew, in another cluster too.
    await eventually("it registers", () => register(agent, { cluster: "default", instanceIdentityDocument: document(one) }));
  });

  test("of whoever registers, nobody but the server's own machine takes in instances", async () => {
    const { iam } = it;
    await iam.send(new Iam.CreateUserCommand({ UserName: "registrar" }));
    await iam.send(new Iam.PutUserPolicyCommand({ UserName: "registrar", PolicyName: "p", PolicyDocument: allow("ecs:*") }));
    const { AccessKey } = await iam.send(new Iam.CreateAccessKeyCommand({ UserName: "registrar" }));
    const keys = { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
    const { containerInstanceArn } = await register(keys, { attributes: [{ name: "gantry.instances", value: "true" }] });
    const stranger = await connect(keys, "default", containerInstanceArn!);
    try {
      // The machine with the fewest instances takes the next one: were it asked, it would be this.
      for (let i = 0; i < 3; i++) await identityOf(await launch());
      await until("the stranger's connection", () => stranger.frames.length > 0);
      assert.ok(stranger.frames.every(({ type }) => !type.startsWith("Instance")));
    } finally {
      stranger.close();
    }
  });
});
