/** Users, their keys and groups, by the SDK and real signatures. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as Sdk from "@aws-sdk/client-iam";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { account, allow, type Iam, said, startIam } from "./support.ts";

let it_: Iam;
before(async () => {
  it_ = await startIam();
});
after(() => it_.close());

const send: Sdk.IAMClient["send"] = ((command: never) => it_.iam.send(command)) as never;

describe("users", () => {
  it("made, shown, listed by path, renamed, tagged, deleted", async () => {
    const { User } = await send(new Sdk.CreateUserCommand({ UserName: "Ann", Path: "/team/a/", Tags: [{ Key: "cost", Value: "7" }] }));
    assert.match(User!.UserId!, /^AIDA[A-Z2-7]{17}$/);
    assert.deepEqual(
      { ...User, CreateDate: User?.CreateDate instanceof Date, UserId: "" },
      {
        Path: "/team/a/",
        UserName: "Ann",
        UserId: "",
        Arn: `arn:aws:iam::${account}:user/team/a/Ann`,
        CreateDate: true,
        Tags: [{ Key: "cost", Value: "7" }],
      },
    );
    await assert.rejects(
      send(new Sdk.CreateUserCommand({ UserName: "ann" })),
      said("EntityAlreadyExistsException", "User with name ann already exists."),
    );
    await send(new Sdk.CreateUserCommand({ UserName: "bob" }));
    const names = async (PathPrefix?: string) =>
      (await send(new Sdk.ListUsersCommand({ PathPrefix }))).Users?.map(({ UserName }) => UserName);
    assert.deepEqual(await names("/team/"), ["Ann"]);
    assert.deepEqual(await names(), ["Ann", "bob"]);
    await send(
      new Sdk.TagUserCommand({
        UserName: "Ann",
        Tags: [
          { Key: "COST", Value: "8" },
          { Key: "x", Value: "" },
        ],
      }),
    );
    assert.deepEqual((await send(new Sdk.ListUserTagsCommand({ UserName: "Ann" }))).Tags, [
      { Key: "COST", Value: "8" },
      { Key: "x", Value: "" },
    ]);
    await send(new Sdk.UntagUserCommand({ UserName: "Ann", TagKeys: ["X"] }));
    await send(new Sdk.UpdateUserCommand({ UserName: "Ann", NewUserName: "Anna", NewPath: "/" }));
    const { User: renamed } = await send(new Sdk.GetUserCommand({ UserName: "Anna" }));
    assert.deepEqual(
      [renamed?.UserId, renamed?.Arn, renamed?.Tags],
      [User?.UserId, `arn:aws:iam::${account}:user/Anna`, [{ Key: "COST", Value: "8" }]],
    );
    await send(new Sdk.DeleteUserCommand({ UserName: "Anna" }));
    await assert.rejects(
      send(new Sdk.GetUserCommand({ UserName: "Anna" })),
      said("NoSuchEntityException", "The user with name Anna cannot be found."),
    );
    await send(new Sdk.DeleteUserCommand({ UserName: "bob" }));
  });

  it("bad names, paths, tags and pages are refused in IAM's words", async () => {
    const refused: [Promise<unknown>, string, string | RegExp][] = [
      [
        send(new Sdk.CreateUserCommand({ UserName: "a b" })),
        "ValidationError",
        "The specified value for userName is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-",
      ],
      [
        send(new Sdk.CreateUserCommand({ UserName: "x".repeat(65) })),
        "ValidationError",
        /^1 validation error detected: Value 'x+' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64$/,
      ],
      [
        send(new Sdk.CreateUserCommand({ UserName: "x", Path: "team" })),
        "ValidationError",
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
      ],
      [
        send(
          new Sdk.CreateUserCommand({
            UserName: "x",
            Tags: [
              { Key: "a", Value: "1" },
              { Key: "A", Value: "2" },
            ],
          }),
        ),
        "InvalidInputException",
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
      ],
      [
        send(new Sdk.CreateUserCommand({ UserName: "x", PermissionsBoundary: `arn:aws:iam::${account}:policy/none` })),
        "NoSuchEntityException",
        `Scope ARN: arn:aws:iam::${account}:policy/none does not exist or is not attachable.`,
      ],
      [send(new Sdk.ListUsersCommand({ Marker: "nonsense" })), "ValidationError", "Invalid Marker: nonsense"],
      [send(new Sdk.ListUsersCommand({ MaxItems: 0 })), "ValidationError", /greater than or equal to 1$/],
      [send(new Sdk.GetUserCommand({ UserName: "__proto__" })), "NoSuchEntityException", /cannot be found/],
    ];
    for (const [promise, name, message] of refused) await assert.rejects(promise, said(name, message));
    assert.deepEqual((await send(new Sdk.ListUsersCommand({}))).Users, [], "nothing was written");
  });

  it("lists come in pages that hold while others come and go", async () => {
    const all = Array.from({ length: 7 }, (_, index) => `page-${index}`);
    for (const UserName of all) await send(new Sdk.CreateUserCommand({ UserName }));
    const seen: (string | undefined)[] = [];
    let Marker: string | undefined;
    for (let pages = 0; pages < 10; pages++) {
      const page = await send(new Sdk.ListUsersCommand({ MaxItems: 3, Marker }));
      seen.push(...page.Users!.map(({ UserName }) => UserName));
      assert.equal(page.IsTruncated, page.Marker !== undefined);
      if (pages === 0) await send(new Sdk.DeleteUserCommand({ UserName: "page-0" }));
      if (!page.IsTruncated) break;
      ({ Marker } = page);
    }
    assert.deepEqual(seen, all);
    for (const UserName of all.slice(1)) await send(new Sdk.DeleteUserCommand({ UserName }));
  });

  it("of two who make the same user at once, one wins", async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, index) => send(new Sdk.CreateUserCommand({ UserName: index % 2 ? "Twin" : "twin" }))),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 1);
    await send(new Sdk.DeleteUserCommand({ UserName: "twin" }));
  });
});

describe("access keys", () => {
  it("sign as their user; the secret is shown once and nowhere kept in the clear; inactive, deleted, gone with the user", async () => {
    await send(new Sdk.CreateUserCommand({ UserName: "cara", Path: "/ops/" }));
    const { AccessKey } = await send(new Sdk.CreateAccessKeyCommand({ UserName: "cara" }));
    assert.match(AccessKey!.AccessKeyId!, /^AKIA[A-Z2-7]{16}$/);
    assert.equal(AccessKey!.SecretAccessKey!.length, 40);
    const { sts, iam } = it_.as({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! });
    const { User } = await send(new Sdk.GetUserCommand({ UserName: "cara" }));
    const me = await sts.send(new GetCallerIdentityCommand());
    assert.deepEqual([me.UserId, me.Account, me.Arn], [User?.UserId, account, `arn:aws:iam::${account}:user/ops/cara`]);
    await assert.rejects(
      iam.send(new Sdk.GetUserCommand({})),
      said(
        "AccessDenied",
        `User: arn:aws:iam::${account}:user/ops/cara is not authorized to perform: iam:GetUser on resource: arn:aws:iam::${account}:user/ops/cara because no identity-based policy allows the iam:GetUser action`,
      ),
    );
    const PolicyDocument = allow(["iam:GetUser", "iam:ListAccessKeys"], `arn:aws:iam::${account}:user/ops/\${aws:username}`);
    await send(new Sdk.PutUserPolicyCommand({ UserName: "cara", PolicyName: "self", PolicyDocument }));
    assert.equal((await iam.send(new Sdk.GetUserCommand({}))).User?.UserName, "cara", "without a name: who asks");
    const records = JSON.stringify((await it_.server.deps.store.list("/")).entries);
    assert.ok(!records.includes(AccessKey!.SecretAccessKey!));
    const listed = await iam.send(new Sdk.ListAccessKeysCommand({}));
    assert.deepEqual(
      listed.AccessKeyMetadata?.map(({ AccessKeyId, Status, UserName }) => [AccessKeyId, Status, UserName]),
      [[AccessKey?.AccessKeyId, "Active", "cara"]],
    );

    const { AccessKeyLastUsed, UserName } = await send(new Sdk.GetAccessKeyLastUsedCommand({ AccessKeyId: AccessKey!.AccessKeyId }));
    assert.deepEqual([UserName, AccessKeyLastUsed?.ServiceName, AccessKeyLastUsed?.Region], ["cara", "sts", "us-east-1"]);
    assert.ok(Date.now() - AccessKeyLastUsed!.LastUsedDate!.getTime() < 60_000);

    const wrong = it_.as({ accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: "x".repeat(40) });
    await assert.rejects(wrong.sts.send(new GetCallerIdentityCommand()), said("SignatureDoesNotMatch", /signature/));

    await send(new Sdk.UpdateAccessKeyCommand({ UserName: "cara", AccessKeyId: AccessKey!.AccessKeyId, Status: "Inactive" }));
    await assert.rejects(sts.send(new GetCallerIdentityCommand()), said("InvalidClientTokenId", /security token/));
    await send(new Sdk.UpdateAccessKeyCommand({ UserName: "cara", AccessKeyId: AccessKey!.AccessKeyId, Status: "Active" }));
    await sts.send(new GetCallerIdentityCommand());

    await send(new Sdk.UpdateUserCommand({ UserName: "cara", NewUserName: "clara" }));
    assert.equal((await sts.send(new GetCallerIdentityCommand())).Arn, `arn:aws:iam::${account}:user/ops/clara`);

    await send(new Sdk.CreateAccessKeyCommand({ UserName: "clara" }));
    await assert.rejects(
      send(new Sdk.CreateAccessKeyCommand({ UserName: "clara" })),
      said("LimitExceededException", "Cannot exceed quota for AccessKeysPerUser: 2"),
    );
    await assert.rejects(
      send(new Sdk.DeleteUserCommand({ UserName: "clara" })),
      said("DeleteConflictException", "Cannot delete entity, must delete access keys first."),
    );
    for (const { AccessKeyId } of (await send(new Sdk.ListAccessKeysCommand({ UserName: "clara" }))).AccessKeyMetadata!)
      await send(new Sdk.DeleteAccessKeyCommand({ UserName: "clara", AccessKeyId }));
    await assert.rejects(sts.send(new GetCallerIdentityCommand()), said("InvalidClientTokenId", /security token/));
    await send(new Sdk.DeleteUserPolicyCommand({ UserName: "clara", PolicyName: "self" }));
    await send(new Sdk.DeleteUserCommand({ UserName: "clara" }));
    const left = (await it_.server.deps.store.list("/iam")).entries.map(({ key }) => key);
    assert.deepEqual(left, [`/iam-changed/${account}`]);
  });
});

describe("groups", () => {
  it("hold users on both sides through renaming, and go when they are empty", async () => {
    await send(new Sdk.CreateGroupCommand({ GroupName: "Devs", Path: "/g/" }));
    for (const UserName of ["dan", "eve"]) {
      await send(new Sdk.CreateUserCommand({ UserName }));
      await send(new Sdk.AddUserToGroupCommand({ GroupName: "Devs", UserName }));
    }
    await send(new Sdk.AddUserToGroupCommand({ GroupName: "Devs", UserName: "dan" }));
    await send(new Sdk.UpdateGroupCommand({ GroupName: "Devs", NewGroupName: "Makers" }));
    await send(new Sdk.UpdateUserCommand({ UserName: "eve", NewUserName: "eva" }));
    const { Group, Users } = await send(new Sdk.GetGroupCommand({ GroupName: "Makers" }));
    assert.match(Group!.GroupId!, /^AGPA/);
    assert.deepEqual([Group?.Arn, Users?.map(({ UserName }) => UserName)], [`arn:aws:iam::${account}:group/g/Makers`, ["dan", "eva"]]);
    const { Groups } = await send(new Sdk.ListGroupsForUserCommand({ UserName: "eva" }));
    assert.deepEqual(
      Groups?.map(({ GroupName }) => GroupName),
      ["Makers"],
    );
    await assert.rejects(
      send(new Sdk.DeleteGroupCommand({ GroupName: "Makers" })),
      said("DeleteConflictException", "Cannot delete entity, must remove users from group first."),
    );
    await assert.rejects(send(new Sdk.DeleteUserCommand({ UserName: "eva" })), said("DeleteConflictException", /group/));
    for (const UserName of ["dan", "eva"]) {
      await send(new Sdk.RemoveUserFromGroupCommand({ GroupName: "Makers", UserName }));
      await send(new Sdk.DeleteUserCommand({ UserName }));
    }
    await send(new Sdk.DeleteGroupCommand({ GroupName: "Makers" }));
    assert.deepEqual((await send(new Sdk.ListGroupsCommand({}))).Groups, []);
  });

  it("a user is in ten at most", async () => {
    await send(new Sdk.CreateUserCommand({ UserName: "many" }));
    for (let i = 0; i < 11; i++) await send(new Sdk.CreateGroupCommand({ GroupName: `g${i}` }));
    for (let i = 0; i < 10; i++) await send(new Sdk.AddUserToGroupCommand({ GroupName: `g${i}`, UserName: "many" }));
    await assert.rejects(
      send(new Sdk.AddUserToGroupCommand({ GroupName: "g10", UserName: "many" })),
      said("LimitExceededException", "Cannot exceed quota for GroupsPerUser: 10"),
    );
  });
});
