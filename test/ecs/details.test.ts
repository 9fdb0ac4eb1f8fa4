/** The finer points of ECS's operations, through HTTP by the SDK and the AWS CLI. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateCapacityProviderCommand,
  CreateClusterCommand,
  DeleteTaskDefinitionsCommand,
  DeregisterTaskDefinitionCommand,
  DescribeCapacityProvidersCommand,
  DescribeClustersCommand,
  DescribeContainerInstancesCommand,
  DescribeTaskDefinitionCommand,
  DeregisterContainerInstanceCommand,
  ECSClient,
  ListAccountSettingsCommand,
  ListTaskDefinitionFamiliesCommand,
  ListTaskDefinitionsCommand,
  ListTagsForResourceCommand,
  paginateListTaskDefinitions,
  PutAccountSettingCommand,
  PutAttributesCommand,
  PutClusterCapacityProvidersCommand,
  RegisterContainerInstanceCommand,
  RegisterTaskDefinitionCommand,
  TagResourceCommand,
  UpdateCapacityProviderCommand,
  UpdateContainerAgentCommand,
} from "@aws-sdk/client-ecs";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createDefinitionSweep } from "#services/ecs/task-definitions/sweep.ts";
import { createWriter } from "#store/unit.ts";
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

const arn = (resource: string) => `arn:aws:ecs:us-east-1:000000000000:${resource}`;
const register = async (family: string) =>
  (await ecs.send(new RegisterTaskDefinitionCommand({ family, containerDefinitions: [{ name: "a", image: "busybox", memory: 8 }] })))
    .taskDefinition!;
const refused = (code: string, message?: string) => (error: Error) => {
  assert.equal(error.name, code, error.message);
  if (message !== undefined) assert.equal(error.message, message);
  return true;
};
const totalResources = [
  { name: "CPU", type: "INTEGER", integerValue: 2048 },
  { name: "MEMORY", type: "INTEGER", integerValue: 4096 },
];

test("lists go by family, then by revision, in both directions, and pages neither repeat nor hide while others register", async () => {
  for (const family of ["l", "l-b", "lb"]) for (let i = 0; i < 3; i++) await register(family);
  for (const sort of ["ASC", "DESC"] as const) {
    const names: string[] = [];
    for await (const page of paginateListTaskDefinitions({ client: ecs, pageSize: 2 }, { sort })) {
      names.push(...page.taskDefinitionArns!.map((each) => each.split("/")[1]!).filter((each) => /^l/.test(each)));
      if (names.length > 0 && sort === "DESC") await register("zz-later");
    }
    const expected = ["l:1", "l:2", "l:3", "l-b:1", "l-b:2", "l-b:3", "lb:1", "lb:2", "lb:3"];
    assert.deepEqual(names, sort === "ASC" ? expected : expected.toReversed());
  }
});

test("families: ACTIVE, INACTIVE, both by default, gone with their last revision", async () => {
  const families = async (status?: "ACTIVE" | "INACTIVE" | "ALL") =>
    (await ecs.send(new ListTaskDefinitionFamiliesCommand({ familyPrefix: "fam", ...(status && { status }) }))).families;
  for (const family of ["fam-a", "fam-b"]) await register(family);
  await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "fam-b:1" }));
  assert.deepEqual(
    [await families("ACTIVE"), await families("INACTIVE"), await families("ALL"), await families()],
    [["fam-a"], ["fam-b"], ["fam-a", "fam-b"], ["fam-a", "fam-b"]],
  );
  await assert.rejects(
    ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "fam-b" })),
    refused("ClientException", "Unable to describe task definition."),
  );
  await ecs.send(new DeleteTaskDefinitionsCommand({ taskDefinitions: ["fam-b:1"] }));
  await assert.rejects(
    ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "fam-b:1" })),
    refused("ClientException", "The specified task definition is in the process of being deleted."),
  );
  const clock = new FakeClock(Date.now() + 60_000);
  const sweep = createDefinitionSweep({ store: server.deps.store, writer: createWriter(server.deps.store), clock, log: silentLogger });
  assert.equal(await sweep.pass(), 1);
  assert.deepEqual(await families(), ["fam-a"]);
  assert.equal(
    (await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: "fam-b", status: "DELETE_IN_PROGRESS" }))).taskDefinitionArns?.length,
    0,
  );
  // A revision is never given twice.
  assert.equal((await register("fam-b")).revision, 2);
});

test("a revision must be named, and be there", async () => {
  await register("named");
  await assert.rejects(
    ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "named" })),
    refused("ClientException", "Revision is missing."),
  );
  await assert.rejects(
    ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "named:x" })),
    refused("InvalidParameterException", "Invalid revision number. Number: x"),
  );
  await assert.rejects(
    ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "named:7" })),
    refused("ClientException", "The specified task definition does not exist. Specify a valid account, family, revision and try again."),
  );
  for (const other of [
    "arn:aws:ecs:us-east-1:111111111111:task-definition/named:1",
    "arn:aws:ecs:eu-west-1:000000000000:task-definition/named:1",
    "../named:1",
  ])
    await assert.rejects(
      ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: other })),
      refused("ClientException", "Unable to describe task definition."),
    );
});

test("capacity providers: AWS's defaults, updates that keep the rest, strategies that fit", async () => {
  const autoScalingGroupArn = "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:u:autoScalingGroupName/g";
  await server.deps.store.transaction({
    writes: [
      {
        put: "/autoscaling/000000000000/us-east-1/group/g",
        value: { name: "g", min: 0, max: 1, desired: 0, tags: [], newInstancesProtected: true },
      },
    ],
  });
  const made = await ecs.send(new CreateCapacityProviderCommand({ name: "cp", autoScalingGroupProvider: { autoScalingGroupArn } }));
  assert.deepEqual(made.capacityProvider?.autoScalingGroupProvider, {
    autoScalingGroupArn,
    managedScaling: {
      status: "DISABLED",
      targetCapacity: 100,
      minimumScalingStepSize: 1,
      maximumScalingStepSize: 10_000,
      instanceWarmupPeriod: 300,
    },
    managedTerminationProtection: "DISABLED",
    managedDraining: "ENABLED",
  });
  const updated = await ecs.send(
    new UpdateCapacityProviderCommand({
      name: "cp",
      autoScalingGroupProvider: { managedScaling: { status: "ENABLED", targetCapacity: 80 }, managedTerminationProtection: "ENABLED" },
    }),
  );
  assert.deepEqual(updated.capacityProvider?.autoScalingGroupProvider?.managedScaling, {
    status: "ENABLED",
    targetCapacity: 80,
    minimumScalingStepSize: 1,
    maximumScalingStepSize: 10_000,
    instanceWarmupPeriod: 300,
  });
  assert.equal(updated.capacityProvider?.updateStatus, "UPDATE_COMPLETE");
  await assert.rejects(
    ecs.send(new UpdateCapacityProviderCommand({ name: "cp", autoScalingGroupProvider: { managedScaling: { targetCapacity: 101 } } })),
    refused("InvalidParameterException"),
  );
  await assert.rejects(
    ecs.send(new CreateCapacityProviderCommand({ name: "fargate-x", autoScalingGroupProvider: { autoScalingGroupArn } })),
    refused("ClientException"),
  );
  await ecs.send(new CreateClusterCommand({ clusterName: "cps" }));
  const put = (defaultCapacityProviderStrategy: { capacityProvider: string; weight?: number }[]) =>
    ecs.send(
      new PutClusterCapacityProvidersCommand({ cluster: "cps", capacityProviders: ["cp", "FARGATE"], defaultCapacityProviderStrategy }),
    );
  await assert.rejects(
    put([
      { capacityProvider: "cp", weight: 1 },
      { capacityProvider: "FARGATE", weight: 1 },
    ]),
    refused("InvalidParameterException"),
  );
  await put([{ capacityProvider: "cp", weight: 1 }]);
  const ofCluster = await ecs.send(new DescribeCapacityProvidersCommand({ cluster: "cps" }));
  assert.deepEqual(
    ofCluster.capacityProviders?.map(({ name, type }) => [name, type]),
    [
      ["FARGATE", "FARGATE"],
      ["cp", "EC2_AUTOSCALING"],
    ],
  );
});

test("account settings: every name, each principal its own, what is read-only stays", async () => {
  const effective = new Map<string, string>();
  let nextToken: string | undefined;
  do {
    const page = await ecs.send(new ListAccountSettingsCommand({ effectiveSettings: true, nextToken }));
    for (const { name, value } of page.settings!) effective.set(name!, value!);
    nextToken = page.nextToken;
  } while (nextToken);
  assert.ok(effective.size >= 11);
  assert.deepEqual(
    [effective.get("taskLongArnFormat"), effective.get("guardDutyActivate"), effective.get("fargateTaskRetirementWaitPeriod")],
    ["enabled", "off", "7"],
  );
  const principalArn = "arn:aws:iam::000000000000:user/u";
  await ecs.send(new PutAccountSettingCommand({ name: "awsvpcTrunking", value: "enabled", principalArn }));
  const own = await ecs.send(new ListAccountSettingsCommand({ name: "awsvpcTrunking", principalArn }));
  assert.deepEqual(
    own.settings?.map(({ value, principalArn: who }) => [value, who]),
    [["enabled", principalArn]],
  );
  assert.deepEqual((await ecs.send(new ListAccountSettingsCommand({ name: "awsvpcTrunking" }))).settings, []);
  await assert.rejects(
    ecs.send(new PutAccountSettingCommand({ name: "guardDutyActivate", value: "on" })),
    refused("InvalidParameterException"),
  );
  await assert.rejects(
    ecs.send(new PutAccountSettingCommand({ name: "awsvpcTrunking", value: "enabled", principalArn: "arn:aws:iam::111111111111:user/u" })),
    refused("InvalidParameterException"),
  );
});

test("instances: what the identity document adds, types that change, tokens, other clusters' ARNs, custom attributes' limit", async () => {
  const document = (instanceType: string) =>
    JSON.stringify({ instanceId: "i-0123456789abcdef0", instanceType, imageId: "ami-1", availabilityZone: "us-east-1c" });
  const enroll = async (input: object = {}) =>
    (await ecs.send(new RegisterContainerInstanceCommand({ totalResources, instanceIdentityDocument: document("t3.small"), ...input })))
      .containerInstance!;
  const instance = await enroll();
  const containerInstanceArn = instance.containerInstanceArn!;
  assert.equal(instance.ec2InstanceId, "i-0123456789abcdef0");
  assert.deepEqual(
    instance.attributes?.map(({ name, value }) => [name, value]),
    [
      ["ecs.ami-id", "ami-1"],
      ["ecs.availability-zone", "us-east-1c"],
      ["ecs.instance-type", "t3.small"],
    ],
  );
  await assert.rejects(enroll({ containerInstanceArn, instanceIdentityDocument: document("t3.large") }), (error: Error) =>
    /Container instance type changes are not supported\./.test(error.message),
  );
  assert.equal((await enroll({ containerInstanceArn })).version, 2);
  // The store was emptied, the agent remembers: it keeps its name.
  const unknown = arn(`container-instance/default/${"f".repeat(32)}`);
  assert.equal((await enroll({ containerInstanceArn: unknown })).containerInstanceArn, unknown);
  await ecs.send(new DeregisterContainerInstanceCommand({ containerInstance: unknown }));
  assert.notEqual((await enroll({ containerInstanceArn: unknown })).containerInstanceArn, unknown);
  await ecs.send(new CreateClusterCommand({ clusterName: "elsewhere" }));
  await assert.rejects(
    ecs.send(new DescribeContainerInstancesCommand({ cluster: "elsewhere", containerInstances: [containerInstanceArn] })),
    refused("InvalidParameterException", "Invalid identifier: Identifier is for cluster default. Your cluster is elsewhere"),
  );
  const attributes = Array.from({ length: 10 }, (_, index) => ({ name: `custom${index}`, value: "v", targetId: containerInstanceArn }));
  await ecs.send(new PutAttributesCommand({ attributes }));
  await assert.rejects(
    ecs.send(new PutAttributesCommand({ attributes: [{ ...attributes[0]!, name: "custom10" }] })),
    refused("AttributeLimitExceededException"),
  );
  await assert.rejects(
    ecs.send(new PutAttributesCommand({ attributes: [{ name: "x", targetId: "0".repeat(32) }] })),
    refused("TargetNotFoundException"),
  );
  await assert.rejects(
    ecs.send(new UpdateContainerAgentCommand({ containerInstance: containerInstanceArn })),
    refused("NoUpdateAvailableException"),
  );
  await assert.rejects(
    ecs.send(new DeregisterContainerInstanceCommand({ containerInstance: "short" })),
    refused("InvalidParameterException", "containerInstanceId length should be one of [32,36]"),
  );
});

test("tags: clusters, instances; what is not there, what is not ours", async () => {
  await ecs.send(new CreateClusterCommand({ clusterName: "tagged" }));
  await ecs.send(
    new TagResourceCommand({
      resourceArn: arn("cluster/tagged"),
      tags: [
        { key: "a", value: "b" },
        { key: "unicode ä", value: "" },
      ],
    }),
  );
  assert.deepEqual((await ecs.send(new ListTagsForResourceCommand({ resourceArn: arn("cluster/tagged") }))).tags, [
    { key: "a", value: "b" },
    { key: "unicode ä", value: "" },
  ]);
  const tag = (resourceArn: string, key = "a") => ecs.send(new TagResourceCommand({ resourceArn, tags: [{ key, value: "" }] }));
  await assert.rejects(tag(arn("cluster/none")), refused("ClusterNotFoundException", "Cluster not found."));
  await assert.rejects(
    tag(arn(`container-instance/default/${"0".repeat(32)}`)),
    refused("ResourceNotFoundException", "The specified resource wasn't found."),
  );
  await assert.rejects(tag(arn("capacity-provider/FARGATE")), refused("InvalidParameterException"));
  await assert.rejects(tag(arn("task-definition/f")), refused("InvalidParameterException"));
  await assert.rejects(tag("arn:aws:s3:::bucket"), refused("InvalidParameterException"));
  for (const key of ["", "k".repeat(129), "aws:a", "what?"])
    await assert.rejects(tag(arn("cluster/tagged"), key), refused("InvalidParameterException"));
  const many = Array.from({ length: 49 }, (_, index) => ({ key: `k${index}`, value: "v" }));
  await assert.rejects(
    ecs.send(new TagResourceCommand({ resourceArn: arn("cluster/tagged"), tags: many })),
    refused("InvalidParameterException"),
  );
});

test("clusters by ARN: ours, another account's, another region's", async () => {
  await ecs.send(new CreateClusterCommand({ clusterName: "byarn" }));
  const { clusters, failures } = await ecs.send(
    new DescribeClustersCommand({
      clusters: [
        arn("cluster/byarn"),
        "arn:aws:ecs:us-east-1:111111111111:cluster/byarn",
        "arn:aws:ecs:eu-west-1:000000000000:cluster/byarn",
        "no/such",
      ],
    }),
  );
  assert.deepEqual([clusters?.length, failures?.map(({ reason }) => reason)], [1, ["MISSING", "MISSING", "MISSING"]]);
  await assert.rejects(
    ecs.send(new PutAttributesCommand({ cluster: "arn:aws:ecs:us-east-1:111111111111:cluster/byarn", attributes: [{ name: "a" }] })),
    refused("ClusterNotFoundException", "Cluster not found."),
  );
});

test("the AWS CLI: a definition from JSON, described, deregistered; an error as a user sees it", async () => {
  const definition = {
    family: "cli",
    cpu: ".5 vCPU",
    containerDefinitions: [{ name: "a", image: "busybox", memory: 8, command: ["true"] }],
  };
  const made = JSON.parse(await server.aws("ecs", "register-task-definition", "--cli-input-json", JSON.stringify(definition))) as {
    taskDefinition: { taskDefinitionArn: string; cpu: string };
  };
  assert.deepEqual([made.taskDefinition.taskDefinitionArn, made.taskDefinition.cpu], [arn("task-definition/cli:1"), "512"]);
  assert.equal(
    (
      await server.aws(
        "ecs",
        "describe-task-definition",
        "--task-definition",
        "cli",
        "--query",
        "taskDefinition.status",
        "--output",
        "text",
      )
    ).trim(),
    "ACTIVE",
  );
  await server.aws("ecs", "deregister-task-definition", "--task-definition", "cli:1");
  await assert.rejects(
    server.aws("ecs", "describe-task-definition", "--task-definition", "cli"),
    /ClientException.*Unable to describe task definition\./s,
  );
});
