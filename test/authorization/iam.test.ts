/** IAM itself behind the door: users, groups, boundaries and roles made by its API decide at once, and tasks get only roles that let them. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CreateClusterCommand, ECSClient, ListClustersCommand, RegisterTaskDefinitionCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import * as iam from "@aws-sdk/client-iam";
import { createEcs } from "#services/ecs/index.ts";
import { account, allow, type Iam, policy, sdkCredentials, startIam, trust } from "../iam/support.ts";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";

let it: Iam;
before(async () => {
  it = await startIam({ more: (deps) => [createEcs(deps)] });
  await new ECSClient(it.server.sdk()).send(new CreateClusterCommand({}));
});
after(() => it.close());

const ecs = (credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }) =>
  new ECSClient({ ...it.server.sdk(), credentials });

async function keysOf(UserName: string) {
  await it.iam.send(new iam.CreateUserCommand({ UserName, Path: "/staff/" }));
  const { AccessKey } = await it.iam.send(new iam.CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}

const denied = (message: RegExp) => (error: Error) => /^AccessDenied/.test(error.name) && message.test(error.message);

test("a change of a policy counts with the next request", async () => {
  const ann = ecs(await keysOf("ann"));
  const list = () => ann.send(new ListClustersCommand({}));
  await assert.rejects(
    list(),
    denied(
      /User: arn:aws:iam::000000000000:user\/staff\/ann is not authorized to perform: ecs:ListClusters on resource: \* because no identity/,
    ),
  );
  await it.iam.send(new iam.CreateGroupCommand({ GroupName: "readers" }));
  await it.iam.send(new iam.PutGroupPolicyCommand({ GroupName: "readers", PolicyName: "p", PolicyDocument: allow("ecs:List*") }));
  await it.iam.send(new iam.AddUserToGroupCommand({ GroupName: "readers", UserName: "ann" }));
  await list();
  const { Policy } = await it.iam.send(new iam.CreatePolicyCommand({ PolicyName: "limit", PolicyDocument: allow("ecr:*") }));
  await it.iam.send(new iam.PutUserPermissionsBoundaryCommand({ UserName: "ann", PermissionsBoundary: Policy!.Arn! }));
  await assert.rejects(list(), denied(/because no permissions boundary allows/));
  await it.iam.send(new iam.DeleteUserPermissionsBoundaryCommand({ UserName: "ann" }));
  await list();
  await it.iam.send(new iam.RemoveUserFromGroupCommand({ GroupName: "readers", UserName: "ann" }));
  await assert.rejects(list(), denied(/no identity-based policy/));
});

test("users see to their own keys by a policy with a variable; IAM's paths are found", async () => {
  const bob = await keysOf("bob");
  const own = allow("iam:*AccessKey*", "arn:aws:iam::*:user/staff/${aws:username}");
  await it.iam.send(new iam.PutUserPolicyCommand({ UserName: "bob", PolicyName: "own", PolicyDocument: own }));
  const client = it.as(bob).iam;
  assert.equal((await client.send(new iam.ListAccessKeysCommand({}))).AccessKeyMetadata!.length, 1);
  await assert.rejects(
    client.send(new iam.CreateAccessKeyCommand({ UserName: "ann" })),
    denied(/iam:CreateAccessKey on resource: arn:aws:iam::000000000000:user\/staff\/ann/),
  );
});

test("a session of a role within its session policy", async () => {
  const cy = it.as(await keysOf("cy"));
  await it.iam.send(
    new iam.CreateRoleCommand({ RoleName: "ops", AssumeRolePolicyDocument: trust({ AWS: `arn:aws:iam::${account}:user/staff/cy` }) }),
  );
  await it.iam.send(new iam.PutRolePolicyCommand({ RoleName: "ops", PolicyName: "p", PolicyDocument: allow("ecs:*") }));
  const assumed = async (Policy?: string) => {
    const { Credentials } = await cy.sts.send(
      new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/ops`, RoleSessionName: "s1", Policy }),
    );
    return ecs(sdkCredentials(Credentials!));
  };
  await (await assumed()).send(new ListClustersCommand({}));
  await assert.rejects(
    (await assumed(allow("ecs:Describe*"))).send(new ListClustersCommand({})),
    denied(/because no session policy allows/),
  );
});

test("SimulatePrincipalPolicy asks what hangs on the user", async () => {
  await keysOf("dee");
  await it.iam.send(new iam.PutUserPolicyCommand({ UserName: "dee", PolicyName: "p", PolicyDocument: allow("ecs:List*") }));
  const { EvaluationResults: results } = await it.iam.send(
    new iam.SimulatePrincipalPolicyCommand({
      PolicySourceArn: `arn:aws:iam::${account}:user/staff/dee`,
      ActionNames: ["ecs:ListTasks", "ecs:RunTask"],
    }),
  );
  assert.deepEqual(
    results!.map(({ EvalDecision }) => EvalDecision),
    ["allowed", "implicitDeny"],
  );
  assert.equal(results![0]!.MatchedStatements![0]!.SourcePolicyId, "p");
});

test("tasks get only roles that trust ecs-tasks.amazonaws.com", async () => {
  const client = new ECSClient(it.server.sdk());
  const make = (RoleName: string, AssumeRolePolicyDocument: string) =>
    it.iam.send(new iam.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument }));
  const service = { Service: "ecs-tasks.amazonaws.com" };
  await make(
    "trusts",
    trust(service, "sts:AssumeRole", {
      StringEquals: { "aws:SourceAccount": account },
      ArnLike: { "aws:SourceArn": `arn:aws:ecs:us-east-1:${account}:*` },
    }),
  );
  await make("other-service", trust({ Service: "ec2.amazonaws.com" }));
  await make("other-source", trust(service, "sts:AssumeRole", { StringEquals: { "aws:SourceAccount": "444455556666" } }));
  const run = async (role: string, overridden?: string) => {
    await client.send(
      new RegisterTaskDefinitionCommand({ family: "f", taskRoleArn: role, containerDefinitions: [{ name: "c", image: "i", memory: 10 }] }),
    );
    return client.send(new RunTaskCommand({ taskDefinition: "f", ...(overridden && { overrides: { taskRoleArn: overridden } }) }));
  };
  const arn = (name: string) => `arn:aws:iam::${account}:role/${name}`;
  for (const name of ["other-service", "other-source", "none"])
    await assert.rejects(run(arn(name)), (error: Error) => {
      assert.equal(error.name, "ClientException");
      assert.match(
        error.message,
        new RegExp(`^ECS was unable to assume the role '${arn(name)}' that was provided for this task\\. Please verify`),
      );
      return true;
    });
  // No instance to run on, which is what comes after.
  await assert.rejects(run(arn("trusts")), /No Container Instances/);
  await assert.rejects(run("trusts"), /No Container Instances/);
  await assert.rejects(run(arn("none"), arn("trusts")), /No Container Instances/);
});

test("a policy that denies what it is not about changes nothing", async () => {
  const eve = ecs(await keysOf("eve"));
  const document = policy({ Effect: "Allow", Action: "*", Resource: "*" }, { Effect: "Deny", NotAction: ["ecs:*"], Resource: "*" });
  await it.iam.send(new iam.PutUserPolicyCommand({ UserName: "eve", PolicyName: "p", PolicyDocument: document }));
  await eve.send(new ListClustersCommand({}));
});
