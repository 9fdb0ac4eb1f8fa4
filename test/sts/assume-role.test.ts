/** Who may become a role, for how long, and what the session is: by the SDK and real signatures. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as IamSdk from "@aws-sdk/client-iam";
import * as Sdk from "@aws-sdk/client-sts";
import { assumeRoleForService } from "#identity/roles.ts";
import { identityCredentials } from "#identity/credentials.ts";
import { account, allow, type Iam, policy, said, type SdkCredentials, sdkCredentials, startIam, trust } from "../iam/support.ts";

let it_: Iam;
const offset = { ms: 0 };
before(async () => {
  it_ = await startIam({ clock: { now: () => Date.now() + offset.ms, after: () => () => undefined } });
  await iam(new IamSdk.CreateUserCommand({ UserName: "ann", Path: "/dev/" }));
});
after(() => it_.close());

const iam: IamSdk.IAMClient["send"] = ((command: never) => it_.iam.send(command)) as never;
const annArn = `arn:aws:iam::${account}:user/dev/ann`;
const roleArn = (name: string) => `arn:aws:iam::${account}:role/${name}`;

async function keysOf(UserName: string): Promise<SdkCredentials> {
  const { AccessKey } = await iam(new IamSdk.CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
}

const role = (RoleName: string, document: string, more: Partial<IamSdk.CreateRoleCommandInput> = {}) =>
  iam(new IamSdk.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: document, ...more }));

const assume = (sts: Sdk.STSClient, name: string, more: Partial<Sdk.AssumeRoleCommandInput> = {}) =>
  sts.send(new Sdk.AssumeRoleCommand({ RoleArn: roleArn(name), RoleSessionName: "build-7", ...more }));

const isDenied = (who: string, name: string, action = "sts:AssumeRole") =>
  said("AccessDenied", `User: ${who} is not authorized to perform: ${action} on resource: ${roleArn(name)}`);

describe("AssumeRole", () => {
  let ann: Iam["as"] extends (credentials: SdkCredentials) => infer C ? C : never;
  before(async () => {
    ann = it_.as(await keysOf("ann"));
  });

  it("a role that trusts the user is to be had, and is who it says it is", async () => {
    const { Role } = await role("named", trust({ AWS: annArn }));
    const answer = await assume(ann.sts, "named");
    assert.match(answer.Credentials!.AccessKeyId!, /^ASIA[A-Z2-7]{16}$/);
    const arn = `arn:aws:sts::${account}:assumed-role/named/build-7`;
    assert.deepEqual(answer.AssumedRoleUser, { AssumedRoleId: `${Role!.RoleId}:build-7`, Arn: arn });
    assert.ok(Math.abs(answer.Credentials!.Expiration!.getTime() - Date.now() - 3_600_000) < 60_000);
    const session = it_.as(sdkCredentials(answer.Credentials!));
    const me = await session.sts.send(new Sdk.GetCallerIdentityCommand());
    assert.deepEqual([me.Arn, me.Account, me.UserId], [arn, account, `${Role!.RoleId}:build-7`]);
    const info = await it_.sts.send(new Sdk.GetAccessKeyInfoCommand({ AccessKeyId: answer.Credentials!.AccessKeyId }));
    assert.equal(info.Account, account);
    const { Role: used } = await iam(new IamSdk.GetRoleCommand({ RoleName: "named" }));
    assert.equal(used?.RoleLastUsed?.Region, "us-east-1");

    // Without its token, with another's, with one that was touched: nobody.
    const { accessKeyId, secretAccessKey, sessionToken } = sdkCredentials(answer.Credentials!);
    const other = await assume(ann.sts, "named");
    for (const token of [undefined, other.Credentials!.SessionToken, `${sessionToken!.slice(0, -4)}AAAA`, "nonsense"])
      await assert.rejects(
        it_
          .as({ accessKeyId, secretAccessKey, ...(token === undefined ? {} : { sessionToken: token }) })
          .sts.send(new Sdk.GetCallerIdentityCommand()),
        said("InvalidClientTokenId", /security token/),
      );
  });

  it("a role that trusts the account leaves it to the user's policies", async () => {
    await role("account", trust({ AWS: `arn:aws:iam::${account}:root` }));
    await assert.rejects(assume(ann.sts, "account"), isDenied(annArn, "account"));
    await iam(
      new IamSdk.PutUserPolicyCommand({ UserName: "ann", PolicyName: "p", PolicyDocument: allow("sts:AssumeRole", roleArn("account")) }),
    );
    await assume(ann.sts, "account");
    await assume(it_.sts, "account");
    await iam(
      new IamSdk.PutUserPolicyCommand({
        UserName: "ann",
        PolicyName: "no",
        PolicyDocument: policy({ Effect: "Deny", Action: "sts:*", Resource: "*" }),
      }),
    );
    await assert.rejects(assume(ann.sts, "account"), isDenied(annArn, "account"));
    await assert.rejects(assume(ann.sts, "named"), isDenied(annArn, "named"), "a deny ends it, whoever trusts");
    for (const PolicyName of ["p", "no"]) await iam(new IamSdk.DeleteUserPolicyCommand({ UserName: "ann", PolicyName }));
  });

  it("who is not trusted learns nothing, not even whether there is such a role", async () => {
    await role("tasks", trust({ Service: "ecs-tasks.amazonaws.com" }));
    for (const name of ["tasks", "nowhere"]) {
      await assert.rejects(assume(ann.sts, name), isDenied(annArn, name));
      await assert.rejects(assume(it_.sts, name), isDenied(`arn:aws:iam::${account}:root`, name));
    }
    await assert.rejects(assume(ann.sts, "NAMED"), isDenied(annArn, "NAMED"), "names in ARNs are told apart by case");
  });

  it("external id, session name, source identity and tags are conditions", async () => {
    await role(
      "strict",
      trust({ AWS: annArn }, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], {
        StringEquals: { "sts:ExternalId": "deal-1" },
        StringLike: { "sts:RoleSessionName": "build-*" },
        "ForAllValues:StringEquals": { "aws:TagKeys": ["team", "stage"] },
      }),
    );
    await assert.rejects(assume(ann.sts, "strict"), isDenied(annArn, "strict"));
    await assert.rejects(assume(ann.sts, "strict", { ExternalId: "deal-2" }), isDenied(annArn, "strict"));
    await assert.rejects(assume(ann.sts, "strict", { ExternalId: "deal-1", RoleSessionName: "other" }), isDenied(annArn, "strict"));
    await assert.rejects(
      assume(ann.sts, "strict", { ExternalId: "deal-1", Tags: [{ Key: "size", Value: "1" }] }),
      isDenied(annArn, "strict"),
    );
    const answer = await assume(ann.sts, "strict", {
      ExternalId: "deal-1",
      Tags: [
        { Key: "team", Value: "a" },
        { Key: "stage", Value: "x" },
      ],
      TransitiveTagKeys: ["team"],
      SourceIdentity: "ann@home",
    });
    assert.deepEqual([answer.SourceIdentity, typeof answer.PackedPolicySize], ["ann@home", "number"]);
    await assert.rejects(assume(ann.sts, "named", { Tags: [{ Key: "team", Value: "a" }] }), isDenied(annArn, "named", "sts:TagSession"));
    await assert.rejects(assume(ann.sts, "named", { SourceIdentity: "me" }), isDenied(annArn, "named", "sts:SetSourceIdentity"));

    // From session to session: transitive tags and the source stay, the others do not.
    const strict = it_.as(sdkCredentials(answer.Credentials!));
    const strictArn = `arn:aws:sts::${account}:assumed-role/strict/build-7`;
    await role(
      "chained",
      trust({ AWS: roleArn("strict") }, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], {
        StringEquals: { "aws:PrincipalTag/team": "a", "aws:SourceIdentity": "ann@home" },
      }),
    );
    await assert.rejects(
      assume(strict.sts, "chained", { Tags: [{ Key: "TEAM", Value: "b" }] }),
      said("InvalidParameterValue", /transitive tag key/),
    );
    await assert.rejects(assume(strict.sts, "chained", { DurationSeconds: 3601 }), said("ValidationError", /1 hour session limit/));
    await assert.rejects(assume(strict.sts, "named"), isDenied(strictArn, "named"));
    const { Credentials } = await assume(strict.sts, "chained");
    const held = await identityCredentials(it_.server.deps).lookup(Credentials!.AccessKeyId!, Credentials!.SessionToken);
    assert.deepEqual(
      [held?.principal.tags, held?.principal.session?.transitiveTagKeys, held?.principal.session?.sourceIdentity],
      [{ team: "a" }, ["team"], "ann@home"],
    );
  });

  it("durations, names, policies are checked in STS's words", async () => {
    const refused: [Partial<Sdk.AssumeRoleCommandInput>, string, RegExp][] = [
      [{ DurationSeconds: 899 }, "ValidationError", /'durationSeconds'.*greater than or equal to 900$/],
      [{ DurationSeconds: 43_201 }, "ValidationError", /'durationSeconds'.*less than or equal to 43200$/],
      [{ DurationSeconds: 7200 }, "ValidationError", /^The requested DurationSeconds exceeds the MaxSessionDuration set for this role\.$/],
      [{ RoleSessionName: "a b" }, "ValidationError", /'roleSessionName' failed.*\[\\w\+=,.@-\]\*$/],
      [{ RoleArn: "arn:aws:iam::1:user/some-user" }, "ValidationError", /is invalid$/],
      [{ Policy: '{"Version":"2012-10-17"}' }, "MalformedPolicyDocumentException", /./],
      [{ Policy: allow("ecs:*".padEnd(2100, "x")) }, "ValidationError", /'policy'.*2048/],
      [{ PolicyArns: [{ arn: `arn:aws:iam::${account}:policy/none` }] }, "MalformedPolicyDocumentException", /none/],
      [{ TransitiveTagKeys: ["x"] }, "InvalidParameterValue", /transitive tag key must be included/],
    ];
    for (const [input, name, message] of refused) await assert.rejects(assume(ann.sts, "named", input), said(name, message));
  });

  it("session policies go with the session; a managed one as it stands when it is used", async () => {
    const arn = `arn:aws:iam::${account}:policy/limit`;
    await iam(new IamSdk.CreatePolicyCommand({ PolicyName: "limit", PolicyDocument: allow("ecs:*") }));
    const { Credentials, PackedPolicySize } = await assume(ann.sts, "named", {
      Policy: allow("logs:*"),
      PolicyArns: [{ arn }, { arn: "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly" }],
    });
    assert.ok(PackedPolicySize! > 0 && PackedPolicySize! <= 100);
    const policies = async () =>
      (await identityCredentials(it_.server.deps).lookup(Credentials!.AccessKeyId!, Credentials!.SessionToken))?.principal.session
        ?.policies;
    const [inline, managed, pull] = (await policies())!;
    assert.deepEqual([inline, managed], [allow("logs:*"), allow("ecs:*")]);
    assert.match(pull!, /ecr:BatchGetImage/);
    await iam(new IamSdk.CreatePolicyVersionCommand({ PolicyArn: arn, PolicyDocument: allow("ecr:*"), SetAsDefault: true }));
    assert.equal((await policies())![1], allow("ecr:*"));
    await iam(new IamSdk.DeletePolicyVersionCommand({ PolicyArn: arn, VersionId: "v1" }));
    await iam(new IamSdk.DeletePolicyCommand({ PolicyArn: arn }));
    assert.match((await policies())![1]!, /"Deny"/, "what is gone allows nothing");
  });

  it("a session ends with its time, and with its role, even when the name comes back", async () => {
    const document = trust({ AWS: annArn });
    await role("brief", document);
    const { Credentials } = await assume(ann.sts, "brief", { DurationSeconds: 900 });
    const held = sdkCredentials(Credentials!);
    await it_.as(held).sts.send(new Sdk.GetCallerIdentityCommand());
    offset.ms = 901_000;
    try {
      const late = new Sdk.STSClient({ ...it_.server.sdk(), credentials: held, systemClockOffset: offset.ms });
      await assert.rejects(
        late.send(new Sdk.GetCallerIdentityCommand()),
        said("ExpiredToken", "The security token included in the request is expired"),
      );
      late.destroy();
    } finally {
      offset.ms = 0;
    }
    await iam(new IamSdk.DeleteRoleCommand({ RoleName: "brief" }));
    const gone = said("InvalidClientTokenId", /security token/);
    await assert.rejects(it_.as(held).sts.send(new Sdk.GetCallerIdentityCommand()), gone);
    await role("brief", document);
    await assert.rejects(it_.as(held).sts.send(new Sdk.GetCallerIdentityCommand()), gone);
  });
});

describe("for AWS's services", () => {
  it("a role that trusts the service is to be had without the network", async () => {
    const { store, sealer, random } = it_.server.deps;
    const ask = (name: string, service = "ecs-tasks.amazonaws.com", source?: { arn: string; account: string }) =>
      assumeRoleForService(
        { store, sealer, random },
        {
          roleArn: roleArn(name),
          service,
          sessionName: "task-1",
          durationSeconds: 21_600,
          now: Date.now(),
          region: "us-east-1",
          ...(source ? { source } : {}),
        },
      );
    const answer = await ask("tasks");
    assert.ok("credentials" in answer);
    const { accessKeyId, secretAccessKey, sessionToken } = answer.credentials;
    const me = await it_.as({ accessKeyId, secretAccessKey, sessionToken }).sts.send(new Sdk.GetCallerIdentityCommand());
    assert.equal(me.Arn, `arn:aws:sts::${account}:assumed-role/tasks/task-1`);
    assert.deepEqual(await ask("tasks", "ec2.amazonaws.com"), { problem: "NotTrusted" });
    assert.deepEqual(await ask("nowhere"), { problem: "NoSuchRole" });
    await role("mine", trust({ Service: "ecs-tasks.amazonaws.com" }, "sts:AssumeRole", { StringEquals: { "aws:SourceAccount": account } }));
    assert.deepEqual(await ask("mine"), { problem: "NotTrusted" });
    assert.ok("credentials" in (await ask("mine", undefined, { arn: `arn:aws:ecs:us-east-1:${account}:*`, account })));
  });
});

describe("GetSessionToken and GetFederationToken", () => {
  it("make a user's temporary credentials, which end with the user and make no more of their kind", async () => {
    await iam(new IamSdk.CreateUserCommand({ UserName: "fay" }));
    const keys = await keysOf("fay");
    const fay = it_.as(keys);
    const PolicyDocument = allow(["sts:GetFederationToken", "ecs:*"]);
    await iam(new IamSdk.PutUserPolicyCommand({ UserName: "fay", PolicyName: "p", PolicyDocument }));
    const session = it_.as(sdkCredentials((await fay.sts.send(new Sdk.GetSessionTokenCommand())).Credentials!));
    const arn = `arn:aws:iam::${account}:user/fay`;
    assert.equal((await session.sts.send(new Sdk.GetCallerIdentityCommand())).Arn, arn);
    const federated = await fay.sts.send(new Sdk.GetFederationTokenCommand({ Name: "guest", Policy: allow(["ecs:List*", "sts:*"]) }));
    assert.deepEqual(federated.FederatedUser, {
      FederatedUserId: `${account}:guest`,
      Arn: `arn:aws:sts::${account}:federated-user/guest`,
    });
    const guest = it_.as(sdkCredentials(federated.Credentials!));
    assert.equal((await guest.sts.send(new Sdk.GetCallerIdentityCommand())).UserId, `${account}:guest`);
    for (const { sts } of [session, guest]) {
      await assert.rejects(
        sts.send(new Sdk.GetSessionTokenCommand()),
        said("AccessDenied", "Cannot call GetSessionToken with session credentials"),
      );
      await assert.rejects(
        sts.send(new Sdk.GetFederationTokenCommand({ Name: "guest" })),
        said("AccessDenied", "Cannot call GetFederationToken with session credentials"),
      );
    }
    const ofRoot = await it_.sts.send(new Sdk.GetSessionTokenCommand({ DurationSeconds: 7200 }));
    assert.ok(ofRoot.Credentials!.Expiration!.getTime() - Date.now() <= 3_600_000, "root's last an hour");
    assert.equal(
      (await it_.as(sdkCredentials(ofRoot.Credentials!)).sts.send(new Sdk.GetCallerIdentityCommand())).Arn,
      `arn:aws:iam::${account}:root`,
    );
    await iam(new IamSdk.DeleteAccessKeyCommand({ UserName: "fay", AccessKeyId: keys.accessKeyId }));
    await session.sts.send(new Sdk.GetCallerIdentityCommand());
    await iam(new IamSdk.DeleteUserPolicyCommand({ UserName: "fay", PolicyName: "p" }));
    await iam(new IamSdk.DeleteUserCommand({ UserName: "fay" }));
    for (const { sts } of [session, guest])
      await assert.rejects(sts.send(new Sdk.GetCallerIdentityCommand()), said("InvalidClientTokenId", /security token/));
  });
});
