/** EC2's instances, key pairs and launch templates through HTTP, by the SDK, with a scripted machine beneath. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  CreateKeyPairCommand,
  CreateLaunchTemplateCommand,
  CreateLaunchTemplateVersionCommand,
  CreateTagsCommand,
  DeleteKeyPairCommand,
  DeleteLaunchTemplateCommand,
  DescribeImagesCommand,
  DescribeInstanceAttributeCommand,
  DescribeInstancesCommand,
  DescribeInstanceStatusCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeKeyPairsCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  EC2Client,
  GetConsoleOutputCommand,
  ImportKeyPairCommand,
  type InstanceStateName,
  ModifyInstanceAttributeCommand,
  ModifyLaunchTemplateCommand,
  RebootInstancesCommand,
  RunInstancesCommand,
  type RunInstancesCommandInput,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import type { InstanceReport, InstanceStateMessage } from "#agent-protocol/instances.ts";
import { silentLogger } from "#platform/log.ts";
import { createInstanceReconciler, type InstanceReconciler } from "#reconcilers/instances/reconciler.ts";
import { type Link, Links } from "#reconcilers/links.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createWriter } from "#store/unit.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

let server: TestServer;
let ec2: EC2Client;
let reconciler: InstanceReconciler;
const host = "/ecs/000000000000/us-east-1/container-instance/default/host";
const images = { x86: "ami-0ec5000000000a001", arm: "ami-0ec5000000000a002" };

/** A machine that does as it is told at once. */
function scriptedMachine(links: Links): Link {
  const link: Link = {
    id: links.nextId(),
    endpoint: "",
    close: () => {},
    send(frame) {
      if (frame.type !== "InstanceStateMessage") return;
      const { instances } = frame.message as InstanceStateMessage;
      const reports = instances.map(({ instanceId, desired, boot }): InstanceReport => ({
        instanceId,
        boot,
        state: desired,
        ready: desired === "running",
        console: "it booted\n",
      }));
      setImmediate(() => reconciler.report(host, link, { messageId: "m", instances: reports }));
    },
  };
  return link;
}

before(async () => {
  server = await startServer({ parts: (deps) => [createEc2(deps)] });
  ec2 = new EC2Client(server.sdk());
  const { store } = server.deps;
  const links = new Links();
  const record = {
    id: "host",
    cluster: "default",
    status: "ACTIVE",
    ec2InstanceId: "mi-1",
    attributes: [{ name: "gantry.instances", value: "true" }],
    registeredResources: { cpu: 8192, memory: 16_000, portsTcp: [], portsUdp: [] },
  };
  await store.transaction({ writes: [{ put: host, value: record }] });
  reconciler = createInstanceReconciler({ ...server.deps, writer: createWriter(store), log: silentLogger, links });
  const link = scriptedMachine(links);
  links.open(host, link);
  reconciler.start();
  reconciler.connectionChanged(host);
  reconciler.report(host, link, { messageId: "m", instances: [] });
});
after(async () => {
  await reconciler.stop();
  ec2.destroy();
  await server.close();
});

const launch = async (input: Partial<RunInstancesCommandInput> = {}) =>
  (await ec2.send(new RunInstancesCommand({ ImageId: images.x86, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1, ...input })))
    .Instances!;
const describeOne = async (id: string) =>
  (await ec2.send(new DescribeInstancesCommand({ InstanceIds: [id] }))).Reservations![0]!.Instances![0]!;
const becomes = (id: string, state: InstanceStateName) =>
  until(`${id} is ${state}`, async () => {
    const instance = await describeOne(id);
    return instance.State!.Name === state && instance;
  });
const refused = (name: string, message?: RegExp) => (error: Error) => {
  assert.equal(error.name, name, error.message);
  if (message) assert.match(error.message, message);
  return true;
};

describe("instances", () => {
  test("run, stop, start, reboot, terminate: states and addresses as EC2 shows them", async () => {
    const [made] = await launch({
      TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "Name", Value: "one" }] }],
      UserData: Buffer.from("#!/bin/sh\n").toString("base64"),
    });
    const id = made!.InstanceId!;
    assert.match(id, /^i-[0-9a-f]{17}$/);
    assert.deepEqual(made!.State, { Code: 0, Name: "pending" });
    const running = await becomes(id, "running");
    assert.equal(running.PublicIpAddress, made!.PublicIpAddress);
    assert.deepEqual(running.Tags, [{ Key: "Name", Value: "one" }]);
    assert.equal(running.BlockDeviceMappings!.length, 1);
    const { InstanceStatuses } = await ec2.send(new DescribeInstanceStatusCommand({ InstanceIds: [id] }));
    assert.equal(InstanceStatuses![0]!.InstanceStatus!.Status, "ok");
    assert.equal(
      (await ec2.send(new DescribeVolumesCommand({ Filters: [{ Name: "attachment.instance-id", Values: [id] }] }))).Volumes![0]!.Size,
      30,
    );
    const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId: id }));
    assert.equal(Buffer.from(Output!, "base64").toString(), "it booted\n");
    assert.equal(
      (await ec2.send(new DescribeInstanceAttributeCommand({ InstanceId: id, Attribute: "userData" }))).UserData!.Value,
      "IyEvYmluL3NoCg==",
    );

    await assert.rejects(
      ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType: { Value: "t3.small" } })),
      refused("IncorrectInstanceState"),
    );
    const { StoppingInstances } = await ec2.send(new StopInstancesCommand({ InstanceIds: [id] }));
    assert.deepEqual([StoppingInstances![0]!.PreviousState!.Name, StoppingInstances![0]!.CurrentState!.Name], ["running", "stopping"]);
    await becomes(id, "stopped");
    await ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, InstanceType: { Value: "t3.small" } }));
    await ec2.send(new StartInstancesCommand({ InstanceIds: [id] }));
    assert.equal((await becomes(id, "running")).InstanceType, "t3.small");
    await ec2.send(new RebootInstancesCommand({ InstanceIds: [id] }));
    await becomes(id, "running");

    await ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, DisableApiTermination: { Value: true } }));
    await assert.rejects(ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] })), refused("OperationNotPermitted"));
    await ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, DisableApiTermination: { Value: false } }));
    const { TerminatingInstances } = await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    assert.equal(TerminatingInstances![0]!.CurrentState!.Name, "shutting-down");
    const gone = await becomes(id, "terminated");
    assert.deepEqual([gone.PrivateIpAddress, gone.StateReason!.Code], [undefined, "Client.UserInitiatedShutdown"]);
    const left = await ec2.send(new DescribeNetworkInterfacesCommand({ Filters: [{ Name: "attachment.instance-id", Values: [id] }] }));
    assert.deepEqual(left.NetworkInterfaces, []);
  });

  test("several at once, once only with a client token, found by filters", async () => {
    const input = { MinCount: 2, MaxCount: 2, ClientToken: "t-1", InstanceType: "m5.large" as const };
    const made = await launch(input);
    assert.deepEqual(
      (await launch(input)).map(({ InstanceId }) => InstanceId).toSorted(),
      made.map(({ InstanceId }) => InstanceId).toSorted(),
    );
    await assert.rejects(launch({ ...input, MaxCount: 3 }), refused("IdempotentParameterMismatch"));
    await ec2.send(new CreateTagsCommand({ Resources: [made[0]!.InstanceId!], Tags: [{ Key: "role", Value: "db" }] }));
    const { Reservations } = await ec2.send(
      new DescribeInstancesCommand({
        Filters: [
          { Name: "tag:role", Values: ["db"] },
          { Name: "instance-type", Values: ["m5.*"] },
        ],
      }),
    );
    assert.deepEqual(
      Reservations!.map(({ Instances }) => Instances!.map(({ InstanceId }) => InstanceId)),
      [[made[0]!.InstanceId]],
    );
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: made.map(({ InstanceId }) => InstanceId!) }));
    for (const { InstanceId } of made) await becomes(InstanceId!, "terminated");
  });

  test("what EC2 refuses, by its own codes", async () => {
    await assert.rejects(launch({ ImageId: "ami-12345678" }), refused("InvalidAMIID.NotFound"));
    await assert.rejects(launch({ InstanceType: "t9.huge" as never }), refused("InvalidParameterValue", /t9\.huge/));
    await assert.rejects(launch({ InstanceType: "t4g.micro" }), refused("InvalidParameterValue", /architecture/));
    await assert.rejects(launch({ KeyName: "nobody" }), refused("InvalidKeyPair.NotFound"));
    await assert.rejects(launch({ SubnetId: "subnet-00000000000000000" }), refused("InvalidSubnetID.NotFound"));
    await assert.rejects(launch({ InstanceType: "m5.24xlarge" }), refused("InsufficientInstanceCapacity", /393216 MiB/));
    await assert.rejects(launch({ InstanceMarketOptions: { MarketType: "spot" } }), refused("NotImplemented"));
    await assert.rejects(launch({ DryRun: true }), refused("DryRunOperation"));
    await assert.rejects(
      ec2.send(new TerminateInstancesCommand({ InstanceIds: ["i-00000000000000000"] })),
      refused("InvalidInstanceID.NotFound"),
    );
    await assert.rejects(ec2.send(new TerminateInstancesCommand({ InstanceIds: ["x"] })), refused("InvalidInstanceID.Malformed"));
    const { Subnets } = await ec2.send(new DescribeSubnetsCommand({}));
    const before = Subnets!.map(({ AvailableIpAddressCount }) => AvailableIpAddressCount);
    await assert.rejects(launch({ MinCount: 1, MaxCount: 3, PrivateIpAddress: "172.31.0.100" }));
    const after_ = (await ec2.send(new DescribeSubnetsCommand({}))).Subnets!.map(({ AvailableIpAddressCount }) => AvailableIpAddressCount);
    assert.deepEqual(after_, before, "all or nothing");
  });
});

test("types have their true sizes, images are what can be launched", async () => {
  const { InstanceTypes } = await ec2.send(
    new DescribeInstanceTypesCommand({ InstanceTypes: ["t3.micro", "c5.9xlarge", "r6i.large", "t2.micro", "m7g.medium"] }),
  );
  const sizes = Object.fromEntries(
    InstanceTypes!.map((each) => [
      each.InstanceType,
      [each.VCpuInfo!.DefaultVCpus, each.MemoryInfo!.SizeInMiB, each.VCpuInfo!.DefaultCores],
    ]),
  );
  assert.deepEqual(sizes, {
    "c5.9xlarge": [36, 73_728, 18],
    "m7g.medium": [1, 4096, 1],
    "r6i.large": [2, 16_384, 1],
    "t2.micro": [1, 1024, 1],
    "t3.micro": [2, 1024, 1],
  });
  await assert.rejects(ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: ["x9.big" as never] })), refused("InvalidInstanceType"));
  const offerings = await ec2.send(
    new DescribeInstanceTypeOfferingsCommand({
      LocationType: "availability-zone",
      Filters: [{ Name: "instance-type", Values: ["t3.micro"] }],
    }),
  );
  assert.deepEqual(
    offerings.InstanceTypeOfferings!.map(({ Location }) => Location),
    ["us-east-1a", "us-east-1b", "us-east-1c"],
  );
  const found = await ec2.send(
    new DescribeImagesCommand({ Owners: ["amazon"], Filters: [{ Name: "name", Values: ["al2023-ami-ecs-hvm-*-x86_64"] }] }),
  );
  assert.deepEqual(
    found.Images!.map(({ ImageId }) => ImageId),
    [images.x86],
  );
});

test("key pairs: ssh-keygen reads what was made, and knows the fingerprints of what was imported", async () => {
  const directory = mkdtempSync(join(tmpdir(), "gantry-keys-"));
  try {
    for (const KeyType of ["rsa", "ed25519"] as const) {
      const { KeyMaterial, KeyPairId } = await ec2.send(new CreateKeyPairCommand({ KeyName: `made-${KeyType}`, KeyType }));
      const path = join(directory, KeyType);
      writeFileSync(path, `${KeyMaterial}\n`, { mode: 0o600 });
      const own = execFileSync("ssh-keygen", ["-y", "-f", path], { encoding: "utf8" }).split(" ").slice(0, 2).join(" ").trim();
      const { KeyPairs } = await ec2.send(new DescribeKeyPairsCommand({ KeyPairIds: [KeyPairId!], IncludePublicKey: true }));
      assert.equal(KeyPairs![0]!.PublicKey!.split(" ").slice(0, 2).join(" "), own);
      const imported = await ec2.send(new ImportKeyPairCommand({ KeyName: `imported-${KeyType}`, PublicKeyMaterial: Buffer.from(own) }));
      writeFileSync(`${path}.pub`, own);
      const shown = execFileSync("ssh-keygen", ["-l", "-E", KeyType === "rsa" ? "md5" : "sha256", "-f", `${path}.pub`], {
        encoding: "utf8",
      });
      // EC2's MD5 is over DER, ssh-keygen's over its own form: only the other can be compared.
      if (KeyType === "ed25519") assert.equal(imported.KeyFingerprint!.replace(/=+$/, ""), /SHA256:(\S+)/.exec(shown)![1]);
      else assert.match(imported.KeyFingerprint!, /^([0-9a-f]{2}:){15}[0-9a-f]{2}$/);
    }
    await assert.rejects(ec2.send(new CreateKeyPairCommand({ KeyName: "made-rsa" })), refused("InvalidKeyPair.Duplicate"));
    await assert.rejects(
      ec2.send(new ImportKeyPairCommand({ KeyName: "bad", PublicKeyMaterial: Buffer.from("ssh-rsa AAAA") })),
      refused("InvalidKey.Format"),
    );
    await ec2.send(new DeleteKeyPairCommand({ KeyName: "made-rsa" }));
    await assert.rejects(ec2.send(new DescribeKeyPairsCommand({ KeyNames: ["made-rsa"] })), refused("InvalidKeyPair.NotFound"));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("launch templates: versions, $Latest and $Default, what the request says wins", async () => {
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({
      LaunchTemplateName: "web",
      LaunchTemplateData: {
        ImageId: images.x86,
        InstanceType: "t3.nano",
        TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "from", Value: "template" }] }],
        MetadataOptions: { HttpTokens: "required" },
      },
    }),
  );
  const LaunchTemplateId = LaunchTemplate!.LaunchTemplateId!;
  await ec2.send(
    new CreateLaunchTemplateVersionCommand({ LaunchTemplateId, SourceVersion: "1", LaunchTemplateData: { InstanceType: "t3.small" } }),
  );
  const versions = await ec2.send(new DescribeLaunchTemplateVersionsCommand({ LaunchTemplateId, Versions: ["$Latest", "$Default"] }));
  assert.deepEqual(
    versions.LaunchTemplateVersions!.map(({ VersionNumber, DefaultVersion, LaunchTemplateData }) => [
      VersionNumber,
      DefaultVersion,
      LaunchTemplateData!.InstanceType,
    ]),
    [
      [2, false, "t3.small"],
      [1, true, "t3.nano"],
    ],
  );
  const run = async (Version: string | undefined, more: object = {}) =>
    (await ec2.send(new RunInstancesCommand({ MinCount: 1, MaxCount: 1, LaunchTemplate: { LaunchTemplateId, Version }, ...more })))
      .Instances![0]!;
  const [first, latest, own] = [await run(undefined), await run("$Latest"), await run("2", { InstanceType: "t3.medium" })];
  assert.deepEqual(
    [first, latest, own].map(({ InstanceType }) => InstanceType),
    ["t3.nano", "t3.small", "t3.medium"],
  );
  assert.ok(own.Tags!.some(({ Key, Value }) => Key === "from" && Value === "template"));
  assert.equal(own.MetadataOptions!.HttpTokens, "required");
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [first, latest, own].map(({ InstanceId }) => InstanceId!) }));
  await ec2.send(new ModifyLaunchTemplateCommand({ LaunchTemplateId, DefaultVersion: "2" }));
  await assert.rejects(run("7"), refused("InvalidLaunchTemplateId.VersionNotFound"));
  await assert.rejects(
    ec2.send(new CreateLaunchTemplateCommand({ LaunchTemplateName: "web", LaunchTemplateData: { ImageId: images.x86 } })),
    refused("InvalidLaunchTemplateName.AlreadyExistsException"),
  );
  await ec2.send(new DeleteLaunchTemplateCommand({ LaunchTemplateId }));
  await assert.rejects(run(undefined), refused("InvalidLaunchTemplateId.NotFound"));
});
