/** Key policies and secrets' policies decide as AWS's do, and what a service does with a key takes its user's permission. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Kms from "@aws-sdk/client-kms";
import * as Secrets from "@aws-sdk/client-secrets-manager";
import * as Ssm from "@aws-sdk/client-ssm";
import { createKms } from "#services/kms/index.ts";
import { createSecretsManager } from "#services/secretsmanager/index.ts";
import { createSsm } from "#services/ssm/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { account, allow, createPeople, deny, otherAccount, type Person, policy, type StatementText } from "./support.ts";

const people = createPeople();
let server: TestServer;
const root = people.root();
const clients: { destroy(): void }[] = [];
const client = <T extends { destroy(): void }>(made: T): T => (clients.push(made), made);
const kms = (who: Person) => client(new Kms.KMSClient({ ...server.sdk(), credentials: who }));
const secrets = (who: Person) => client(new Secrets.SecretsManagerClient({ ...server.sdk(), credentials: who }));
const ssm = (who: Person) => client(new Ssm.SSMClient({ ...server.sdk(), credentials: who }));
const denied = (work: Promise<unknown>, message: RegExp) =>
  assert.rejects(work, (error: Error) => {
    assert.match(error.name, /^AccessDenied(Exception)?$/, error.message);
    assert.match(error.message, message);
    return true;
  });
const document = (...Statement: StatementText[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const accountMay = { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: "kms:*", Resource: "*" };
let names = 0;
const may = (...statements: StatementText[]) => {
  const name = `u${++names}`;
  return people.user(name, { identity: [policy("p", ...statements)] });
};
const newKey = async (more: Kms.CreateKeyCommandInput = {}) => (await kms(root).send(new Kms.CreateKeyCommand(more))).KeyMetadata!;

before(async () => {
  server = await startServer({
    credentials: people.credentials,
    parts: (deps) => [people.part, createKms(deps), createSecretsManager(deps), createSsm(deps)],
  });
});
after(async () => {
  for (const each of clients) each.destroy();
  await server.close();
});

test("the default key policy leaves a key to IAM's policies; aliases stand for their key; a ciphertext says which key it needs", async () => {
  const key = await newKey({ Tags: [{ TagKey: "team", TagValue: "a" }] });
  await kms(root).send(new Kms.CreateAliasCommand({ AliasName: "alias/app", TargetKeyId: key.KeyId }));
  const user = kms(may(allow(["kms:Encrypt", "kms:Decrypt"], key.Arn)));
  const Plaintext = Buffer.from("x");
  const { CiphertextBlob } = await user.send(new Kms.EncryptCommand({ KeyId: "alias/app", Plaintext }));
  await user.send(new Kms.DecryptCommand({ CiphertextBlob }));
  const other = await newKey();
  await denied(
    user.send(new Kms.EncryptCommand({ KeyId: other.KeyId, Plaintext })),
    new RegExp(`kms:Encrypt on resource: ${other.Arn} because no identity-based policy allows`),
  );
  const byTag = kms(may(allow("kms:Decrypt", "*", { Condition: { StringEquals: { "aws:ResourceTag/team": "a" } } })));
  await byTag.send(new Kms.DecryptCommand({ CiphertextBlob }));
  const { CiphertextBlob: foreign } = await kms(root).send(new Kms.EncryptCommand({ KeyId: other.KeyId, Plaintext }));
  await denied(byTag.send(new Kms.DecryptCommand({ CiphertextBlob: foreign })), /kms:Decrypt/);
  const mover = kms(may(allow(["kms:ReEncryptFrom"], key.Arn), allow("kms:ReEncryptTo", other.Arn)));
  await mover.send(new Kms.ReEncryptCommand({ CiphertextBlob, DestinationKeyId: other.KeyId }));
  await denied(mover.send(new Kms.ReEncryptCommand({ CiphertextBlob: foreign, DestinationKeyId: key.KeyId })), /kms:ReEncryptFrom/);
  await denied(
    mover.send(new Kms.ReEncryptCommand({ CiphertextBlob, DestinationKeyId: "alias/app" })),
    new RegExp(`kms:ReEncryptTo on resource: ${key.Arn}`),
  );
});

test("a key policy that does not name the account keeps IAM's policies out; one that names a user lets them in", async () => {
  const reader = people.user("reader", {});
  const Policy = document(
    { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:user/reader` }, Action: ["kms:Decrypt", "kms:Encrypt"], Resource: "*" },
    { Effect: "Allow", Principal: { AWS: `arn:aws:iam::${account}:user/keeper` }, Action: "kms:PutKeyPolicy", Resource: "*" },
  );
  const key = await newKey({ Policy });
  const { CiphertextBlob } = await kms(reader).send(new Kms.EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from("x") }));
  await kms(reader).send(new Kms.DecryptCommand({ CiphertextBlob }));
  await denied(kms(may(allow("kms:*"))).send(new Kms.DecryptCommand({ CiphertextBlob })), /because no resource-based policy allows/);
  await denied(kms(reader).send(new Kms.DescribeKeyCommand({ KeyId: key.KeyId })), /kms:DescribeKey/);
});

test("a policy that cannot be read is refused", async () => {
  const key = await newKey();
  const bad = document({ Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*", Condition: { NoSuchOperator: { a: "b" } } });
  const refused = { name: /MalformedPolicyDocument/ };
  await assert.rejects(kms(root).send(new Kms.PutKeyPolicyCommand({ KeyId: key.KeyId, Policy: bad, PolicyName: "default" })), refused);
  await secrets(root).send(new Secrets.CreateSecretCommand({ Name: "checked", SecretString: "s" }));
  await assert.rejects(secrets(root).send(new Secrets.PutResourcePolicyCommand({ SecretId: "checked", ResourcePolicy: bad })), refused);
});

test("Secrets Manager asks for the customer's key, and for AWS's own nothing", async () => {
  const key = await newKey();
  const value = secrets(root);
  const { ARN } = await value.send(
    new Secrets.CreateSecretCommand({ Name: "app/db", SecretString: "s", KmsKeyId: key.KeyId, Tags: [{ Key: "team", Value: "a" }] }),
  );
  await value.send(new Secrets.CreateSecretCommand({ Name: "app/own", SecretString: "s" }));
  const get = (who: Person, SecretId: string) => secrets(who).send(new Secrets.GetSecretValueCommand({ SecretId }));
  const reads = allow("secretsmanager:GetSecretValue", `arn:aws:secretsmanager:us-east-1:${account}:secret:app/*`);
  await get(may(reads), "app/own");
  await denied(get(may(reads), "app/db"), /^Access to KMS is not allowed$/);
  const via = {
    Condition: { StringEquals: { "kms:ViaService": "secretsmanager.us-east-1.amazonaws.com", "kms:EncryptionContext:SecretARN": ARN } },
  };
  const whole = may(reads, allow("kms:Decrypt", key.Arn, via));
  assert.equal((await get(whole, "app/db")).SecretString, "s");
  // By way of the service only.
  const { CiphertextBlob } = await kms(root).send(new Kms.EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from("x") }));
  await denied(kms(whole).send(new Kms.DecryptCommand({ CiphertextBlob })), /kms:Decrypt/);
  await denied(get(may(reads, deny("kms:Decrypt")), "app/own"), /KMS/);
  const writer = allow("secretsmanager:*");
  await denied(secrets(may(writer)).send(new Secrets.PutSecretValueCommand({ SecretId: "app/db", SecretString: "n" })), /KMS/);
  await secrets(may(writer, allow(["kms:GenerateDataKey", "kms:Decrypt"], key.Arn))).send(
    new Secrets.PutSecretValueCommand({ SecretId: "app/db", SecretString: "n" }),
  );
  const byTag = may(
    allow("secretsmanager:GetSecretValue", "*", { Condition: { StringEquals: { "secretsmanager:ResourceTag/team": "a" } } }),
    allow("kms:Decrypt"),
  );
  await get(byTag, "app/db");
  await get(byTag, ARN!.slice(0, -7));
  await denied(get(byTag, "app/own"), /GetSecretValue on resource: arn:aws:secretsmanager:us-east-1:000000000000:secret:app\/own-\w{6}/);
  // The policy of the whole ARN is about the name as well.
  await get(may(allow("secretsmanager:GetSecretValue", ARN!), allow("kms:Decrypt")), "app/db");
});

test("Parameter Store: the same for SecureStrings that are to be decrypted", async () => {
  const key = await newKey();
  const put = (who: Person, more: Partial<Ssm.PutParameterCommandInput>) =>
    ssm(who).send(new Ssm.PutParameterCommand({ Name: "/a/key", Value: "v", Type: "SecureString", ...more }));
  await put(root, { KeyId: key.KeyId });
  await put(root, { Name: "/a/own" });
  const reads = allow(["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"]);
  const get = (who: Person, Name: string, WithDecryption = true) => ssm(who).send(new Ssm.GetParameterCommand({ Name, WithDecryption }));
  await get(may(reads), "/a/own");
  await get(may(reads), "/a/key", false);
  await denied(get(may(reads), "/a/key"), new RegExp(`kms:Decrypt on resource: ${key.Arn}`));
  await denied(ssm(may(reads)).send(new Ssm.GetParametersCommand({ Names: ["/a/own", "/a/key:1"], WithDecryption: true })), /kms:Decrypt/);
  await denied(ssm(may(reads)).send(new Ssm.GetParametersByPathCommand({ Path: "/a", WithDecryption: true })), /kms:Decrypt/);
  assert.equal((await get(may(reads, allow("kms:Decrypt", key.Arn)), "/a/key")).Parameter!.Value, "v");
  await denied(put(may(allow("ssm:PutParameter")), { Overwrite: true }), /kms:Encrypt/);
  await put(may(allow("ssm:PutParameter"), allow("kms:Encrypt", key.Arn)), { Overwrite: true });
});

test("another account's secret: by its ARN, when its policy, its key's and one's own say so", async () => {
  const them = { AWS: `arn:aws:iam::${otherAccount}:root` };
  const key = await newKey({ Policy: document(accountMay, { Effect: "Allow", Principal: them, Action: "kms:Decrypt", Resource: "*" }) });
  const make = async (Name: string, KmsKeyId?: string) =>
    (await secrets(root).send(new Secrets.CreateSecretCommand({ Name, SecretString: Name, KmsKeyId }))).ARN!;
  const [open, shut, managed] = [await make("open", key.KeyId), await make("shut", key.KeyId), await make("managed")];
  const ResourcePolicy = document({ Effect: "Allow", Principal: them, Action: "secretsmanager:GetSecretValue", Resource: "*" });
  for (const SecretId of [open, managed]) await secrets(root).send(new Secrets.PutResourcePolicyCommand({ SecretId, ResourcePolicy }));
  const get = (who: Person, SecretId: string) => secrets(who).send(new Secrets.GetSecretValueCommand({ SecretId }));
  const theirs = (name: string, ...statements: StatementText[]) =>
    people.user(name, { identity: [policy("p", ...statements)] }, otherAccount);
  const both = theirs("both", allow("secretsmanager:*"), allow("kms:Decrypt"));
  assert.equal((await get(both, open)).SecretString, "open");
  await denied(get(both, shut), /because no resource-based policy allows the secretsmanager:GetSecretValue action/);
  // AWS's own key is its account's alone.
  await denied(get(both, managed), /KMS/);
  await denied(get(theirs("none", allow("kms:Decrypt")), open), /because no identity-based policy allows/);
  await denied(get(theirs("keyless", allow("secretsmanager:*")), open), /KMS/);
  await denied(secrets(both).send(new Secrets.DeleteSecretCommand({ SecretId: open })), /DeleteSecret/);
  const otherRoot = people.root(otherAccount);
  assert.equal((await get(otherRoot, open)).SecretString, "open");
  await denied(get(otherRoot, shut), /GetSecretValue/);
  await assert.rejects(get(both, "open"), { name: "ResourceNotFoundException" });
  // A name is one's own account's.
  const { CiphertextBlob } = await kms(root).send(new Kms.EncryptCommand({ KeyId: key.KeyId, Plaintext: Buffer.from("x") }));
  assert.equal(Buffer.from((await kms(both).send(new Kms.DecryptCommand({ CiphertextBlob }))).Plaintext!).toString(), "x");
  await denied(kms(both).send(new Kms.DescribeKeyCommand({ KeyId: key.Arn })), /kms:DescribeKey/);
});
