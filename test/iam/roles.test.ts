/** Roles, instance profiles, service-linked roles, OpenID Connect providers. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-iam";
import { createEcs } from "#services/ecs/index.ts";
import { account, allow, type Iam, said, startIam, trust } from "./support.ts";

let it_: Iam;
before(async () => {
  it_ = await startIam({ more: (deps) => [createEcs(deps)] });
});
after(() => it_.close());

const send: Sdk.IAMClient["send"] = ((command: never) => it_.iam.send(command)) as never;
const ecsTrust = trust({ Service: "ecs-tasks.amazonaws.com" });

describe("roles", () => {
  it("made, shown, changed, deleted", async () => {
    const { Role } = await send(
      new Sdk.CreateRoleCommand({
        RoleName: "web",
        Path: "/svc/",
        AssumeRolePolicyDocument: ecsTrust,
        Description: "the web",
        MaxSessionDuration: 7200,
        PermissionsBoundary: "arn:aws:iam::aws:policy/PowerUserAccess",
        Tags: [{ Key: "a", Value: "b" }],
      }),
    );
    assert.match(Role!.RoleId!, /^AROA[A-Z2-7]{17}$/);
    assert.equal(decodeURIComponent(Role!.AssumeRolePolicyDocument!), ecsTrust);
    const { Role: got } = await send(new Sdk.GetRoleCommand({ RoleName: "web" }));
    assert.deepEqual(
      [got?.Arn, got?.MaxSessionDuration, got?.Description, got?.Tags, got?.RoleLastUsed, got?.PermissionsBoundary],
      [
        `arn:aws:iam::${account}:role/svc/web`,
        7200,
        "the web",
        [{ Key: "a", Value: "b" }],
        {},
        { PermissionsBoundaryType: "Policy", PermissionsBoundaryArn: "arn:aws:iam::aws:policy/PowerUserAccess" },
      ],
    );
    const { Roles } = await send(new Sdk.ListRolesCommand({ PathPrefix: "/svc/" }));
    assert.deepEqual([Roles?.[0]?.RoleName, Roles?.[0]?.Tags, Roles?.[0]?.PermissionsBoundary], ["web", undefined, undefined]);
    await send(new Sdk.UpdateRoleCommand({ RoleName: "web", Description: "new" }));
    await send(new Sdk.UpdateRoleCommand({ RoleName: "web", MaxSessionDuration: 3600 }));
    await send(new Sdk.UpdateAssumeRolePolicyCommand({ RoleName: "web", PolicyDocument: trust({ AWS: account }) }));
    await send(new Sdk.DeleteRolePermissionsBoundaryCommand({ RoleName: "web" }));
    const { Role: changed } = await send(new Sdk.GetRoleCommand({ RoleName: "web" }));
    assert.deepEqual([changed?.Description, changed?.MaxSessionDuration, changed?.PermissionsBoundary], ["new", 3600, undefined]);
    assert.equal(decodeURIComponent(changed!.AssumeRolePolicyDocument!), trust({ AWS: account }));
    await send(new Sdk.DeleteRoleCommand({ RoleName: "web" }));
    await assert.rejects(
      send(new Sdk.GetRoleCommand({ RoleName: "web" })),
      said("NoSuchEntityException", "The role with name web cannot be found."),
    );
  });

  it("a trust policy must be one, and name who is there", async () => {
    const make = (document: string) => send(new Sdk.CreateRoleCommand({ RoleName: "bad", AssumeRolePolicyDocument: document }));
    await assert.rejects(make("{"), said("MalformedPolicyDocumentException", "This policy contains invalid Json"));
    await assert.rejects(make(allow("sts:AssumeRole")), said("MalformedPolicyDocumentException", /Resource/));
    await assert.rejects(
      make(trust({ AWS: `arn:aws:iam::${account}:user/nobody` })),
      said("MalformedPolicyDocumentException", `Invalid principal in policy: "AWS":"arn:aws:iam::${account}:user/nobody"`),
    );
    await assert.rejects(
      send(new Sdk.CreateRoleCommand({ RoleName: "bad", AssumeRolePolicyDocument: ecsTrust, MaxSessionDuration: 60 })),
      said("ValidationError", /'maxSessionDuration'.*3600/),
    );
    await assert.rejects(
      send(new Sdk.CreateRoleCommand({ RoleName: "bad", AssumeRolePolicyDocument: ecsTrust, Path: "/aws-service-role/x/" })),
      said("InvalidInputException", /service-linked/),
    );
  });
});

describe("instance profiles", () => {
  it("hold one role, which stays as long as they do", async () => {
    await send(new Sdk.CreateRoleCommand({ RoleName: "node", AssumeRolePolicyDocument: trust({ Service: "ec2.amazonaws.com" }) }));
    const { InstanceProfile } = await send(
      new Sdk.CreateInstanceProfileCommand({ InstanceProfileName: "Node", Path: "/p/", Tags: [{ Key: "k", Value: "v" }] }),
    );
    assert.match(InstanceProfile!.InstanceProfileId!, /^AIPA/);
    assert.deepEqual(InstanceProfile?.Roles, []);
    const role = { InstanceProfileName: "Node", RoleName: "node" };
    await send(new Sdk.AddRoleToInstanceProfileCommand(role));
    await assert.rejects(
      send(new Sdk.AddRoleToInstanceProfileCommand(role)),
      said("LimitExceededException", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"),
    );
    const { InstanceProfile: got } = await send(new Sdk.GetInstanceProfileCommand({ InstanceProfileName: "Node" }));
    assert.deepEqual(
      [got?.Arn, got?.Roles?.[0]?.RoleName, got?.Tags],
      [`arn:aws:iam::${account}:instance-profile/p/Node`, "node", [{ Key: "k", Value: "v" }]],
    );
    const listed = await send(new Sdk.ListInstanceProfilesForRoleCommand({ RoleName: "node" }));
    assert.deepEqual(
      listed.InstanceProfiles?.map(({ InstanceProfileName }) => InstanceProfileName),
      ["Node"],
    );
    const inUse = said("DeleteConflictException", "Cannot delete entity, must remove roles from instance profile first.");
    await assert.rejects(send(new Sdk.DeleteRoleCommand({ RoleName: "node" })), inUse);
    await assert.rejects(send(new Sdk.DeleteInstanceProfileCommand({ InstanceProfileName: "Node" })), inUse);
    await send(new Sdk.RemoveRoleFromInstanceProfileCommand(role));
    await assert.rejects(send(new Sdk.RemoveRoleFromInstanceProfileCommand(role)), said("NoSuchEntityException", /role with name node/));
    await send(new Sdk.DeleteInstanceProfileCommand({ InstanceProfileName: "Node" }));
    await send(new Sdk.DeleteRoleCommand({ RoleName: "node" }));
    await assert.rejects(
      send(new Sdk.GetInstanceProfileCommand({ InstanceProfileName: "Node" })),
      said("NoSuchEntityException", "Instance Profile Node cannot be found."),
    );
  });
});

describe("service-linked roles", () => {
  it("are AWS's to shape: made by service, not changed, deleted when nothing needs them", async () => {
    const { Role } = await send(new Sdk.CreateServiceLinkedRoleCommand({ AWSServiceName: "ecs.amazonaws.com" }));
    assert.deepEqual(
      [Role?.RoleName, Role?.Arn, Role?.Description],
      ["AWSServiceRoleForECS", `arn:aws:iam::${account}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS`, undefined],
    );
    const RoleName = "AWSServiceRoleForECS";
    assert.deepEqual(
      (await send(new Sdk.ListAttachedRolePoliciesCommand({ RoleName }))).AttachedPolicies?.map(({ PolicyName }) => PolicyName),
      ["AmazonECSServiceRolePolicy"],
    );
    await assert.rejects(
      send(new Sdk.CreateServiceLinkedRoleCommand({ AWSServiceName: "ecs.amazonaws.com" })),
      said("InvalidInputException", `Service role name ${RoleName} has been taken in this account, please try a different suffix.`),
    );
    await assert.rejects(
      send(new Sdk.CreateServiceLinkedRoleCommand({ AWSServiceName: "ecs.amazonaws.com", CustomSuffix: "x" })),
      said("InvalidInputException", "Custom suffix is not allowed for ecs.amazonaws.com"),
    );
    const isProtected = said(
      "UnmodifiableEntityException",
      `Cannot perform the operation on the protected role '${RoleName}' - this role is only modifiable by AWS`,
    );
    for (const command of [
      new Sdk.DeleteRoleCommand({ RoleName }),
      new Sdk.PutRolePolicyCommand({ RoleName, PolicyName: "p", PolicyDocument: allow("*") }),
      new Sdk.AttachRolePolicyCommand({ RoleName, PolicyArn: "arn:aws:iam::aws:policy/AdministratorAccess" }),
      new Sdk.UpdateAssumeRolePolicyCommand({ RoleName, PolicyDocument: ecsTrust }),
      new Sdk.TagRoleCommand({ RoleName, Tags: [{ Key: "a", Value: "b" }] }),
    ])
      await assert.rejects(send(command as never), isProtected, command.constructor.name);

    await it_.server.aws("ecs", "create-cluster", "--cluster-name", "shop");
    const remove = async () => {
      const { DeletionTaskId } = await send(new Sdk.DeleteServiceLinkedRoleCommand({ RoleName }));
      assert.match(DeletionTaskId!, /^task\/aws-service-role\/ecs\.amazonaws\.com\/AWSServiceRoleForECS\//);
      return send(new Sdk.GetServiceLinkedRoleDeletionStatusCommand({ DeletionTaskId }));
    };
    const failed = await remove();
    assert.deepEqual(
      [failed.Status, failed.Reason?.RoleUsageList],
      ["FAILED", [{ Region: "us-east-1", Resources: [`arn:aws:ecs:us-east-1:${account}:cluster/shop`] }]],
    );
    await it_.server.aws("ecs", "delete-cluster", "--cluster", "shop");
    assert.equal((await remove()).Status, "SUCCEEDED");
    await assert.rejects(send(new Sdk.GetRoleCommand({ RoleName })), said("NoSuchEntityException", /cannot be found/));
    await assert.rejects(
      send(new Sdk.GetServiceLinkedRoleDeletionStatusCommand({ DeletionTaskId: "task/aws-service-role/x/y/z" })),
      said("NoSuchEntityException", /task/),
    );
  });

  it("with a suffix where the service takes one", async () => {
    const { Role } = await send(
      new Sdk.CreateServiceLinkedRoleCommand({ AWSServiceName: "autoscaling.amazonaws.com", CustomSuffix: "two" }),
    );
    assert.equal(Role?.RoleName, "AWSServiceRoleForAutoScaling_two");
    await assert.rejects(
      send(new Sdk.CreateServiceLinkedRoleCommand({ AWSServiceName: "nope.amazonaws.com" })),
      said("InvalidInputException", /nope/),
    );
  });
});

describe("OpenID Connect providers", () => {
  it("made, shown without scheme, changed, listed, deleted", async () => {
    const Url = "https://token.example.com/realm";
    const { OpenIDConnectProviderArn: arn } = await send(
      new Sdk.CreateOpenIDConnectProviderCommand({
        Url,
        ClientIDList: ["sts.amazonaws.com"],
        ThumbprintList: ["a".repeat(40)],
        Tags: [{ Key: "k", Value: "v" }],
      }),
    );
    assert.equal(arn, `arn:aws:iam::${account}:oidc-provider/token.example.com/realm`);
    await assert.rejects(
      send(new Sdk.CreateOpenIDConnectProviderCommand({ Url: `${Url}/` })),
      said("EntityAlreadyExistsException", `Provider with url ${Url} already exists.`),
    );
    await send(new Sdk.AddClientIDToOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn, ClientID: "other" }));
    await send(new Sdk.RemoveClientIDFromOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn, ClientID: "sts.amazonaws.com" }));
    await send(new Sdk.UpdateOpenIDConnectProviderThumbprintCommand({ OpenIDConnectProviderArn: arn, ThumbprintList: ["b".repeat(40)] }));
    const { $metadata: _, CreateDate, ...got } = await send(new Sdk.GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn }));
    assert.ok(CreateDate instanceof Date);
    assert.deepEqual(got, {
      Url: "token.example.com/realm",
      ClientIDList: ["other"],
      ThumbprintList: ["b".repeat(40)],
      Tags: [{ Key: "k", Value: "v" }],
    });
    assert.deepEqual((await send(new Sdk.ListOpenIDConnectProvidersCommand({}))).OpenIDConnectProviderList, [{ Arn: arn }]);
    await send(new Sdk.DeleteOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn }));
    await assert.rejects(
      send(new Sdk.GetOpenIDConnectProviderCommand({ OpenIDConnectProviderArn: arn })),
      said("NoSuchEntityException", `OpenIDConnect Provider not found for arn ${arn}`),
    );
    for (const bad of ["ftp://x.example", "token.example.com", "https://x.example/?a=b"])
      await assert.rejects(send(new Sdk.CreateOpenIDConnectProviderCommand({ Url: bad })), said("ValidationError", /Invalid Open ID/));
  });
});
