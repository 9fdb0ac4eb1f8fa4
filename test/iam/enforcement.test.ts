/** IAM's policies behind the front door: what is written is in force with the next request. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CreateClusterCommand, ECSClient, ListClustersCommand } from "@aws-sdk/client-ecs";
import * as Sdk from "@aws-sdk/client-iam";
import { AssumeRoleCommand, GetFederationTokenCommand } from "@aws-sdk/client-sts";
import { policySource } from "#identity/policies-of.ts";
import { createEcs } from "#services/ecs/index.ts";
import { account, allow, type Iam, policy, said, type SdkCredentials, sdkCredentials, startIam, trust } from "./support.ts";

let it_: Iam;
let mia: SdkCredentials;
const ecs = (credentials: SdkCredentials) => new ECSClient({ ...it_.server.sdk(), credentials });
const send: Sdk.IAMClient["send"] = ((command: never) => it_.iam.send(command)) as never;

before(async () => {
  it_ = await startIam({ more: (deps) => [createEcs(deps)] });
  await send(new Sdk.CreateUserCommand({ UserName: "mia" }));
  const { AccessKey } = await send(new Sdk.CreateAccessKeyCommand({ UserName: "mia" }));
  mia = { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
});
after(() => it_.close());

const list = (credentials: SdkCredentials) => ecs(credentials).send(new ListClustersCommand({}));
const create = (credentials: SdkCredentials, clusterName: string) => ecs(credentials).send(new CreateClusterCommand({ clusterName }));
const denied = (reason: RegExp) => said("AccessDeniedException", reason);
const noIdentity = denied(/because no identity-based policy allows the ecs:\w+ action$/);

describe("a user", () => {
  it("may do what its own, its group's and its managed policies say, from the next request on", async () => {
    await assert.rejects(list(mia), noIdentity);
    await send(new Sdk.PutUserPolicyCommand({ UserName: "mia", PolicyName: "own", PolicyDocument: allow("ecs:ListClusters") }));
    await list(mia);
    await send(new Sdk.DeleteUserPolicyCommand({ UserName: "mia", PolicyName: "own" }));
    await assert.rejects(list(mia), noIdentity);

    await send(new Sdk.CreateGroupCommand({ GroupName: "ops" }));
    await send(new Sdk.AttachGroupPolicyCommand({ GroupName: "ops", PolicyArn: "arn:aws:iam::aws:policy/AmazonECS_FullAccess" }));
    await send(new Sdk.AddUserToGroupCommand({ GroupName: "ops", UserName: "mia" }));
    await create(mia, "one");
    await send(
      new Sdk.PutGroupPolicyCommand({
        GroupName: "ops",
        PolicyName: "no",
        PolicyDocument: policy({ Effect: "Deny", Action: "ecs:Create*", Resource: "*" }),
      }),
    );
    await assert.rejects(create(mia, "two"), denied(/with an explicit deny in an identity-based policy$/));
    await send(new Sdk.DeleteGroupPolicyCommand({ GroupName: "ops", PolicyName: "no" }));
  });

  it("a boundary takes away, a new default version too", async () => {
    const PolicyArn = `arn:aws:iam::${account}:policy/edge`;
    await send(new Sdk.CreatePolicyCommand({ PolicyName: "edge", PolicyDocument: allow("ecs:List*") }));
    await send(new Sdk.PutUserPermissionsBoundaryCommand({ UserName: "mia", PermissionsBoundary: PolicyArn }));
    await list(mia);
    await assert.rejects(create(mia, "two"), denied(/because no permissions boundary allows the ecs:CreateCluster action$/));
    await send(new Sdk.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: allow("ecs:Create*"), SetAsDefault: true }));
    await create(mia, "two");
    await assert.rejects(list(mia), denied(/boundary/));
    await send(new Sdk.DeleteUserPermissionsBoundaryCommand({ UserName: "mia" }));
    await list(mia);
  });

  it("what nothing changed is not gathered again", async () => {
    const source = policySource(it_.server.deps.store);
    const asker = { account, arn: "", userId: "", accessKeyId: "", identity: { kind: "User" as const, userName: "mia" } };
    const [first, second] = [await source.policiesOf(asker), await source.policiesOf(asker)];
    assert.equal(first, second);
    await send(new Sdk.CreateUserCommand({ UserName: "noa" }));
    const third = await source.policiesOf(asker);
    assert.notEqual(third, first);
    assert.equal(third.identity[0], first.identity[0], "a document that is the same is not parsed again");
  });

  it("tags and paths of IAM's own resources count", async () => {
    await send(
      new Sdk.CreateRoleCommand({
        RoleName: "r",
        Path: "/app/",
        AssumeRolePolicyDocument: trust({ AWS: account }),
        Tags: [{ Key: "team", Value: "a" }],
      }),
    );
    const { iam } = it_.as(mia);
    const put = (PolicyDocument: string) => send(new Sdk.PutUserPolicyCommand({ UserName: "mia", PolicyName: "iam", PolicyDocument }));
    const get = () => iam.send(new Sdk.GetRoleCommand({ RoleName: "r" }));
    await put(allow("iam:GetRole", `arn:aws:iam::${account}:role/r`));
    await assert.rejects(get(), said("AccessDenied", new RegExp(`on resource: arn:aws:iam::${account}:role/app/r because`)));
    await put(allow("iam:GetRole", `arn:aws:iam::${account}:role/app/*`));
    await get();
    const tagged = (team: string) =>
      policy({ Effect: "Allow", Action: "iam:GetRole", Resource: "*", Condition: { StringEquals: { "aws:ResourceTag/team": team } } });
    await put(tagged("b"));
    await assert.rejects(get(), said("AccessDenied", /not authorized/));
    await put(tagged("a"));
    await get();
  });
});

describe("a session", () => {
  it("may do what its role may, within its session policies", async () => {
    await send(new Sdk.PutRolePolicyCommand({ RoleName: "r", PolicyName: "p", PolicyDocument: allow("ecs:*") }));
    const RoleArn = `arn:aws:iam::${account}:role/app/r`;
    const whole = await it_.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "whole" }));
    await create(sdkCredentials(whole.Credentials!), "three");
    const part = await it_.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "part", Policy: allow(["ecs:List*", "logs:*"]) }));
    await list(sdkCredentials(part.Credentials!));
    await assert.rejects(
      create(sdkCredentials(part.Credentials!), "four"),
      denied(/because no session policy allows the ecs:CreateCluster action$/),
    );
    await send(new Sdk.DeleteRolePolicyCommand({ RoleName: "r", PolicyName: "p" }));
    await assert.rejects(create(sdkCredentials(whole.Credentials!), "four"), noIdentity);
  });

  it("a federated user has what both the asker's policies and the session's allow, and nothing without session policies", async () => {
    await send(new Sdk.PutUserPolicyCommand({ UserName: "mia", PolicyName: "fed", PolicyDocument: allow("sts:GetFederationToken") }));
    const { sts } = it_.as(mia);
    const token = async (Policy?: string) =>
      sdkCredentials(
        (await sts.send(new GetFederationTokenCommand({ Name: "guest", ...(Policy === undefined ? {} : { Policy }) }))).Credentials!,
      );
    await list(await token(allow("*")));
    await assert.rejects(create(await token(allow("ecs:List*")), "four"), denied(/session policy/));
    await assert.rejects(list(await token()), noIdentity);
    const ofRoot = await it_.sts.send(new GetFederationTokenCommand({ Name: "guest", Policy: allow("ecs:List*") }));
    await list(sdkCredentials(ofRoot.Credentials!));
    await assert.rejects(create(sdkCredentials(ofRoot.Credentials!), "four"), denied(/session policy/));
  });
});
