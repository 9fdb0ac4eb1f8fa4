/** Policies: managed and inline, versions, attachments, boundaries, AWS's own. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-iam";
import { account, allow, type Iam, policy, said, startIam, trust } from "./support.ts";

let it_: Iam;
before(async () => {
  it_ = await startIam();
});
after(() => it_.close());

const send: Sdk.IAMClient["send"] = ((command: never) => it_.iam.send(command)) as never;
const own = (name: string) => `arn:aws:iam::${account}:policy/${name}`;
const ecsTrust = trust({ Service: "ecs-tasks.amazonaws.com" });

describe("managed policies", () => {
  it("versions: five at most, one the default, numbers never given twice", async () => {
    const PolicyArn = own("app/read");
    const { Policy } = await send(
      new Sdk.CreatePolicyCommand({ PolicyName: "read", Path: "/app/", Description: "reads", PolicyDocument: allow("ecs:List*") }),
    );
    assert.match(Policy!.PolicyId!, /^ANPA[A-Z2-7]{17}$/);
    assert.deepEqual(
      [Policy?.Arn, Policy?.DefaultVersionId, Policy?.AttachmentCount, Policy?.IsAttachable, Policy?.Description],
      [PolicyArn, "v1", 0, true, "reads"],
    );
    for (let i = 2; i <= 5; i++) {
      const { PolicyVersion } = await send(
        new Sdk.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: allow(`ecs:Describe${i}*`), SetAsDefault: i === 3 }),
      );
      assert.deepEqual([PolicyVersion?.VersionId, PolicyVersion?.IsDefaultVersion], [`v${i}`, i === 3]);
    }
    const sixth = () => send(new Sdk.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: allow("ecs:*") }));
    await assert.rejects(
      sixth(),
      said(
        "LimitExceededException",
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
      ),
    );
    await assert.rejects(
      send(new Sdk.DeletePolicyVersionCommand({ PolicyArn, VersionId: "v3" })),
      said("DeleteConflictException", "Cannot delete the default version of a policy."),
    );
    await send(new Sdk.DeletePolicyVersionCommand({ PolicyArn, VersionId: "v5" }));
    assert.equal((await sixth()).PolicyVersion?.VersionId, "v6");
    const first = await send(new Sdk.ListPolicyVersionsCommand({ PolicyArn, MaxItems: 2 }));
    const rest = await send(new Sdk.ListPolicyVersionsCommand({ PolicyArn, Marker: first.Marker }));
    assert.deepEqual(
      [...first.Versions!, ...rest.Versions!].map(({ VersionId, IsDefaultVersion }) => [VersionId, IsDefaultVersion]),
      [
        ["v6", false],
        ["v4", false],
        ["v3", true],
        ["v2", false],
        ["v1", false],
      ],
    );
    const { PolicyVersion } = await send(new Sdk.GetPolicyVersionCommand({ PolicyArn, VersionId: "v1" }));
    assert.match(PolicyVersion!.Document!, /^%7B%22Version%22%3A%222012-10-17%22/);
    assert.ok(PolicyVersion!.Document!.includes("%2A"), "as RFC 3986 encodes it");
    assert.equal(decodeURIComponent(PolicyVersion!.Document!), allow("ecs:List*"));
    await send(new Sdk.SetDefaultPolicyVersionCommand({ PolicyArn, VersionId: "v6" }));
    assert.equal((await send(new Sdk.GetPolicyCommand({ PolicyArn }))).Policy?.DefaultVersionId, "v6");
    await assert.rejects(
      send(new Sdk.DeletePolicyCommand({ PolicyArn })),
      said("DeleteConflictException", /^This policy has more than one/),
    );
    for (const VersionId of ["v1", "v2", "v3", "v4"]) await send(new Sdk.DeletePolicyVersionCommand({ PolicyArn, VersionId }));
    await send(new Sdk.DeletePolicyCommand({ PolicyArn }));
    await assert.rejects(
      send(new Sdk.GetPolicyCommand({ PolicyArn })),
      said("NoSuchEntityException", `Policy ${PolicyArn} was not found.`),
    );
  });

  it("documents are checked before they are kept", async () => {
    const refused: [string, string, RegExp][] = [
      ["not json", "MalformedPolicyDocumentException", /./],
      ['{"Version":"2012-10-17"}', "MalformedPolicyDocumentException", /./],
      [policy({ Effect: "Maybe", Action: "*", Resource: "*" }), "MalformedPolicyDocumentException", /Syntax errors in policy/],
      [policy({ Effect: "Allow", Action: "RunTask", Resource: "*" }), "MalformedPolicyDocumentException", /prefaced by a vendor/],
      [trust("*"), "MalformedPolicyDocumentException", /should not specify a principal/],
      [
        allow(Array.from({ length: 400 }, (_, i) => `ecs:DescribeThing${i}`)),
        "LimitExceededException",
        /Cannot exceed quota for PolicySize: 6144/,
      ],
    ];
    for (const [PolicyDocument, name, message] of refused)
      await assert.rejects(send(new Sdk.CreatePolicyCommand({ PolicyName: "bad", PolicyDocument })), said(name, message));
  });

  it("attached, counted, listed; while they are in use they stay", async () => {
    const PolicyArn = own("used");
    await send(new Sdk.CreatePolicyCommand({ PolicyName: "used", PolicyDocument: allow("ecs:*") }));
    await assert.rejects(
      send(new Sdk.CreatePolicyCommand({ PolicyName: "USED", Path: "/x/", PolicyDocument: allow("ecs:*") })),
      said("EntityAlreadyExistsException", "A policy called USED already exists. Duplicate names are not allowed."),
    );
    await send(new Sdk.CreateUserCommand({ UserName: "u", PermissionsBoundary: PolicyArn }));
    await send(new Sdk.CreateGroupCommand({ GroupName: "g" }));
    await send(new Sdk.CreateRoleCommand({ RoleName: "r", AssumeRolePolicyDocument: ecsTrust }));
    await send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn }));
    await send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn }));
    await send(new Sdk.AttachGroupPolicyCommand({ GroupName: "g", PolicyArn }));
    const { Policy } = await send(new Sdk.GetPolicyCommand({ PolicyArn }));
    assert.deepEqual([Policy?.AttachmentCount, Policy?.PermissionsBoundaryUsageCount], [2, 1]);
    const entities = await send(new Sdk.ListEntitiesForPolicyCommand({ PolicyArn }));
    assert.deepEqual(
      [entities.PolicyUsers?.[0]?.UserName, entities.PolicyGroups?.[0]?.GroupName, entities.PolicyRoles?.[0]?.RoleName],
      ["u", "g", "r"],
    );
    const roles = await send(new Sdk.ListEntitiesForPolicyCommand({ PolicyArn, EntityFilter: "Role" }));
    assert.deepEqual([roles.PolicyUsers, roles.PolicyRoles?.length], [[], 1]);
    await assert.rejects(
      send(new Sdk.DeletePolicyCommand({ PolicyArn })),
      said("DeleteConflictException", "Cannot delete a policy attached to entities."),
    );
    await assert.rejects(
      send(new Sdk.DeleteRoleCommand({ RoleName: "r" })),
      said("DeleteConflictException", "Cannot delete entity, must detach all policies first."),
    );
    await send(new Sdk.DetachRolePolicyCommand({ RoleName: "r", PolicyArn }));
    await assert.rejects(
      send(new Sdk.DetachRolePolicyCommand({ RoleName: "r", PolicyArn })),
      said("NoSuchEntityException", `Policy ${PolicyArn} was not found.`),
    );
    await send(new Sdk.DetachGroupPolicyCommand({ GroupName: "g", PolicyArn }));
    await assert.rejects(send(new Sdk.DeletePolicyCommand({ PolicyArn })), said("DeleteConflictException", /attached/), "it bounds a user");
    await send(new Sdk.DeleteUserPermissionsBoundaryCommand({ UserName: "u" }));
    await send(new Sdk.DeletePolicyCommand({ PolicyArn }));
    await assert.rejects(
      send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn })),
      said("NoSuchEntityException", `Policy ${PolicyArn} does not exist or is not attachable.`),
    );
  });

  it("attaching and deleting at once: never attached and gone", async () => {
    for (let round = 0; round < 10; round++) {
      const PolicyArn = own(`race${round}`);
      await send(new Sdk.CreatePolicyCommand({ PolicyName: `race${round}`, PolicyDocument: allow("ecs:*") }));
      const [attached, deleted] = await Promise.allSettled([
        send(new Sdk.AttachGroupPolicyCommand({ GroupName: "g", PolicyArn })),
        send(new Sdk.DeletePolicyCommand({ PolicyArn })),
      ]);
      assert.notEqual(attached.status, deleted.status);
      if (attached.status === "rejected") continue;
      await send(new Sdk.DetachGroupPolicyCommand({ GroupName: "g", PolicyArn }));
      await send(new Sdk.DeletePolicyCommand({ PolicyArn }));
    }
  });

  it("AWS's own are there, cannot be changed, and their use is counted", async () => {
    const execution = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy";
    const { Policy } = await send(new Sdk.GetPolicyCommand({ PolicyArn: execution }));
    assert.deepEqual(
      [Policy?.PolicyName, Policy?.Path, Policy?.AttachmentCount],
      ["AmazonECSTaskExecutionRolePolicy", "/service-role/", 0],
    );
    const { PolicyVersion } = await send(new Sdk.GetPolicyVersionCommand({ PolicyArn: execution, VersionId: Policy!.DefaultVersionId }));
    const document = JSON.parse(decodeURIComponent(PolicyVersion!.Document!)) as { Statement: { Action: string[] }[] };
    assert.ok(document.Statement[0]!.Action.includes("ecr:GetAuthorizationToken"));
    await send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn: execution }));
    const attached = await send(new Sdk.ListPoliciesCommand({ Scope: "AWS", OnlyAttached: true }));
    assert.deepEqual(
      attached.Policies?.map(({ Arn, AttachmentCount }) => [Arn, AttachmentCount]),
      [[execution, 1]],
    );
    assert.deepEqual((await send(new Sdk.ListAttachedRolePoliciesCommand({ RoleName: "r" }))).AttachedPolicies, [
      { PolicyName: "AmazonECSTaskExecutionRolePolicy", PolicyArn: execution },
    ]);
    await send(new Sdk.DetachRolePolicyCommand({ RoleName: "r", PolicyArn: execution }));
    for (const command of [
      new Sdk.DeletePolicyCommand({ PolicyArn: execution }),
      new Sdk.CreatePolicyVersionCommand({ PolicyArn: execution, PolicyDocument: allow("ecs:*") }),
    ])
      await assert.rejects(send(command as never), said("AccessDenied", "Policy is outside your own account."));
    await assert.rejects(
      send(
        new Sdk.AttachRolePolicyCommand({
          RoleName: "r",
          PolicyArn: "arn:aws:iam::aws:policy/aws-service-role/AmazonECSServiceRolePolicy",
        }),
      ),
      said("PolicyNotAttachableException", "Cannot attach a Service Role Policy to a Customer Role."),
    );
    const all: string[] = [];
    for (let Marker: string | undefined, pages = 0; pages < 20; pages++) {
      const page = await send(new Sdk.ListPoliciesCommand({ Scope: "AWS", MaxItems: 20, Marker }));
      all.push(...page.Policies!.map(({ PolicyName }) => PolicyName!));
      ({ Marker } = page);
      if (!page.IsTruncated) break;
    }
    for (const name of [
      "AdministratorAccess",
      "AmazonEC2ContainerServiceforEC2Role",
      "AmazonEC2ContainerRegistryPullOnly",
      "ReadOnlyAccess",
    ])
      assert.ok(all.includes(name), name);
    assert.equal(new Set(all).size, all.length);
  });

  it("ten are attached at most", async () => {
    const { Policies } = await send(new Sdk.ListPoliciesCommand({ Scope: "AWS", PathPrefix: "/" }));
    const arns = Policies!.filter(({ Path }) => Path === "/").slice(0, 11);
    for (const { Arn } of arns.slice(0, 10)) await send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn: Arn }));
    await assert.rejects(
      send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn: arns[10]!.Arn })),
      said("LimitExceededException", "Cannot exceed quota for PoliciesPerRole: 10"),
    );
    for (const { Arn } of arns.slice(0, 10)) await send(new Sdk.DetachRolePolicyCommand({ RoleName: "r", PolicyArn: Arn }));
  });
});

describe("inline policies", () => {
  it("put, read encoded, replaced, listed, deleted; bounded in size together", async () => {
    const put = (PolicyName: string, PolicyDocument: string) =>
      send(new Sdk.PutUserPolicyCommand({ UserName: "u", PolicyName, PolicyDocument }));
    await put("one", allow("ecs:*"));
    await put("one", allow("ecr:*"));
    await put("__proto__", allow("logs:*"));
    assert.deepEqual((await send(new Sdk.ListUserPoliciesCommand({ UserName: "u" }))).PolicyNames, ["__proto__", "one"]);
    const got = await send(new Sdk.GetUserPolicyCommand({ UserName: "u", PolicyName: "one" }));
    assert.deepEqual([got.UserName, got.PolicyName, decodeURIComponent(got.PolicyDocument!)], ["u", "one", allow("ecr:*")]);
    await assert.rejects(
      put("big", allow(Array.from({ length: 130 }, (_, i) => `ecs:Describe${i}`))),
      said("LimitExceededException", "Maximum policy size of 2048 bytes exceeded for user u"),
    );
    await assert.rejects(
      send(new Sdk.GetUserPolicyCommand({ UserName: "u", PolicyName: "two" })),
      said("NoSuchEntityException", "The user policy with name two cannot be found."),
    );
    await assert.rejects(
      send(new Sdk.DeleteUserCommand({ UserName: "u" })),
      said("DeleteConflictException", "Cannot delete entity, must delete policies first."),
    );
    for (const PolicyName of ["one", "__proto__"]) await send(new Sdk.DeleteUserPolicyCommand({ UserName: "u", PolicyName }));
    await send(new Sdk.DeleteUserCommand({ UserName: "u" }));
  });
});

describe("the account", () => {
  it("its alias, its numbers, all of it at once", async () => {
    await send(new Sdk.CreateAccountAliasCommand({ AccountAlias: "our-shop" }));
    assert.deepEqual((await send(new Sdk.ListAccountAliasesCommand({}))).AccountAliases, ["our-shop"]);
    await assert.rejects(send(new Sdk.CreateAccountAliasCommand({ AccountAlias: "-a" })), said("ValidationError", /accountAlias/));
    await send(new Sdk.DeleteAccountAliasCommand({ AccountAlias: "our-shop" }));
    const PolicyArn = own("all");
    await send(new Sdk.CreatePolicyCommand({ PolicyName: "all", PolicyDocument: allow("*") }));
    await send(new Sdk.AttachRolePolicyCommand({ RoleName: "r", PolicyArn }));
    await send(new Sdk.PutRolePolicyCommand({ RoleName: "r", PolicyName: "in", PolicyDocument: allow("s3:*") }));
    const { SummaryMap } = await send(new Sdk.GetAccountSummaryCommand({}));
    assert.deepEqual([SummaryMap?.Roles, SummaryMap?.Groups, SummaryMap?.Policies, SummaryMap?.Users], [1, 1, 1, 0]);
    const details: Sdk.GetAccountAuthorizationDetailsCommandOutput[] = [];
    for (let Marker: string | undefined; details.length < 10;) {
      details.push(await send(new Sdk.GetAccountAuthorizationDetailsCommand({ MaxItems: 1, Marker })));
      ({ Marker } = details.at(-1)!);
      if (Marker === undefined) break;
    }
    const role = details.flatMap(({ RoleDetailList }) => RoleDetailList!)[0];
    assert.equal(decodeURIComponent(role!.AssumeRolePolicyDocument!), ecsTrust);
    assert.equal(decodeURIComponent(role!.RolePolicyList![0]!.PolicyDocument!), allow("s3:*"));
    assert.deepEqual(role!.AttachedManagedPolicies, [{ PolicyName: "all", PolicyArn }]);
    assert.equal(details.flatMap(({ GroupDetailList }) => GroupDetailList!)[0]?.GroupName, "g");
    const [managed] = details.flatMap(({ Policies }) => Policies!);
    assert.equal(decodeURIComponent(managed!.PolicyVersionList![0]!.Document!), allow("*"));
  });
});
