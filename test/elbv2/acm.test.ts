/** Certificates: imported with all that may be wrong with them, issued by Gantry's own authority, listed, tagged, deleted. */
import assert from "node:assert/strict";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { after, before, test } from "node:test";
import {
  AddTagsToCertificateCommand,
  DeleteCertificateCommand,
  DescribeCertificateCommand,
  GetCertificateCommand,
  ImportCertificateCommand,
  ListCertificatesCommand,
  ListTagsForCertificateCommand,
  RemoveTagsFromCertificateCommand,
  RequestCertificateCommand,
  type RequestCertificateCommandInput,
  UpdateCertificateOptionsCommand,
  waitUntilCertificateValidated,
} from "@aws-sdk/client-acm";
import { acmKeys, type CertificateKeyRecord } from "#model/acm-records.ts";
import { type Lab, type Made, makeCertificates, refused, startLab } from "./support.ts";

let lab: Lab;
let root: Made;
let middle: Made;
let leaf: Made;
before(async () => {
  lab = await startLab();
  [root, middle, leaf] = (await makeCertificates(["root.test", "middle.test", "www.example.com"])) as [Made, Made, Made];
});
after(() => lab.close());

const describeOne = async (CertificateArn: string | undefined) =>
  (await lab.acm.send(new DescribeCertificateCommand({ CertificateArn }))).Certificate!;
const together = (...made: readonly Made[]) => Buffer.concat(made.map(({ certificate }) => certificate));
const importOne = (Certificate: Buffer, PrivateKey: Buffer, more: object = {}) =>
  lab.acm.send(new ImportCertificateCommand({ Certificate, PrivateKey, ...more }));
const request = async (input: RequestCertificateCommandInput) => (await lab.acm.send(new RequestCertificateCommand(input))).CertificateArn!;
const scope = { account: "000000000000", region: "us-east-1" };

test("a certificate is imported with its chain, read, imported again in place, and deleted with its key", async () => {
  const { CertificateArn } = await importOne(leaf.certificate, leaf.key, {
    CertificateChain: together(middle, root),
    Tags: [{ Key: "a", Value: "1" }],
  });
  assert.match(CertificateArn!, /^arn:aws:acm:us-east-1:000000000000:certificate\/[0-9a-f-]{36}$/);
  const shown = await describeOne(CertificateArn);
  assert.deepEqual(
    [
      shown.DomainName,
      shown.SubjectAlternativeNames,
      shown.Status,
      shown.Type,
      shown.KeyAlgorithm,
      shown.SignatureAlgorithm,
      shown.Subject,
      shown.Issuer,
    ],
    [
      "www.example.com",
      ["www.example.com"],
      "ISSUED",
      "IMPORTED",
      "RSA_2048",
      "SHA256WITHRSA",
      "CN=www.example.com,O=Test",
      "CN=middle.test,O=Test",
    ],
  );
  assert.deepEqual(
    [shown.KeyUsages, shown.ExtendedKeyUsages?.map(({ Name }) => Name)],
    [[{ Name: "DIGITAL_SIGNATURE" }], ["TLS_WEB_SERVER_AUTHENTICATION"]],
  );
  assert.equal(shown.Serial!.replaceAll(":", ""), new X509Certificate(leaf.certificate).serialNumber.toLowerCase());
  const got = await lab.acm.send(new GetCertificateCommand({ CertificateArn }));
  assert.deepEqual([got.Certificate, got.CertificateChain], [leaf.certificate.toString(), together(middle, root).toString()]);
  // The key is in the store only sealed.
  const id = CertificateArn!.slice(-36);
  const stored = JSON.stringify((await lab.server.deps.store.list("/acm")).entries);
  assert.ok(!stored.includes("PRIVATE KEY"));
  const { sealed } = (await lab.server.deps.store.get<CertificateKeyRecord>(acmKeys.key(scope, id)))!.value;
  const opened = lab.server.deps.sealer.open(acmKeys.sealScope(id), sealed) as string;
  assert.ok(createPrivateKey(opened).equals(createPrivateKey(leaf.key)));

  const [other] = await makeCertificates(["new.example.com"]);
  await refused(
    importOne(other!.certificate, other!.key, { CertificateArn, Tags: [{ Key: "b", Value: "" }] }),
    "ValidationException",
    /Tagging/,
  );
  assert.equal((await importOne(other!.certificate, other!.key, { CertificateArn })).CertificateArn, CertificateArn);
  const again = await describeOne(CertificateArn);
  assert.deepEqual([again.DomainName, again.CreatedAt], ["new.example.com", shown.CreatedAt]);
  assert.deepEqual((await lab.acm.send(new ListTagsForCertificateCommand({ CertificateArn }))).Tags, [{ Key: "a", Value: "1" }]);
  await lab.acm.send(new DeleteCertificateCommand({ CertificateArn }));
  await refused(describeOne(CertificateArn), "ResourceNotFoundException", /Could not find certificate/);
  assert.deepEqual((await lab.server.deps.store.list("/acm/")).entries, []);
});

test("what is wrong with an import is said", async () => {
  const text = (value: string) => Buffer.from(value);
  await refused(importOne(text("no"), leaf.key), "ValidationException", /not a valid PEM/);
  await refused(importOne(together(leaf, middle), leaf.key), "ValidationException", /more than one certificate/);
  await refused(importOne(leaf.certificate, text("no")), "ValidationException", /private key/);
  await refused(importOne(leaf.certificate, root.key), "ValidationException", /does not match/);
  await refused(importOne(leaf.certificate, leaf.key, { CertificateChain: together(root) }), "ValidationException", /certificate chain/);
  await refused(
    importOne(leaf.certificate, leaf.key, { CertificateChain: together(root, middle) }),
    "ValidationException",
    /certificate chain/,
  );
  await refused(importOne(leaf.certificate, leaf.key, { CertificateChain: text("x") }), "ValidationException", /chain/);
  const broken = text(leaf.certificate.toString().replace(/[A-Z]{3}/, "!!!"));
  await refused(importOne(broken, leaf.key), "ValidationException");
  await refused(
    importOne(leaf.certificate, leaf.key, {
      CertificateArn: `arn:aws:acm:us-east-1:000000000000:certificate/${"0".repeat(8)}-0000-0000-0000-${"0".repeat(12)}`,
    }),
    "ResourceNotFoundException",
  );
  await refused(describeOne("x".repeat(30)), "InvalidArnException");
});

test("a requested certificate is issued at once, by an authority that signs all of them", async () => {
  const arns = await Promise.all([
    request({ DomainName: "a.example.com", SubjectAlternativeNames: ["*.a.example.com"], ValidationMethod: "DNS" }),
    request({ DomainName: "b.example.com", KeyAlgorithm: "EC_secp384r1", ValidationMethod: "EMAIL" }),
  ]);
  await waitUntilCertificateValidated({ client: lab.acm, maxWaitTime: 90, minDelay: 1 }, { CertificateArn: arns[0] });
  const shown = await describeOne(arns[0]);
  assert.deepEqual(
    [shown.Status, shown.Type, shown.SubjectAlternativeNames, shown.RenewalEligibility],
    ["ISSUED", "AMAZON_ISSUED", ["a.example.com", "*.a.example.com"], "INELIGIBLE"],
  );
  const [first, second] = shown.DomainValidationOptions!;
  assert.deepEqual([first!.ValidationStatus, first!.ResourceRecord!.Type], ["SUCCESS", "CNAME"]);
  assert.match(first!.ResourceRecord!.Name!, /^_[0-9a-f]{32}\.a\.example\.com\.$/);
  // The same record proves the name and its wildcard.
  assert.deepEqual(second!.ResourceRecord, first!.ResourceRecord);
  const authorities = new Set<string>();
  for (const CertificateArn of arns) {
    const { Certificate, CertificateChain } = await lab.acm.send(new GetCertificateCommand({ CertificateArn }));
    const [own, authority] = [new X509Certificate(Certificate!), new X509Certificate(CertificateChain!)];
    assert.ok(own.verify(authority.publicKey) && own.checkIssued(authority) && authority.ca && !own.ca);
    authorities.add(authority.fingerprint256);
  }
  assert.equal(authorities.size, 1);
  const own = new X509Certificate((await lab.acm.send(new GetCertificateCommand({ CertificateArn: arns[0] }))).Certificate!);
  assert.ok(own.checkHost("x.a.example.com") && own.checkHost("a.example.com") && !own.checkHost("b.example.com"));
  assert.equal((await describeOne(arns[1])).KeyAlgorithm, "EC_secp384r1");

  const tokened = { DomainName: "c.example.com", IdempotencyToken: "t" };
  const once = await request(tokened);
  assert.equal(await request(tokened), once);
  await refused(request({ DomainName: "no dots" }), "ValidationException");
  await refused(request({ DomainName: "a.example.com\nCN=evil" }), "ValidationException");
  await refused(request({ DomainName: "d.example.com", KeyAlgorithm: "RSA_4096" }), "ValidationException");
  await refused(
    request({ DomainName: "d.example.com", CertificateAuthorityArn: "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/x" }),
    "NotImplemented",
  );
  await refused(
    request({ DomainName: "d.example.com", DomainValidationOptions: [{ DomainName: "e.example.com", ValidationDomain: "example.com" }] }),
    "InvalidDomainValidationOptionsException",
  );
  await lab.acm.send(
    new UpdateCertificateOptionsCommand({ CertificateArn: once, Options: { CertificateTransparencyLoggingPreference: "DISABLED" } }),
  );
  assert.equal((await describeOne(once)).Options?.CertificateTransparencyLoggingPreference, "DISABLED");

  // Only the usual RSA keys unless the request says otherwise.
  const list = async (input: object) =>
    (await lab.acm.send(new ListCertificatesCommand(input))).CertificateSummaryList!.map(({ DomainName }) => DomainName);
  assert.deepEqual((await list({})).toSorted(), ["a.example.com", "c.example.com"]);
  assert.deepEqual(await list({ Includes: { keyTypes: ["EC_secp384r1"] } }), ["b.example.com"]);
  assert.deepEqual(await list({ CertificateStatuses: ["EXPIRED"] }), []);
  const page = await lab.acm.send(new ListCertificatesCommand({ MaxItems: 1, SortBy: "CREATED_AT", SortOrder: "DESCENDING" }));
  assert.deepEqual(
    [
      page.CertificateSummaryList![0]!.DomainName,
      await list({ MaxItems: 1, SortBy: "CREATED_AT", SortOrder: "DESCENDING", NextToken: page.NextToken }),
    ],
    ["c.example.com", ["a.example.com"]],
  );
});

test("tags", async () => {
  const { CertificateArn } = await importOne(leaf.certificate, leaf.key);
  const tags = async () => (await lab.acm.send(new ListTagsForCertificateCommand({ CertificateArn }))).Tags;
  const two = [
    { Key: "a", Value: "1" },
    { Key: "b", Value: "2" },
  ];
  await lab.acm.send(new AddTagsToCertificateCommand({ CertificateArn, Tags: two }));
  await lab.acm.send(new RemoveTagsFromCertificateCommand({ CertificateArn, Tags: [{ Key: "a", Value: "other" }, { Key: "b" }] }));
  assert.deepEqual(await tags(), [two[0]]);
  await refused(lab.acm.send(new AddTagsToCertificateCommand({ CertificateArn, Tags: [{ Key: "aws:x" }] })), "InvalidTagException");
});
