/** KMS through the SDK: keys' lives, aliases, encryption with contexts, rotation, and AWS's errors. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as Sdk from "@aws-sdk/client-kms";
import { FakeClock } from "#platform/fake-clock.ts";
import { kmsKeys } from "#model/secrets-keys.ts";
import { createKms } from "#services/kms/index.ts";
import { startServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const day = 86_400_000;
const server = await startServer({ parts: (deps) => [createKms(deps)] });
const client = new Sdk.KMSClient(server.sdk());
after(async () => {
  client.destroy();
  await server.close();
});
const newKey = async (input: Sdk.CreateKeyCommandInput = {}) => (await client.send(new Sdk.CreateKeyCommand(input))).KeyMetadata!;
const fails = (work: Promise<unknown>, name: string, message?: RegExp) =>
  assert.rejects(work, (error: Error) => {
    assert.equal(error.name, name, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });

test("a key encrypts and decrypts with its context, by id, ARN and alias, and nobody else's context opens it", async () => {
  const key = await newKey({ Description: "for tests", Tags: [{ TagKey: "team", TagValue: "a" }] });
  assert.match(key.Arn!, /^arn:aws:kms:us-east-1:000000000000:key\/[0-9a-f-]{36}$/);
  await client.send(new Sdk.CreateAliasCommand({ AliasName: "alias/app/one", TargetKeyId: key.KeyId }));
  const Plaintext = Buffer.from("sesame");
  for (const KeyId of [key.KeyId, key.Arn, "alias/app/one", "arn:aws:kms:us-east-1:000000000000:alias/app/one"]) {
    const context = { EncryptionContext: { a: "1", b: "2" } };
    const { CiphertextBlob } = await client.send(new Sdk.EncryptCommand({ KeyId, Plaintext, ...context }));
    assert.ok(!Buffer.from(CiphertextBlob!).includes("sesame"));
    const opened = await client.send(new Sdk.DecryptCommand({ CiphertextBlob, EncryptionContext: { b: "2", a: "1" } }));
    assert.equal(Buffer.from(opened.Plaintext!).toString(), "sesame");
    assert.equal(opened.KeyId, key.Arn);
    await fails(client.send(new Sdk.DecryptCommand({ CiphertextBlob })), "InvalidCiphertextException");
    await fails(client.send(new Sdk.DecryptCommand({ CiphertextBlob, EncryptionContext: { a: "1" } })), "InvalidCiphertextException");
    for (const at of [2, 40, CiphertextBlob!.length - 1]) {
      const broken = Buffer.from(CiphertextBlob!);
      broken[at]! ^= 1;
      await assert.rejects(client.send(new Sdk.DecryptCommand({ CiphertextBlob: broken, ...context })));
    }
  }
});

test("data keys, random bytes, ReEncrypt to another key", async () => {
  const [one, two] = [await newKey(), await newKey()];
  const made = await client.send(new Sdk.GenerateDataKeyCommand({ KeyId: one.KeyId, KeySpec: "AES_256", EncryptionContext: { x: "y" } }));
  assert.equal(made.Plaintext!.length, 32);
  const moved = await client.send(
    new Sdk.ReEncryptCommand({ CiphertextBlob: made.CiphertextBlob, SourceEncryptionContext: { x: "y" }, DestinationKeyId: two.KeyId }),
  );
  assert.deepEqual([moved.SourceKeyId, moved.KeyId], [one.Arn, two.Arn]);
  await fails(client.send(new Sdk.DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, KeyId: one.KeyId })), "IncorrectKeyException");
  const opened = await client.send(new Sdk.DecryptCommand({ CiphertextBlob: moved.CiphertextBlob, KeyId: two.KeyId }));
  assert.deepEqual(Buffer.from(opened.Plaintext!), Buffer.from(made.Plaintext!));
  const without = await client.send(new Sdk.GenerateDataKeyWithoutPlaintextCommand({ KeyId: one.KeyId, NumberOfBytes: 64 }));
  assert.ok(!("Plaintext" in without) && without.CiphertextBlob);
  assert.equal((await client.send(new Sdk.GenerateRandomCommand({ NumberOfBytes: 16 }))).Plaintext!.length, 16);
  await fails(client.send(new Sdk.GenerateDataKeyCommand({ KeyId: one.KeyId })), "ValidationException", /number of bytes or key spec/);
  await fails(client.send(new Sdk.EncryptCommand({ KeyId: one.KeyId, Plaintext: Buffer.alloc(4097) })), "ValidationException");
  await fails(
    client.send(new Sdk.EncryptCommand({ KeyId: one.KeyId, Plaintext: Buffer.alloc(4), DryRun: true })),
    "DryRunOperationException",
  );
});

test("a disabled key does nothing, a key pending deletion neither; both can come back", async () => {
  const { KeyId, Arn } = await newKey();
  const Plaintext = Buffer.from("x");
  const { CiphertextBlob } = await client.send(new Sdk.EncryptCommand({ KeyId, Plaintext }));
  await client.send(new Sdk.DisableKeyCommand({ KeyId }));
  await fails(client.send(new Sdk.DecryptCommand({ CiphertextBlob })), "DisabledException", /is disabled\.$/);
  await client.send(new Sdk.EnableKeyCommand({ KeyId }));
  const scheduled = await client.send(new Sdk.ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
  assert.deepEqual([scheduled.KeyId, scheduled.KeyState, scheduled.PendingWindowInDays], [Arn, "PendingDeletion", 7]);
  await fails(client.send(new Sdk.EncryptCommand({ KeyId, Plaintext })), "KMSInvalidStateException", /is pending deletion\.$/);
  await fails(client.send(new Sdk.ScheduleKeyDeletionCommand({ KeyId })), "KMSInvalidStateException");
  await client.send(new Sdk.CancelKeyDeletionCommand({ KeyId }));
  assert.equal((await client.send(new Sdk.DescribeKeyCommand({ KeyId }))).KeyMetadata!.KeyState, "Disabled");
  await client.send(new Sdk.EnableKeyCommand({ KeyId }));
  assert.equal(Buffer.from((await client.send(new Sdk.DecryptCommand({ CiphertextBlob }))).Plaintext!).toString(), "x");
});

test("rotation gives new material, and what the old encrypted still opens", async () => {
  const { KeyId } = await newKey();
  const { CiphertextBlob } = await client.send(new Sdk.EncryptCommand({ KeyId, Plaintext: Buffer.from("old") }));
  await client.send(new Sdk.RotateKeyOnDemandCommand({ KeyId }));
  await client.send(new Sdk.EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
  const status = await client.send(new Sdk.GetKeyRotationStatusCommand({ KeyId }));
  assert.deepEqual([status.KeyRotationEnabled, status.RotationPeriodInDays], [true, 90]);
  assert.equal(Buffer.from((await client.send(new Sdk.DecryptCommand({ CiphertextBlob }))).Plaintext!).toString(), "old");
  const { Rotations } = await client.send(new Sdk.ListKeyRotationsCommand({ KeyId }));
  assert.deepEqual(
    Rotations!.map(({ RotationType }) => RotationType),
    ["ON_DEMAND"],
  );
  await client.send(new Sdk.DisableKeyRotationCommand({ KeyId }));
  assert.equal((await client.send(new Sdk.GetKeyRotationStatusCommand({ KeyId }))).KeyRotationEnabled, false);
});

test("AWS's managed keys come into being when they are asked for, and are not to be changed", async () => {
  const { KeyMetadata } = await client.send(new Sdk.DescribeKeyCommand({ KeyId: "alias/aws/secretsmanager" }));
  assert.equal(KeyMetadata!.KeyManager, "AWS");
  const again = await client.send(new Sdk.DescribeKeyCommand({ KeyId: "alias/aws/secretsmanager" }));
  assert.equal(again.KeyMetadata!.KeyId, KeyMetadata!.KeyId);
  await fails(client.send(new Sdk.ScheduleKeyDeletionCommand({ KeyId: KeyMetadata!.KeyId })), "AccessDeniedException");
  await fails(
    client.send(new Sdk.CreateAliasCommand({ AliasName: "alias/aws/mine", TargetKeyId: KeyMetadata!.KeyId })),
    "NotAuthorizedException",
  );
  await fails(client.send(new Sdk.DescribeKeyCommand({ KeyId: "alias/aws/lambda" })), "NotFoundException");
});

test("aliases, policies, tags, lists and their errors", async () => {
  const { KeyId } = await newKey();
  const other = await newKey();
  await client.send(new Sdk.CreateAliasCommand({ AliasName: "alias/moves", TargetKeyId: KeyId }));
  await fails(
    client.send(new Sdk.CreateAliasCommand({ AliasName: "alias/moves", TargetKeyId: KeyId })),
    "AlreadyExistsException",
    /alias\/moves already exists$/,
  );
  await client.send(new Sdk.UpdateAliasCommand({ AliasName: "alias/moves", TargetKeyId: other.KeyId }));
  const listed = await client.send(new Sdk.ListAliasesCommand({ KeyId: other.KeyId }));
  assert.deepEqual(
    listed.Aliases!.map(({ AliasName }) => AliasName),
    ["alias/moves"],
  );
  await client.send(new Sdk.DeleteAliasCommand({ AliasName: "alias/moves" }));
  await fails(client.send(new Sdk.DescribeKeyCommand({ KeyId: "alias/moves" })), "NotFoundException", /Alias arn:.* is not found\./);
  await fails(
    client.send(new Sdk.DescribeKeyCommand({ KeyId: "00000000-0000-0000-0000-000000000000" })),
    "NotFoundException",
    /Key 'arn:.*' does not exist/,
  );
  await fails(client.send(new Sdk.DescribeKeyCommand({ KeyId: "no such" })), "NotFoundException", /Invalid keyId/);

  const { Policy } = await client.send(new Sdk.GetKeyPolicyCommand({ KeyId, PolicyName: "default" }));
  assert.equal((JSON.parse(Policy!) as { Id: string }).Id, "key-default-1");
  await fails(client.send(new Sdk.PutKeyPolicyCommand({ KeyId, Policy: "{" })), "MalformedPolicyDocumentException");
  const lockedOut = JSON.stringify({
    Statement: [{ Effect: "Allow", Principal: { AWS: "arn:aws:iam::111111111111:root" }, Action: "kms:*", Resource: "*" }],
  });
  await fails(
    client.send(new Sdk.PutKeyPolicyCommand({ KeyId, Policy: lockedOut })),
    "MalformedPolicyDocumentException",
    /will not allow you/,
  );
  await client.send(new Sdk.PutKeyPolicyCommand({ KeyId, Policy: lockedOut, BypassPolicyLockoutSafetyCheck: true }));
  assert.deepEqual((await client.send(new Sdk.ListKeyPoliciesCommand({ KeyId }))).PolicyNames, ["default"]);

  await client.send(
    new Sdk.TagResourceCommand({
      KeyId,
      Tags: [
        { TagKey: "a", TagValue: "1" },
        { TagKey: "b", TagValue: "2" },
      ],
    }),
  );
  await client.send(new Sdk.UntagResourceCommand({ KeyId, TagKeys: ["a"] }));
  assert.deepEqual((await client.send(new Sdk.ListResourceTagsCommand({ KeyId }))).Tags, [{ TagKey: "b", TagValue: "2" }]);

  const seen = new Set<string>();
  for (let Marker: string | undefined; ;) {
    const page = await client.send(new Sdk.ListKeysCommand({ Limit: 2, Marker }));
    for (const each of page.Keys!) seen.add(each.KeyId!);
    if (!page.Truncated) break;
    Marker = page.NextMarker;
  }
  assert.ok(seen.has(KeyId!) && seen.has(other.KeyId!));
  const unsupported: unknown = await client
    .send(new Sdk.CreateKeyCommand({ KeySpec: "RSA_2048", KeyUsage: "SIGN_VERIFY" }))
    .catch((error: unknown) => error);
  assert.equal((unsupported as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode, 501);
});

test("when the time has come keys rotate by themselves, and go with their aliases", async () => {
  const clock = new FakeClock(Date.now());
  const timed = await startServer({ parts: (deps) => [createKms(deps)], clock });
  const kms = new Sdk.KMSClient({ ...timed.sdk(), systemClockOffset: 0 });
  try {
    const { KeyId } = (await kms.send(new Sdk.CreateKeyCommand({}))).KeyMetadata!;
    await kms.send(new Sdk.EnableKeyRotationCommand({ KeyId, RotationPeriodInDays: 90 }));
    const gone = (await kms.send(new Sdk.CreateKeyCommand({}))).KeyMetadata!.KeyId!;
    await kms.send(new Sdk.CreateAliasCommand({ AliasName: "alias/gone", TargetKeyId: gone }));
    await kms.send(new Sdk.ScheduleKeyDeletionCommand({ KeyId: gone, PendingWindowInDays: 7 }));
    const keys = async () => (await timed.deps.store.list(kmsKeys.everything)).entries.map(({ key }) => key.split("/").at(-1));
    await clock.advance(6 * day);
    assert.ok((await keys()).includes("gone"));
    await clock.advance(day + 1_200_000);
    // It looks every ten minutes, and what it finds takes its time: that of the clock goes on.
    const comes = (what: string, holds: () => Promise<boolean>) =>
      until(what, async () => {
        await clock.advance(600_000);
        return holds();
      });
    await comes("the alias is gone", async () => !(await keys()).includes("gone"));
    assert.ok(!(await keys()).includes(gone));
    await clock.advance(84 * day);
    await comes("new material", async () => {
      const { entries } = await timed.deps.store.list<{ material?: unknown[] }>(kmsKeys.everything);
      return entries.some(({ value }) => value.material?.length === 2);
    });
  } finally {
    kms.destroy();
    await timed.close();
  }
});
