/** The policy simulator's operations, through the door as the SDK speaks to it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  GetContextKeysForCustomPolicyCommand,
  GetContextKeysForPrincipalPolicyCommand,
  IAMClient,
  SimulateCustomPolicyCommand,
  SimulatePrincipalPolicyCommand,
} from "@aws-sdk/client-iam";
import type { Handler } from "#api/contract.ts";
import { simulationHandlers } from "#services/iam/simulate.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { account, allow, deny, otherAccount, policy } from "./support.ts";

let server: TestServer;
let client: IAMClient;
const ann = `arn:aws:iam::${account}:user/ann`;
const text = (...statements: unknown[]) => JSON.stringify({ Version: "2012-10-17", Statement: statements });

before(async () => {
  const handlers = simulationHandlers(async (arn) =>
    arn === ann
      ? {
          identity: [
            { ...policy("mine", allow("ecs:*", "arn:aws:ecs:*:*:cluster/${aws:username}")), arn: `arn:aws:iam::${account}:policy/mine` },
          ],
          boundary: policy("limit", allow("ecs:Describe*")),
        }
      : undefined,
  );
  server = await startServer({
    parts: () => [{ registrations: [{ service: "iam", handlers: handlers as unknown as Record<string, Handler> }] }],
  });
  client = new IAMClient(server.sdk());
});
after(() => server.close());

test("custom policies: decisions, the statements that matched and where they stand, what is missing", async () => {
  const one = `{\n "Version": "2012-10-17",\n "Statement": [\n  ${JSON.stringify(allow("ecs:*"))},\n  ${JSON.stringify(
    deny("ecs:Delete*", "*", { Condition: { StringEquals: { "aws:RequestedRegion": "us-east-1" } } }),
  )}]}`;
  const { EvaluationResults: results } = await client.send(
    new SimulateCustomPolicyCommand({ PolicyInputList: [one], ActionNames: ["ecs:RunTask", "ecs:DeleteCluster", "s3:GetObject"] }),
  );
  assert.deepEqual(
    results!.map(({ EvalActionName, EvalDecision }) => [EvalActionName, EvalDecision]),
    [
      ["ecs:RunTask", "allowed"],
      ["ecs:DeleteCluster", "allowed"],
      ["s3:GetObject", "implicitDeny"],
    ],
  );
  const [matched] = results![0]!.MatchedStatements!;
  assert.equal(matched!.SourcePolicyId, "PolicyInputList.1");
  assert.deepEqual(matched!.StartPosition, { Line: 4, Column: 3 });
  assert.deepEqual(matched!.EndPosition, { Line: 4, Column: 3 + JSON.stringify(allow("ecs:*")).length });
  assert.deepEqual(results![0]!.MissingContextValues, ["aws:RequestedRegion"]);
  const denied = await client.send(
    new SimulateCustomPolicyCommand({
      PolicyInputList: [one],
      ActionNames: ["ecs:DeleteCluster"],
      ContextEntries: [{ ContextKeyName: "aws:requestedregion", ContextKeyType: "string", ContextKeyValues: ["us-east-1"] }],
    }),
  );
  assert.equal(denied.EvaluationResults![0]!.EvalDecision, "explicitDeny");
  assert.equal(denied.EvaluationResults![0]!.MatchedStatements![0]!.StartPosition!.Line, 5);
});

test("a principal's policies within their boundary, each action on each resource, in pages", async () => {
  const asked = {
    PolicySourceArn: ann,
    ActionNames: ["ecs:DescribeClusters", "ecs:DeleteCluster"],
    ResourceArns: ["ann", "bob"].map((name) => `arn:aws:ecs:us-east-1:${account}:cluster/${name}`),
    MaxItems: 3,
  };
  const first = await client.send(new SimulatePrincipalPolicyCommand(asked));
  assert.equal(first.IsTruncated, true);
  const second = await client.send(new SimulatePrincipalPolicyCommand({ ...asked, Marker: first.Marker }));
  const results = [...first.EvaluationResults!, ...second.EvaluationResults!];
  assert.deepEqual(
    results.map(({ EvalDecision, PermissionsBoundaryDecisionDetail: boundary }) => [EvalDecision, boundary!.AllowedByPermissionsBoundary]),
    [
      ["allowed", true],
      ["implicitDeny", true],
      ["implicitDeny", false],
      ["implicitDeny", false],
    ],
  );
  assert.equal(results[0]!.MatchedStatements![0]!.SourcePolicyType, "user-managed");
  await assert.rejects(client.send(new SimulatePrincipalPolicyCommand({ ...asked, PolicySourceArn: `${ann}x` })), {
    name: "NoSuchEntityException",
  });
  await assert.rejects(client.send(new SimulatePrincipalPolicyCommand({ ...asked, PolicySourceArn: "ann" })), {
    name: "InvalidInputException",
  });
});

test("a resource policy, across accounts", async () => {
  const ResourcePolicy = JSON.stringify({
    Version: "2012-10-17",
    Statement: { Effect: "Allow", Action: "ecr:*", Principal: { AWS: account } },
  });
  const asked = {
    ActionNames: ["ecr:BatchGetImage"],
    ResourcePolicy,
    CallerArn: ann,
    ResourceOwner: `arn:aws:iam::${otherAccount}:root`,
  };
  const both = await client.send(new SimulateCustomPolicyCommand({ ...asked, PolicyInputList: [text(allow("ecr:*"))] }));
  assert.equal(both.EvaluationResults![0]!.EvalDecision, "allowed");
  const half = await client.send(new SimulateCustomPolicyCommand({ ...asked, PolicyInputList: [text(allow("s3:*"))] }));
  assert.deepEqual(half.EvaluationResults![0]!.EvalDecisionDetails, { "IAM Policy": "implicitDeny", "Resource Policy": "allowed" });
});

test("the keys that policies ask for; bad input", async () => {
  const keyed = text(allow("*", "arn:aws:s3:::${aws:userid}", { Condition: { Bool: { "aws:SecureTransport": "true" } } }));
  const custom = await client.send(new GetContextKeysForCustomPolicyCommand({ PolicyInputList: [keyed] }));
  assert.deepEqual(custom.ContextKeyNames, ["aws:SecureTransport", "aws:userid"]);
  const principal = await client.send(new GetContextKeysForPrincipalPolicyCommand({ PolicySourceArn: ann, PolicyInputList: [keyed] }));
  assert.deepEqual(principal.ContextKeyNames, ["aws:username", "aws:SecureTransport", "aws:userid"]);
  for (const bad of [{ PolicyInputList: ["{"] }, { ActionNames: ["RunTask"] }, { Marker: "%" }, { ResourcePolicy: text(allow("*")) }])
    await assert.rejects(client.send(new SimulateCustomPolicyCommand({ PolicyInputList: [keyed], ActionNames: ["ecs:RunTask"], ...bad })), {
      name: "InvalidInputException",
    });
});
