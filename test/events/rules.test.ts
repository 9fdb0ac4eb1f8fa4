/** EventBridge's rules, buses, permissions, tags and patterns through the SDK: what is kept, listed and refused, in AWS's words. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as Sdk from "@aws-sdk/client-eventbridge";
import { clusterArn, ecsStatements, fails, logGroupArn, openWorld } from "./support.ts";

const world = await openWorld();
const { events } = world;
after(() => world.close());

const role = await world.role("runs-tasks", "events.amazonaws.com", ecsStatements("*"));
const pattern = JSON.stringify({ source: ["my.app"] });
const rule = (Name: string, more: Partial<Sdk.PutRuleCommandInput> = {}) =>
  events.send(new Sdk.PutRuleCommand({ Name, EventPattern: pattern, ...more }));
const targets = (Rule: string, ...Targets: Sdk.Target[]) => events.send(new Sdk.PutTargetsCommand({ Rule, Targets }));

test("a rule is what was put last; it goes when it has no targets", async () => {
  const { RuleArn } = await rule("one", { Description: "d", Tags: [{ Key: "a", Value: "1" }] });
  assert.equal(RuleArn, "arn:aws:events:us-east-1:000000000000:rule/one");
  const { $metadata: _, ...described } = await events.send(new Sdk.DescribeRuleCommand({ Name: "one" }));
  assert.deepEqual(described, {
    Name: "one",
    Arn: RuleArn,
    EventPattern: pattern,
    State: "ENABLED",
    Description: "d",
    EventBusName: "default",
    CreatedBy: "000000000000",
  });
  await rule("one", { EventPattern: undefined, ScheduleExpression: "rate(5 minutes)" });
  const now = await events.send(new Sdk.DescribeRuleCommand({ Name: "one" }));
  assert.deepEqual([now.EventPattern, now.ScheduleExpression, now.Description], [undefined, "rate(5 minutes)", undefined]);
  await events.send(new Sdk.DisableRuleCommand({ Name: "one" }));
  assert.equal((await events.send(new Sdk.DescribeRuleCommand({ Name: "one" }))).State, "DISABLED");
  await events.send(new Sdk.EnableRuleCommand({ Name: "one" }));
  await targets("one", { Id: "a", Arn: logGroupArn("/aws/events/x") });
  await fails(events.send(new Sdk.DeleteRuleCommand({ Name: "one" })), "ValidationException", /since it has targets/);
  const removed = await events.send(new Sdk.RemoveTargetsCommand({ Rule: "one", Ids: ["a", "b"] }));
  assert.deepEqual([removed.FailedEntryCount, removed.FailedEntries![0]!.TargetId], [1, "b"]);
  await events.send(new Sdk.DeleteRuleCommand({ Name: "one" }));
  await events.send(new Sdk.DeleteRuleCommand({ Name: "one" }));
  await fails(
    events.send(new Sdk.DescribeRuleCommand({ Name: "one" })),
    "ResourceNotFoundException",
    /Rule one does not exist on EventBus default/,
  );
});

test("what a rule may not be", async () => {
  await fails(rule("two", { EventPattern: undefined }), "ValidationException", /EventPattern or ScheduleExpression/);
  await fails(
    rule("two", { EventPattern: '{"source":"a"}' }),
    "InvalidEventPatternException",
    /^Event pattern is not valid\. Reason: "source" must be/,
  );
  await fails(rule("two", { ScheduleExpression: "at(2026-01-01T00:00:00)" }), "ValidationException", /ScheduleExpression is not valid/);
  await fails(rule("two", { ScheduleExpression: "rate(1 minutes)" }), "ValidationException", /ScheduleExpression is not valid/);
  await fails(rule("no spaces"), "ValidationException", /regular expression/);
  await fails(rule("two", { EventBusName: "none" }), "ResourceNotFoundException", /Event bus none does not exist/);
});

test("targets: what each kind needs, and what Gantry has not", async () => {
  await rule("three");
  const ecs = {
    Id: "ecs",
    Arn: clusterArn,
    RoleArn: role,
    EcsParameters: { TaskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/t" },
  };
  await targets("three", ecs, { Id: "logs", Arn: logGroupArn("/aws/events/x"), InputPath: "$.detail" });
  const { Targets } = await events.send(new Sdk.ListTargetsByRuleCommand({ Rule: "three" }));
  assert.deepEqual(Targets, [ecs, { Id: "logs", Arn: logGroupArn("/aws/events/x"), InputPath: "$.detail" }]);
  const names = await events.send(new Sdk.ListRuleNamesByTargetCommand({ TargetArn: clusterArn }));
  assert.deepEqual(names.RuleNames, ["three"]);
  await fails(targets("three", { ...ecs, RoleArn: undefined }), "ValidationException", /RoleArn is required/);
  await fails(targets("three", { ...ecs, EcsParameters: undefined }), "ValidationException", /EcsParameters is required/);
  await fails(targets("three", { ...ecs, Input: "{" }), "ValidationException", /JSON syntax error/);
  await fails(
    targets("three", { ...ecs, RetryPolicy: { MaximumEventAgeInSeconds: 5 } }),
    "ValidationException",
    /greater than or equal to 60/,
  );
  await fails(targets("three", { Id: "x", Arn: "arn:aws:lambda:us-east-1:000000000000:function:f" }), "NotImplemented", /lambda/);
  await fails(targets("three", { ...ecs, DeadLetterConfig: { Arn: "arn:aws:sqs:us-east-1:000000000000:q" } }), "NotImplemented");
  const many = ["a", "b", "c", "d"].map((Id) => ({ Id, Arn: logGroupArn("/aws/events/x") }));
  await fails(targets("three", ...many), "LimitExceededException");
  const elsewhere = clusterArn.replace("000000000000", "111122223333");
  await fails(targets("three", { ...ecs, Arn: elsewhere }), "ValidationException", /account and region/);
  await fails(targets("none", ecs), "ResourceNotFoundException");
});

test("buses, their rules and policies", async () => {
  const { EventBusArn } = await events.send(new Sdk.CreateEventBusCommand({ Name: "orders", Description: "d" }));
  assert.equal(EventBusArn, "arn:aws:events:us-east-1:000000000000:event-bus/orders");
  await fails(events.send(new Sdk.CreateEventBusCommand({ Name: "orders" })), "ResourceAlreadyExistsException");
  await fails(events.send(new Sdk.CreateEventBusCommand({ Name: "default" })), "ResourceAlreadyExistsException");
  const { RuleArn } = await rule("on-orders", { EventBusName: "orders" });
  assert.equal(RuleArn, "arn:aws:events:us-east-1:000000000000:rule/orders/on-orders");
  await fails(
    rule("timed", { EventBusName: "orders", ScheduleExpression: "rate(1 hour)" }),
    "ValidationException",
    /only on the default event bus/,
  );
  assert.deepEqual(
    (await events.send(new Sdk.ListRulesCommand({ EventBusName: EventBusArn }))).Rules!.map(({ Name }) => Name),
    ["on-orders"],
  );
  await fails(events.send(new Sdk.DeleteEventBusCommand({ Name: "orders" })), "ValidationException", /has rules/);
  const permit = (more: Partial<Sdk.PutPermissionCommandInput>) =>
    events.send(new Sdk.PutPermissionCommand({ EventBusName: "orders", ...more }));
  await permit({ Action: "events:PutEvents", Principal: "111122223333", StatementId: "other" });
  const { Policy } = await events.send(new Sdk.DescribeEventBusCommand({ Name: "orders" }));
  assert.deepEqual(JSON.parse(Policy!), {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "other",
        Effect: "Allow",
        Principal: { AWS: "arn:aws:iam::111122223333:root" },
        Action: "events:PutEvents",
        Resource: EventBusArn,
      },
    ],
  });
  await fails(permit({ Policy: "{" }), "ValidationException", /invalid Json/);
  const remove = (StatementId: string) => events.send(new Sdk.RemovePermissionCommand({ EventBusName: "orders", StatementId }));
  await fails(remove("none"), "ResourceNotFoundException", /Statement with the provided id/);
  await remove("other");
  assert.equal((await events.send(new Sdk.DescribeEventBusCommand({ Name: "orders" }))).Policy, undefined);
  await events.send(new Sdk.DeleteRuleCommand({ Name: "on-orders", EventBusName: "orders" }));
  await events.send(new Sdk.DeleteEventBusCommand({ Name: "orders" }));
  const { EventBuses } = await events.send(new Sdk.ListEventBusesCommand({}));
  assert.deepEqual(
    EventBuses!.map(({ Name }) => Name),
    ["default"],
  );
  await fails(events.send(new Sdk.DeleteEventBusCommand({ Name: "default" })), "ValidationException");
});

test("lists have pages, rules and buses have tags", async () => {
  for (const name of ["page-1", "page-2", "page-3"]) await rule(name);
  const first = await events.send(new Sdk.ListRulesCommand({ NamePrefix: "page", Limit: 2 }));
  const second = await events.send(new Sdk.ListRulesCommand({ NamePrefix: "page", Limit: 2, NextToken: first.NextToken }));
  assert.deepEqual(
    [...first.Rules!, ...second.Rules!].map(({ Name }) => Name),
    ["page-1", "page-2", "page-3"],
  );
  assert.equal(second.NextToken, undefined);
  for (const ResourceARN of [first.Rules![0]!.Arn!, "arn:aws:events:us-east-1:000000000000:event-bus/default"]) {
    await events.send(
      new Sdk.TagResourceCommand({
        ResourceARN,
        Tags: [
          { Key: "a", Value: "1" },
          { Key: "b", Value: "2" },
        ],
      }),
    );
    await events.send(new Sdk.UntagResourceCommand({ ResourceARN, TagKeys: ["a"] }));
    assert.deepEqual((await events.send(new Sdk.ListTagsForResourceCommand({ ResourceARN }))).Tags, [{ Key: "b", Value: "2" }]);
  }
  await fails(
    events.send(new Sdk.ListTagsForResourceCommand({ ResourceARN: "arn:aws:events:us-east-1:000000000000:rule/none" })),
    "ResourceNotFoundException",
  );
});

test("a pattern is tried on an event", async () => {
  const event = {
    id: "1",
    account: "000000000000",
    source: "my.app",
    time: "2026-01-01T00:00:00Z",
    region: "us-east-1",
    resources: [],
    "detail-type": "t",
    detail: { n: 5 },
  };
  const result = async (given: unknown, tried: unknown = event) =>
    (await events.send(new Sdk.TestEventPatternCommand({ EventPattern: JSON.stringify(given), Event: JSON.stringify(tried) }))).Result;
  assert.equal(await result({ detail: { n: [{ numeric: [">", 4] }] } }), true);
  assert.equal(await result({ detail: { n: [{ numeric: [">", 5] }] } }), false);
  await fails(result({ source: [] }), "InvalidEventPatternException", /Empty arrays/);
  await fails(result({ source: ["a"] }, { id: "1" }), "ValidationException", /Event is not valid/);
});

test("connections keep their secrets to themselves, also in the store", async () => {
  const secret = "Tr0ub4dor-secret";
  const { ConnectionArn, ConnectionState } = await events.send(
    new Sdk.CreateConnectionCommand({
      Name: "hook",
      AuthorizationType: "BASIC",
      AuthParameters: {
        BasicAuthParameters: { Username: "me", Password: secret },
        InvocationHttpParameters: {
          HeaderParameters: [
            { Key: "x-open", Value: "yes" },
            { Key: "x-secret", Value: secret, IsValueSecret: true },
          ],
        },
      },
    }),
  );
  assert.equal(ConnectionState, "AUTHORIZED");
  const described = await events.send(new Sdk.DescribeConnectionCommand({ Name: "hook" }));
  assert.deepEqual(described.AuthParameters, {
    BasicAuthParameters: { Username: "me" },
    InvocationHttpParameters: {
      HeaderParameters: [
        { Key: "x-open", Value: "yes", IsValueSecret: false },
        { Key: "x-secret", IsValueSecret: true },
      ],
      QueryStringParameters: [],
      BodyParameters: [],
    },
  });
  const everything = JSON.stringify((await world.server.deps.store.list("/")).entries);
  assert.ok(everything.includes("x-secret") && !everything.includes(secret));
  const create = { Name: "dest", ConnectionArn, InvocationEndpoint: "https://example.com/*", HttpMethod: "POST" } as const;
  const { ApiDestinationArn, ApiDestinationState } = await events.send(new Sdk.CreateApiDestinationCommand(create));
  assert.match(ApiDestinationArn!, /:api-destination\/dest\/[0-9a-f-]{36}$/);
  assert.equal(ApiDestinationState, "ACTIVE");
  await fails(
    events.send(new Sdk.CreateApiDestinationCommand({ ...create, Name: "d2", InvocationEndpoint: "file:///etc" })),
    "ValidationException",
  );
  await fails(
    events.send(new Sdk.CreateApiDestinationCommand({ ...create, Name: "d2", ConnectionArn: `${ConnectionArn}x` })),
    "ResourceNotFoundException",
  );
  await events.send(new Sdk.DeauthorizeConnectionCommand({ Name: "hook" }));
  assert.equal((await events.send(new Sdk.DescribeApiDestinationCommand({ Name: "dest" }))).ApiDestinationState, "INACTIVE");
  await events.send(new Sdk.DeleteApiDestinationCommand({ Name: "dest" }));
  await events.send(new Sdk.DeleteConnectionCommand({ Name: "hook" }));
  const oauth = { Name: "o", AuthorizationType: "OAUTH_CLIENT_CREDENTIALS", AuthParameters: {} } as const;
  await fails(events.send(new Sdk.CreateConnectionCommand(oauth)), "NotImplemented");
});
