/** Secrets Manager through the SDK: versions and their labels, lookups, deletion with its window, rotation by hand, policies, AWS's errors. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as Kms from "@aws-sdk/client-kms";
import * as Sdk from "@aws-sdk/client-secrets-manager";
import { FakeClock } from "#platform/fake-clock.ts";
import { createKms } from "#services/kms/index.ts";
import { randomPassword } from "#services/secretsmanager/password.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import fc from "fast-check";
import { startServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const day = 86_400_000;
const server = await startServer({ parts: (deps) => [createKms(deps), createSecretsManager(deps)] });
const client = new Sdk.SecretsManagerClient(server.sdk());
const kms = new Kms.KMSClient(server.sdk());
after(async () => {
  client.destroy();
  kms.destroy();
  await server.close();
});
let count = 0;
const freshName = () => `test/${++count}`;
const create = (input: Partial<Sdk.CreateSecretCommandInput> = {}) =>
  client.send(new Sdk.CreateSecretCommand({ Name: freshName(), SecretString: "one", ...input }));
const get = async (SecretId: string, more: Partial<Sdk.GetSecretValueCommandInput> = {}) =>
  client.send(new Sdk.GetSecretValueCommand({ SecretId, ...more }));
const fails = (work: Promise<unknown>, name: string, message?: RegExp) =>
  assert.rejects(work, (error: Error) => {
    assert.equal(error.name, name, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
const token = (letter: string) => letter.repeat(32);

test("a secret is found by name, ARN and partial ARN; its ARN ends in six random characters", async () => {
  const { ARN, Name, VersionId } = await create({ Description: "d", Tags: [{ Key: "a", Value: "1" }] });
  assert.match(ARN!, /^arn:aws:secretsmanager:us-east-1:000000000000:secret:test\/1-[A-Za-z0-9]{6}$/);
  for (const id of [Name!, ARN!, ARN!.slice(0, -7)]) {
    const found = await get(id);
    assert.deepEqual([found.ARN, found.SecretString, found.VersionId, found.VersionStages], [ARN, "one", VersionId, ["AWSCURRENT"]]);
  }
  await fails(get(`${ARN!.slice(0, -6)}AAAAAA`), "ResourceNotFoundException", /^Secrets Manager can't find the specified secret\.$/);
  await fails(get("nothing"), "ResourceNotFoundException");
  const described = await client.send(new Sdk.DescribeSecretCommand({ SecretId: Name }));
  assert.deepEqual(
    [described.Description, described.Tags, described.VersionIdsToStages],
    ["d", [{ Key: "a", Value: "1" }], { [VersionId!]: ["AWSCURRENT"] }],
  );
  assert.ok(!JSON.stringify(described).includes("one"));
  // A name that looks like a whole ARN's end is no other secret's.
  const tricky = await create({ Name: "tricky-abcdef", SecretString: "tricky" });
  assert.equal((await get(tricky.ARN!.slice(0, -7))).SecretString, "tricky");
});

test("AWSCURRENT moves with each value and leaves AWSPREVIOUS behind; labels of one's own and AWSCURRENT can be moved back", async () => {
  const { Name, VersionId: one } = await create();
  const two = (await client.send(new Sdk.PutSecretValueCommand({ SecretId: Name, SecretString: "two" }))).VersionId!;
  const three = (await client.send(new Sdk.PutSecretValueCommand({ SecretId: Name, SecretString: "three", VersionStages: ["mine"] })))
    .VersionId!;
  const stages = async () => (await client.send(new Sdk.DescribeSecretCommand({ SecretId: Name }))).VersionIdsToStages;
  assert.deepEqual(await stages(), { [one!]: ["AWSPREVIOUS"], [two]: ["AWSCURRENT"], [three]: ["mine"] });
  assert.equal((await get(Name!, { VersionStage: "AWSPREVIOUS" })).SecretString, "one");
  assert.equal((await get(Name!, { VersionStage: "mine" })).SecretString, "three");
  assert.equal((await get(Name!, { VersionId: one })).SecretString, "one");
  await fails(get(Name!, { VersionId: one, VersionStage: "mine" }), "InvalidRequestException");
  await fails(get(Name!, { VersionStage: "none" }), "ResourceNotFoundException", /staging label: none/);
  const move = (more: Partial<Sdk.UpdateSecretVersionStageCommandInput>) =>
    client.send(new Sdk.UpdateSecretVersionStageCommand({ SecretId: Name, VersionStage: "AWSCURRENT", ...more }));
  await fails(move({ MoveToVersionId: one }), "InvalidParameterException", /RemoveFromVersionId can't be empty/);
  await fails(move({ RemoveFromVersionId: two }), "InvalidParameterException", /only move staging label AWSCURRENT/);
  await move({ MoveToVersionId: three, RemoveFromVersionId: two });
  assert.deepEqual(await stages(), { [two]: ["AWSPREVIOUS"], [three]: ["mine", "AWSCURRENT"] });
  await client.send(new Sdk.UpdateSecretVersionStageCommand({ SecretId: Name, VersionStage: "mine", RemoveFromVersionId: three }));
  const { Versions } = await client.send(new Sdk.ListSecretVersionIdsCommand({ SecretId: Name, IncludeDeprecated: true }));
  assert.deepEqual(
    Versions!.map(({ VersionId, VersionStages }) => [VersionId, VersionStages]).toSorted(),
    [
      [one, undefined],
      [two, ["AWSPREVIOUS"]],
      [three, ["AWSCURRENT"]],
    ].toSorted(),
  );
});

test("a repeated request makes nothing more, one with the same token and another value is refused", async () => {
  const Name = freshName();
  const first = await create({ Name, ClientRequestToken: token("a") });
  assert.deepEqual((await create({ Name, ClientRequestToken: token("a") })).ARN, first.ARN);
  await fails(create({ Name, ClientRequestToken: token("a"), SecretString: "other" }), "ResourceExistsException");
  await fails(create({ Name }), "ResourceExistsException", /already exists/);
  const put = (SecretString: string) =>
    client.send(new Sdk.PutSecretValueCommand({ SecretId: Name, SecretString, ClientRequestToken: token("b") }));
  await put("two");
  await put("two");
  await fails(put("three"), "ResourceExistsException");
  const { Versions } = await client.send(new Sdk.ListSecretVersionIdsCommand({ SecretId: Name }));
  assert.equal(Versions!.length, 2);
});

test("limits: 64 KiB, names, tokens, both kinds of value", async () => {
  const whole = await create({ SecretString: "x".repeat(65_536) });
  assert.equal((await get(whole.ARN!)).SecretString!.length, 65_536);
  await fails(create({ SecretString: "x".repeat(65_537) }), "ValidationException");
  await fails(create({ Name: "no spaces" }), "ValidationException", /Invalid name/);
  await fails(create({ ClientRequestToken: "short" }), "InvalidParameterException", /32-64/);
  await fails(create({ SecretBinary: Buffer.from("x") }), "InvalidParameterException");
  const binary = await create({ SecretString: undefined, SecretBinary: Buffer.from([0, 255, 1]) });
  const read = await get(binary.ARN!);
  assert.deepEqual([[...read.SecretBinary!], read.SecretString], [[0, 255, 1], undefined]);
  const empty = await create({ SecretString: undefined });
  assert.equal(empty.VersionId, undefined);
  await fails(get(empty.ARN!), "ResourceNotFoundException", /staging label: AWSCURRENT/);
});

test("deletion waits for its window, can be taken back, or is forced", async () => {
  const clock = new FakeClock(Date.now());
  const timed = await startServer({ parts: (deps) => [createSecretsManager(deps)], clock });
  const sm = new Sdk.SecretsManagerClient(timed.sdk());
  const make = (Name: string) => sm.send(new Sdk.CreateSecretCommand({ Name, SecretString: "x" }));
  const remove = (SecretId: string, more: Partial<Sdk.DeleteSecretCommandInput> = {}) =>
    sm.send(new Sdk.DeleteSecretCommand({ SecretId, ...more }));
  const read = (SecretId: string) => sm.send(new Sdk.GetSecretValueCommand({ SecretId }));
  try {
    await make("a");
    const { DeletionDate } = await remove("a", { RecoveryWindowInDays: 7 });
    assert.equal(DeletionDate!.getTime(), clock.now() + 7 * day);
    await fails(read("a"), "InvalidRequestException", /marked for deletion/);
    await fails(make("a"), "InvalidRequestException", /already scheduled for deletion/);
    assert.equal((await sm.send(new Sdk.ListSecretsCommand({}))).SecretList!.length, 0);
    assert.equal((await sm.send(new Sdk.ListSecretsCommand({ IncludePlannedDeletion: true }))).SecretList!.length, 1);
    await sm.send(new Sdk.RestoreSecretCommand({ SecretId: "a" }));
    assert.equal((await read("a")).SecretString, "x");
    await fails(remove("a", { RecoveryWindowInDays: 6 }), "InvalidParameterException", /between 7 and 30/);
    await fails(remove("a", { RecoveryWindowInDays: 7, ForceDeleteWithoutRecovery: true }), "InvalidParameterException");
    await remove("a", { RecoveryWindowInDays: 7 });
    await clock.advance(6 * day);
    assert.equal((await timed.deps.store.list("/secretsmanager/")).entries.length, 1);
    await clock.advance(day + 1_200_000);
    await until("the secret is gone", async () => {
      await clock.advance(600_000);
      return (await timed.deps.store.list("/secretsmanager/")).entries.length === 0;
    });
    // The AWS SDK signs with the real clock.
    await make("b").catch(() => undefined);
  } finally {
    sm.destroy();
    await timed.close();
  }
  const { Name } = await create();
  await client.send(new Sdk.DeleteSecretCommand({ SecretId: Name, ForceDeleteWithoutRecovery: true }));
  await client.send(new Sdk.DeleteSecretCommand({ SecretId: Name, ForceDeleteWithoutRecovery: true }));
  await fails(get(Name!), "ResourceNotFoundException");
  await fails(client.send(new Sdk.DeleteSecretCommand({ SecretId: Name })), "ResourceNotFoundException");
});

test("rotation by hand: a pending version without a value, its value, the move; no function, no schedule", async () => {
  const { Name, VersionId: old } = await create();
  const rotate = (more: Partial<Sdk.RotateSecretCommandInput> = {}) =>
    client.send(new Sdk.RotateSecretCommand({ SecretId: Name, ...more }));
  for (const more of [
    { RotationLambdaARN: "arn:aws:lambda:us-east-1:000000000000:function:f" },
    { RotationRules: { AutomaticallyAfterDays: 1 } },
  ]) {
    const refused: unknown = await rotate(more).catch((error: unknown) => error);
    assert.equal((refused as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode, 501);
  }
  const { VersionId } = await rotate();
  await fails(get(Name!, { VersionStage: "AWSPENDING" }), "ResourceNotFoundException");
  await fails(rotate(), "InvalidRequestException", /previous rotation isn't complete/);
  const move = () =>
    client.send(
      new Sdk.UpdateSecretVersionStageCommand({
        SecretId: Name,
        VersionStage: "AWSCURRENT",
        MoveToVersionId: VersionId,
        RemoveFromVersionId: old,
      }),
    );
  await fails(move(), "InvalidRequestException", /no value yet/);
  await client.send(
    new Sdk.PutSecretValueCommand({ SecretId: Name, SecretString: "new", ClientRequestToken: VersionId, VersionStages: ["AWSPENDING"] }),
  );
  assert.equal((await get(Name!)).SecretString, "one");
  await move();
  assert.equal((await get(Name!)).SecretString, "new");
  assert.ok((await client.send(new Sdk.DescribeSecretCommand({ SecretId: Name }))).LastRotatedDate);
  await client.send(
    new Sdk.UpdateSecretVersionStageCommand({ SecretId: Name, VersionStage: "AWSPENDING", RemoveFromVersionId: VersionId }),
  );
  const again = await rotate();
  assert.equal((await client.send(new Sdk.CancelRotateSecretCommand({ SecretId: Name }))).VersionId, again.VersionId);
  await rotate();
});

test("a secret under one's own KMS key can't be read while that is disabled, and is lost with it", async () => {
  const key = (await kms.send(new Kms.CreateKeyCommand({}))).KeyMetadata!;
  const { Name } = await create({ KmsKeyId: key.KeyId, SecretString: "keyed" });
  assert.equal((await get(Name!)).SecretString, "keyed");
  await kms.send(new Kms.DisableKeyCommand({ KeyId: key.KeyId }));
  await fails(get(Name!), "DecryptionFailure");
  await fails(create({ KmsKeyId: key.KeyId }), "EncryptionFailure");
  await fails(create({ KmsKeyId: "alias/none" }), "EncryptionFailure");
  await kms.send(new Kms.EnableKeyCommand({ KeyId: key.KeyId }));
  const other = (await kms.send(new Kms.CreateKeyCommand({}))).KeyMetadata!;
  await client.send(new Sdk.UpdateSecretCommand({ SecretId: Name, KmsKeyId: other.KeyId }));
  await kms.send(new Kms.DisableKeyCommand({ KeyId: key.KeyId }));
  assert.equal((await get(Name!)).SecretString, "keyed");
});

test("lists with filters and pages, batches with errors", async () => {
  for (const name of ["list/a", "list/b", "list/c"])
    await create({ Name: name, SecretString: name, Description: `Database of ${name}`, Tags: [{ Key: "kind", Value: name.slice(-1) }] });
  const list = async (Filters: Sdk.Filter[], more: Partial<Sdk.ListSecretsCommandInput> = {}) =>
    (await client.send(new Sdk.ListSecretsCommand({ Filters, SortBy: "name", SortOrder: "asc", ...more }))).SecretList!.map(
      ({ Name }) => Name,
    );
  assert.deepEqual(await list([{ Key: "name", Values: ["list/"] }]), ["list/a", "list/b", "list/c"]);
  assert.deepEqual(await list([{ Key: "name", Values: ["list/"] }], { SortOrder: "desc" }), ["list/c", "list/b", "list/a"]);
  assert.deepEqual(await list([{ Key: "name", Values: ["list/", "!list/b"] }]), ["list/a", "list/c"]);
  assert.deepEqual(
    await list([
      { Key: "tag-key", Values: ["kind"] },
      { Key: "tag-value", Values: ["c"] },
    ]),
    ["list/c"],
  );
  assert.deepEqual(
    await list([
      { Key: "description", Values: ["database"] },
      { Key: "all", Values: ["b"] },
    ]),
    ["list/b"],
  );
  await fails(list([{ Key: "wrong" as "name", Values: ["x"] }]), "InvalidParameterException");
  const seen: string[] = [];
  for (let NextToken: string | undefined; ;) {
    const page = await client.send(new Sdk.ListSecretsCommand({ Filters: [{ Key: "name", Values: ["list/"] }], MaxResults: 1, NextToken }));
    seen.push(...page.SecretList!.map(({ Name }) => Name!));
    if (!(NextToken = page.NextToken)) break;
  }
  assert.deepEqual(seen.toSorted(), ["list/a", "list/b", "list/c"]);
  await fails(client.send(new Sdk.ListSecretsCommand({ NextToken: "x" })), "InvalidNextTokenException");
  const batch = await client.send(new Sdk.BatchGetSecretValueCommand({ SecretIdList: ["list/a", "none"] }));
  assert.deepEqual(
    [batch.SecretValues!.map(({ SecretString }) => SecretString), batch.Errors!.map(({ SecretId, ErrorCode }) => [SecretId, ErrorCode])],
    [["list/a"], [["none", "ResourceNotFoundException"]]],
  );
  const filtered = await client.send(new Sdk.BatchGetSecretValueCommand({ Filters: [{ Key: "name", Values: ["list/"] }] }));
  assert.equal(filtered.SecretValues!.length, 3);
});

test("resource policies: put, get, validate, block what is public, delete", async () => {
  const { Name } = await create();
  const policy = (Principal: unknown) =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal, Action: "secretsmanager:GetSecretValue", Resource: "*" }],
    });
  const mine = policy({ AWS: "arn:aws:iam::000000000000:root" });
  const put = (ResourcePolicy: string, BlockPublicPolicy?: boolean) =>
    client.send(new Sdk.PutResourcePolicyCommand({ SecretId: Name, ResourcePolicy, BlockPublicPolicy }));
  await put(mine, true);
  assert.equal((await client.send(new Sdk.GetResourcePolicyCommand({ SecretId: Name }))).ResourcePolicy, mine);
  await fails(put(policy("*"), true), "PublicPolicyException");
  await fails(put("{"), "MalformedPolicyDocumentException");
  const valid = await client.send(new Sdk.ValidateResourcePolicyCommand({ ResourcePolicy: policy("*") }));
  assert.deepEqual([valid.PolicyValidationPassed, valid.ValidationErrors![0]!.CheckName], [false, "PUBLIC_ACCESS_CHECK"]);
  await client.send(new Sdk.DeleteResourcePolicyCommand({ SecretId: Name }));
  assert.equal((await client.send(new Sdk.GetResourcePolicyCommand({ SecretId: Name }))).ResourcePolicy, undefined);
});

test("random passwords have what was asked for and nothing else", async () => {
  const { RandomPassword } = await client.send(new Sdk.GetRandomPasswordCommand({ PasswordLength: 20, ExcludePunctuation: true }));
  assert.match(RandomPassword!, /^[A-Za-z0-9]{20}$/);
  await fails(client.send(new Sdk.GetRandomPasswordCommand({ PasswordLength: 3 })), "InvalidParameterException");
  const input = fc.record({
    PasswordLength: fc.integer({ min: 4, max: 60 }),
    ExcludeLowercase: fc.boolean(),
    ExcludeNumbers: fc.boolean(),
    ExcludeCharacters: fc.string({ maxLength: 10 }),
    IncludeSpace: fc.boolean(),
  });
  fc.assert(
    fc.property(input, (asked) => {
      const password = randomPassword(asked);
      assert.equal(password.length, asked.PasswordLength);
      assert.ok([...password].every((letter) => !asked.ExcludeCharacters.includes(letter)));
      assert.equal(asked.ExcludeLowercase && /[a-z]/.test(password), false);
      assert.equal(asked.ExcludeNumbers && /\d/.test(password), false);
      assert.ok(/[A-Z]/.test(password));
    }),
  );
});

test("the CLI creates, reads and deletes a secret", async () => {
  const made = JSON.parse(await server.aws("secretsmanager", "create-secret", "--name", "cli", "--secret-string", '{"a":"b"}')) as {
    ARN: string;
  };
  const read = JSON.parse(await server.aws("secretsmanager", "get-secret-value", "--secret-id", made.ARN)) as { SecretString: string };
  assert.equal(read.SecretString, '{"a":"b"}');
  await server.aws("secretsmanager", "delete-secret", "--secret-id", "cli", "--force-delete-without-recovery");
});
