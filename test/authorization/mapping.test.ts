/** Every operation that the server answers says what it takes to be allowed: nobody can add one and forget. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { needsOf, serviceActions } from "#api/authorization/index.ts";
import { serviceTable } from "#api/schema.ts";
import { services } from "#api/services.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createParts } from "#server/parts.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { ServerPart } from "#api/contract.ts";
import type { Store } from "#store/store.ts";

const where = { region: "us-east-1", account: "111122223333" };
let parts: readonly ServerPart[];
let store: Store;
let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "gantry-mapping-"));
  store = await openSqliteStore({ path: join(home, "store.sqlite"), clock: systemClock });
  const config = readConfig({ GANTRY_HOME: home });
  const sealer = createSealer(Buffer.alloc(32, 1));
  parts = createParts({
    vault: createVault([new Uint8Array(32)]),
    store,
    clock: systemClock,
    random: systemRandom,
    sealer,
    config,
    log: silentLogger,
  });
});
after(async () => {
  await store.close();
  await rm(home, { recursive: true, force: true });
});

test("every registered operation has its mapping", () => {
  const registered = parts
    .flatMap((part) => part.registrations ?? [])
    .flatMap(({ service, handlers }) => Object.keys(handlers).map((operation) => [service, operation] as const));
  assert.ok(registered.length > 200);
  assert.deepEqual(
    registered.filter(([service, operation]) => needsOf(service, operation, {}, where) === undefined).map((each) => each.join(":")),
    [],
  );
});

test("no mapping names an operation that AWS does not have", () => {
  const known = new Set(services.map(({ service }) => service));
  const wrong = Object.entries(serviceActions).flatMap(([service, { operations }]) =>
    known.has(service)
      ? Object.keys(operations)
          .filter((operation) => !Object.hasOwn(serviceTable(service).operations, operation))
          .map((operation) => `${service}:${operation}`)
      : [`${service} is no service`],
  );
  assert.deepEqual(wrong, []);
});

test("no mapping names a member that the operation's input does not have", () => {
  const wrong: string[] = [];
  for (const [service, { operations }] of Object.entries(serviceActions)) {
    const { operations: known, shapes } = serviceTable(service);
    for (const [operation, rule] of Object.entries(operations)) {
      const templates = typeof rule === "object" ? [rule.on, rule.tagging?.on, rule.registry && `{${rule.registry}}`] : [rule];
      for (const template of templates) {
        if (typeof template !== "string") continue;
        const input = shapes[known[operation]!.i];
        const members = input && "s" in input ? input.s : {};
        for (const [, member] of template.matchAll(/\{([A-Za-z]+)/g))
          if (!(member! in members)) wrong.push(`${service}:${operation} has no ${member}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

describe("what a request is for", () => {
  const needs = (service: string, operation: string, input: Record<string, unknown>) =>
    needsOf(service, operation, input, where)!.map(({ action, resources, keys }) => ({ action, resources, keys }));
  const cases: readonly (readonly [string, string, Record<string, unknown>, readonly string[]])[] = [
    ["ecs", "ListClusters", {}, ["*"]],
    ["ecs", "DescribeClusters", {}, ["arn:aws:ecs:us-east-1:111122223333:cluster/default"]],
    [
      "ecs",
      "DescribeTasks",
      { cluster: "c", tasks: ["1", "arn:aws:ecs:us-east-1:111122223333:task/c/2"] },
      ["arn:aws:ecs:us-east-1:111122223333:task/c/1", "arn:aws:ecs:us-east-1:111122223333:task/c/2"],
    ],
    [
      "ecs",
      "UpdateService",
      { cluster: "arn:aws:ecs:us-east-1:111122223333:cluster/prod", service: "web" },
      ["arn:aws:ecs:us-east-1:111122223333:service/prod/web"],
    ],
    ["ecr", "BatchGetImage", { registryId: "444455556666", repositoryName: "a/b" }, ["arn:aws:ecr:us-east-1:444455556666:repository/a/b"]],
    [
      "logs",
      "PutLogEvents",
      { logGroupName: "/g", logStreamName: "s/1" },
      ["arn:aws:logs:us-east-1:111122223333:log-group:/g:log-stream:s/1"],
    ],
    ["route53", "GetHostedZone", { Id: "/hostedzone/Z1" }, ["arn:aws:route53:::hostedzone/Z1"]],
    ["iam", "GetRole", { RoleName: "r" }, ["arn:aws:iam::111122223333:role/r"]],
    ["iam", "GetPolicy", { PolicyArn: "arn:aws:iam::aws:policy/ReadOnlyAccess" }, ["arn:aws:iam::aws:policy/ReadOnlyAccess"]],
    ["iam", "CreateRole", { RoleName: "r", Path: "/p/" }, ["arn:aws:iam::111122223333:role/p/r"]],
    [
      "ec2",
      "CreateSubnet",
      { VpcId: "vpc-1" },
      ["arn:aws:ec2:us-east-1:111122223333:subnet/*", "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1"],
    ],
    ["kms", "Encrypt", { KeyId: "alias/a" }, ["arn:aws:kms:us-east-1:111122223333:alias/a"]],
    ["ssm", "GetParametersByPath", { Path: "/app" }, ["arn:aws:ssm:us-east-1:111122223333:parameter/app"]],
    [
      "elbv2",
      "CreateLoadBalancer",
      { Name: "lb", Type: "network" },
      ["arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/lb/*"],
    ],
  ];
  for (const [service, operation, input, resources] of cases)
    test(`${service}:${operation} of ${JSON.stringify(input)}`, () =>
      assert.deepEqual(needs(service, operation, input)[0]!.resources, resources));

  test("tags on create take the tagging action, told what creates", () => {
    const [create, tag] = needs("ecs", "CreateCluster", { clusterName: "c", tags: [{ key: "team", value: "a" }] });
    assert.equal(create!.action, "ecs:CreateCluster");
    assert.deepEqual(create!.keys["aws:RequestTag/team"], ["a"]);
    assert.equal(tag!.action, "ecs:TagResource");
    assert.equal(tag!.keys["ecs:CreateAction"], "CreateCluster");
    assert.deepEqual(tag!.keys["aws:TagKeys"], ["team"]);
    const [, ec2Tag] = needs("ec2", "CreateVpc", { TagSpecifications: [{ ResourceType: "vpc", Tags: [{ Key: "a", Value: "b" }] }] });
    assert.equal(ec2Tag!.action, "ec2:CreateTags");
  });

  test("roles that a request hands over take iam:PassRole", () => {
    const [, pass] = needs("ecs", "RegisterTaskDefinition", { family: "f", taskRoleArn: "r" });
    assert.deepEqual(pass, {
      action: "iam:PassRole",
      resources: ["arn:aws:iam::111122223333:role/r"],
      keys: { "iam:PassedToService": "ecs-tasks.amazonaws.com" },
    });
    const passed = (service: string, operation: string, input: Record<string, unknown>) =>
      needs(service, operation, input).map(({ action, resources, keys }) => [action, resources, keys["iam:PassedToService"]]);
    const rule = "arn:aws:events:us-east-1:111122223333:rule/orders/r";
    const role = "arn:aws:iam::111122223333:role/t";
    const targets = { Rule: "r", EventBusName: "orders", Targets: [{ Id: "1", Arn: "a", RoleArn: role }] };
    assert.deepEqual(passed("events", "PutTargets", targets), [
      ["events:PutTargets", [rule], undefined],
      ["iam:PassRole", [role], "events.amazonaws.com"],
    ]);
    assert.deepEqual(passed("scheduler", "CreateSchedule", { Name: "s", Target: { Arn: "a", RoleArn: role } }), [
      ["scheduler:CreateSchedule", ["arn:aws:scheduler:us-east-1:111122223333:schedule/default/s"], undefined],
      ["iam:PassRole", [role], "scheduler.amazonaws.com"],
    ]);
  });

  test("PutEvents is asked about entry by entry", () => {
    const Entries = [
      { Source: "a", DetailType: "x" },
      { Source: "b", EventBusName: "orders" },
    ];
    assert.deepEqual(
      needs("events", "PutEvents", { Entries }).map(({ resources, keys }) => [
        resources,
        keys["events:source"],
        keys["events:detail-type"],
      ]),
      [
        [["arn:aws:events:us-east-1:111122223333:event-bus/default"], "a", "x"],
        [["arn:aws:events:us-east-1:111122223333:event-bus/orders"], "b", undefined],
      ],
    );
  });
});
