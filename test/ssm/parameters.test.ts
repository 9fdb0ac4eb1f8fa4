/** Parameter Store through the SDK: types, tiers, versions, labels, hierarchies, filters, AWS's errors. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as Kms from "@aws-sdk/client-kms";
import * as Sdk from "@aws-sdk/client-ssm";
import { createKms } from "#services/kms/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import { startServer } from "../support/http.ts";

const server = await startServer({ parts: (deps) => [createKms(deps), createSsm(deps)] });
const client = new Sdk.SSMClient(server.sdk());
const kms = new Kms.KMSClient(server.sdk());
after(async () => {
  client.destroy();
  kms.destroy();
  await server.close();
});
const put = (Name: string, Value: string, more: Partial<Sdk.PutParameterCommandInput> = {}) =>
  client.send(new Sdk.PutParameterCommand({ Name, Value, Type: "String", ...more }));
const get = async (Name: string, WithDecryption?: boolean) =>
  (await client.send(new Sdk.GetParameterCommand({ Name, WithDecryption }))).Parameter!;
const fails = (work: Promise<unknown>, name: string, message?: RegExp) =>
  assert.rejects(work, (error: Error) => {
    assert.equal(error.name, name, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });

test("a parameter is put, read by name and ARN, overwritten, and its versions are kept", async () => {
  assert.deepEqual(pick(await put("/v/a", "one", { Description: "d" })), { Version: 1, Tier: "Standard" });
  const read = await get("/v/a");
  assert.deepEqual(
    [read.Name, read.Value, read.Version, read.Type, read.ARN, read.DataType],
    ["/v/a", "one", 1, "String", "arn:aws:ssm:us-east-1:000000000000:parameter/v/a", "text"],
  );
  assert.equal((await get(read.ARN!)).Value, "one");
  await fails(put("/v/a", "two"), "ParameterAlreadyExists", /set the overwrite option/);
  assert.equal((await put("/v/a", "two", { Overwrite: true })).Version, 2);
  assert.deepEqual([(await get("/v/a")).Value, (await get("/v/a:1")).Value, (await get("/v/a:1")).Selector], ["two", "one", ":1"]);
  assert.equal((await get(`${read.ARN}:1`)).Value, "one");
  await fails(get("/v/a:9"), "ParameterVersionNotFound");
  await fails(get("/v/none"), "ParameterNotFound");
  const { Parameters } = await client.send(new Sdk.GetParameterHistoryCommand({ Name: "/v/a" }));
  assert.deepEqual(
    Parameters!.map(({ Version, Value, Description }) => [Version, Value, Description]),
    [
      [1, "one", "d"],
      [2, "two", "d"],
    ],
  );
  await fails(put("/v/a", "x", { Overwrite: true, Type: "SecureString" }), "HierarchyTypeMismatchException");
  const several = await client.send(new Sdk.GetParametersCommand({ Names: ["/v/a:1", "/v/none"] }));
  assert.deepEqual([several.Parameters!.map(({ Value }) => Value), several.InvalidParameters], [["one"], ["/v/none"]]);
});

const pick = ({ Version, Tier }: Sdk.PutParameterCommandOutput) => ({ Version, Tier });

test("a SecureString is KMS's ciphertext until it is decrypted, and KMS itself can open it with its context", async () => {
  await put("/s/a", "sesame", { Type: "SecureString" });
  const closed = await get("/s/a");
  assert.ok(closed.Value !== "sesame" && !Buffer.from(closed.Value!, "base64").includes("sesame"));
  assert.equal((await get("/s/a", true)).Value, "sesame");
  const opened = await kms.send(
    new Kms.DecryptCommand({ CiphertextBlob: Buffer.from(closed.Value!, "base64"), EncryptionContext: { PARAMETER_ARN: closed.ARN! } }),
  );
  assert.equal(Buffer.from(opened.Plaintext!).toString(), "sesame");
  const key = (await kms.send(new Kms.CreateKeyCommand({}))).KeyMetadata!;
  await put("/s/b", "own", { Type: "SecureString", KeyId: key.KeyId });
  await kms.send(new Kms.DisableKeyCommand({ KeyId: key.KeyId }));
  await fails(get("/s/b", true), "InvalidKeyId");
  await fails(put("/s/c", "x", { Type: "SecureString", KeyId: "alias/none" }), "InvalidKeyId");
  await fails(put("/s/c", "x", { KeyId: key.KeyId }), "ValidationException", /SecureString/);
});

test("names, sizes, tiers, patterns, data types", async () => {
  await fails(put("no/slash", "x"), "ValidationException", /fully qualified/);
  await fails(put("/ssm/x", "x"), "ValidationException", /can't be prefixed with "ssm"/);
  await fails(put("/aws/x", "x"), "AccessDeniedException", /reserved/);
  await fails(put("/spaces in/it", "x"), "ValidationException");
  await put(`/${Array.from({ length: 15 }, (_, i) => `l${i}`).join("/")}`, "deep");
  await fails(put(`/${Array.from({ length: 16 }, (_, i) => `l${i}`).join("/")}`, "x"), "HierarchyLevelLimitExceededException");
  await fails(put("/big", "x".repeat(4097)), "ValidationException", /maximum parameter value of 4096/);
  assert.equal((await put("/big", "x".repeat(4097), { Tier: "Intelligent-Tiering" })).Tier, "Advanced");
  await fails(put("/big", "x", { Tier: "Standard", Overwrite: true }), "ValidationException", /can't downgrade/);
  await fails(put("/bigger", "x".repeat(8193), { Tier: "Advanced" }), "ValidationException", /8192/);
  await put("/p", "12", { AllowedPattern: "^\\d+$" });
  await fails(put("/p", "1a", { AllowedPattern: "^\\d+$", Overwrite: true }), "ParameterPatternMismatchException");
  await put("/p", "has 12 in it", { AllowedPattern: "\\d", Overwrite: true });
  await fails(put("/p2", "1", { AllowedPattern: "(" }), "InvalidAllowedPatternException");
  await fails(put("/t", "x", { DataType: "Text" }), "ValidationException", /data type is not supported/);
  await fails(put("/t", "x", { Type: undefined }), "ValidationException", /type is required/);
  await fails(put("/p", "1", { Overwrite: true, Tags: [{ Key: "a", Value: "b" }] }), "ValidationException", /tags and overwrite/);
});

test("labels move between versions, and keep the oldest version from going", async () => {
  await put("/l", "1");
  await put("/l", "2", { Overwrite: true });
  const label = (ParameterVersion: number | undefined, ...Labels: string[]) =>
    client.send(new Sdk.LabelParameterVersionCommand({ Name: "/l", ParameterVersion, Labels }));
  const answer = await label(1, "good", "1bad", "aws-bad");
  assert.deepEqual([answer.InvalidLabels, answer.ParameterVersion], [["1bad", "aws-bad"], 1]);
  assert.equal((await get("/l:good")).Value, "1");
  await label(undefined, "good");
  assert.equal((await get("/l:good")).Value, "2");
  await fails(label(9, "good"), "ParameterVersionNotFound");
  await fails(label(1, ...Array.from({ length: 11 }, (_, i) => `l${i}`)), "ParameterVersionLabelLimitExceeded");
  await label(1, "keep");
  for (let i = 3; i <= 100; i++) await put("/l", String(i), { Overwrite: true });
  await fails(put("/l", "101", { Overwrite: true }), "ParameterMaxVersionLimitExceeded", /Version 1, the oldest version/);
  const removed = await client.send(new Sdk.UnlabelParameterVersionCommand({ Name: "/l", ParameterVersion: 1, Labels: ["keep", "none"] }));
  assert.deepEqual([removed.RemovedLabels, removed.InvalidLabels], [["keep"], ["none"]]);
  assert.equal((await put("/l", "101", { Overwrite: true })).Version, 101);
  await fails(get("/l:1"), "ParameterVersionNotFound");
});

test("paths, recursive or not, in pages, with filters; DescribeParameters' filters", async () => {
  for (const name of ["/path/a", "/path/b", "/path/deep/c", "/path/deep/d", "/pathological"])
    await put(name, name, { Tags: [{ Key: "at", Value: name }] });
  await put("/path/secret", "x", { Type: "SecureString" });
  const byPath = async (Path: string, more: Partial<Sdk.GetParametersByPathCommandInput> = {}) =>
    (await client.send(new Sdk.GetParametersByPathCommand({ Path, ...more }))).Parameters!.map(({ Name }) => Name);
  assert.deepEqual(await byPath("/path"), ["/path/a", "/path/b", "/path/secret"]);
  assert.deepEqual(await byPath("/path/", { Recursive: true }), ["/path/a", "/path/b", "/path/deep/c", "/path/deep/d", "/path/secret"]);
  assert.deepEqual(await byPath("/path", { ParameterFilters: [{ Key: "Type", Values: ["SecureString"] }] }), ["/path/secret"]);
  await fails(byPath("path"), "ValidationException");
  await fails(byPath("/path", { ParameterFilters: [{ Key: "Name", Values: ["x"] }] }), "InvalidFilterKey");
  await fails(byPath("/path", { MaxResults: 11 }), "ValidationException");
  const seen: string[] = [];
  for (let NextToken: string | undefined; ;) {
    const page = await client.send(new Sdk.GetParametersByPathCommand({ Path: "/path", Recursive: true, MaxResults: 2, NextToken }));
    seen.push(...page.Parameters!.map(({ Name }) => Name!));
    if (!(NextToken = page.NextToken)) break;
  }
  assert.equal(seen.length, 5);
  const describe = async (ParameterFilters: Sdk.ParameterStringFilter[]) =>
    (await client.send(new Sdk.DescribeParametersCommand({ ParameterFilters }))).Parameters!.map(({ Name }) => Name);
  assert.deepEqual(await describe([{ Key: "Name", Option: "BeginsWith", Values: ["/patho"] }]), ["/pathological"]);
  assert.deepEqual(await describe([{ Key: "Name", Option: "Contains", Values: ["deep/c"] }]), ["/path/deep/c"]);
  assert.deepEqual(await describe([{ Key: "Path", Option: "Recursive", Values: ["/path/deep"] }]), ["/path/deep/c", "/path/deep/d"]);
  assert.deepEqual(await describe([{ Key: "tag:at", Values: ["/path/a"] }]), ["/path/a"]);
  assert.deepEqual(
    await describe([
      { Key: "Path", Values: ["/path"] },
      { Key: "KeyId", Values: ["alias/aws/ssm"] },
    ]),
    ["/path/secret"],
  );
  await fails(describe([{ Key: "Type", Option: "Contains", Values: ["String"] }]), "InvalidFilterOption");
});

test("tags, deletion", async () => {
  await put("/tagged", "x", { Tags: [{ Key: "a", Value: "1" }] });
  const of = { ResourceType: "Parameter" as const, ResourceId: "/tagged" };
  await client.send(new Sdk.AddTagsToResourceCommand({ ...of, Tags: [{ Key: "b", Value: "2" }] }));
  await client.send(new Sdk.RemoveTagsFromResourceCommand({ ...of, TagKeys: ["a"] }));
  assert.deepEqual((await client.send(new Sdk.ListTagsForResourceCommand(of))).TagList, [{ Key: "b", Value: "2" }]);
  await fails(client.send(new Sdk.ListTagsForResourceCommand({ ...of, ResourceId: "/none" })), "InvalidResourceId");
  const deleted = await client.send(new Sdk.DeleteParametersCommand({ Names: ["/tagged", "/none"] }));
  assert.deepEqual([deleted.DeletedParameters, deleted.InvalidParameters], [["/tagged"], ["/none"]]);
  await fails(client.send(new Sdk.DeleteParameterCommand({ Name: "/tagged" })), "ParameterNotFound");
});

test("the CLI puts and gets a parameter", async () => {
  await server.aws("ssm", "put-parameter", "--name", "/cli/a", "--value", "v", "--type", "SecureString");
  const read = JSON.parse(await server.aws("ssm", "get-parameter", "--name", "/cli/a", "--with-decryption")) as {
    Parameter: { Value: string };
  };
  assert.equal(read.Parameter.Value, "v");
});
