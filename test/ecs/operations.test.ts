/** ECS's clusters, definitions, instances, settings and tags through HTTP, by the SDK. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  CreateCapacityProviderCommand,
  CreateClusterCommand,
  DeleteAttributesCommand,
  DeleteClusterCommand,
  DeleteTaskDefinitionsCommand,
  DeregisterContainerInstanceCommand,
  DeregisterTaskDefinitionCommand,
  DescribeCapacityProvidersCommand,
  DescribeClustersCommand,
  DescribeContainerInstancesCommand,
  DescribeTaskDefinitionCommand,
  ECSClient,
  ListAccountSettingsCommand,
  ListAttributesCommand,
  ListClustersCommand,
  ListContainerInstancesCommand,
  ListTagsForResourceCommand,
  ListTaskDefinitionFamiliesCommand,
  ListTaskDefinitionsCommand,
  PutAccountSettingDefaultCommand,
  PutAttributesCommand,
  RegisterContainerInstanceCommand,
  RegisterTaskDefinitionCommand,
  type RegisterTaskDefinitionCommandInput,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateClusterSettingsCommand,
  UpdateContainerInstancesStateCommand,
} from "@aws-sdk/client-ecs";
import { createAwsClient } from "#agent/aws/client.ts";
import { systemClock } from "#platform/clock.ts";
import { systemRandom } from "#platform/random.ts";
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

const refused = (code: string, message?: RegExp | string) => (error: Error) => {
  assert.equal(error.name, code, error.message);
  if (typeof message === "string") assert.equal(error.message, message);
  else if (message) assert.match(error.message, message);
  return true;
};

describe("clusters", () => {
  test("made once, described with what was asked for, listed by pages, deleted", async () => {
    const made = await ecs.send(
      new CreateClusterCommand({
        clusterName: "one",
        settings: [{ name: "containerInsights", value: "enabled" }],
        tags: [{ key: "a", value: "b" }],
      }),
    );
    assert.equal(made.cluster?.clusterArn, "arn:aws:ecs:us-east-1:000000000000:cluster/one");
    assert.equal(made.cluster?.status, "ACTIVE");
    await ecs.send(new CreateClusterCommand({ clusterName: "one" }));
    const plain = await ecs.send(new DescribeClustersCommand({ clusters: ["one", "nope", made.cluster!.clusterArn!] }));
    assert.deepEqual([plain.clusters?.length, plain.clusters?.[0]?.settings, plain.clusters?.[0]?.tags], [2, [], []]);
    assert.deepEqual(plain.failures, [{ arn: "arn:aws:ecs:us-east-1:000000000000:cluster/nope", reason: "MISSING" }]);
    const full = await ecs.send(new DescribeClustersCommand({ clusters: ["one"], include: ["SETTINGS", "TAGS", "STATISTICS"] }));
    assert.deepEqual(full.clusters?.[0]?.settings, [{ name: "containerInsights", value: "enabled" }]);
    assert.deepEqual(full.clusters?.[0]?.tags, [{ key: "a", value: "b" }]);
    assert.ok(full.clusters?.[0]?.statistics?.some(({ name }) => name === "runningEC2TasksCount"));
    await ecs.send(new UpdateClusterSettingsCommand({ cluster: "one", settings: [{ name: "containerInsights", value: "disabled" }] }));
    for (const name of ["two", "three"]) await ecs.send(new CreateClusterCommand({ clusterName: name }));
    const first = await ecs.send(new ListClustersCommand({ maxResults: 2 }));
    const second = await ecs.send(new ListClustersCommand({ maxResults: 2, nextToken: first.nextToken }));
    assert.deepEqual(
      [...first.clusterArns!, ...second.clusterArns!].map((arn) => arn.split("/")[1]),
      ["one", "three", "two"],
    );
    assert.equal(second.nextToken, undefined);
    await assert.rejects(ecs.send(new ListClustersCommand({ nextToken: "AAAA" })), refused("InvalidParameterException", "Invalid token"));
    const gone = await ecs.send(new DeleteClusterCommand({ cluster: "two" }));
    assert.equal(gone.cluster?.status, "INACTIVE");
    await assert.rejects(
      ecs.send(new DeleteClusterCommand({ cluster: "two" })),
      refused("ClusterNotFoundException", "The referenced cluster was inactive."),
    );
    await assert.rejects(ecs.send(new CreateClusterCommand({ clusterName: "no spaces" })), refused("InvalidParameterException"));
    await assert.rejects(ecs.send(new CreateClusterCommand({ clusterName: "x".repeat(256) })), refused("InvalidParameterException"));
    await ecs.send(new CreateClusterCommand({ clusterName: "x".repeat(255) }));
  });

  test("capacity providers: two from the start, others by name", async () => {
    const built = await ecs.send(new DescribeCapacityProvidersCommand({}));
    assert.deepEqual(
      built.capacityProviders?.map(({ name }) => name),
      ["FARGATE", "FARGATE_SPOT"],
    );
    await assert.rejects(
      ecs.send(new CreateCapacityProviderCommand({ name: "big", autoScalingGroupProvider: { autoScalingGroupArn: "g" } })),
      refused("ClientException"),
    );
    await server.deps.store.transaction({
      writes: [
        {
          put: "/autoscaling/000000000000/us-east-1/group/g",
          value: { name: "g", min: 0, max: 1, desired: 0, tags: [], newInstancesProtected: true },
        },
      ],
    });
    await ecs.send(
      new CreateCapacityProviderCommand({
        name: "big",
        autoScalingGroupProvider: {
          autoScalingGroupArn: "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:u:autoScalingGroupName/g",
        },
      }),
    );
    const cluster = await ecs.send(
      new CreateClusterCommand({
        clusterName: "provided",
        capacityProviders: ["FARGATE", "big"],
        defaultCapacityProviderStrategy: [{ capacityProvider: "big", weight: 1 }],
      }),
    );
    assert.deepEqual(cluster.cluster?.defaultCapacityProviderStrategy, [{ capacityProvider: "big", weight: 1, base: 0 }]);
    await assert.rejects(
      ecs.send(new CreateClusterCommand({ clusterName: "p2", capacityProviders: ["nope"] })),
      refused("InvalidParameterException"),
    );
    await assert.rejects(
      ecs.send(new CreateClusterCommand({ clusterName: "p2", defaultCapacityProviderStrategy: [{ capacityProvider: "FARGATE" }] })),
      refused("InvalidParameterException", /not associated with the cluster/),
    );
  });
});

const container = { name: "main", image: "busybox", memory: 64 };
const register = (input: Partial<RegisterTaskDefinitionCommandInput>) =>
  ecs.send(new RegisterTaskDefinitionCommand({ family: "f", containerDefinitions: [container], ...input }));

describe("task definitions", () => {
  test("kept exactly, with AWS's defaults", async () => {
    const { taskDefinition } = await register({
      family: "kept",
      networkMode: "bridge",
      containerDefinitions: [
        {
          ...container,
          portMappings: [{ containerPort: 80 }],
          healthCheck: { command: ["CMD-SHELL", "true"] },
          dockerLabels: { a: "b" },
          ulimits: [{ name: "nofile", softLimit: 1, hardLimit: 2 }],
        },
      ],
    });
    assert.deepEqual(taskDefinition?.containerDefinitions?.[0], {
      ...container,
      cpu: 0,
      essential: true,
      portMappings: [{ containerPort: 80, hostPort: 0, protocol: "tcp" }],
      healthCheck: { command: ["CMD-SHELL", "true"], interval: 30, timeout: 5, retries: 3 },
      dockerLabels: { a: "b" },
      ulimits: [{ name: "nofile", softLimit: 1, hardLimit: 2 }],
      environment: [],
      mountPoints: [],
      volumesFrom: [],
      systemControls: [],
    });
    assert.equal(taskDefinition?.taskDefinitionArn, "arn:aws:ecs:us-east-1:000000000000:task-definition/kept:1");
    assert.deepEqual(taskDefinition?.compatibilities, ["EXTERNAL", "EC2"]);
    assert.ok(taskDefinition?.requiresAttributes?.some(({ name }) => name === "ecs.capability.container-health-check"));
    const described = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "kept" }));
    assert.deepEqual(described.taskDefinition, taskDefinition);
  });

  test("revisions, families, INACTIVE, deletion", async () => {
    for (let i = 0; i < 3; i++) await register({ family: "rev" });
    await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: "rev:3" }));
    assert.equal((await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "rev" }))).taskDefinition?.revision, 2);
    const listed = async (input: object) =>
      (await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: "rev", ...input }))).taskDefinitionArns?.map(
        (arn) => arn.split("/")[1],
      );
    assert.deepEqual(await listed({}), ["rev:1", "rev:2"]);
    assert.deepEqual(await listed({ sort: "DESC" }), ["rev:2", "rev:1"]);
    assert.deepEqual(await listed({ status: "INACTIVE" }), ["rev:3"]);
    const first = await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: "rev", sort: "DESC", maxResults: 1 }));
    assert.deepEqual(
      (
        await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: "rev", sort: "DESC", maxResults: 1, nextToken: first.nextToken }))
      ).taskDefinitionArns?.map((arn) => arn.split("/")[1]),
      ["rev:1"],
    );
    const deleted = await ecs.send(new DeleteTaskDefinitionsCommand({ taskDefinitions: ["rev:3", "rev:2", "nope:1"] }));
    assert.deepEqual(
      deleted.taskDefinitions?.map(({ status }) => status),
      ["DELETE_IN_PROGRESS"],
    );
    assert.equal(deleted.failures?.length, 2);
    assert.equal((await register({ family: "rev" })).taskDefinition?.revision, 4);
    assert.deepEqual((await ecs.send(new ListTaskDefinitionFamiliesCommand({ familyPrefix: "re" }))).families, ["rev"]);
    await assert.rejects(
      ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: "rev:99" })),
      refused("ClientException", "Unable to describe task definition."),
    );
  });

  test("what AWS refuses", async () => {
    const wrong: [Partial<RegisterTaskDefinitionCommandInput>, RegExp | string][] = [
      [{ family: "a b" }, /Family contains invalid characters/],
      [{ containerDefinitions: [] }, /Container list cannot be empty/],
      [
        { containerDefinitions: [{ name: "c", image: "i" }] },
        "Invalid setting for container 'c'. At least one of 'memory' or 'memoryReservation' must be specified.",
      ],
      [{ containerDefinitions: [container, container] }, /duplicate/],
      [{ containerDefinitions: [{ ...container, essential: false }] }, /essential/],
      [
        { networkMode: "host", containerDefinitions: [{ ...container, portMappings: [{ containerPort: 80, hostPort: 81 }] }] },
        "When networkMode=host, the host ports and container ports in port mappings must match.",
      ],
      [{ containerDefinitions: [{ ...container, mountPoints: [{ sourceVolume: "v", containerPath: "/v" }] }] }, "Unknown volume 'v'."],
      [
        { containerDefinitions: [{ ...container, dependsOn: [{ containerName: "x", condition: "START" }] }] },
        "Cannot depend on container + 'x' because it does not exist",
      ],
      [
        {
          containerDefinitions: [
            { ...container, name: "a", dependsOn: [{ containerName: "b", condition: "START" }] },
            { ...container, name: "b", dependsOn: [{ containerName: "a", condition: "START" }] },
          ],
        },
        /Dependency cycle: a -> b -> a/,
      ],
      [{ requiresCompatibilities: ["FARGATE"] }, "Fargate only supports network mode ‘awsvpc’."],
      [
        { requiresCompatibilities: ["FARGATE"], networkMode: "awsvpc", cpu: "256", memory: "4096" },
        "No Fargate configuration exists for given values: 256 CPU, 4096 memory. See the Amazon ECS documentation for the valid values.",
      ],
      [
        { containerDefinitions: [{ ...container, healthCheck: { command: ["CMD", "x"], interval: 1 } }] },
        /interval must be between 5 and 300/,
      ],
      [
        { containerDefinitions: [{ ...container, environment: [{ name: "x", value: "y".repeat(70_000) }] }] },
        /^Actual length: '70\d\d\d'. Max allowed length is '65536' bytes\.$/,
      ],
      [{ tags: [{ key: "aws:x", value: "" }] }, /aws:/],
      [{ placementConstraints: [{ type: "memberOf", expression: "attribute:a ==" }] }, /position 14/],
    ];
    for (const [input, message] of wrong)
      await assert.rejects(
        register({ family: "wrong", ...input }),
        (error: Error) =>
          (typeof message === "string" ? error.message === message : message.test(error.message)) ||
          assert.fail(`${error.message} is not ${message}`),
      );
    assert.deepEqual((await ecs.send(new ListTaskDefinitionsCommand({ familyPrefix: "wrong" }))).taskDefinitionArns, []);
  });

  test("100 registrations at once give 100 revisions", async () => {
    const all = await Promise.all(Array.from({ length: 100 }, () => register({ family: "many" })));
    assert.deepEqual(
      all.map(({ taskDefinition }) => taskDefinition?.revision).toSorted((a, b) => a! - b!),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
  });
});

describe("container instances", () => {
  const totalResources = [
    { name: "CPU", type: "INTEGER", integerValue: 2048 },
    { name: "MEMORY", type: "INTEGER", integerValue: 4096 },
    { name: "PORTS", type: "STRINGSET", stringSetValue: ["22"] },
    { name: "PORTS_UDP", type: "STRINGSET", stringSetValue: [] },
  ];
  const attributes = [{ name: "ecs.availability-zone", value: "us-east-1b" }, { name: "ecs.capability.container-ordering" }];

  test("registered with every attribute echoed, again with the same identity, listed by a filter, drained, deregistered", async () => {
    const { containerInstance } = await ecs.send(new RegisterContainerInstanceCommand({ totalResources, attributes }));
    const arn = containerInstance!.containerInstanceArn!;
    assert.match(arn, /^arn:aws:ecs:us-east-1:000000000000:container-instance\/default\/[0-9a-f]{32}$/);
    for (const attribute of attributes)
      assert.ok(
        containerInstance?.attributes?.some(({ name, value }) => name === attribute.name && value === attribute.value),
        attribute.name,
      );
    assert.equal(containerInstance?.remainingResources?.find(({ name }) => name === "CPU")?.integerValue, 2048);
    assert.equal(containerInstance?.agentConnected, false);

    await ecs.send(new PutAttributesCommand({ attributes: [{ name: "stack", value: "prod", targetId: arn }] }));
    const again = await ecs.send(
      new RegisterContainerInstanceCommand({
        containerInstanceArn: arn,
        totalResources: [{ ...totalResources[0]!, integerValue: 4096 }, ...totalResources.slice(1)],
        attributes,
      }),
    );
    assert.equal(again.containerInstance?.containerInstanceArn, arn);
    assert.equal(again.containerInstance?.registeredResources?.find(({ name }) => name === "CPU")?.integerValue, 4096);
    assert.ok(again.containerInstance?.attributes?.some(({ name, value }) => name === "stack" && value === "prod"));

    const list = async (filter: string) => (await ecs.send(new ListContainerInstancesCommand({ filter }))).containerInstanceArns;
    assert.deepEqual(await list("attribute:stack == prod"), [arn]);
    assert.deepEqual(await list("attribute:ecs.availability-zone in [us-east-1a]"), []);
    await assert.rejects(list("attribute:stack =="), refused("InvalidParameterException", /position/));
    const found = await ecs.send(new ListAttributesCommand({ targetType: "container-instance", attributeName: "stack" }));
    assert.deepEqual(
      found.attributes?.map(({ value, targetId }) => [value, targetId]),
      [["prod", arn]],
    );
    await ecs.send(new DeleteAttributesCommand({ attributes: [{ name: "stack", targetId: arn }] }));
    await assert.rejects(
      ecs.send(new DeleteAttributesCommand({ attributes: [{ name: "stack", targetId: arn }] })),
      refused("TargetNotFoundException"),
    );

    const drained = await ecs.send(
      new UpdateContainerInstancesStateCommand({ containerInstances: [arn, "0".repeat(32)], status: "DRAINING" }),
    );
    assert.equal(drained.containerInstances?.[0]?.status, "DRAINING");
    assert.equal(drained.failures?.[0]?.reason, "MISSING");
    await assert.rejects(ecs.send(new DeleteClusterCommand({ cluster: "default" })), refused("ClusterContainsContainerInstancesException"));
    const gone = await ecs.send(new DeregisterContainerInstanceCommand({ containerInstance: arn }));
    assert.equal(gone.containerInstance?.status, "INACTIVE");
    assert.deepEqual((await ecs.send(new ListContainerInstancesCommand({}))).containerInstanceArns, []);
    assert.equal(
      (await ecs.send(new DescribeContainerInstancesCommand({ containerInstances: [arn] }))).containerInstances?.[0]?.status,
      "INACTIVE",
    );
  });

  test("GPUs are registered by their ids, and shown where there are any", async () => {
    const gpu = { name: "GPU", type: "STRINGSET", stringSetValue: ["GPU-a", "GPU-b"] };
    const { containerInstance } = await ecs.send(new RegisterContainerInstanceCommand({ totalResources: [...totalResources, gpu] }));
    for (const shown of [containerInstance?.registeredResources, containerInstance?.remainingResources])
      assert.deepEqual(shown?.find(({ name }) => name === "GPU")?.stringSetValue, ["GPU-a", "GPU-b"]);
    const arn = containerInstance!.containerInstanceArn!;
    const again = await ecs.send(new RegisterContainerInstanceCommand({ containerInstanceArn: arn, totalResources }));
    assert.equal(
      again.containerInstance?.registeredResources?.some(({ name }) => name === "GPU"),
      false,
    );
    await ecs.send(new DeregisterContainerInstanceCommand({ containerInstance: arn }));
  });

  test("an unknown cluster is refused; a repeated token is one instance", async () => {
    await assert.rejects(
      ecs.send(new RegisterContainerInstanceCommand({ cluster: "unknown", totalResources })),
      refused("ClusterNotFoundException"),
    );
    // The SDK does not know the token that agents send.
    const { credentials, endpoint, region } = server.sdk();
    const agent = createAwsClient({ service: "ecs", endpoint, region, credentials, clock: systemClock, random: systemRandom });
    const register = () =>
      agent.send<{ containerInstance: { containerInstanceArn: string } }>("RegisterContainerInstance", {
        totalResources,
        clientToken: "token",
      });
    const [first, second] = [await register(), await register()];
    assert.equal(first.containerInstance.containerInstanceArn, second.containerInstance.containerInstanceArn);
  });
});

describe("settings and tags", () => {
  test("account settings: default, own, effective", async () => {
    await ecs.send(new PutAccountSettingDefaultCommand({ name: "containerInsights", value: "enhanced" }));
    const effective = await ecs.send(new ListAccountSettingsCommand({ effectiveSettings: true, name: "containerInsights" }));
    assert.equal(effective.settings?.[0]?.value, "enhanced");
    assert.equal((await ecs.send(new CreateClusterCommand({ clusterName: "insight" }))).cluster?.settings?.[0]?.value, "enhanced");
    await assert.rejects(
      ecs.send(new PutAccountSettingDefaultCommand({ name: "containerInsights", value: "maybe" })),
      refused("InvalidParameterException"),
    );
  });

  test("tags of a definition", async () => {
    const { taskDefinition } = await register({ family: "tagged", tags: [{ key: "a", value: "1" }] });
    const resourceArn = taskDefinition!.taskDefinitionArn!;
    await ecs.send(new TagResourceCommand({ resourceArn, tags: [{ key: "b", value: "2" }] }));
    await ecs.send(new UntagResourceCommand({ resourceArn, tagKeys: ["a"] }));
    assert.deepEqual((await ecs.send(new ListTagsForResourceCommand({ resourceArn }))).tags, [{ key: "b", value: "2" }]);
    await assert.rejects(
      ecs.send(new TagResourceCommand({ resourceArn, tags: [{ key: "c", value: "x".repeat(257) }] })),
      refused("InvalidParameterException"),
    );
    await assert.rejects(
      ecs.send(new ListTagsForResourceCommand({ resourceArn: "arn:aws:ecs:us-east-1:111111111111:cluster/one" })),
      refused("InvalidParameterException"),
    );
  });
});
